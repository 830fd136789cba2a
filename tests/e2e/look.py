#!/usr/bin/env python3
"""Looking at a process from outside: one instant is seen, and the process never knows."""
import os
import pathlib
import signal
import socket
import threading
import time

from lab import case, free_port, holds, need, run_all, same, victim, wait_until
from looking import (METHODS, Look, check_instant, children, ends_whole, goes_on, mutate, state,
                     status)

EINTR, EAGAIN, ETIMEDOUT, ECHILD = 4, 11, 110, 10


def instants(lab, method, looks):
    process, truth = mutate(lab, '3')
    for _ in range(looks):
        look = Look(lab, method, process.process.pid).must_be(method)
        same('threads', len(look.threads), 4)
        for thread in look.threads:
            holds('registers', thread.known and thread.sp and thread.pc and thread.tp, thread)
            same('words', len(thread.words) % 16, 0)
        check_instant(look, truth)
        look.close()
        goes_on(process, truth['pair'])
    ends_whole(process)


@case('a clone shows one instant, and ranges that a fork leaves out')
def clone_instant(lab):
    instants(lab, 'clone', 10)


@case('a stopped process shows one instant')
def stop_instant(lab):
    instants(lab, 'stop', 10)


@case('a stopped process goes on when it is thawed; the pause is told')
def thawed(lab):
    process, truth = mutate(lab)
    look = Look(lab, 'stop', process.process.pid).must_be('stop')
    before = look.words(truth['pair'], 1)
    time.sleep(0.05)  # it must not go on, however long
    same('it stood still', look.words(truth['pair'], 1), before)
    paused = int(look.ask('thaw'))
    holds('the pause has the 50 ms', 50e6 < paused < 50e9, paused)
    goes_on(process, truth['pair'])
    look.close()
    ends_whole(process)


ENDS = {'nanosleep': (0, 0), 'clock_nanosleep': (0, 0), 'poll': (0, 0), 'select': (0, 0),
        'cond': (ETIMEDOUT, 0), 'sem': (-1, ETIMEDOUT), 'epoll': (0, 0), 'epoll_forever': (1, 0),
        'sigtimedwait': (-1, EAGAIN), 'sigwaitinfo': (4, 0), 'semtimedop': (-1, EAGAIN),
        'read': (1, 0), 'waitpid': (5, 0)}
# These have a time limit and may end early, as after any stop: signal(7).
MAY_BE_INTERRUPTED = ('epoll', 'sigtimedwait', 'semtimedop')


def waits(lab, method):
    milliseconds = 2500
    process = lab.background(victim('look-waits'), milliseconds)
    process.line()
    deadline = time.monotonic() + milliseconds / 1000 - 0.7
    look, looks = Look(lab, method, process.process.pid).must_be(method), 1
    while time.monotonic() < deadline:
        look.again()
        look.must_be(method)
        looks += 1
    look.close()
    holds('more than one look', looks > 3, looks)
    rows = {r['name']: r for r in process.wait().must().json_lines()}
    whole = rows.pop('process')
    same('what is left to wait for', (whole['result'], whole['errno']), (-1, ECHILD))
    same('signals: of the one child of its own', whole['signals'], 1)
    same('ways of waiting', set(rows), set(ENDS))
    for name, row in rows.items():
        got = (row['result'], row['errno'])
        if name in MAY_BE_INTERRUPTED and got == (-1, EINTR):
            continue
        same(f'{name}, result and errno', got, ENDS[name])
        late = row['ms'] - milliseconds
        # What select() has left is counted from where it was stopped, as after any stop.
        holds(f'{name} took as long as asked', -1 <= late < (2500 if name == 'select' else 500),
              row)


@case('whoever waits goes on waiting for the time that is left: clones')
def clone_waits(lab):
    waits(lab, 'clone')


@case('whoever waits goes on waiting for the time that is left: stops')
def stop_waits(lab):
    waits(lab, 'stop')


def footprint(pid):
    return {'threads': status(pid, 'Threads'), 'children': children(pid),
            'fds': len(os.listdir(f'/proc/{pid}/fd')), 'tracer': status(pid, 'TracerPid'),
            'maps': len(pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines()),
            'signals': [status(pid, k) for k in ('SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt')],
            'rss': status(pid, 'VmRSS'), 'table': status(pid, 'VmPTE')}


@case('a hundred looks leave nothing behind')
def hundred(lab):
    for method in METHODS:
        process, truth = mutate(lab, '5')
        goes_on(process, truth['pair'])
        look = Look(lab, method, process.process.pid)
        look.again()
        look.tool.say('thaw')
        look.tool.line()
        before = footprint(process.process.pid)
        for _ in range(100):
            look.again()
            look.must_be(method)
        look.close()
        same('what /proc says of the process', footprint(process.process.pid), before)
        ends_whole(process)


@case('signals that come during looks are delivered, each once')
def signals(lab):
    process, truth = mutate(lab)
    pid = process.process.pid
    for method in METHODS:
        look = Look(lab, method, pid)
        os.kill(pid, signal.SIGSTOP)
        look.close()
        wait_until('it stops', lambda: state(pid) == 'T')
        os.kill(pid, signal.SIGCONT)
        goes_on(process, truth['pair'])
    look = Look(lab, 'stop', pid)
    process.process.terminate()
    time.sleep(0.02)
    same('it has not ended while it stood still', process.process.poll(), None)
    look.close()
    process.wait().must()


@case('a thousand threads')
def thousand(lab):
    process, truth = mutate(lab, '1000')
    pid = process.process.pid
    process.until('all there', lambda: status(pid, 'Threads') == '1001')
    for method in METHODS:
        look = Look(lab, method, pid).must_be(method)
        same('threads', len(look.threads), 1001)
        same('all registers known', sum(t.known for t in look.threads), 1001)
        check_instant(look, truth)
        look.close()
        print(f"# {method}: {int(look.facts['pause_ns']) / 1e6:.1f} ms")
        goes_on(process, truth['pair'])
    same('children', children(pid), [])
    ends_whole(process)


class Redis:
    """A client that speaks the protocol itself, to see every error."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=60)
        self.file = self.socket.makefile('rb')

    def call(self, *words):
        parts = [f'*{len(words)}\r\n'.encode()]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts += [b'$%d\r\n' % len(word), word, b'\r\n']
        self.socket.sendall(b''.join(parts))
        line = self.file.readline()
        if line.startswith(b'$') and line != b'$-1\r\n':
            return self.file.read(int(line[1:]) + 2)[:-2]
        return line.strip()


@case('redis under load sees nothing of a hundred looks')
def redis(lab):
    port = free_port()
    server = lab.background(need('redis-server'), '--port', port, '--save', '', '--dir', lab.folder)
    server.until('it listens', lambda: not socket.socket().connect_ex(('127.0.0.1', port)))
    errors, done = [], [0]

    def work():
        client, number = Redis(port), 0
        while not stop.is_set():
            number += 1
            key, value = f'key{number % 5000}', os.urandom(64).hex()
            if client.call('SET', key, value) != b'+OK' or client.call('GET', key) != value.encode():
                errors.append(number)
            done[0] = number

    stop = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        look = Look(lab, 'auto', server.process.pid).must_be('clone')
        for _ in range(99):
            before = done[0]
            wait_until('the client works', lambda b=before: done[0] > b)
            look.again()
            look.must_be('clone')
        look.close()
    finally:
        stop.set()
        thread.join()
    same('errors of the client', errors, [])
    same('children of redis', children(server.process.pid), [])


if __name__ == '__main__':
    run_all()
