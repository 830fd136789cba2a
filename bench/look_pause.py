#!/usr/bin/env python3
"""
How long a process stands still for a consistent look, beside its own clone() and beside gcore.

    look_pause.py --build FOLDER [--rounds N] [MIB ...]

All three in turns, in one run. The pause of gcore is the time for which the process's state is
"t" (traced, stopped); its file goes to /dev/shm. Budgets: at most 1.3 times the bare clone(), at
most a tenth of gcore.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

CLONE_BUDGET, GCORE_BUDGET = 1.3, 0.1


def bare_clone_ms(process):
    process.stdin.write('\n')
    process.stdin.flush()
    return int(process.stdout.readline()) / 1e6


def look_ms(tool, pid, method):
    done = subprocess.run([tool, method, str(pid)], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=True)
    facts = dict(line.partition(' ')[::2] for line in done.stdout.splitlines())
    if facts['kind'] != {'clone': 'frozen clone', 'stop': 'stopped'}[method]:
        sys.exit(f'not a {method}: {done.stdout[:500]}')
    return int(facts['pause_ns']) / 1e6


class Standstill(threading.Thread):
    """For how long a process's first thread is stopped by a tracer, seen from outside."""

    def __init__(self, pid):
        super().__init__()
        self.path = pathlib.Path(f'/proc/{pid}/stat')
        self.ended = threading.Event()
        self.stopped_ms = 0.0
        self.start()

    def run(self):
        last = None
        while not self.ended.is_set():
            now = time.monotonic()
            stopped = self.path.read_text().rpartition(')')[2].split()[0] == 't'
            if stopped and last:
                self.stopped_ms += (now - last) * 1000
            last = now if stopped else None
            time.sleep(0.0005)


def gcore_ms(pid, folder):
    watch = Standstill(pid)
    subprocess.run(['gcore', '-o', f'{folder}/core', str(pid)], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watch.ended.set()
    watch.join()
    os.unlink(f'{folder}/core.{pid}')
    return watch.stopped_ms


def measure(build, mib, rounds):
    figures = {'clone': [], 'look': [], 'gcore': []}
    process = subprocess.Popen([build / 'bench' / 'resident', str(mib)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    tool = build / 'tests' / 'tools' / 'look_target'
    folder = tempfile.mkdtemp(dir='/dev/shm')
    try:
        process.stdout.readline()
        for nr in range(rounds):
            figures['clone'].append(bare_clone_ms(process))
            figures['look'].append(look_ms(tool, process.pid, 'clone'))
            if nr < 3 and shutil.which('gcore'):
                figures['gcore'].append(gcore_ms(process.pid, folder))
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)
    return {name: statistics.median(values) for name, values in figures.items() if values}


def verdict(mib, medians):
    line = f"{mib} MiB: clone() {medians['clone']:.1f} ms, look {medians['look']:.1f} ms"
    good = medians['look'] <= CLONE_BUDGET * medians['clone']
    line += f" ({medians['look'] / medians['clone']:.2f} times; budget {CLONE_BUDGET})"
    if 'gcore' in medians:
        good = good and medians['look'] <= GCORE_BUDGET * medians['gcore']
        line += (f", gcore {medians['gcore']:.0f} ms "
                 f"({medians['look'] / medians['gcore']:.4f} of it; budget {GCORE_BUDGET})")
    print(line + ('' if good else '  OVER BUDGET'), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('mib', nargs='*', type=int, default=[1024, 4096])
    options = parser.parse_args()
    results = {mib: measure(options.build.resolve(), mib, options.rounds) for mib in options.mib}
    good = [verdict(mib, medians) for mib, medians in results.items()]
    folder = options.build / 'bench-results'
    folder.mkdir(exist_ok=True)
    (folder / 'look_pause.json').write_text(json.dumps(results, indent=1) + '\n')
    sys.exit(0 if all(good) else 1)


if __name__ == '__main__':
    main()
