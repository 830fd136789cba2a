#!/usr/bin/env python3
"""What seep attach costs: how long the process stands still, and a malloc and its free afterwards.

Prints, for numbers of busy threads, the pause of attach and the longest of detach, and for loops of
bench/pairs and allocators the nanoseconds of a pair bare, preloaded, attached, and after a detach:
thread CPU time, the median of interleaved rounds."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

LOOPS = [('same', 8, 1), ('same', 32, 1), ('same', 8, 2), ('fifo', 32, 1)]
ITERATIONS, REPEATS = 50_000, 100
HOW = ('bare', 'preloaded', 'attached', 'after')
ALLOCATORS = ('glibc', 'jemalloc', 'tcmalloc', 'mimalloc')
MOST_NS = 3.0  # that attached may cost more than preloaded
MOST_RATIO = 1.03  # after a detach to bare: the noise of one run


def seep(build, *arguments):
    return subprocess.run([build / 'seep', *map(str, arguments)], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def pauses(build, threads, times):
    victim = subprocess.Popen([build / 'tests/victims/victim-attached', str(threads)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    victim.stdout.readline()
    attach, detach = [], []
    for _ in range(times):
        attach.append(json.loads(seep(build, 'attach', '--format', 'json', victim.pid))['pause_ns'])
        done = json.loads(seep(build, 'detach', '--format', 'json', victim.pid))
        detach.append(done['longest_pause_ns'])
    victim.kill()
    victim.communicate()
    return attach, detach


def milliseconds(samples):
    return f'{statistics.median(samples) / 1e6:.2f} (at most {max(samples) / 1e6:.2f})'


def library(allocator):
    for folder in ('/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'):
        for found in sorted(pathlib.Path(folder).glob(f'lib{allocator}*.so.[0-9]')):
            return str(found)
    return None


def started(build, command, allocator, repeats, how):
    """The program that will print its figures; under the recorder when preloaded."""
    preload = library(allocator)
    command = [*command, str(repeats)]
    if how == 'preloaded':
        text = 'LD_PRELOAD="$LD_PRELOAD${1:+:$1}"; shift; exec "$@"'
        command = [build / 'seep', 'run', '-q', '--', '/bin/sh', '-c', text, 'sh', preload or '',
                   *command]
    environment = dict(os.environ)
    if preload and how != 'preloaded':
        environment['LD_PRELOAD'] = preload
    return subprocess.Popen(list(map(str, command)), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env=environment)


def pair(build, loop, how, allocator='glibc', more=10):
    command = [str(build / 'bench/pairs'), *map(str, loop), str(ITERATIONS)]
    repeats = REPEATS * (more if how in ('attached', 'after') else 1)
    began = time.monotonic()
    program = started(build, command, allocator, repeats, how)
    if how in ('attached', 'after'):
        time.sleep(0.03)
        seep(build, 'attach', '-q', program.pid)
    if how == 'after':
        seep(build, 'detach', '-q', program.pid)
    ready = time.monotonic()
    figures = json.loads(program.communicate()[0])
    # Most repetitions must come after that, so that the median is theirs.
    if how in ('attached', 'after') and time.monotonic() - ready < 2 * (ready - began):
        return pair(build, loop, how, allocator, 2 * more)
    return figures['median_ns']


def pairs(build, rounds):
    """True: all bars hold."""
    good = True
    print('\nallocator, loop, frames, threads   bare, preloaded, attached, after, ns a pair'
          '   attached adds   after/bare')
    for allocator in ALLOCATORS:
        if allocator != 'glibc' and not library(allocator):
            print(f'{allocator}: not installed')
            continue
        for loop in LOOPS if allocator == 'glibc' else LOOPS[:2]:
            found = {how: [] for how in HOW}
            for _ in range(rounds):
                for how, samples in found.items():
                    samples.append(pair(build, loop, how, allocator))
            ns = {how: statistics.median(samples) for how, samples in found.items()}
            adds, ratio = ns['attached'] - ns['preloaded'], ns['after'] / ns['bare']
            name = f"{allocator}, {', '.join(map(str, loop))}"
            print(f'{name:32}' + ''.join(f'{ns[how]:8.1f}' for how in HOW) +
                  f'{adds:+28.1f}{ratio:13.3f}', flush=True)
            good = good and adds <= MOST_NS and ratio <= MOST_RATIO
    return good


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    arguments.add_argument('--build', type=pathlib.Path, default=pathlib.Path('build'))
    arguments.add_argument('--rounds', type=int, default=5)
    options = arguments.parse_args()
    build = options.build.resolve()
    print('busy threads   attach, ms            detach, longest stop, ms')
    for threads in (1, 2, 20):
        attach, detach = pauses(build, threads, 8 * options.rounds)
        print(f'{threads:12}   {milliseconds(attach):20}  {milliseconds(detach)}')
    if not pairs(build, options.rounds):
        print(f'\na bar does not hold: {MOST_NS} ns more than preloaded, {MOST_RATIO} of bare after')
        sys.exit(1)


if __name__ == '__main__':
    main()
