#!/usr/bin/env python3
"""glibc's heaps seen from outside: exactly the blocks that the program itself says it holds."""
import json
import struct
from collections import Counter

from lab import BUILD, Skip, VICTIMS, case, holds, run_all, same

WALK = BUILD / 'tests' / 'tools' / 'walk_heap'


class Walk:
    """What walk_heap printed."""

    def __init__(self, text):
        self.blocks, self.internal, self.bad, self.faults, self.how = {}, {}, [], [], ''
        for line in text.splitlines():
            word = line.split(' ', 4)
            if line.startswith('0x') and word[2] == 'busy':
                self.blocks[int(word[0], 16)] = int(word[1])
            elif line.startswith('0x') and word[2] == 'internal':
                self.internal[int(word[0], 16)] = word[4]
            elif word[0] == 'check' and word[2] != word[3]:
                self.bad.append(line)
            elif word[0] == 'fault':
                self.faults.append(line)
            elif word[0] == 'how':
                self.how = line
        self.checks = text.count('\ncheck ')


def start(lab, name, arguments, env=None):
    """The victim, standing still, and the blocks that it holds."""
    path = VICTIMS / f'victim-{name}'
    if not path.exists():
        raise Skip(f'{path.name} could not be built here')
    one, truth = lab.background(path, *arguments, env=env), {}
    while True:
        line = one.line()
        holds('the victim prints its blocks', line, one.errors())
        address, size = line.split()
        if address == 'ready':
            one.pid = int(size)
            return one, truth
        truth[int(address, 16)] = int(size)


def walk(lab, pid, *options):
    return Walk(lab.run(WALK, *options, str(pid)).must().out)


def check(seen, truth, more=()):
    """Equality; `more`: sizes of blocks that a static libc made before main()."""
    same('failed checks', seen.bad, [])
    same('faults', seen.faults, [])
    holds('there were checks', seen.checks > 5, seen.checks)
    wrong = {hex(a): (s, seen.blocks.get(a)) for a, s in truth.items() if seen.blocks.get(a) != s}
    same('blocks of the program that are not seen so', wrong, {})
    others = Counter(s for a, s in seen.blocks.items() if a not in truth)
    same('sizes of blocks that the program does not know', others, Counter(more))


def exact(name, *arguments, env=None, method='auto', note=''):
    @case(f'{name} {" ".join(arguments)}{note}: the blocks that it says')
    def run(lab):
        before = []
        if 'static' in name:
            bare, truth = start(lab, name, ['0', '0'])
            before = [s for a, s in walk(lab, bare.process.pid).blocks.items() if a not in truth]
            holds('libc makes few blocks before main()', len(before) < 20, before)
        one, truth = start(lab, name, arguments, env)
        holds('the victim has blocks of all kinds', len(truth) > 4000, len(truth))
        seen = walk(lab, one.pid, '--method', method)
        check(seen, truth, before)
        holds('thread caches have their name', 'thread cache' in seen.internal.values())


for which in ('heap-truth', 'heap-truth-32', 'heap-truth-static', 'heap-truth-static-pie',
              'heap-truth-stripped'):
    exact(which, '4', '20000')
    exact(which, '8', '20000', 'ended', 'fast')
    exact(which, '2', '5000', 'sbrk', 'wall', 'fast')
exact('heap-truth', '4', '20000', 'stdio')
exact('heap-truth', '40', '3000', 'fast')
exact('heap-truth', '4', '20000', method='stop', note=', stopped')
exact('heap-truth', '8', '20000', 'fork', 'fast')
exact('heap-truth-32', '8', '20000', 'fork')
exact('heap-truth', '8', '10000', 'fork', 'fast', note=', arena_max=1',
      env={'GLIBC_TUNABLES': 'glibc.malloc.arena_max=1'})
for tunable in ('tcache_count=0', 'arena_max=1', 'mmap_threshold=4096', 'mmap_max=0', 'hugetlb=1',
                'hugetlb=2', 'perturb=165', 'mxfast=0', 'top_pad=0',
                'tcache_max=64:glibc.malloc.tcache_count=1000'):
    for which in ('heap-truth', 'heap-truth-32'):
        exact(which, '4', '10000', 'fast', note=f', {tunable}',
              env={'GLIBC_TUNABLES': f'glibc.malloc.{tunable}'})


@case('while other threads allocate: all checks hold, look after look')
def spinning(lab):
    one, truth = start(lab, 'heap-truth', ['2', '5000', 'spin'])
    for _ in range(30):
        seen = walk(lab, one.process.pid)
        same('failed checks', seen.bad, [])
        same('faults', seen.faults, [])
        wrong = {hex(a) for a, s in truth.items() if seen.blocks.get(a) != s}
        same('blocks of the program that are not seen', wrong, set())


class Arena:
    """glibc's main arena of a process, as words that can be written over."""

    def __init__(self, lab, pid):
        rows = json.loads(lab.seep('heaps', '--format', 'json', str(pid)).must().out)['rows']
        self.memory = open(f'/proc/{pid}/mem', 'r+b', buffering=0)
        self.start = next(int(r['address'], 16) for r in rows if r['name'] == 'main')
        arenas = {int(r['address'], 16) for r in rows if r['address']}
        words = struct.unpack('<288Q', self.read(0, 288 * 8))
        # Behind bins and binmap: the next arena; bins begin with the first head of an empty list.
        self.next = max(i * 8 for i, w in enumerate(words) if w in arenas)
        self.bins = self.next - 16 - 254 * 8

    def read(self, offset, size):
        self.memory.seek(self.start + offset)
        return self.memory.read(size)

    def write(self, offset, data):
        self.memory.seek(self.start + offset)
        self.memory.write(data)


for threads in ('0', '3'):
    @case(f"{threads} threads, glibc's main arena written over: said, status 1, no block is lost")
    def written_over(lab, threads=threads):
        one, truth = start(lab, 'heap-truth', [threads, '5000'])
        pid = str(one.process.pid)
        arena = Arena(lab, pid)
        lab.seep('heaps', '--check', pid).must()
        for what, offset, data in (('lock', 0, b'A' * 4), ('next arena', arena.next, bytes(8)),
                                   ('next arena', arena.next, b'A' * 8),
                                   ('size', arena.next + 24, bytes(8)),
                                   ('top', arena.bins - 16, b'A' * 8),
                                   ('all list heads', arena.bins, bytes(254 * 8))):
            before = arena.read(offset, len(data))
            arena.write(offset, data)
            seen = walk(lab, one.process.pid)
            wrong = {hex(a) for a, s in truth.items() if seen.blocks.get(a) != s}
            same(f'{what}: blocks of the program that are not seen', wrong, set())
            holds(f'{what}: said', any("glibc's main arena is damaged" in f for f in seen.faults),
                  seen.faults)
            lab.seep('heaps', '--check', pid).must(1)
            arena.write(offset, before)
        check(walk(lab, one.process.pid), truth)


if __name__ == '__main__':
    run_all()
