#!/usr/bin/env python3
"""
What `seep map` takes of a process with many mappings, beside the bare reading of its smaps.

    map_speed.py --build FOLDER [--rounds N] [MAPPINGS ...]

All in turns, in one run: cat of /proc/PID/smaps to /dev/null, the full listing, the summary, and
the listing for programs. Ratios are of CPU time, the kernel's own work for smaps included on both
sides. Budget of the first two: twice the reading, with so many mappings that seep's start does not
count.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

BUDGET = 2.0
WITH_BUDGET = ('seep map', 'seep map --summary')
MANY = 10000


def cost_ms(argv):
    """CPU time and wall time of a command whose output goes nowhere."""
    began = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if child.returncode != 0:
        sys.exit(f'{argv[0]} ended with status {child.returncode}')
    return (usage.ru_utime + usage.ru_stime) * 1000, wall * 1000


def measure(build, mappings, rounds):
    process = subprocess.Popen([build / 'tests' / 'victims' / 'victim-regions', str(mappings)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        pid, seep = str(process.pid), build / 'seep'
        there = len(pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines())
        if there < mappings:
            sys.exit(f'only {there} mappings were made: see /proc/sys/vm/max_map_count')
        commands = {
            'cat smaps': ['cat', f'/proc/{pid}/smaps'],
            'seep map': [seep, 'map', pid],
            'seep map --summary': [seep, 'map', '--summary', pid],
            'seep map --format json': [seep, 'map', '--format', 'json', pid],
        }
        costs = {name: [] for name in commands}
        for _ in range(rounds):
            for name, argv in commands.items():
                costs[name].append(cost_ms(argv))
    finally:
        process.stdin.close()
        process.wait()
    return {'mappings': there,
            'cpu_ms': {name: statistics.median(c for c, _ in all) for name, all in costs.items()},
            'wall_ms': {name: statistics.median(w for _, w in all) for name, all in costs.items()}}


def verdict(result):
    cpu, wall = result['cpu_ms'], result['wall_ms']
    good, judged = True, result['mappings'] >= MANY
    print(f"{result['mappings']} mappings: cat smaps {cpu['cat smaps']:.0f} ms")
    for name in list(cpu)[1:]:
        ratio = cpu[name] / cpu['cat smaps']
        with_budget = judged and name in WITH_BUDGET
        holds = not with_budget or ratio <= BUDGET
        good = good and holds
        print(f"  {name}: {ratio:.2f} times (wall time {wall[name] / wall['cat smaps']:.2f}"
              f"{f'; budget {BUDGET}' if with_budget else ''})"
              f"{'' if holds else '  OVER BUDGET'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('mappings', nargs='*', type=int, default=[50000])
    options = parser.parse_args()
    build = options.build.resolve()
    results = [measure(build, mappings, options.rounds) for mappings in options.mappings]
    good = [verdict(result) for result in results]
    folder = build / 'bench-results'
    folder.mkdir(exist_ok=True)
    (folder / 'map_speed.json').write_text(json.dumps(results, indent=1) + '\n')
    sys.exit(0 if all(good) else 1)


if __name__ == '__main__':
    main()
