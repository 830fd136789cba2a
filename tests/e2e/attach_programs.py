#!/usr/bin/env python3
"""seep attach and detach on programs that fork, load, throw, wait, or are no target at all."""
import json
import os
import pathlib
import re
import signal
import time

from attach import end, exact, fence, go_on
from attach_lab import attach, detach
from clients import child_of
from lab import (SEEP, VICTIMS, Skip, case, check_sites, holds, need, need_root, refuses, run_all, same, victim,
                 wait_until)
from libraries import ALLOCATORS, library
from untouched import differences, fds_of, maps_of, running, standing

EINTR = 4
# These have a time limit and may end early, as after any stop: signal(7).
MAY_BE_INTERRUPTED = ('epoll', 'sigtimedwait', 'semtimedop')


def start(lab, *command, **options):
    process = lab.background(*command, **options)
    same('it runs', process.line(), 'ready')
    return process, process.process.pid


def finish(process):
    process.say('')
    rows = process.wait().must().json_lines()
    same('what went wrong', rows[-1]['wrong'], 0)
    return rows[-1]


@case('forks, libraries that come and go, signals on another stack, programs started')
def hard(lab):
    process, pid = start(lab, victim('attached-hard'), VICTIMS / 'plugin-alpha.so')
    for number in range(25):
        attach(lab, pid)
        time.sleep(0.02 * (number % 4))
        if number % 8 == 0:
            lab.snap(pid, f'{number}', '--no-heaps')
        detach(lab, pid)
    left = [line for line in maps_of(pid) if 'seep' in line[2]]
    same('mappings of the recorder', left, [])
    told = finish(process)
    for what in ('forks', 'loads', 'signals', 'starts', 'allocations'):
        holds(f'there were {what}', told[what] > 0, told)


def throwing(lab, *command, **options):
    """What operator new throws passes through, and it is as it was."""
    process, pid = start(lab, *command, **options)
    before = running(pid)
    for _ in range(5):
        attach(lab, pid)
        time.sleep(0.05)
        report = lab.report(lab.snap(pid, 'some', '--no-heaps'))
        holds('its allocations are recorded', report.totals['total_blocks'] > 100, report.totals)
        detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    holds('it threw', finish(process)['thrown'] > 0)


def handling(lab, *command, **options):
    """The same with the recorder as without, whatever new_handlers do, and exact."""
    ends = []
    for recorded in (False, True):
        process = lab.background(*command, **options)
        pid = process.truth()['pid']
        before = running(pid)
        if recorded:
            attach(lab, pid)
        process.say('')
        ends.append(process.truth())
        if recorded:
            check_sites(ends[-1], lab.report(lab.snap(pid, 'end', '--no-heaps')).complete(
                ['unknown_frees', 'stopped_stacks']))
            detach(lab, pid)
            # Unwinders open and map files of their own.
            changed = differences(before, running(pid))
            same('what differs', [changed.get('code'), changed.get('offsets')], [None, None])
        process.say('')
        process.wait().must()
    plain, recorded = ({k: v for k, v in end.items() if k != 'pid'} for end in ends)
    same('with the recorder', recorded, plain)
    holds('handlers were run', plain['runs'] >= 5 * 20, plain)


for name in ('jemalloc', 'tcmalloc'):
    @case(f'{name}: what operator new throws passes through')
    def throws(lab, name=name):
        throwing(lab, victim('attached-throws'), env={'LD_PRELOAD': library(ALLOCATORS[name])})


# libgcc asks _dl_find_object about code, libunwind dl_iterate_phdr.
for name, more in (('jemalloc', None), ('tcmalloc', None), ('tcmalloc', 'libunwind.so.8')):
    @case(f'{name}{f" and {more}" if more else ""}: operator new runs once a call, whatever new_handlers do, '
          'and counts are exact')
    def new_handlers(lab, name=name, more=more):
        preloaded = [library(ALLOCATORS[name]), *([library(more)] if more else [])]
        handling(lab, victim('attached-new'), env={'LD_PRELOAD': ' '.join(preloaded)})


@case('detach while a new_handler runs: what it throws then passes through all the same')
def slow_handler(lab):
    process = lab.background(victim('attached-new'), 'slow', env={'LD_PRELOAD': library(ALLOCATORS['tcmalloc'])})
    pid = process.truth()['pid']
    before = running(pid)
    attach(lab, pid)
    process.say('')
    same('moment', process.truth()['at'], 'handler')
    refuses(lab.seep('detach', pid), 3, 'no longer recorded, .*waits in a function', 'later')
    process.say('')
    truth = process.truth()
    same('it threw', (truth['at'], truth['runs'], truth['thrown'], truth['unwound']), ('end', 1, [0, 0, 1], 1))
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    process.say('')
    process.wait().must()


@case('whoever waits goes on waiting')
def waits(lab):
    milliseconds = 2500
    plain = lab.background(victim('look-waits'), milliseconds)
    process = lab.background(victim('look-waits'), milliseconds)
    plain.line()
    process.line()
    pid, times = process.process.pid, 0
    deadline = time.monotonic() + milliseconds / 1000 - 0.8
    while time.monotonic() < deadline:
        attach(lab, pid)
        detach(lab, pid)
        times += 1
    holds('more than one', times > 3, times)
    truth = {r['name']: r for r in plain.wait().must().json_lines()}
    for row in process.wait().must().json_lines():
        got, want = ((r['result'], r['errno']) for r in (row, truth[row['name']]))
        if row['name'] in MAY_BE_INTERRUPTED and got == (-1, EINTR):
            continue
        same(f"{row['name']}, result and errno", got, want)


@case('a forked child of a recorded process is not recorded, and can be cleared, too')
def child(lab):
    process = lab.background(victim('marks'), 'fork', '--begin', '--wait')
    pid = process.truth()['pid']
    before = standing(pid)
    attach(lab, pid)
    holds('the recorder is mapped', any('seep-rec' in m[2] for m in maps_of(pid)))
    process.say('')
    forked = process.truth()['pid']
    refuses(lab.seep('mode', forked), 3, f'process {forked} is not being recorded', 'from now on')
    holds('its code is changed all the same', standing(forked)['code'] != before['code'])
    detach(lab, forked)
    after = standing(forked)
    same('code and descriptors', (after['code'], after['fds']), (before['code'], before['fds']))
    process.say('')
    same('who', process.truth()['at'], 'end')
    holds('its parent goes on', lab.report(lab.snap(pid, 'end', '--no-heaps')).totals['total_blocks'] > 0)
    detach(lab, pid)
    same('code', standing(pid)['code'], before['code'])
    process.say('')
    process.wait().must()


@case('twice: the second says that it is on')
def twice(lab):
    process = lab.background(victim('attached'), '1')
    pid = process.truth()['pid']
    attach(lab, pid)
    refuses(lab.seep('attach', pid), 3, 'is being recorded already|already')
    detach(lab, pid)
    refuses(lab.seep('detach', pid), 3, f'process {pid} is not being recorded', hint=False)
    attach(lab, pid)
    detach(lab, pid)


@case('two at once: one does it, and the other says so')
def at_once(lab):
    process = lab.background(victim('attached'), '2')
    pid = process.truth()['pid']
    for _ in range(10):
        tools = [lab.background(SEEP, 'attach', pid) for _ in range(2)]
        done = [tool.wait() for tool in tools]
        same('one of them', sorted(r.status for r in done), [0, 3])
        holds('it says why', any(word in str(done) for word in ('already', 'being attached', 'is traced',
                                                        'was changed in memory')), done)
        detach(lab, pid)


@case('a process that was started with the recorder is not detached')
def launched(lab):
    running_one = lab.start(victim('attached'), '1')
    pid = running_one.truth()['pid']
    refuses(lab.seep('detach', pid), 3, 'was started with the recorder', 'ends with the process')
    refuses(lab.seep('attach', pid), 3, 'already')


@case('what is said of one thread')
def one_thread(lab):
    process = lab.background(victim('phases'))
    said = lab.seep('attach', process.truth()['pid']).must().err
    holds('one', re.search(r'\d functions of \S+( \S+)?, 1 thread; it stood still for ', said), said)


@case('--for: it is recorded for so long, and is as it was; Ctrl-C ends it at once')
def for_a_while(lab):
    process = lab.background(victim('attached'), '2')
    pid = process.truth()['pid']
    before = running(pid)
    said = lab.seep('attach', pid, '--for', '300ms').must().err
    holds('both are said', 'recording since now' in said and 'no longer recorded' in said, said)
    same('what differs', differences(before, running(pid)), {})
    tool = lab.background(SEEP, 'attach', pid, '--for', '1h')
    wait_until('it is recorded', lambda: 'recording since now' in tool.errors())
    tool.process.send_signal(signal.SIGINT)
    tool.wait().must()
    same('what differs after Ctrl-C', differences(before, running(pid)), {})
    tool = lab.background(SEEP, 'attach', pid, '--for', '1h')
    wait_until('it is recorded', lambda: 'recording since now' in tool.errors())
    process.say('end')
    process.truth()
    process.wait().must()
    holds('the end is said', 'has ended' in tool.wait().must().err)


LOCKS = '''
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
print("here", flush=True)
for line in sys.stdin:
    print(libc.mlockall(3) if line == "lock\\n" else libc.munlockall(), flush=True)
'''


@case('a program that locks all of its memory meanwhile: the tables are not filled')
def locks(lab):
    need_root()
    process = lab.background(need('python3'), '-c', LOCKS)
    same('moment', process.line(), 'here')
    pid = process.process.pid
    attach(lab, pid)
    process.say('lock')
    same('mlockall', process.line(), '0')
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    holds('its own memory is locked', int(re.search(r'VmLck:\s+(\d+)', status)[1]) > 1000, status)
    tables = [int(kib) for kib in re.findall(
        r'seep-rec[^\n]*\n(?:(?!Rss).*\n)*Rss:\s+(\d+) kB',
        pathlib.Path(f'/proc/{pid}/smaps').read_text())]
    holds('the tables are small', tables and sum(tables) < 32 << 10, tables)
    process.say('unlock')
    same('munlockall', process.line(), '0')
    detach(lab, pid)


@case('detach -o keeps what was recorded; json says what was done')
def kept(lab):
    process = lab.background(victim('attached'), '2')
    pid = process.truth()['pid']
    done = json.loads(lab.seep('attach', '--format', 'json', pid).must().out)
    same('schema', done['schema'], 'seep-attach-1')
    same('functions', done['functions'] > 5, True)
    time.sleep(0.1)
    gone = json.loads(lab.seep('detach', '--format', 'json', '-o', lab.path('last.seep'),
                               pid).must().out)
    same('schema', gone['schema'], 'seep-detach-1')
    holds('it is in the file', lab.report(lab.path('last.seep')).totals['total_blocks'] > 0)


CLOSES = '''
import os, sys
print("here", flush=True)
for line in sys.stdin:
    os.closerange(3, 1 << 20)
    print(len(os.listdir("/proc/self/fd")), flush=True)
'''


@case('a program that closes all descriptors while it is recorded')
def closes_all(lab):
    need_root()
    process = lab.background(need('python3'), '-c', CLOSES)
    same('moment', process.line(), 'here')
    pid = process.process.pid
    attach(lab, pid)
    number = [fd for fd, link in fds_of(pid).items() if 'seep-rec' in link]
    same('one descriptor of the table', len(number), 1)
    holds('it is a high one', int(number[0]) >= 200, number)
    process.say('close')
    # Its standard ones, and that of the listing.
    same('descriptors', process.line(), '4')
    report = lab.report(lab.snap(pid, 'one', '--no-heaps'))
    holds('what it allocates is recorded', report.totals['total_blocks'] > 0, report.totals)
    detach(lab, pid)
    same('no descriptor is left', [x for x in fds_of(pid).values() if 'seep-rec' in x], [])
    same('mappings of the recorder', [m for m in maps_of(pid) if 'seep' in m[2]], [])


HOLDS_ANOTHER = '''
import mmap, os, sys
held = os.open(sys.argv[1], os.O_RDWR)
print("holds", flush=True)
for line in sys.stdin:
    if line == "map\\n":
        mapped = mmap.mmap(held, 1 << 20)
    mapped[:8]
    print(os.fstat(held).st_ino, flush=True)
'''


def tables_held(pid):
    """Inodes behind its descriptors."""
    return {os.stat(f'/proc/{pid}/fd/{fd}').st_ino for fd, link in fds_of(pid).items()
            if 'seep-rec' in link}


@case("a program that holds another one's table keeps it")
def holds_another(lab):
    other = lab.background(victim('attached'), '1')
    other_pid = other.truth()['pid']
    attach(lab, other_pid)
    number, = [fd for fd, link in fds_of(other_pid).items() if 'seep-rec' in link]
    process = lab.background(need('python3'), '-c', HOLDS_ANOTHER, f'/proc/{other_pid}/fd/{number}')
    same('moment', process.line(), 'holds')
    pid = process.process.pid
    attach(lab, pid)
    process.say('map')
    inode = process.line()
    same('tables that it holds', len(tables_held(pid)), 2)
    detach(lab, pid)
    process.say('still there?')
    same('the file', process.line(), inode)
    same('tables that it holds', tables_held(pid), {int(inode)})
    same('mappings of tables', len([m for m in maps_of(pid) if 'seep-rec' in m[2]]), 1)
    detach(lab, other_pid)


@case('a program in a pid namespace of its own, attached to from outside')
def container(lab):
    need_root()
    process = lab.background(need('unshare'), '--pid', '--fork', '--mount-proc',
                             victim('attached'), '4', 'churn')
    inside = process.truth()['pid']
    pid = int(process.until('its pid', child_of(process.process.pid)))
    holds('it has two pids', inside != pid, pid)
    before = running(pid)
    attach(lab, pid)
    exact(lab, pid, process)
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    fence(process, 'drain')
    go_on(process)
    end(process)


@case('what is no target')
def no_target(lab):
    refuses(lab.seep('attach', '999999999'), 3, 'no such process')
    refuses(lab.seep('detach', '999999999'), 3, 'no such process')
    refuses(lab.seep('attach'), 2, '', None)
    refuses(lab.seep('attach', str(os.getpid()), '--mode', 'nonsense'), 2, 'nonsense', None)
    process = lab.background(victim('attached'), '1')
    pid = process.truth()['pid']
    before = running(pid)
    plan = lab.seep('attach', '--dry-run', pid).must().out
    holds('the plan names malloc', 'malloc' in plan, plan)
    same('what differs', differences(before, running(pid)), {})
    bad = lab.run(SEEP, 'attach', pid, env={'SEEP_BLOB': '/etc/passwd'})
    refuses(bad, 3, 'cannot use the recorder', 'install seep again')
    same('what differs', differences(before, running(pid)), {})


if __name__ == '__main__':
    run_all()
