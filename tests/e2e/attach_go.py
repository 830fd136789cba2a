#!/usr/bin/env python3
"""seep attach and seep run on programs written in Go: what C code in them allocates, and none at all."""
import time

from attach import look
from attach_lab import attach, detach
from lab import SOURCE, Skip, case, holds, need, refuses, run_all, same
from untouched import code_of

TARGET = 3
# Stacks end at Go's own code that switches to C's stack.
ALLOWED = ['stopped_stacks']


def build(lab, name, *options, links=True):
    compiler, program = need('go'), lab.folder / name
    done = lab.run(compiler, 'build', '-o', program, *options, SOURCE / 'tests/victims' / f'{name}.go',
                   env={'GOCACHE': lab.path('cache'), 'GO111MODULE': 'off', 'GOTOOLCHAIN': 'local',
                        'CGO_ENABLED': '1' if links else '0'})
    if done.status:
        raise Skip(f'it does not compile here: {done.err.splitlines()[:1]}')
    return program


def tell(process, what):
    process.say(what)
    truth = process.truth()
    same('moment', truth['at'], what)
    return truth


def counts(lab, process, pid, name):
    """Of blocks and bytes: as many as were allocated by C, and as many as were seen."""
    truth = tell(process, 'halt')['sites'][0]
    same('freed', truth['freed_blocks'], truth['allocated_blocks'])
    report = look(lab, pid, name).complete(['unknown_frees', *ALLOWED])
    found = report.counts_of('by_c')
    same('live', found['live_blocks'], 0)
    return [(truth[f'allocated_{what}'], found[f'total_{what}']) for what in ('blocks', 'bytes')]


def with_c(lab, *options):
    need('gcc')
    process = lab.background(build(lab, 'cgo_calls', *options))
    pid = process.truth()['pid']
    process.say('run')
    time.sleep(0.2)
    said = attach(lab, pid).err
    holds('it is told', 'what Go allocates by itself is not' in said, said)
    first = counts(lab, process, pid, 'first')
    process.say('run')
    time.sleep(0.5)
    second = counts(lab, process, pid, 'second')
    for what, (true, got), (true_before, got_before) in zip(('blocks', 'bytes'), second, first):
        same(f'{what} between two halts', got - got_before, true - true_before)
    # A signal that has come in the middle of a hook has left its frame where the stacks are.
    detach(lab, pid)
    before = code_of(pid)
    process.say('run')
    for _ in range(10):
        attach(lab, pid)
        time.sleep(0.02)
        detach(lab, pid)
    tell(process, 'halt')
    same('code', code_of(pid), before)
    process.say('end')
    process.wait().must()


@case('a program with C code: exact, and as it was')
def calls(lab):
    with_c(lab)


@case('a static program with C code: exact, and as it was')
def static(lab):
    with_c(lab, '-ldflags', '-linkmode external -extldflags -static')


@case('a program with C code from its start')
def from_start(lab):
    for name, options in (('dynamic', ()), ('static', ('-ldflags', '-linkmode external -extldflags -static'))):
        done, path = lab.record(build(lab, 'cgo_calls', *options), stdin='run\nhalt\nend\n', name=name)
        truth, report = done.must().truth()['sites'][0], lab.report(path).complete(ALLOWED)
        got = report.counts_of('by_c')
        same(f'{name}: allocated', (got['total_blocks'], got['total_bytes'], got['live_blocks']),
             (truth['allocated_blocks'], truth['allocated_bytes'], 0))
        holds('it allocated', truth['allocated_blocks'] >= 200, truth)


@case('a program without C code: refused by name, and it goes on')
def only_go(lab):
    for options in ((), ('-ldflags', '-s -w'), ('-buildmode=pie',)):
        program = build(lab, 'go_only', *options, links=False)
        process = lab.background(program)
        same('it says', process.line(), 'ready')
        pid = process.process.pid
        before = code_of(pid)
        refuses(lab.seep('attach', pid), TARGET, 'written in Go')
        same('code', code_of(pid), before)
        process.wait().must()
        refuses(lab.seep('run', '--', program), TARGET, 'written in Go|uses no library', 'Go')
        # What a recorded program becomes.
        same('its words', lab.seep('run', '-f', '--', 'sh', '-c', program).must().out, 'ready\n')


if __name__ == '__main__':
    run_all()
