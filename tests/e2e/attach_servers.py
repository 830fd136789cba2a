#!/usr/bin/env python3
"""Servers at work that are attached to and detached from, again and again.

No client may see an error, and afterwards their code, their relocated tables and their mappings of
files are what they were, and no mapping or descriptor of ours is left. SEEP_ATTACH_CYCLES says how
many times (`make soak`: 1,000); the remark of each case is its verdict.
"""
import os
import pathlib
import re
import statistics

import busy
from lab import case, holds, need, run_all, same, wait_until
from untouched import differences, running

CYCLES = int(os.environ.get('SEEP_ATTACH_CYCLES', '8'))
STILL = re.compile(r'stood still for ([0-9.]+) (µs|us|ms|s)\b')
IN_MS = {'µs': 1e-3, 'us': 1e-3, 'ms': 1, 's': 1000}


def pause_of(said):
    number, unit = STILL.search(said).groups()
    return float(number) * IN_MS[unit]


def ours(pid):
    """Mappings and descriptors of the recorder."""
    maps = [line for line in pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines()
            if 'seep-rec' in line]
    fds = []
    for fd in pathlib.Path(f'/proc/{pid}/fd').iterdir():
        try:
            fds.append(os.readlink(fd))
        except OSError:
            continue  # a client has gone
    return maps + [fd for fd in fds if 'memfd:' in fd]


def code_and_tables(pid):
    """Of mapped files: JIT code comes and goes."""
    state = running(pid)
    files = {line[0] for line in state['maps']}
    return {key: {where: digest for where, digest in state[key].items() if where in files}
            for key in ('code', 'offsets')}


def as_it_was(before, pid):
    """A server may have loaded more meanwhile."""
    now = code_and_tables(pid)
    after = {key: {where: now[key].get(where) for where in before[key]} for key in before}
    same('what differs', differences(before, after), {})


def cycle(lab, pid, load, pauses):
    before = load.done
    pauses.append(pause_of(lab.seep('attach', pid).must().err))
    wait_until('clients work', lambda: load.errors or load.done > before)
    lab.seep('detach', pid).must()


def cycles(name, server):
    @case(f'{name}: attached and detached {CYCLES} times')
    def cycles_of(lab):
        pauses = []
        with server(lab) as (pid, load):
            wait_until('clients work', lambda: load.errors or load.done)
            clean = ours(pid)
            before = code_and_tables(pid)
            for number in range(CYCLES):
                cycle(lab, pid, load, pauses)
                if load.errors:
                    break
                if number in (0, CYCLES - 1) or number % 50 == 49:
                    as_it_was(before, pid)
                    same('ours', ours(pid), clean)
            lab.seep('attach', pid).must()
            report = lab.report(lab.snap(pid, 'while', '--no-heaps'))
            lab.seep('detach', pid).must()
        print(f'# {len(pauses)} times: {len(load.errors)} client errors; it stood still for '
              f'{statistics.median(pauses):.1f} ms (median), {max(pauses):.1f} ms at most')
        same('errors of clients', load.errors, [])
        holds('the recorder was there', report.data['snapshot']['allocator'])


def built(name, compiler, *options):
    """The victim, built another way."""
    def server(lab):
        source = pathlib.Path(__file__).parent.parent / 'victims' / 'attached.c'
        program = lab.path('attached')
        lab.run(need(compiler), '-O2', '-g', '-pthread', '-D_GNU_SOURCE', *options, '-o', program,
                source).must()
        return busy.churning(lab, program)
    cycles(name, server)


cycles('redis-server', busy.redis)
cycles('memcached', busy.memcached)
cycles('nginx, its worker', busy.nginx)
cycles('postgres, a backend', busy.postgres)
cycles('python3, a thread a client', busy.python)
cycles('node', busy.node)
cycles('java', busy.java)
cycles('bind9', busy.named)
built('a program of musl', 'musl-gcc')
built('a static program at any address', 'gcc', '-static-pie', '-fPIE')

if __name__ == '__main__':
    run_all()
