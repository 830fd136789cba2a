#!/usr/bin/env python3
"""seep attach and seep detach where a program makes it hard: each case is one that went wrong."""
from attach_lab import attach, detach
from lab import case, check_sites, check_sums, holds, refuses, run_all, same, victim
from untouched import differences, running, standing


def begin(lab, name, *arguments, **options):
    process = lab.background(victim(name), *arguments, **options)
    same('it says', process.line(), 'ready')
    return process, process.process.pid


def cycle(lab, pid, times):
    for _ in range(times):
        lab.seep('attach', '-q', pid).must()
        lab.seep('detach', '-q', pid).must()


@case('waits without a limit go on, however often it stands still')
def waits(lab):
    process, pid = begin(lab, 'attach-waits', '200')
    for _ in range(3):
        lab.seep('attach', '-q', pid).must()
        # So that the recorder has memory for most threads: it is unmapped a few at a time.
        lab.run('sleep', '0.1')
        lab.seep('detach', '-q', pid).must()
    same('waits that have ended', process.wait().must().out, '')


@case('handlers in the middle of malloc, which go back through code of their own')
def handlers(lab):
    process, pid = begin(lab, 'attach-handlers')
    cycle(lab, pid, 15)
    holds('handlers were run', int(process.wait().must().out) > 10)


@case('a handler that has ended, and whose frame is still there, behind the stack')
def altstack(lab):
    process, pid = begin(lab, 'attach-altstack')
    before = running(pid)
    attach(lab, pid)
    process.say('')
    same('moment', process.line(), 'caught')
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    process.say('')
    process.wait().must()


@case('an allocator whose callers know which registers it leaves alone')
def own(lab):
    process, pid = begin(lab, 'attach-own')
    for _ in range(5):
        lab.seep('attach', '-q', pid).must()
        lab.run('sleep', '0.1')
        lab.seep('detach', '-q', pid).must()
    same('wrong results', process.wait().must().out, '0 of 1\n')


@case('no more mappings: the reason is told, and it is as it was')
def full(lab):
    for free in range(9):
        process, pid = begin(lab, 'attach-full', free)
        before = standing(pid)
        answer = lab.seep('attach', '-q', pid)
        if answer.status:
            refuses(answer, 3, 'Cannot allocate memory|temporarily unavailable',
                    False)
        else:
            lab.seep('detach', '-q', pid).must()
        same(f'what differs, {free} free', differences(before, standing(pid)), {})
        process.wait().must()


def forks_in_handlers(way, *more):
    @case(f'children of a handler in the middle of malloc: {" ".join((way, *more))}')
    def run(lab):
        process = lab.background(victim('handler-forks'), way, '150', *more, '--wait')
        pid = process.truth()['pid']
        before = standing(pid)
        attach(lab, pid)
        process.say('')
        truth = process.truth()
        same('children that ended badly', truth['ended_badly'], 0)
        report = lab.report(lab.snap(pid, 'after', '--no-heaps'))
        check_sites(truth, report)
        check_sums(report.complete())
        detach(lab, pid)
        same('code', standing(pid)['code'], before['code'])
        process.say('')
        process.wait().must()


forks_in_handlers('fork')
forks_in_handlers('_Fork', 'onstack')
forks_in_handlers('syscall')
forks_in_handlers('clone', 'onstack')


if __name__ == '__main__':
    run_all()
