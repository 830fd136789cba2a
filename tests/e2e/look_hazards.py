#!/usr/bin/env python3
"""Processes that cannot be looked at as usual: another way is found, or the reason is told."""
import os
import pathlib
import shutil
import signal

from lab import Skip, Wrong, case, holds, need, need_root, run_all, same, victim, wait_until
from looking import (LOOK, METHODS, PAGE, Look, check_instant, ends_whole, goes_on, mutate, state,
                     status)
from others import as_other, ordinary_user


@case('a process that seccomp would kill is stopped instead, and lives')
def seccomp_kills(lab):
    process = lab.background(victim('look-hazard'), 'kills')
    truth = process.truth()
    look = Look(lab, 'auto', process.process.pid).must_be('stop')
    holds('the reason', 'seccomp filter' in look.facts['why'], look.facts)
    look.close()
    look = Look(lab, 'clone', process.process.pid)
    holds('a clone is refused', 'seccomp filter' in look.facts['error'], look.facts)
    goes_on(process, truth['counter'])


@case('a seccomp filter that lets our calls pass is no hindrance to root')
def seccomp_allows(lab):
    need_root()
    process = lab.background(victim('look-hazard'), 'allows')
    truth = process.truth()
    look = Look(lab, 'clone', process.process.pid)
    if 'error' in look.facts:
        raise Skip('the kernel does not show seccomp filters')
    look.must_be('clone').close()
    goes_on(process, truth['counter'])


@case('memory that userfaultfd has yet to supply is not asked for')
def userfault(lab):
    process = lab.background(victim('look-hazard'), 'userfault')
    try:
        truth = process.truth()
    except Wrong as wrong:
        raise Skip('userfaultfd is not permitted here') from wrong
    look = Look(lab, 'auto', process.process.pid).must_be('stop')
    data = look.read(truth['page'], 2 * PAGE)
    same('only what is there', (len(data), data[:1]), (PAGE, b'x'))
    same('nothing of the other', look.read(truth['page'] + PAGE, 16), b'')
    look.close()
    goes_on(process, truth['counter'])
    look = Look(lab, 'clone', process.process.pid)
    holds('a clone is refused', 'userfaultfd' in look.facts['error'], look.facts)


@case('a process whose next child begins a namespace is not cloned')
def namespace(lab):
    need_root()
    process = lab.background(victim('look-hazard'), 'namespace')
    truth = process.truth()
    look = Look(lab, 'clone', process.process.pid)
    holds('a clone is refused', 'namespace' in look.facts['error'], look.facts)
    Look(lab, 'auto', process.process.pid).must_be('stop').close()
    goes_on(process, truth['counter'])


@case('a process without its first thread is seen by the others')
def leaderless(lab):
    process = lab.background(victim('look-hazard'), 'leaderless')
    truth = process.truth()
    wait_until('the first thread has ended', lambda: state(process.process.pid) == 'Z')

    def count(method):
        look = Look(lab, method, process.process.pid).must_be(method)
        same('threads', len(look.threads), 1)
        counted = look.words(truth['counter'], 1)[0]
        look.close()
        return counted

    for method in METHODS:
        wait_until('it counts', lambda: count(method) > 0)  # pylint: disable=cell-var-from-loop


def thread_states(pid):
    tasks = pathlib.Path(f'/proc/{pid}/task').iterdir()
    return [(task / 'stat').read_text().rsplit(') ', 1)[1][0] for task in tasks]


@case('threads that stay in vfork keep nobody waiting, and what that means is told')
def in_vfork(lab):
    process = lab.background(victim('look-hazard'), 'vfork')
    truth = process.truth()
    pid = process.process.pid
    process.until('all wait', lambda: thread_states(pid).count('D') == 20)
    for method in METHODS:
        pauses = []
        for _ in range(3):
            look = Look(lab, method, pid)
            same('kind', look.facts.get('kind'), METHODS[method])
            same('one instant', look.facts['consistent'], '0')
            holds('why', 'vfork' in look.facts['why'], look.facts)
            same('threads', len(look.threads), 21)
            pauses.append(int(look.facts['pause_ns']) / 1e6)
            look.close()
            goes_on(process, truth['counter'])
        # Each would keep all others for 20 ms, if it were waited for; the best of three, as of a
        # busy machine.
        holds(f'{method}: milliseconds', min(pauses) < 100, pauses)
    same('all wait on', thread_states(pid).count('D'), 20)


@case('a process that was stopped stays so, and continues when told to')
def was_stopped(lab):
    process, truth = mutate(lab, '2')
    pid = process.process.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until('it stops', lambda: state(pid) == 'T')
    os.waitid(os.P_PID, pid, os.WSTOPPED)  # its parent knows
    look = Look(lab, 'auto', pid).must_be('stop')
    check_instant(look, truth)
    look.close()
    wait_until('it is stopped again', lambda: state(pid) == 'T')
    look = Look(lab, 'clone', pid)
    holds('a clone is refused', 'stopped already' in look.facts['error'], look.facts)
    same('its parent was told nothing', os.waitid(os.P_PID, pid, os.WSTOPPED | os.WCONTINUED |
                                                  os.WNOHANG), None)
    os.kill(pid, signal.SIGCONT)
    goes_on(process, truth['pair'])
    ends_whole(process)


@case('a process that is traced already: by whom')
def traced(lab):
    strace = need('strace')
    process, _ = mutate(lab)
    pid = process.process.pid
    tracer = lab.background(strace, '-qq', '-o', lab.path('trace'), '-p', pid)
    tracer.until('it is traced', lambda: status(pid, 'TracerPid') != '0')
    for method in METHODS:
        look = Look(lab, method, pid)
        holds('the tracer is named', f"traced by process {tracer.process.pid} ('strace')" in
              look.facts['error'], look.facts)
        holds('what to do', 'one tracer' in look.facts['hint'], look.facts)
    look = Look(lab, 'auto', pid)
    same('kind', look.facts['kind'], 'live')
    holds('why', 'traced by process' in look.facts['why'], look.facts)
    look.close()


@case('no process to look at: zombie, kernel thread, another user, ended')
def nothing_to_see(lab):
    zombie = lab.background('true')
    zombie.until_zombie()
    look = Look(lab, 'auto', zombie.process.pid)
    holds('a zombie', 'has ended (zombie)' in look.facts['error'], look.facts)
    zombie.wait()
    look = Look(lab, 'auto', zombie.process.pid)
    holds('ended', 'no such process' in look.facts['error'], look.facts)
    for entry in pathlib.Path('/proc').iterdir():
        if entry.name.isdigit() and not (entry / 'cmdline').read_bytes() and \
                (entry / 'stat').read_text().split(') ')[1].split()[1] == '2':
            look = Look(lab, 'auto', entry.name)
            holds('a kernel thread', 'kernel thread' in look.facts['error'], look.facts)
            break


@case('the process of another user')
def anothers(lab):
    need_root()
    user = ordinary_user()
    process, truth = mutate(lab)
    os.chmod(lab.folder, 0o755)
    tool = lab.folder / 'look_target'
    shutil.copy(LOOK, tool)
    tool.chmod(0o755)
    for method in ('auto', *METHODS):
        look = Look(lab, method, process.process.pid, as_other(), tool)
        holds('whose it is', 'belongs to root' in look.facts['hint'], look.facts)
    own = lab.background(*as_other(), shutil.copy(victim('look-mutate'), lab.path('own')))
    own_truth = own.truth()
    same('it is theirs', status(own.process.pid, 'Uid').split()[0], str(user.pw_uid))
    look = Look(lab, 'clone', own.process.pid, as_other(), tool)
    if 'error' in look.facts and 'ptrace_scope' in look.facts['hint']:
        raise Skip('this system lets only root trace')
    look.must_be('clone')
    check_instant(look, own_truth)
    look.close()
    ends_whole(own)
    goes_on(process, truth['pair'])


@case('a 32-bit process is stopped, and its registers understood')
def narrow(lab):
    program = lab.path('narrow')
    source = pathlib.Path(__file__).parents[1] / 'victims' / 'look_mutate.c'
    built = lab.run(need('gcc'), '-m32', '-O1', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-w',
                    '-o', program, source, '-pthread')
    if built.status:
        raise Skip('the compiler makes no 32-bit programs')
    process = lab.background(program, '2')
    process.truth()
    look = Look(lab, 'auto', process.process.pid).must_be('stop')
    same('word', look.facts['word_bytes'], '4')
    same('threads', len(look.threads), 3)
    for thread in look.threads:
        holds('registers', thread.known and thread.sp < 2**32 and thread.tp, thread)
        # The thread control block begins with its own address.
        same('what the thread pointer points to', int(look.ask(f'word {thread.tp:x}'), 16),
             thread.tp)
    same('thread pointers differ', len({t.tp for t in look.threads}), 3)
    look.close()
    ends_whole(process)


if __name__ == '__main__':
    run_all()
