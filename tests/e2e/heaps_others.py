#!/usr/bin/env python3
"""Heaps of other allocators seen from outside: exactly what the program, or the allocator, says."""
import fcntl
import json
import os
import pathlib
import re
import subprocess
import sys
from collections import Counter

from lab import BUILD, PATIENCE, SOURCE, Skip, case, holds, need, run_all, same, victim, wait_until

WALK = BUILD / 'tests' / 'tools' / 'walk_heap'
TRUTH = SOURCE / 'tests' / 'victims' / 'heap_truth_any.c'
FOLDERS = ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib',
           '/usr/local/lib')
F_SETPIPE_SZ = 1031
VECTOR_BYTES = 320  # what libc asks jemalloc for with every thread


class Walk:
    """What walk_heap printed."""

    def __init__(self, text):
        self.busy, self.states, self.internal = {}, Counter(), []
        self.bad, self.faults, self.heaps, self.figures = [], [], [], []
        for line in text.splitlines():
            word = line.split(' ', 4)
            if line.startswith('0x'):
                self.states[word[2]] += 1
                if word[2] == 'busy':
                    self.busy[int(word[0], 16)] = (int(word[1]), int(word[3]))
                elif word[2] == 'internal':
                    self.internal.append(word[4])
            elif word[0] == 'check' and word[2] != word[3]:
                self.bad.append(line)
            elif word[0] == 'fault':
                self.faults.append(line)
            elif word[0] == 'heap':
                self.heaps.append(re.findall("'([^']*)'", line)[:2])
                self.figures.append(dict(re.findall(r'(\w+) ([\d/]+)', line.split("'")[-1])))
        self.checks = text.count('\ncheck ')
        self.allocator = re.findall('^allocator (.*)$', text, re.M)[-1]

    def whole(self):
        same('failed checks', self.bad, [])
        same('faults', self.faults, [])
        holds('there were checks', self.checks >= 3, self.checks)
        return self


def library(file):
    for folder in FOLDERS:
        path = pathlib.Path(folder) / file
        if path.exists():
            return str(path)
    raise Skip(f'{file} is not installed')


def look(lab, target, *options):
    return Walk(lab.run(WALK, *options, str(target)).must().out)


def start(lab, command, env=None):
    """The victim, standing still, and the blocks that it holds."""
    one, truth = lab.background(*command, env=env), {}
    while True:
        address, size = one.line().split()
        if address == 'ready':
            return one, truth
        truth[int(address, 16)] = int(size)


def check(seen, truth, more=()):
    """Equality; `more`: sizes of blocks that libraries hold of which the program knows nothing."""
    seen.whole()
    wrong = {hex(a): (s, seen.busy.get(a)) for a, s in truth.items()
             if seen.busy.get(a, (None,))[0] != s}
    same('blocks of the program that are not seen so', wrong, {})
    others = Counter(s for a, (s, _) in seen.busy.items() if a not in truth)
    same('sizes of blocks that the program does not know', others, Counter(more))


def before_main(lab, command, env=None):
    """Sizes of the blocks that libraries make on their own before main(): seen without any truth."""
    one, truth = start(lab, [*command, '0', '0'], env)
    sizes = [s for a, (s, _) in look(lab, one.process.pid).busy.items() if a not in truth]
    holds('few blocks before main()', len(sizes) < 10, sizes)
    return sizes


# ---- jemalloc ----


def under_jemalloc(*arguments, conf='', method='auto'):
    note = f', {conf}' if conf else f', {method}'

    @case(f'jemalloc {" ".join(arguments)}{note}: the blocks that the program says')
    def run(lab):
        env = {'LD_PRELOAD': library('libjemalloc.so.2'), 'MALLOC_CONF': conf}
        program = victim('heap-truth-any')
        one, truth = start(lab, [program, *arguments], env)
        holds('blocks of all kinds', len(truth) > 1500, len(truth))
        seen = look(lab, one.process.pid, '--method', method)
        same('allocator', seen.allocator, 'jemalloc')
        libc = before_main(lab, [program], env)
        if method == 'live':  # no thread pointers, so libc's blocks have no names
            libc += [VECTOR_BYTES] * int(arguments[0])
        check(seen, truth, libc)
        if 'tcache:false' in conf:
            same('cached blocks', seen.states['cached'], 0)
        else:
            holds('blocks are kept by threads', seen.states['cached'] > 50, seen.states)
            holds('caches have their name', 'thread cache' in seen.internal, seen.internal)


under_jemalloc('4', '20000')
under_jemalloc('4', '20000', method='live')
under_jemalloc('4', '20000', method='stop')
under_jemalloc('16', '5000', conf='narenas:2')
under_jemalloc('4', '20000', conf='narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0')
under_jemalloc('2', '20000', conf='retain:false')
under_jemalloc('2', '20000', conf='percpu_arena:percpu')
under_jemalloc('2', '20000', conf='cache_oblivious:false')
under_jemalloc('2', '20000', conf='tcache_max:4096')


@case('jemalloc without thread caches: exact, and what is not known is said')
def without_caches(lab):
    env = {'LD_PRELOAD': library('libjemalloc.so.2'), 'MALLOC_CONF': 'tcache:false'}
    one, truth = start(lab, [victim('heap-truth-any'), '2', '20000'], env)
    seen = look(lab, one.process.pid)
    same('failed checks', seen.bad, [])
    same('cached blocks', seen.states['cached'], 0)
    same('blocks of the program that are not seen',
         {a for a, s in truth.items() if seen.busy.get(a, (None,))[0] != s}, set())
    holds('each heap says that no caches were found',
          len(seen.faults) == len(seen.heaps) and all('no thread caches' in f for f in seen.faults),
          seen.faults)


@case('jemalloc in a core: the same blocks as in the process')
def in_a_core(lab):
    env = {'LD_PRELOAD': library('libjemalloc.so.2')}
    one, truth = start(lab, [victim('heap-truth-any'), '4', '20000'], env)
    alive = look(lab, one.process.pid)
    lab.seep('core', '-o', lab.path('core'), str(one.process.pid)).must()
    one.end()
    dead = look(lab, lab.path('core')).whole()
    same('busy blocks', dead.busy, alive.busy)
    same('states', dead.states, alive.states)
    holds('the truth is in it', set(truth) <= set(dead.busy))


def redis(lab):
    socket = lab.path('redis.socket')
    server = lab.background(need('redis-server'), '--port', '0', '--unixsocket', socket, '--save', '',
                            '--appendonly', 'no', '--activedefrag', 'no')
    server.until('redis answers', lambda: os.path.exists(socket))
    if 'jemalloc' not in open(f'/proc/{server.process.pid}/maps', encoding='utf8').read():
        raise Skip('this redis-server does not use jemalloc')
    return server, socket


@case('redis under load: every check holds, look after look, and no client sees an error')
def redis_under_load(lab):
    benchmark = need('redis-benchmark')
    server, socket = redis(lab)
    client = lab.background(benchmark, '-s', socket, '-n', '100000000', '-r', '50000', '-d', '300',
                            '-t', 'set,lpush,hset,get', '-P', '4', '-c', '10', '-q')
    client.until('the server has data',
                 lambda: resident(server.process.pid) > 20 << 20)
    for _ in range(25):
        seen = look(lab, server.process.pid, '--quiet').whole()
        same('allocator', seen.allocator, 'jemalloc')
    same('the client still runs', client.process.poll(), None)
    client.end()
    holds('no errors', 'rror' not in client.errors(), client.errors())


def resident(pid):
    return int(open(f'/proc/{pid}/statm', encoding='utf8').read().split()[1]) * 4096


@case("redis: what jemalloc's own statistics call allocated")
def redis_statistics(lab):
    cli = need('redis-cli')
    server, socket = redis(lab)
    lab.run(need('redis-benchmark'), '-s', socket, '-n', '60000', '-r', '100000', '-d', '200', '-P',
            '8', '-t', 'set', '-q').must()

    def allocated():
        said = lab.run(cli, '-s', socket, 'info', 'memory').must().out
        return int(re.search(r'allocator_allocated:(\d+)', said)[1])

    def one_try():
        before = allocated()
        seen = look(lab, server.process.pid, '--quiet').whole()
        busy = sum(int(f['busy'].split('/')[1]) + int(f['cached'].split('/')[1])
                   for f in seen.figures)
        # The statistics are as of the reply before; a client's connection comes and goes.
        return abs(busy - before) < 20000 and abs(busy - allocated()) < 20000 and busy > 5 << 20
    wait_until('busy and cached bytes are what jemalloc says, but for one connection', one_try)


# ---- musl ----


def with_musl(name, *options):
    @case(f'musl, {name}: the blocks that the program says, and no others')
    def run(lab):
        compiler, program = need('musl-gcc'), lab.path('truth')
        subprocess.run([compiler, '-O2', *options, '-o', program, TRUTH, '-pthread'], check=True)
        for arguments in (['4', '20000'], ['16', '3000'], ['0', '200'], ['2', '100000']):
            one, truth = start(lab, [program, *arguments])
            seen = look(lab, one.process.pid)
            same('allocator', seen.allocator, 'musl')
            check(seen, truth)
            holds('free slots', seen.states['free'] > 0, seen.states)
            one.end()


with_musl('dynamic')
with_musl('static', '-static')
with_musl('stripped and static', '-static', '-s')
with_musl('static at any address', '-static-pie', '-fPIE')


# ---- Python ----

OBJECTS = '''
import os, sys
kept = [(i, str(i) * 3, {i: [i]}) for i in range(40000)]
del kept[5000:30000:2]
os.write(1, b'ready\\n')
sys._debugmallocstats()
'''


@case('Python: block by block what its own statistics say, taken at the same instant')
def python(lab):
    # The statistics go to a pipe that is full: Python stands still in the middle of saying them.
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    os.write(writing, b'.' * 4096)
    script = lab.path('objects.py')
    pathlib.Path(script).write_text(OBJECTS, encoding='utf8')
    child = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=writing,
                             env={'PATH': os.environ['PATH']})
    try:
        same('it is ready', child.stdout.readline(), b'ready\n')
        wait_until('it waits for the pipe',
                   lambda: 'pipe' in open(f'/proc/{child.pid}/wchan', encoding='utf8').read()
                   or stat_of(child.pid) == 'S')
        seen = look(lab, child.pid)
        os.close(writing)
        os.read(reading, 4096)
        said = os.fdopen(reading, encoding='utf8').read()
    finally:
        child.kill()
        child.communicate()
    check_python(seen.whole(), said)


def stat_of(pid):
    return open(f'/proc/{pid}/stat', encoding='utf8').read().rpartition(')')[2].split()[0]


def check_python(seen, said):
    heap = [name for name, _ in seen.heaps].index('python')
    by_size = Counter(s for s, h in seen.busy.values() if h == heap)
    rows = re.findall(r'^ +\d+ +(\d+) +\d+ +(\d+) +\d+$', said, re.M)
    holds('Python said something', len(rows) > 20, said[:500])
    same('blocks by size', by_size, Counter({int(size): int(used) for size, used in rows}))
    arenas = int(re.search(r'arenas allocated current += +([\d,]+)', said)[1].replace(',', ''))
    size = int(re.search(r'(\d+) arenas \* (\d+) bytes/arena', said)[2])
    same('bytes of arenas', int(seen.figures[heap]['committed']), arenas * size)
    same('the other heap is malloc\'s', seen.heaps[0][0], 'glibc')


# ---- not known ----


@case('tcmalloc: named, its memory measured, nothing counted')
def tcmalloc(lab):
    env = {'LD_PRELOAD': library('libtcmalloc_minimal.so.4')}
    one, _ = start(lab, [victim('heap-truth-any'), '2', '5000'], env)
    seen = look(lab, one.process.pid)
    row = [i for i, (name, _) in enumerate(seen.heaps) if name == 'tcmalloc (not walked)']
    same('rows', len(row), 1)
    same('blocks', seen.figures[row[0]]['busy'], '0/0')
    holds('its size is known', int(seen.figures[row[0]]['committed']) > 1 << 20, seen.figures)
    holds('and how much is in memory', int(seen.figures[row[0]]['resident']) > 1 << 20,
          seen.figures)
    said = lab.seep('heaps', '--format', 'json', str(one.process.pid)).must().out
    totals = json.loads(said)['totals']
    same('unknown is null', [totals[k] for k in ('busy_blocks', 'busy_bytes', 'free_bytes')],
         [None] * 3)
    for form in [], ['--list'], ['--top'], ['--strings'], ['--search', 'text:abc']:
        answer = lab.seep('blocks', *form, str(one.process.pid))
        same(f'no empty answer: {form}', answer.status, 3)
        holds('but a reason', 'its allocator is tcmalloc (not walked)' in answer.err, answer.err)
    lab.seep('blocks', '--search', 'text:abc', '--everywhere', str(one.process.pid)).must()


@case('a program with its own pages only: a row of what is there, no blocks')
def own_pages(lab):
    compiler, program = need('gcc'), lab.path('own')
    source = lab.path('own.c')
    pathlib.Path(source).write_text(OWN, encoding='utf8')
    subprocess.run([compiler, '-static', '-nostdlib', '-O1', '-o', program, source], check=True)
    one = lab.background(program)
    same('it is ready', one.line(), 'ready')
    seen = look(lab, one.process.pid)
    same('heaps', seen.heaps, [['not known', 'unclaimed mappings']])
    holds('its pages', int(seen.figures[0]['committed']) >= 4 << 20, seen.figures)
    same('blocks', sum(seen.states.values()), 0)


OWN = '''
static long call(long n, long a, long b, long c, long d, long e, long f)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			 "r"(r9) : "rcx", "r11", "memory");
	return r;
}

void _start(void)
{
	char c, *p = (char *)call(9, 0, 4 << 20, 3, 0x22, -1, 0);

	p[0] = p[1 << 20] = 1;
	call(1, 1, (long)"ready\\n", 6, 0, 0, 0);
	call(0, 0, (long)&c, 1, 0, 0, 0);
	call(231, 0, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}
'''

if __name__ == '__main__':
    run_all()
