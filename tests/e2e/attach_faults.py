#!/usr/bin/env python3
"""A system call of seep fails in the middle of an attach or detach: it says so, and nothing stays."""
import pathlib
import re

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


if __name__ == '__main__':
    run_all()
