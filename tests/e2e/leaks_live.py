#!/usr/bin/env python3
"""seep leaks on servers at work: what three looks find lost is never freed afterwards.

The truth is the recorder: a block that was freed, or freed and handed out again, is not in its list
any more, or is younger than the looks.
"""
import json
import os
import pathlib
import signal
import time

from clients import Database, Load, backends_of, child_of, listening, redis_client
from lab import case, free_port, holds, need, run_all, same, wait_until
from others import as_other, copy_of_seep


def more_work(load, how_much):
    before = load.done
    wait_until('clients work', lambda: load.errors or load.done >= before + how_much)
    same('errors of clients', load.errors, [])


def blocks(lab, pid):
    answer = lab.seep('blocks', '--list', '--limit', '0', '--format', 'json', pid).must()
    return {int(row['address'], 16): row for row in json.loads(answer.out)['rows']}


def cpu_ticks(pid):
    """What the processor has done for it, in hundredths of a second."""
    words = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return int(words[11]) + int(words[12])


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


# Blocks so large that malloc maps them, where nobody was before: those that are kept have filled the
# holes. So no stale pointer goes there. The threads that make them end, and no other gets their stack.
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
        done[0] += 1
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
kept = (ctypes.c_void_p * 50)(*[lose(400001) for _ in range(50)])
lost = []
for _ in range(20):
    thread = threading.Thread(target=lambda: lost.append(lose(400001) ^ 0x5a5a5a5a5a5a))
    thread.start()
    thread.join()
print("lost", *lost, flush=True)
for line in sys.stdin:
    until = done[0] + int(line)
    n = 0
    while done[0] < until:
        jobs.put(n)
        n += 1
    print(done[0], flush=True)
'''


@case('postgres, a backend that works')
def postgres(lab):
    seep = copy_of_seep(lab)
    database = Database(lab)
    running = lab.background(*as_other(), seep, 'run', '--follow', '-q', '--', *database.command)
    database.fill(running)
    load = lab.background(*database.bench, '-c', '4', '-T', '3600', '-n', *database.access)
    server = int(running.until('its pid', child_of(running.process.pid)))
    # Four of these clients; one of what filled it may be about to end.
    running.until('backends', lambda: len(backends_of(server)) >= 4)
    pid = int(backends_of(server)[-1])

    def work():
        goal = cpu_ticks(pid) + 50
        wait_until('it works', lambda: cpu_ticks(pid) >= goal)
    work()
    lost_for_good(lab, pid, work)
    # Its own clock's signal: it finishes what it does, and tells.
    load.process.send_signal(signal.SIGALRM)
    said = load.wait().must()
    holds('no error of clients', 'rror' not in said.err and 'failed transactions: 0 ' in said.out,
          said)
    os.kill(server, signal.SIGINT)
    running.wait().must()


@case('python3 at work in four threads: what ctypes loses on purpose, and nothing else')
def python(lab):
    running = lab.start(need('python3'), '-c', PYTHON)
    while not (line := running.line()).startswith('lost '):
        pass
    lost = {int(word) ^ 0x5a5a5a5a5a5a for word in line.split()[1:]}
    pid = running.until('its pid', child_of(running.process.pid))

    def work():
        running.say('2000')
        running.line()
    work()
    running.say('20000')  # goes on while it is looked at
    answer = lost_for_good(lab, pid, running.line)
    found = {int(row['address'], 16) for row in answer['rows']}
    same('leaked, but not lost', found - lost, set())
    # A word left over somewhere may look like a pointer to one or two.
    holds('what was lost is found', len(found) >= 16, lost - found)
    same('sizes', {row['size'] for row in answer['rows']}, {400001})
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
