#!/usr/bin/env python3
"""A system call of seep fails in the middle of an attach or detach: it says so, and nothing stays."""
import pathlib
import re

from attach import end, exact, fence, go_on
from lab import SEEP, case, holds, need, run_all, same, victim, wait_until
from untouched import differences, standing

TARGET = 3
SYS_READ = 0


def with_fault(lab, call, error, when, *command):
    strace = need('strace')
    return lab.run(strace, '-f', '-qq', '-o', '/dev/null', '-e', f'trace={call}',
                   '-e', f'inject={call}:error={error}:when={when}', SEEP, *command)


def begin(lab):
    process = lab.background(victim('refuser'))
    same('it says', process.line(), 'ready')
    return process, process.process.pid


def waits_for_input(pid):
    """A call that seep had to leave to it has been made."""
    return pathlib.Path(f'/proc/{pid}/syscall').read_text().startswith(f'{SYS_READ} ')


def check(lab, pid, what, before, done):
    """What it says is true, and the next detach leaves nothing."""
    wait_until('it waits again', lambda: waits_for_input(pid))
    left = differences(before, standing(pid))
    if done.status:
        same(f'exit status of {done!r}', done.status, TARGET)
        holds('it says why', re.match(r'seep: [^\n]+\n(hint: [^\n]+\n)?\Z', done.err), done)
        if what == 'attach' and left:
            holds('it says what is left', 'seep detach' in done.err, (done, left))
    elif what == 'detach':
        same(f'what differs, though {done!r}', left, {})
    last = lab.seep('detach', '-q', pid)
    holds('done, or nothing to do', last.status == 0 or 'not being recorded' in last.err, last)
    same(f'what differs at last, after {done!r}', differences(before, standing(pid)), {})


def each_call(lab, call, error, what, on, step):
    """on: '' for one failure, '+' when all that follow fail, too."""
    process, pid = begin(lab)
    before = standing(pid)
    number = 1 - step
    good = failed = 0
    while good * step < 20:
        number += step
        if what == 'detach':
            lab.seep('attach', '-q', pid).must()
        done = with_fault(lab, call, error, f'{number}{on}', what, '-q', pid)
        check(lab, pid, what, before, done)
        failed += done.status != 0
        good = 0 if done.status else good + 1
    holds('it failed at times', failed, number)
    same('it ends well', process.wait().status, 0)


# Some wait for seconds for a thread that is not there to be waited for.
for name in ('attach', 'detach'):
    for how, why, further, apart in (('pwrite64', 'EIO', '', 1), ('pwrite64', 'EIO', '+', 2),
                                     ('ptrace', 'EPERM', '', 7)):
        @case(f'{name}: {how} fails with {why}' + (' from then on' if further else ''))
        def fault(lab, call=how, error=why, on=further, what=name, step=apart):
            each_call(lab, call, error, what, on, step)


JUMP_BYTES = 5


def writes(lab, what, pid, *inject):
    """Those of the thread that makes most."""
    trace = lab.path('trace')
    lab.run(need('strace'), '-f', '-qq', '-o', trace, '-e', 'trace=pwrite64', *inject, SEEP, what,
            '-q', pid).must()
    by_thread = {}
    for line in pathlib.Path(trace).read_text(errors='replace').splitlines():
        tid, call = line.split(None, 1)
        if 'pwrite64(' in call:
            by_thread.setdefault(tid, []).append(call)
        elif 'pwrite64 resumed' in call:
            # Another thread's line has come between its beginning and its end.
            by_thread[tid][-1] += call
    return max(by_thread.values(), key=len)


def code_writes(lab, what, pid, *inject):
    """Which of them were of jumps, and those that failed."""
    calls = writes(lab, what, pid, *inject)
    numbers = [i for i, call in enumerate(calls, 1) if re.search(rf'", {JUMP_BYTES}, \d', call)]
    failed = [call for call in calls if 'INJECTED' in call]
    return numbers, failed


@case('where code may not be written by /proc/PID/mem, it is written by ptrace')
def by_ptrace(lab):
    process = lab.background(victim('attached'), '2')
    pid = process.truth()['pid']
    fence(process)
    before = standing(pid)
    ranges = {}
    for what in ('attach', 'detach'):
        numbers, _ = code_writes(lab, what, pid)
        # The first that come one after the other; later the recorder is told something in between.
        first = last = numbers[0]
        while last + 1 in numbers:
            last += 1
        holds('there are many', last > first + 5, numbers)
        ranges[what] = f'{first}..{last}', last - first + 1

    def forbidden(what):
        which, number = ranges[what]
        _, failed = code_writes(lab, what, pid, '-e', f'inject=pwrite64:error=EIO:when={which}')
        same(f'writes that failed in {what}', len(failed), number)

    forbidden('attach')
    go_on(process)
    exact(lab, pid, process)
    fence(process)
    forbidden('detach')
    same('code', standing(pid)['code'], before['code'])
    go_on(process)
    end(process)


if __name__ == '__main__':
    run_all()
