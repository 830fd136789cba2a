#!/usr/bin/env python3
"""Other allocators, preloaded by the user behind the recorder, and another C library: same truth."""
import subprocess
import time

from lab import (SOURCE, VICTIMS, Skip, case, check_sites, check_sums, holds, need, run_all, same,
                 victim)
from libraries import ALLOCATORS, library


def bare(lab, command, env):
    """Some victims are too much for some allocators, without any recorder."""
    result = lab.run(*command, env=env)
    if result.status < 0 or result.status >= 128:
        raise Skip(f'without the recorder, too, it ends with {result.status}')
    if result.status == 77:
        raise Skip(result.err.strip())
    return result


def check_recorded(lab, command, env, allocator):
    """Truth by truth: the same victim's failures as without the recorder, and its sites exactly."""
    without = bare(lab, command, env)
    result, path = lab.record(*command, env=env)
    same(f'exit status; {result.err[-500:]}', result.status, without.status)
    truth = result.truth()
    same('failures inside the victim', truth['failures'], without.truth()['failures'])
    report = lab.report(path).complete(['stopped_stacks'])
    check_sites({**truth, 'failures': 0}, report)
    check_sums(report)
    same('allocator', report.data['snapshot']['allocator'], allocator)
    return report


def exact_under(allocator, name, *arguments):
    @case(f'{name} under {allocator}: every site exact')
    def run(lab):
        check_recorded(lab, [victim(name), *arguments],
                       {'LD_PRELOAD': library(ALLOCATORS[allocator])}, allocator)


for one in ALLOCATORS:
    for which in ('allapi', 'allcxx', 'coro', 'forker', 'growers', 'plugin'):
        exact_under(one, which)
    # mimalloc's code may be interrupted by itself nowhere: with or without the recorder such a
    # program crashes or hangs.
    if one != 'mimalloc':
        exact_under(one, 'sighandler')
    exact_under(one, 'threads', '16', '400')
    exact_under(one, 'deep', '2000')
    exact_under(one, 'execer', '2')
exact_under('jemalloc', 'big')  # the others copy the gigabytes when a block grows


@case('blocks that stand closer than 32 bytes, each found: 8, 16 and 24 bytes under jemalloc')
def small_blocks(lab):
    source = lab.folder / 'small.c'
    source.write_text(SMALL)
    subprocess.run([need('gcc'), '-g', '-O1', '-fno-builtin', '-D_GNU_SOURCE', '-I',
                    SOURCE / 'tests' / 'victims', '-o', lab.path('small'), source], check=True)
    for allocator, file in ALLOCATORS.items():
        try:
            env = {'LD_PRELOAD': library(file)}
        except Skip:
            continue
        report = check_recorded(lab, [lab.path('small')], env, allocator)
        holds('all are live', report.totals['live_blocks'] >= 30000, report.totals)


SMALL = '''
#include <stdlib.h>
#include "truth.h"

static void *kept[60000];

static NOINLINE void hold_small(void)
{
	struct truth_site *s = truth_at(__func__);

	for (size_t i = 0; i < 60000; i++)
		kept[i] = truth_born(s, malloc(opaque(1 + i % 40)), 1 + i % 40);
	for (size_t i = 0; i < 60000; i += 2) {
		truth_died(s, 1 + i % 40);
		free(kept[i]);
	}
}

int main(void)
{
	hold_small();
	truth_print("small", "end");
	return truth_status();
}
'''


@case('an allocator that copies strings without its malloc: every site exact')
def strings(lab):
    allocator = VICTIMS / 'libattach-slots-strings.so'
    if not allocator.exists():
        raise Skip('it is not built here')
    process = lab.start(victim('attached'), '3', env={'LD_PRELOAD': allocator})
    pid = process.truth()['pid']
    time.sleep(0.2)
    process.say('fence')
    check_sites(process.truth(), lab.report(lab.snap(pid, 'fence', '--no-heaps')).complete())
    process.say('')
    process.say('drain')
    same('moment', process.truth()['at'], 'drain')
    report = lab.report(lab.snap(pid, 'drain', '--no-heaps'))
    same('live', report.counts_of('by_libc')['live_blocks'], 0)
    process.say('')
    process.say('end')
    same('moment', process.truth()['at'], 'end')
    process.wait().must()


@case("the user's preload stays in the environment of the program, behind the recorder's")
def environment(lab):
    mine = library(ALLOCATORS['jemalloc'])
    said = lab.seep('run', '-q', '--', need('env'), env={'LD_PRELOAD': mine}).must().out
    preload = [line for line in said.splitlines() if line.startswith('LD_PRELOAD=')]
    same('variables', len(preload), 1)
    parts = preload[0].partition('=')[2].split(':')
    holds('recorder, then the rest', len(parts) == 2 and 'seep-rec' in parts[0], parts)
    same('the rest', parts[1], mine)


# ---- another C library ----


def musl(name, *arguments):
    @case(f'{name} with musl: every site exact')
    def run(lab):
        compiler = need('musl-gcc')
        program = lab.path(f'musl-{name}')
        built = lab.run(compiler, '-g', '-O2', '-fno-builtin', '-D_GNU_SOURCE', '-w', '-o', program,
                        SOURCE / 'tests' / 'victims' / f'{name}.c', '-pthread')
        if built.status:
            raise Skip(f'it does not compile with musl: {built.err.splitlines()[0]}')
        check_recorded(lab, [program, *arguments], {}, 'musl')


musl('growers')
musl('threads', '8', '200')
musl('big')
musl('forker', 'fork')
musl('execer', '2')
musl('sighandler')
musl('plugin', VICTIMS)

if __name__ == '__main__':
    run_all()
