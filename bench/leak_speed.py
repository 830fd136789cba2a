#!/usr/bin/env python3
"""How fast leaks are found in a random heap, beside LeakSanitizer: leak_speed.py BUILD [MILLIONS].

Fails when graph and marks take more processor time than 9 million blocks a second allow, when
LeakSanitizer on the same heap is not at least five times slower, or when more memory is needed than
60 % of the heap. LeakSanitizer's program stands still meanwhile; the other one runs.
"""
import json
import os
import pathlib
import subprocess
import sys

RATE, LSAN_RATIO, MEMORY_SHARE, ROUNDS = 9e6, 5.0, 0.6, 3


class Program:
    def __init__(self, path, *arguments, **options):
        self.process = subprocess.Popen([path, *arguments], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        **options)

    def line(self):
        return self.process.stdout.readline().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def seep(build, blocks):
    with Program(build / 'bench' / 'leak_heap', str(blocks)) as program:
        program.line()
        out = subprocess.run([build / 'bench' / 'leak_speed', str(program.process.pid)],
                             check=True, text=True, capture_output=True).stdout
    return json.loads(out)


def lsan_ns(build, blocks):
    env = {**os.environ, 'LSAN_OPTIONS': 'report_objects=0:print_suppressions=0:max_leaks=1:'
                                         'symbolize=0'}
    with Program(build / 'bench' / 'leak_heap_lsan', str(blocks), '--check', env=env) as program:
        program.line()
        return int(program.line()[1])


def main():
    build = pathlib.Path(sys.argv[1])
    blocks = int(float(sys.argv[2] if len(sys.argv) > 2 else 20) * 1e6)
    runs = [seep(build, blocks) for _ in range(ROUNDS)]
    for run in runs:
        print(json.dumps(run))
    best = min(runs, key=lambda run: run['scan_ns'] + run['mark_ns'])
    rate = best['blocks'] * 1e9 / (best['scan_ns'] + best['mark_ns'])
    share = best['tool_kib'] * 1024 / best['bytes']
    # LeakSanitizer is given fewer blocks: it needs minutes for twenty million.
    fewer = min(blocks, 4000000)
    ours = min((seep(build, fewer) for _ in range(ROUNDS)), key=lambda run: run['reach_ns'])
    theirs = min(lsan_ns(build, fewer) for _ in range(ROUNDS))
    ratio = theirs / (ours['reach_ns'] + ours['heads_ns'])
    print(f"{best['blocks']} blocks: {rate / 1e6:.1f} million a second (limit {RATE / 1e6:.0f}), "
          f"{100 * share:.0f} % of their memory (limit {100 * MEMORY_SHARE:.0f}); "
          f"LeakSanitizer on {fewer} takes {ratio:.1f} times as long (limit {LSAN_RATIO:.0f})")
    return rate < RATE or ratio < LSAN_RATIO or share > MEMORY_SHARE


if __name__ == '__main__':
    sys.exit(main())
