#!/usr/bin/env python3
"""seep attach with every allocator and C library that is here: exact counts, each entry by name."""
import os
import subprocess
import time

from attach import attach, check_between, detach, drained, exact, fence, go_on, look
from lab import SOURCE, Skip, case, holds, need, run_all, same, victim
from untouched import differences, running

LIBRARIES = '/usr/lib/x86_64-linux-gnu'
PRELOADED = {
    'jemalloc': 'libjemalloc.so.2',
    'tcmalloc': 'libtcmalloc_minimal.so.4',
    'mimalloc': 'libmimalloc.so.2.0',
}


def library(name):
    path = f'{LIBRARIES}/{PRELOADED[name]}'
    if not os.path.exists(path):
        raise Skip(f'{path} is not installed')
    return path


def begin(lab, program, *arguments, **options):
    process = lab.background(program, *arguments, **options)
    truth = process.truth()
    same('moment', truth['at'], 'start')
    return process, truth['pid']


def exact_totals(lab, pid, process):
    """Without regard to stacks."""
    seen = []
    for name in ('first', 'second'):
        truth = fence(process)['totals']
        report = look(lab, pid, name).totals
        seen.append([(truth[f'allocated_{what}'], report[f'total_{what}'])
                     for what in ('blocks', 'bytes')])
        go_on(process)
        time.sleep(0.5)
    for (old_truth, old), (truth, new) in zip(*seen):
        same('allocated between two fences', new - old, truth - old_truth)


def whole_life(lab, process, pid, check=exact):
    """Attached, exact while it goes on, nothing live once all is freed, and as it was."""
    before = running(pid)
    result = lab.seep('attach', pid)
    if 'no code that would bring it back' in result.err:
        raise Skip(result.err.strip())
    said = result.must().err
    check(lab, pid, process)
    drained(lab, process, pid, before)
    return said


for _name in PRELOADED:
    @case(f'{_name}: threads that go on')
    def preloaded(lab, name=_name):
        process, pid = begin(lab, victim('attached'), '3', env={'LD_PRELOAD': library(name)})
        said = whole_life(lab, process, pid)
        holds('the allocator is named', name in said, said)


WRAPPER = """
#include <stddef.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void __libc_free(void *);
volatile unsigned long calls;
void *malloc(size_t n) { void *p = __libc_malloc(n); calls++; return p; }
void *calloc(size_t nr, size_t n) { void *p = __libc_calloc(nr, n); calls++; return p; }
void *realloc(void *p, size_t n) { p = __libc_realloc(p, n); calls++; return p; }
void free(void *p) { __libc_free(p); calls++; }
"""


@case('a library that hands on what libc gives, whatever its name: no block is seen twice')
def wrapped(lab):
    need('gcc')
    source = lab.folder / 'wrapper.c'
    source.write_text(WRAPPER)
    for name in ('libwrapper', 'libjemalloc', 'libtcmalloc', 'libmimalloc'):
        wrapper = lab.folder / f'{name}.so'
        subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-fno-builtin', source, '-o', wrapper], check=True)
        process, pid = begin(lab, victim('attached'), '3', env={'LD_PRELOAD': wrapper})
        whole_life(lab, process, pid)


def build(lab, *compiler):
    need(compiler[0])
    program = lab.folder / 'attached'
    made = subprocess.run([*compiler, '-D_GNU_SOURCE', '-O2', '-g', '-fno-builtin', '-w', '-pthread',
                           SOURCE / 'tests/victims/attached.c', '-o', program],
                          check=False, capture_output=True, text=True)
    if made.returncode:
        raise Skip(f"cannot be built: {' '.join(compiler)}: {made.stderr.splitlines()[:1]}")
    return program


for _what, _compiler, _allocator in (
        ('static', ['gcc', '-static'], 'glibc'),
        ('static-pie', ['gcc', '-static-pie', '-fPIE'], 'glibc'),
        ('not PIE', ['gcc', '-no-pie'], 'glibc'),
        ('musl', ['musl-gcc'], 'musl'),
        ('static musl', ['musl-gcc', '-static'], 'musl'),
        ('static musl with signals', ['musl-gcc', '-static', '-Wl,-u,sigaction'], 'musl')):
    @case(f'{_what}: threads that go on')
    def other_build(lab, compiler=_compiler, allocator=_allocator):
        process, pid = begin(lab, build(lab, *compiler), '3')
        # musl has no unwind information: whom its own functions call malloc for is not known.
        check = exact_totals if allocator == 'musl' else exact
        said = whole_life(lab, process, pid, check)
        holds('the allocator is named', allocator in said, said)


def calls_every_name(lab, env):
    process, pid = begin(lab, victim('attach-names'), env=env)
    before = running(pid)
    attach(lab, pid)
    process.say('one')
    first = process.truth(), look(lab, pid, 'one')
    process.say('two')
    second = process.truth(), look(lab, pid, 'two')
    check_between(first, second)
    process.say('drain')
    truth = process.truth()
    report = look(lab, pid, 'drain')
    same('live blocks', report.totals['live_blocks'], 0)
    same('failures inside the victim', truth['failures'], 0)
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    same('it ends well', process.wait().status, 0)


@case('glibc: every function by its name')
def glibc_names(lab):
    calls_every_name(lab, {})


for _name in PRELOADED:
    @case(f'{_name}: every function by its name')
    def names(lab, name=_name):
        calls_every_name(lab, {'LD_PRELOAD': library(name)})


if __name__ == '__main__':
    run_all()
