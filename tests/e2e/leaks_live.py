#!/usr/bin/env python3
"""seep leaks on servers at work: what three looks find lost is never freed afterwards.

The truth is the recorder: a block that was freed, or freed and handed out again, is not in its list
any more, or is younger than the looks.
"""
import json
import os
import signal
import time

from clients import Load, child_of, listening, redis_client
from lab import case, free_port, holds, need, run_all, same, wait_until


def more_work(load, how_much):
    before = load.done
    wait_until('clients work', lambda: load.errors or load.done >= before + how_much)
    same('errors of clients', load.errors, [])


def blocks(lab, pid):
    answer = lab.seep('blocks', '--list', '--limit', '0', '--format', 'json', pid).must()
    return {int(row['address'], 16): row for row in json.loads(answer.out)['rows']}


def lost_for_good(lab, pid, work):
    """Looks three times while `work` goes on; checks after more of it. Returns the leaks."""
    answer = json.loads(lab.seep('leaks', '--repeat', '3', '--interval', '300ms', '--list',
                                 '--limit', '0', '--format', 'json', pid).must().out)
    looked = time.monotonic()
    work()
    now = blocks(lab, pid)
    for row in answer['rows']:
        address = int(row['address'], 16)
        still = now.get(address)
        holds(f'the leak at {row["address"]} is still there', still, row)
        if still['age_ms'] is not None:
            # The recorder's clock is coarse.
            holds('it is the same block', still['age_ms'] >= (time.monotonic() - looked) * 1000
                  - 2000, (row, still))
        same('its size', still['size'], row['size'])
    return answer


@case('redis-server under load')
def redis(lab):
    server = need('redis-server')
    port = free_port()
    running = lab.start(server, '--port', port, '--bind', '127.0.0.1', '--save', '', '--dir',
                        lab.folder, '--daemonize', 'no')
    running.until('redis listens', listening(port))
    pid = running.until('its pid', child_of(running.process.pid))
    with Load(4, redis_client(port)) as load:
        more_work(load, 200)
        answer = lost_for_good(lab, pid, lambda: more_work(load, 1000))
    same('redis loses nothing', answer['totals']['leaked_blocks'], 0)
    same('errors of clients', load.errors, [])
    os.kill(int(pid), signal.SIGTERM)
    running.wait().must()


PYTHON = '''
import sys, threading, queue, json, collections, ctypes
lose = ctypes.CDLL(None).malloc
lose.restype, lose.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
jobs, done = queue.Queue(100), [0]
cache = collections.OrderedDict()
def work():
    while True:
        n = jobs.get()
        text = json.dumps({"n": n, "rows": [str(i) * (i % 40) for i in range(60)]})
        cache[n % 700] = json.loads(text)
        if len(cache) > 500:
            cache.popitem(last=False)
        if n % 100 == 0:
            lose(4321)
        done[0] += 1
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    until = done[0] + int(line)
    n = 0
    while done[0] < until:
        jobs.put(n)
        n += 1
    print(done[0], flush=True)
'''


@case('python3 at work in four threads: what ctypes loses on purpose, and nothing else')
def python(lab):
    running = lab.start(need('python3'), '-c', PYTHON)
    while running.line() != 'ready':
        pass
    pid = running.until('its pid', child_of(running.process.pid))

    def work():
        running.say('2000')
        running.line()
    work()
    running.say('20000')  # goes on while it is looked at
    answer = lost_for_good(lab, pid, running.line)
    sizes = {row['size'] for row in answer['rows']}
    same('sizes of what has leaked', sizes, {4321})
    # Twenty were lost before the first look; a stale copy holds one or another of them.
    holds('many of them are found', len(answer['rows']) >= 5, len(answer['rows']))
    work()
    running.wait().must()


NODE = '''
const cache = new Map();
let done = 0;
function turn() {
    for (let i = 0; i < 50; i++) {
        const b = Buffer.alloc(1000 + (done * 37) % 9000, 65);
        cache.set(done % 300, JSON.parse(JSON.stringify({n: done, t: b.toString()})));
        done++;
    }
    setImmediate(turn);
}
console.log("ready");
turn();
process.stdin.on("data", () => console.log(done));
process.stdin.on("end", () => process.exit(0));
'''


@case('node at work')
def node(lab):
    running = lab.start(need('node'), '-e', NODE)
    while running.line() != 'ready':
        pass
    pid = running.until('its pid', child_of(running.process.pid))

    def done():
        running.say('?')
        return int(running.line())

    def work():
        goal = done() + 3000
        wait_until('it works', lambda: done() >= goal)
    work()
    lost_for_good(lab, pid, work)
    running.wait().must()


if __name__ == '__main__':
    run_all()
