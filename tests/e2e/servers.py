#!/usr/bin/env python3
"""Servers under load: snapshots are taken while clients work, and no client sees an error."""
import os
import pathlib
import signal
import socket

from clients import (Database, Load, backends_of, check_heaps, child_of, http_client, listening,
                     nginx_command, redis_client)
from lab import case, free_port, holds, need, refuses, run_all, same, wait_until
from others import as_other, copy_of_seep, ordinary_user

SNAPSHOTS = 5


def snap_while(lab, pid, load, at_least=100):
    """Snapshots one after the other, with work done between any two of them."""
    paths = []
    for i in range(SNAPSHOTS):
        before = load.done
        wait_until('clients work', lambda: load.errors or load.done >= before + at_least)  # pylint: disable=cell-var-from-loop
        same('errors of clients', load.errors, [])
        paths.append(lab.snap(pid, f'shot{i}'))
    return paths


def judge(lab, paths, allocator=None):
    """Nothing torn or lost; what was ever allocated never shrinks, and grows over all of them."""
    ever = []
    for path in paths:
        report = lab.report(path).complete(['stopped_stacks'])
        ever.append(report.totals['total_blocks'])
        check_heaps(lab, path)
        if allocator:
            same('allocator', report.data['snapshot']['allocator'], allocator)
    same('blocks ever allocated', ever, sorted(ever))
    holds('allocations went on', ever[-1] > ever[0], ever)


@case('redis-server: snapshots under load, no client sees an error')
def redis(lab):
    server = need('redis-server')
    port = free_port()
    running = lab.start(server, '--port', port, '--bind', '127.0.0.1', '--save', '', '--dir',
                        lab.folder, '--daemonize', 'no')
    running.until('redis listens', listening(port))
    pid = running.until('its pid', child_of(running.process.pid))
    with Load(8, redis_client(port)) as load:
        paths = snap_while(lab, pid, load)
    same('errors of clients', load.errors, [])
    judge(lab, paths)
    os.kill(int(pid), signal.SIGTERM)
    running.wait().must()


@case('redis-benchmark while snapshots are taken: runs to its end without an error')
def redis_benchmark(lab):
    server, bench, client = need('redis-server', 'redis-benchmark', 'redis-cli')
    port = free_port()
    running = lab.start(server, '--port', port, '--bind', '127.0.0.1', '--save', '', '--dir',
                        lab.folder, options=['--at-exit', lab.path('end')])
    running.until('redis listens', listening(port))
    pid = running.until('its pid', child_of(running.process.pid))
    load = lab.background(bench, '-p', port, '-n', '20000', '-d', '200', '-r', '5000', '-q', '-t',
                          'set,get,lpush,rpop,sadd,hset,zadd')
    taken = []
    while load.process.poll() is None and len(taken) < 20:
        taken.append(lab.snap(pid, f'shot{len(taken)}', '--no-symbols'))
    said = load.wait().must()
    holds('no error', 'rror' not in said.out + said.err, said)
    holds('snapshots were taken meanwhile', len(taken) > 2, len(taken))
    judge(lab, taken)
    lab.run(client, '-p', port, 'shutdown', 'nosave')
    running.wait().must()
    lab.report(lab.path('end')).complete(['stopped_stacks'])


@case('nginx: master and worker, snapshots under load, no client sees an error')
def nginx(lab):
    port = free_port()
    running = lab.start(*nginx_command(lab, port), options=['--follow', '-q'])
    running.until('nginx listens', listening(port))
    master = running.until('its pid', child_of(running.process.pid))
    worker = running.until('its worker', child_of(int(master)))
    with Load(4, http_client(port)) as load:
        paths = snap_while(lab, worker, load, 50)
    same('errors of clients', load.errors, [])
    judge(lab, paths, 'glibc')
    lab.report(lab.snap(master, 'master')).complete(['stopped_stacks'])
    os.kill(int(master), signal.SIGQUIT)
    running.wait().must()


def memcached_client(port):
    def work(number):
        with socket.create_connection(('127.0.0.1', port), timeout=30) as s:
            f = s.makefile('rwb')
            for i in range(1000000):
                value = b'v' * (i * 53 % 3000)
                f.write(b'set k%d:%d 0 0 %d\r\n%s\r\n' % (number, i % 300, len(value), value))
                f.write(b'get k%d:%d\r\n' % (number, i % 300))
                f.flush()
                lines = [f.readline() for _ in range(4)]
                good = lines[0] == b'STORED\r\n' and lines[2] == value + b'\r\n' \
                    and lines[3] == b'END\r\n'
                yield None if good else lines
    return work


@case('memcached: snapshots under load, no client sees an error')
def memcached(lab):
    server = need('memcached')
    user = ordinary_user()
    port = free_port()
    running = lab.start(server, '-l', '127.0.0.1', '-p', port, '-U', '0', '-t', '3', '-m', '32',
                        *(['-u', user.pw_name] if user else []))
    running.until('memcached listens', listening(port))
    pid = running.until('its pid', child_of(running.process.pid))

    def work(number):
        # A new connection now and then: an established one allocates nothing more.
        while True:
            for i, answer in enumerate(memcached_client(port)(number)):
                yield answer
                if i == 200:
                    break
    with Load(6, work) as load:
        paths = snap_while(lab, pid, load, 2000)
    same('errors of clients', load.errors, [])
    lab.report(paths[-1]).complete(['stopped_stacks'])
    os.kill(int(pid), signal.SIGTERM)
    running.wait().must()


@case('postgres: all its processes, a snapshot under load, no client sees an error')
def postgres(lab):
    seep = copy_of_seep(lab)
    database = Database(lab)
    running = lab.background(*as_other(), seep, 'run', '--follow', '-q', '--', *database.command)
    database.fill(running)
    load = lab.background(*database.bench, '-c', '4', '-t', '400', '-n', *database.access)
    pid = running.until('its pid', child_of(running.process.pid))
    backends = running.until('backends', lambda: backends_of(int(pid)))
    for number, one in enumerate([pid, *backends[:2]]):
        result = lab.seep('snap', '-o', lab.path(f'shot{number}'), one)
        if result.status == 0:
            # Children free blocks that they have from their parent.
            lab.report(lab.path(f'shot{number}')).complete(['stopped_stacks', 'unknown_frees'])
            # One that ended meanwhile has left what the recorder knew of it, and no heaps.
            if pathlib.Path(f'/proc/{one}').exists():
                check_heaps(lab, lab.path(f'shot{number}'))
        else:  # a client that has its answers goes away, and its backend with it
            holds(f'only a backend may have ended: {result}', number)
            refuses(result, 3, 'process')
    said = load.wait().must()
    holds('no error', 'rror' not in said.err and '1600/1600' in said.out, said)
    os.kill(int(pid), signal.SIGINT)
    running.wait().must()


if __name__ == '__main__':
    run_all()
