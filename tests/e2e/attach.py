#!/usr/bin/env python3
"""seep attach and seep detach: exact counts, and a process that is as it was."""
import os
import random
import time

from attach_lab import attach, detach
from lab import (SEEP, SOURCE, Skip, Wrong, case, check_sums, holds, need, run_all, same,
                 victim)
from libraries import ALLOCATORS, library
from untouched import differences, running, standing

CYCLES = int(os.environ.get('SEEP_ATTACH_CYCLES', '40'))


def start(lab, *arguments, program='attached', **options):
    process = lab.background(victim(program), *arguments, **options)
    truth = process.truth()
    same('moment', truth['at'], 'start')
    return process, truth['pid']


def fence(process, what='fence'):
    process.say(what)
    truth = process.truth()
    same('moment', truth['at'], what)
    same('failures inside the victim', truth['failures'], 0)
    return truth


def go_on(process):
    process.say('')


def end(process):
    process.say('end')
    truth = process.truth()
    same('moment', truth['at'], 'end')
    process.wait().must()


def counts_of(report, name):
    """libc has symbols of its own in a static program."""
    found = report.counts_of(name)
    if name == 'by_libc' and not found['total_blocks']:
        found = report.counts_of('strdup')
    return found


def sites_of(truth):
    return {s['site']: s for s in truth['sites']}


def check_between(first, second, allowed=()):
    """Two fences, each (truth, report): what happened in between is the same in both."""
    (truth_a, report_a), (truth_b, report_b) = first, second
    before, after = sites_of(truth_a), sites_of(truth_b)
    wrong = []
    for name in after:
        a, b = counts_of(report_a, name), counts_of(report_b, name)
        got = (b['total_blocks'] - a['total_blocks'], b['total_bytes'] - a['total_bytes'])
        want = (after[name]['allocated_blocks'] - before[name]['allocated_blocks'],
                after[name]['allocated_bytes'] - before[name]['allocated_bytes'])
        if got != want:
            wrong.append(f'{name}: got {got} more blocks, bytes; true is {want}')
    if wrong:
        raise Wrong('; '.join(wrong))

    def freed(report):
        """Of the victim's own blocks: libc allocates and frees for threads that come and go."""
        others = sum(r['total_blocks'] - r['live_blocks'] for r in report.rows
                     if r['name'] not in after and r['name'] != 'strdup')
        return report.totals['freed_blocks'] + report.incomplete['unknown_frees'] - others

    def died(sites):
        return sum(s['freed_blocks'] for s in sites.values())

    same('frees', freed(report_b) - freed(report_a), died(after) - died(before))
    for report in (report_a, report_b):
        check_sums(report.complete(['unknown_frees', *allowed]))


def look(lab, pid, name):
    return lab.report(lab.snap(pid, name, '--no-heaps'))


@case('one thread: its stacks are there, and afterwards it is as it was')
def simple(lab):
    process, pid = start(lab, '1')
    fence(process)
    before = standing(pid)
    attach(lab, pid)
    holds('something has changed', differences(before, standing(pid)))
    go_on(process)
    first = fence(process), look(lab, pid, 'first')
    go_on(process)
    time.sleep(0.3)
    second = fence(process), look(lab, pid, 'second')
    check_between(first, second)
    detach(lab, pid)
    go_on(process)
    fence(process)
    again = standing(pid)
    attach(lab, pid)
    detach(lab, pid)
    same('what differs', differences(again, standing(pid)), {})
    same('code', again['code'], before['code'])
    go_on(process)
    end(process)


def exact(lab, pid, process, allowed=()):
    first = fence(process), look(lab, pid, 'first')
    go_on(process)
    time.sleep(0.5)
    second = fence(process), look(lab, pid, 'second')
    check_between(first, second, allowed)
    go_on(process)
    return second


def drained(lab, process, pid, before):
    """Nothing is live once all is freed, and after a detach it is as it was."""
    fence(process, 'drain')
    report = look(lab, pid, 'drain')
    same('live blocks', report.totals['live_blocks'], 0)
    go_on(process)
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    end(process)


@case('threads that go on: exact between fences, and nothing is live once all is freed')
def threads(lab):
    process, pid = start(lab, '8', 'churn')
    before = running(pid)
    attach(lab, pid)
    exact(lab, pid, process)
    drained(lab, process, pid, before)


@case(f'threads that go on: {CYCLES} times attached and detached, and as it was')
def cycles(lab):
    process, pid = start(lab, '6', 'churn')
    before = running(pid)
    for number in range(CYCLES):
        attach(lab, pid)
        if number % 10 == 9:
            exact(lab, pid, process)
        detach(lab, pid)
        same(f'what differs after {number + 1}', differences(before, running(pid)), {})
    fence(process, 'drain')
    go_on(process)
    end(process)


def every_way(lab, command, allowed=(), **options):
    """Attached, exact, detached, and that again; as it was afterwards."""
    process = lab.background(*command, **options)
    pid = process.truth()['pid']
    before = running(pid)
    said = attach(lab, pid).err
    exact(lab, pid, process, allowed)
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    for _ in range(3):
        attach(lab, pid)
        detach(lab, pid)
    same('what differs after more', differences(before, running(pid)), {})
    fence(process, 'drain')
    go_on(process)
    end(process)
    return said


for kind in ('static', 'static-pie'):
    @case(f'a {kind} program: exact, with its stacks, and as it was')
    def static(lab, kind=kind):
        every_way(lab, [victim(f'attached-{kind}'), '4', 'churn'])


@case('musl: exact, and as it was')
def with_musl(lab):
    compiler, program = need('musl-gcc'), lab.path('attached-musl')
    source = SOURCE / 'tests' / 'victims' / 'attached.c'
    built = lab.run(compiler, '-O2', '-g', '-fno-builtin', '-pthread', '-o', program, source)
    if built.status:
        raise Skip(f'it does not compile with musl: {built.err.splitlines()[0]}')
    # What a thread begins with has no unwind information there.
    said = every_way(lab, [program, '4', 'churn'], ['stopped_stacks'])
    holds('it is named', 'of musl' in said, said)


for name, pattern in ALLOCATORS.items():
    @case(f'{name}: exact, and as it was')
    def other_allocator(lab, name=name, pattern=pattern):
        said = every_way(lab, [victim('attached'), '4', 'churn'],
                         env={'LD_PRELOAD': library(pattern)})
        holds('it is named', f'of {name}' in said, said)


KILLS = int(os.environ.get('SEEP_ATTACH_KILLS', '40'))


@case(f'seep killed at {KILLS} moments: the program goes on, and seep detach leaves nothing behind')
def killed(lab):
    process, pid = start(lab, '3', 'churn')
    before = running(pid)
    random.seed(0)
    for number in range(KILLS):
        what = 'attach' if number % 2 else 'detach'
        if what == 'detach':
            attach(lab, pid)
        tool = lab.background(SEEP, what, pid)
        time.sleep(random.uniform(0, 0.02))
        tool.process.kill()
        tool.wait()
        if number % 5 == 0:
            fence(process)
            go_on(process)
        last = lab.seep('detach', pid)
        holds('done, or nothing to do', last.status == 0 or 'not being recorded' in last.err, last)
        same(f'what differs after {number + 1}', differences(before, running(pid)), {})
    attach(lab, pid)
    exact(lab, pid, process)
    detach(lab, pid)
    fence(process, 'drain')
    go_on(process)
    end(process)


if __name__ == '__main__':
    run_all()
