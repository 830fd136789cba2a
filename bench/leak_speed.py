#!/usr/bin/env python3
"""How fast leaks are found in a random heap, beside LeakSanitizer: leak_speed.py BUILD [MILLIONS].

Everything is processor time, so that what else the machine does matters less, and all of it of one
run, in turns; the least of each counts. Fails when graph and marks take more than 9 million blocks a
second allow or more than a fifth of LeakSanitizer's time, or when more memory is needed than 60 % of
the heap. LeakSanitizer's program stands still meanwhile; the other one runs.
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


def run(*command):
    """What it writes, its processor time in ns, and the most memory it had."""
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        out = process.stdout.read()
        _, status, use = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return out, int((use.ru_utime + use.ru_stime) * 1e9), use.ru_maxrss * 1024


def measure_seep(build, blocks):
    """The search, part by part, and the command with all that it prints."""
    with Program(build / 'bench' / 'leak_heap', str(blocks)) as program:
        program.line()
        parts = json.loads(run(build / 'bench' / 'leak_speed', str(program.process.pid))[0])
        _, command_ns, command_bytes = run(build / 'seep', 'leaks', '--format', 'json',
                                           str(program.process.pid))
    return {**parts, 'command_cpu_ns': command_ns, 'command_bytes': command_bytes,
            'graph_cpu_ns': parts['scan_ns'] + parts['mark_ns'],
            'search_cpu_ns': sum(parts[f'{part}_cpu_ns'] for part in ('open', 'reach', 'heads'))}


def measure_lsan(build, blocks):
    env = {**os.environ, 'LSAN_OPTIONS': 'report_objects=0:print_suppressions=0:max_leaks=1:'
                                         'symbolize=0'}
    with Program(build / 'bench' / 'leak_heap_lsan', str(blocks), '--check', env=env) as program:
        program.line()
        return int(program.line()[2])


def main():
    build = pathlib.Path(sys.argv[1])
    blocks = int(float(sys.argv[2] if len(sys.argv) > 2 else 20) * 1e6)
    runs, lsan = [], []
    for _ in range(ROUNDS):
        runs.append(measure_seep(build, blocks))
        lsan.append(measure_lsan(build, blocks))
        print(json.dumps({**runs[-1], 'lsan_cpu_ns': lsan[-1]}), flush=True)
    least = {key: min(run[key] for run in runs) for key in runs[0]}
    rate = least['blocks'] * 1e9 / least['graph_cpu_ns']
    ratio = {part: min(lsan) / least[f'{part}_cpu_ns'] for part in ('graph', 'search', 'command')}
    share = least['command_bytes'] / least['bytes']
    print(f"{least['blocks']} blocks, {least['bytes'] / 1e9:.2f} GB: graph and marks of "
          f"{rate / 1e6:.1f} million a second (at least {RATE / 1e6:.0f})\n"
          f"LeakSanitizer takes {ratio['graph']:.1f} times as long as these (at least "
          f"{LSAN_RATIO:.0f}), {ratio['search']:.1f} times as long as they, the walk over the heap "
          f"and the sorting of leaks, {ratio['command']:.1f} times as long as seep leaks as a whole\n"
          f"memory of seep leaks: {100 * share:.0f} % of the heap (at most "
          f"{100 * MEMORY_SHARE:.0f})")
    return rate < RATE or ratio['graph'] < LSAN_RATIO or share > MEMORY_SHARE


if __name__ == '__main__':
    sys.exit(main())
