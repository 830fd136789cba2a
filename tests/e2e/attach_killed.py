#!/usr/bin/env python3
"""seep killed at each moment of an attach or detach: the next seep leaves nothing behind."""
from lab import SEEP, case, holds, need, run_all, same, victim
from untouched import differences, standing

SIGKILL_STATUS = 128 + 9


def killed_at(lab, call, number, *command):
    """False: it had made fewer of these calls, and is done."""
    strace = need('strace')
    done = lab.run(strace, '-f', '-qq', '-o', '/dev/null', '-e', f'trace={call}',
                   '-e', f'inject={call}:signal=KILL:when={number}', SEEP, *command)
    holds('it is done or killed', done.status in (0, -9, SIGKILL_STATUS), done)
    return done.status != 0


def begin(lab):
    process = lab.background(victim('refuser'))
    same('it says', process.line(), 'ready')
    return process, process.process.pid


def clear(lab, pid, number):
    """By a detach, or by an attach that comes first."""
    if number % 2:
        again = lab.seep('attach', '-q', pid)
        holds('it is recorded, or was', again.status == 0 or 'already' in again.err, again)
    last = lab.seep('detach', '-q', pid)
    holds('done, or nothing to do', last.status == 0 or 'not being recorded' in last.err, last)


def each_call(lab, call, what):
    process, pid = begin(lab)
    before = standing(pid)
    number, going = 0, True
    while going:
        number += 1
        if what == 'detach':
            lab.seep('attach', '-q', pid).must()
        going = killed_at(lab, call, number, what, '-q', pid)
        clear(lab, pid, number)
        same(f'what differs after call {number}', differences(before, standing(pid)), {})
    holds('it was killed often', number > 10, number)
    same('it ends well', process.wait().status, 0)


for name in ('attach', 'detach'):
    for where in ('pwrite64', 'ptrace'):
        @case(f'{name}: killed at each {where}')
        def everywhere(lab, call=where, what=name):
            each_call(lab, call, what)


if __name__ == '__main__':
    run_all()
