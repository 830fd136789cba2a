"""Looking at a process by tests/tools/look_target, and what the process shows of itself."""
import collections
import json
import pathlib
import struct

from lab import BUILD, Wrong, holds, same, victim

LOOK = BUILD / 'tests' / 'tools' / 'look_target'
PAGE = 4096
METHODS = {'clone': 'frozen clone', 'stop': 'stopped'}
Thread = collections.namedtuple('Thread', 'tid known pc sp tp words name')


class Look:
    """look_target and what it said when it had opened the process."""

    def __init__(self, lab, method, pid, prefix=(), look=LOOK):
        self.tool = lab.background(*prefix, look, method, pid)
        self.read_opening()

    def read_opening(self):
        self.facts, self.threads = {}, []
        while True:
            line = self.tool.line()
            if line == 'ready':
                return
            key, _, value = line.partition(' ')
            if key == 'thread':
                tid, known, pc, sp, tp, words, name = value.split(' ', 6)
                self.threads.append(Thread(int(tid), known == '1', int(pc, 16), int(sp, 16),
                                           int(tp, 16), bytes.fromhex(words), name))
            else:
                self.facts[key] = value

    def must_be(self, method):
        same(f'kind, of {self.facts}', self.facts.get('kind'), METHODS[method])
        same('consistent', self.facts['consistent'], '1')
        return self

    def ask(self, question):
        self.tool.say(question)
        return self.tool.line()

    def read(self, addr, length):
        return bytes.fromhex(self.ask(f'read {addr:x} {length}'))

    def words(self, addr, nr):
        data = self.read(addr, nr * 8)
        same('bytes read', len(data), nr * 8)
        return struct.unpack(f'{nr}Q', data)

    def again(self):
        self.tool.say('again')
        self.read_opening()

    def close(self):
        self.tool.wait().must()


def state(pid):
    return status(pid, 'State').split()[0]


def status(pid, key):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(key + ':'):
            return line.split(':', 1)[1].strip()
    raise Wrong(f'no {key} of {pid}')


def children(pid):
    found = []
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        try:
            found += [int(p) for p in (task / 'children').read_text().split()]
        except OSError:
            pass
    return found


def mutate(lab, *arguments):
    process = lab.background(victim('look-mutate'), *arguments)
    return process, process.truth()


def word_now(pid, addr):
    """A word of the running process."""
    with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
        memory.seek(addr)
        return struct.unpack('Q', memory.read(8))[0]


def goes_on(process, addr):
    before = word_now(process.process.pid, addr)
    process.until('it goes on', lambda: word_now(process.process.pid, addr) != before)


def ends_whole(process):
    """It checked its registers all along."""
    process.process.terminate()
    result = process.wait().must()
    holds('rounds were made', json.loads(result.out.splitlines()[-1])['rounds'] > 0)


def check_instant(look, truth):
    first, second = look.words(truth['pair'], 2)
    holds('a pair of one instant', first in (second, second + 1), (first, second))
    page_words = []
    for at in range(truth['nr_pages']):
        page_words.append(look.words(truth['pages'] + at * PAGE, 1)[0])
    holds('pages of one instant', page_words == sorted(page_words, reverse=True) and
          page_words[0] - page_words[-1] <= 1, (page_words[0], page_words[-1]))
    holds('pages and pair of one instant', second - page_words[0] in (0, 1), (second, page_words[0]))
    seen, at = set(), truth['ring']
    while at not in seen:
        seen.add(at)
        at, number, inverse = look.words(at, 3)
        same('a node', number ^ inverse, 2**64 - 1)
    holds('the ring is whole', len(seen) in (truth['nr_nodes'], truth['nr_nodes'] - 1), len(seen))
    for name in ('dontfork', 'wipeonfork'):
        words = look.words(truth[name], PAGE // 8)
        holds(f'{name} of one instant', list(words) == sorted(words, reverse=True) and
              words[0] - words[-1] <= 1, words[:3])
        holds(f'{name} and pair of one instant', second - words[0] in (0, 1), (second, words[0]))
