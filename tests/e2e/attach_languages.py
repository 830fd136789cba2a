#!/usr/bin/env python3
"""seep attach and seep run on programs written in Go and in Rust, dynamic and static ones."""
import os
import time

from attach import look
from attach_lab import attach, detach
from lab import SOURCE, Skip, case, holds, need, refuses, run_all, same
from untouched import code_of

TARGET = 3
# Stacks end at Go's own code that switches to C's stack.
ALLOWED = ['stopped_stacks']
STATIC_GO = ('-ldflags', '-linkmode external -extldflags -static')
STATIC_RUST = ('-C', 'target-feature=+crt-static')


def compiled(lab, program, *command, **options):
    done = lab.run(*command, **options)
    if done.status:
        raise Skip(f'it does not compile here: {done.err.splitlines()[:1]}')
    return program


def source(name):
    return SOURCE / 'tests/victims' / name


def build_go(lab, name, *options, calls_c=True):
    program = lab.folder / name
    if calls_c:
        need('gcc')
    return compiled(lab, program, need('go'), 'build', '-o', program, *options, source(f'{name}.go'),
                    env={'GOCACHE': lab.path('cache'), 'GO111MODULE': 'off', 'GOTOOLCHAIN': 'local',
                         'CGO_ENABLED': '1' if calls_c else '0'})


def build_rust(lab, *options):
    program = lab.folder / 'rust_calls'
    # One that chooses among several compilers does so by the user's settings.
    return compiled(lab, program, need('rustc'), '-O', '-g', *options, source('rust_calls.rs'), '-o', program,
                    env={'HOME': os.environ.get('HOME', '/')})


def tell(process, what):
    process.say(what)
    truth = process.truth()
    same('moment', truth['at'], what)
    return truth


def counts(lab, process, pid, name):
    """Of blocks and bytes: as many as were allocated, and as many as were seen."""
    truth = tell(process, 'halt')['sites'][0]
    same('freed', truth['freed_blocks'], truth['allocated_blocks'])
    report = look(lab, pid, name).complete(['unknown_frees', *ALLOWED])
    found = report.counts_of(truth['site'])
    same('live', found['live_blocks'], 0)
    return [(truth[f'allocated_{what}'], found[f'total_{what}']) for what in ('blocks', 'bytes')]


def while_it_runs(lab, program):
    """Exact, and as it was; what was said at the attach."""
    process = lab.background(program)
    pid = process.truth()['pid']
    bare = code_of(pid)
    process.say('run')
    time.sleep(0.2)
    said = attach(lab, pid).err
    first = counts(lab, process, pid, 'first')
    process.say('run')
    time.sleep(0.5)
    second = counts(lab, process, pid, 'second')
    for what, (true, got), (true_before, got_before) in zip(('blocks', 'bytes'), second, first):
        same(f'{what} between two halts', got - got_before, true - true_before)
    # In Go a signal that has come in the middle of a hook has left its frame where the stacks are.
    detach(lab, pid)
    process.say('run')
    for _ in range(10):
        attach(lab, pid)
        time.sleep(0.02)
        detach(lab, pid)
    tell(process, 'halt')
    same('code', code_of(pid), bare)
    process.say('end')
    process.wait().must()
    return said


def from_start(lab, name, program):
    done, path = lab.record(program, stdin='run\nhalt\nend\n', name=name)
    truth = done.must().json_lines()[-1]['sites'][0]
    holds('it allocated', truth['allocated_blocks'] >= 200, truth)
    found = lab.report(path).complete(ALLOWED).counts_of(truth['site'])
    same(f'{name}: allocated', (found['total_blocks'], found['total_bytes'], found['live_blocks']),
         (truth['allocated_blocks'], truth['allocated_bytes'], 0))


for _name, _options in (('dynamic', ()), ('static', STATIC_GO)):
    @case(f'Go with C code, {_name}: exact, and as it was; from its start, too')
    def go_with_c(lab, name=_name, options=_options):
        program = build_go(lab, 'cgo_calls', *options)
        said = while_it_runs(lab, program)
        holds('it is told', 'what Go allocates by itself is not' in said, said)
        from_start(lab, name, program)


for _name, _options in (('dynamic', ()), ('static', STATIC_RUST)):
    @case(f'Rust, {_name}: exact, and as it was; from its start, too')
    def rust(lab, name=_name, options=_options):
        program = build_rust(lab, *options)
        while_it_runs(lab, program)
        from_start(lab, name, program)


@case('Go without C code: refused by name, and it goes on')
def only_go(lab):
    for options in ((), ('-ldflags', '-s -w'), ('-buildmode=pie',)):
        program = build_go(lab, 'go_only', *options, calls_c=False)
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
