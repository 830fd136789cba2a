#!/usr/bin/env python3
"""Servers that are looked at again and again under load, without any preparation.

Every check of every look must hold, and no client may see an error. SEEP_LOOKS says how many looks
(`make soak`: 100); the remark of each case is its verdict.
"""
import json
import os
import signal
import statistics

from clients import (Database, Load, backends_of, child_of, http_client, listening, nginx_command,
                     redis_client)
from lab import case, free_port, holds, need, run_all, same, wait_until
from others import as_other

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


def look_under_load(lab, pid, clients, work, at_least=20):
    """Work is done between any two looks."""
    looks = Looks(lab, pid)
    with Load(clients, work) as load:
        for _ in range(LOOKS):
            before = load.done
            wait_until('clients work', lambda: load.errors or load.done >= before + at_least)  # pylint: disable=cell-var-from-loop
            if load.errors:
                break
            looks.look()
    looks.verdict(load.errors)


@case('redis-server: every look holds')
def redis(lab):
    port = free_port()
    running = lab.background(need('redis-server'), '--port', port, '--bind', '127.0.0.1', '--save',
                             '', '--dir', lab.folder, '--daemonize', 'no')
    running.until('redis listens', listening(port))
    look_under_load(lab, running.process.pid, 4, redis_client(port))


@case('nginx, its worker: every look holds')
def nginx(lab):
    port = free_port()
    running = lab.background(*nginx_command(lab, port))
    running.until('nginx listens', listening(port))
    worker = running.until('its worker', child_of(running.process.pid))
    look_under_load(lab, worker, 4, http_client(port))


PYTHON = '''
import http.server, json, sys
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        rows = json.dumps([{"number": i, "line": "a line of text"} for i in range(200)])
        body = "".join(row["line"] + "\\n" for row in json.loads(rows)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
'''


@case('python3, a thread a client: every look holds')
def python(lab):
    port = free_port()
    running = lab.background(need('python3'), '-c', PYTHON, port)
    running.until('it listens', listening(port))
    look_under_load(lab, running.process.pid, 4, http_client(port), at_least=5)


NODE = '''
require("http").createServer((question, answer) => {
    const rows = JSON.stringify(Array.from({length: 200}, (_, i) => ({i, line: "a line of text"})));
    answer.end(Buffer.from(JSON.parse(rows).map(row => row.line + "\\n").join("")));
}).listen(Number(process.argv[1]), "127.0.0.1");
'''


@case('node: every look holds')
def node(lab):
    port = free_port()
    running = lab.background(need('node'), '-e', NODE, port)
    running.until('it listens', listening(port))
    look_under_load(lab, running.process.pid, 4, http_client(port))


@case('postgres, a backend: every look holds')
def postgres(lab):
    database = Database(lab)
    running = lab.background(*as_other(), *database.command)
    database.fill(running)
    load = lab.background(*database.bench, '-c', '4', '-T', '3600', '-n', *database.access)
    # Four of these clients; one of what filled it may be about to end.
    running.until('backends', lambda: len(backends_of(running.process.pid)) >= 4)
    looks = Looks(lab, backends_of(running.process.pid)[-1])
    for _ in range(LOOKS):
        looks.look()
    # Its own clock's signal: it finishes what it does, and tells.
    load.process.send_signal(signal.SIGALRM)
    said = load.wait()
    errors = [line for line in said.err.splitlines() if 'rror' in line]
    errors += [] if 'failed transactions: 0 ' in said.out and said.status == 0 else [said]
    looks.verdict(errors)
    os.kill(running.process.pid, signal.SIGINT)
    running.wait().must()


if __name__ == '__main__':
    run_all()
