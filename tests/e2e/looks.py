#!/usr/bin/env python3
"""Servers that are looked at again and again under load, without any preparation.

Every check of every look must hold, and no client may see an error. SEEP_LOOKS says how many looks
(`make soak`: 100); the remark of each case is its verdict.
"""
import json
import os
import statistics

import busy
from lab import case, holds, run_all, same, wait_until

LOOKS = int(os.environ.get('SEEP_LOOKS', '5'))


class Looks:
    """Looks at one process, and what came of them."""

    def __init__(self, lab, pid):
        self.lab, self.pid = lab, pid
        self.pauses, self.failed, self.methods, self.checks = [], [], set(), 0

    def look(self):
        result = self.lab.seep('heaps', '--check', '--format', 'json', self.pid)
        if result.status not in (0, 1):
            result.must()
        found = json.loads(result.out)
        totals = found['totals']
        holds('something was checked', totals['checks'] > 0, totals)
        failed = [row for row in found['rows'] if not row['holds']]
        same('failed checks counted', len(failed), totals['failed_checks'])
        same('status', result.status, 1 if failed or totals['damaged_heaps'] else 0)
        self.failed += failed or [totals] * totals['damaged_heaps']
        self.checks += totals['checks']
        self.pauses.append(totals['pause_ns'] / 1e6)
        self.methods.add(totals['method'])

    def verdict(self, errors):
        print(f"# {len(self.pauses)} looks ({', '.join(sorted(self.methods))}): {self.checks} "
              f'checks, {len(self.failed)} failed; {len(errors)} client errors; median pause '
              f'{statistics.median(self.pauses):.1f} ms, the longest {max(self.pauses):.1f} ms')
        same('failed checks', self.failed, [])
        same('errors of clients', errors, [])


def every_look(name, server):
    @case(f'{name}: every look holds')
    def looks_of(lab):
        with server(lab) as (pid, load):
            looks = Looks(lab, pid)
            for _ in range(LOOKS):
                before = load.done
                wait_until('clients work', lambda: load.errors or load.done > before)  # pylint: disable=cell-var-from-loop
                if load.errors:
                    break
                looks.look()
        looks.verdict(load.errors)


every_look('redis-server', busy.redis)
every_look('nginx, its worker', busy.nginx)
every_look('python3, a thread a client', busy.python)
every_look('node', busy.node)
every_look('postgres, a backend', busy.postgres)

if __name__ == '__main__':
    run_all()
