#!/usr/bin/env python3
"""A walk over a big heap against reading its bytes: heap_walk.py BUILD [MILLIONS_OF_BLOCKS].

Fails when the walk takes more than three times as long as the reading, or more memory than a
twentieth of the heap. Needs memory for the program: 280 bytes a block.
"""
import json
import pathlib
import subprocess
import sys

TIME_RATIO, MEMORY_SHARE = 3.0, 0.05


def measure(build, millions):
    with subprocess.Popen([build / 'bench' / 'many_blocks', str(millions)], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            pid = program.stdout.readline().split()[1]
            out = subprocess.run([build / 'bench' / 'walk_speed', pid], check=True, text=True,
                                 capture_output=True).stdout
        finally:
            program.stdin.close()
            program.wait()
    return json.loads(out)


def main():
    build = pathlib.Path(sys.argv[1])
    runs = [measure(build, float(sys.argv[2]) if len(sys.argv) > 2 else 15) for _ in range(3)]
    best = min(runs, key=lambda run: run['cpu_ratio'])
    share = best['walker_kib'] * 1024 / best['bytes']
    for run in runs:
        print(json.dumps(run))
    print(f"{best['blocks']} blocks: {best['cpu_ratio']:.2f} times the reading of the bytes "
          f"(limit {TIME_RATIO}), {100 * share:.2f} % of their memory (limit {100 * MEMORY_SHARE})")
    return best['cpu_ratio'] > TIME_RATIO or share > MEMORY_SHARE


if __name__ == '__main__':
    sys.exit(main())
