#!/usr/bin/env python3
"""What a flagged image costs all other programs: starts of them, with the stub and without.

    SEEP_BUILD=build bench/flags.py [--starts N] [PROGRAM [ARGUMENT...]]

Spawns the program (default: /bin/true) again and again, in turns under every configuration, so that
a busy moment of the machine hits all alike; compares the least and the median of each. In a mount
namespace with an /etc of its own; needs root.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get('SEEP_BUILD', SOURCE / 'build')).resolve()
PRELOAD, REGISTRY = pathlib.Path('/etc/ld.so.preload'), pathlib.Path('/etc/seep/flags')
TURN = 20  # starts in a row
BAR = 1.10


def registry(images):
    until = int(time.time()) + 3600
    lines = [f'ust 1 {until} lite path {image}' for image in images]
    return '\n'.join(['seep-flags 1', f'recorder {BUILD}/rec/libseep-rec.so', *lines, ''])


CONFIGURATIONS = {
    'no stub': None,
    'no stub again': None,  # how far apart two measurements of the same are
    'one image flagged': registry(['/usr/sbin/some-server']),
    'forty images flagged': registry([f'/usr/lib/some/where/server-{i}' for i in range(40)]),
    'stub without list': '',
    'one image, the daemon': registry(['/usr/bin/env']),
}
DAEMON = 'one image, the daemon'
ITSELF = 'the program itself flagged'  # started a second time, with the recorder


def daemon():
    running = subprocess.Popen([BUILD / 'seep', 'flags', '--daemon'], stderr=subprocess.PIPE,
                               text=True)
    if 'watching' not in running.stderr.readline():
        sys.exit('the daemon does not start')
    return running


def configure(text, with_daemon=False):
    """What is to be ended before the next one."""
    PRELOAD.unlink(missing_ok=True)
    REGISTRY.unlink(missing_ok=True)
    if text is None:
        return None
    if text:
        REGISTRY.parent.mkdir(exist_ok=True)
        REGISTRY.write_text(text)
    if with_daemon:
        return daemon()
    PRELOAD.write_text(f'{BUILD}/rec/libseep-flags.so\n')
    return None


def turn(command):
    took = []
    for _ in range(TURN):
        began = time.perf_counter_ns()
        pid = os.posix_spawn(command[0], command, os.environ)
        _, status = os.waitpid(pid, 0)
        took.append(time.perf_counter_ns() - began)
        if status:
            sys.exit(f'{command[0]} ended with {status}')
    return took


def configurations(command):
    itself = registry([pathlib.Path(command[0]).resolve()])
    return {**CONFIGURATIONS, ITSELF: itself}


def measure(command, starts):
    all_of_them = configurations(command)
    took = {name: [] for name in all_of_them}
    for _ in range(max(1, starts // TURN)):
        for name, text in all_of_them.items():
            beside = configure(text, name == DAEMON)
            turn(command)  # the first ones find cold caches
            took[name] += turn(command)
            if beside:
                beside.terminate()
                beside.wait()
    configure(None)
    return took


def show(took):
    base = took['no stub']
    print(f"{'configuration':27} {'least us':>9} {'p10 us':>9} {'median us':>10} {'p10 ratio':>10}")
    for name, all_of_it in took.items():
        p10 = statistics.quantiles(all_of_it, n=10)[0]
        ratio = p10 / statistics.quantiles(base, n=10)[0]
        print(f'{name:27} {min(all_of_it) / 1e3:9.1f} {p10 / 1e3:9.1f} '
              f'{statistics.median(all_of_it) / 1e3:10.1f} {ratio:10.3f}')
        yield name, ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--starts', type=int, default=1000, help='under each configuration')
    parser.add_argument('command', nargs='*', default=['/bin/true'])
    options = parser.parse_args()
    ratios = dict(show(measure(options.command, options.starts)))
    worst = ratios['one image flagged']
    print(f"one image flagged: {100 * (worst - 1):+.1f} % (bar: {100 * (BAR - 1):+.0f} %)")
    sys.exit(0 if worst <= BAR else 1)


if os.environ.get('SEEP_PRIVATE_ETC') == 'inside':
    main()
else:
    sys.exit(subprocess.run([SOURCE / 'tests/cli/in_private_etc.sh', sys.executable, *sys.argv],
                            check=False).returncode)
