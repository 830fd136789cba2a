#!/usr/bin/env python3
"""What seep attach costs: how long the process stands still, and a malloc and its free afterwards.

Prints, for numbers of busy threads, the pause of attach and the longest of detach, and for loops of
bench/pairs the nanoseconds of a pair bare, preloaded and attached, interleaved."""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

LOOPS = [('same', 8, 1), ('same', 32, 1), ('same', 8, 2), ('fifo', 32, 1)]
ITERATIONS, REPEATS = 100_000, 120


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


def pair(build, loop, how):
    command = [str(build / 'bench/pairs'), *map(str, loop), str(ITERATIONS)]
    if how == 'preloaded':
        text = seep(build, 'run', '-q', '--', *command, REPEATS)
    elif how == 'bare':
        text = subprocess.run([*command, str(REPEATS)], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
    else:
        # Most repetitions come after the attach, so the median is theirs.
        program = subprocess.Popen([*command, str(3 * REPEATS)], text=True,
                                   stdout=subprocess.PIPE)
        time.sleep(0.03)
        seep(build, 'attach', '-q', program.pid)
        text = program.communicate()[0]
    return json.loads(text)['median_ns']


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
    print('\nloop, frames, threads   bare, preloaded, attached, ns a pair   attached adds')
    for loop in LOOPS:
        found = {how: [] for how in ('bare', 'preloaded', 'attached')}
        for _ in range(options.rounds):
            for how, samples in found.items():
                samples.append(pair(build, loop, how))
        bare, preloaded, attached = (statistics.median(s) for s in found.values())
        name = ', '.join(map(str, loop))
        print(f'{name:22}  {bare:5.1f} {preloaded:6.1f} {attached:6.1f}'
              f'{attached - preloaded:+29.1f}')


if __name__ == '__main__':
    main()
