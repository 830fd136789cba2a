#!/usr/bin/env python3
"""seep refs --tree: who keeps how much, against a victim that knows."""
import json
import re

from lab import case, holds, need, refuses, run_all, same, victim


class Keeper:
    """The victim, standing still: what each of its places keeps, (blocks, bytes)."""

    def __init__(self, lab):
        running = lab.background(victim('keeper'))
        self.pid, self.kept = None, {}
        while (line := running.line()) != 'ready':
            name, *numbers = line.split()
            if name == 'pid':
                self.pid = int(numbers[0])
            else:
                self.kept[name] = tuple(int(n) for n in numbers)


def tree(lab, target, *more):
    answer = lab.seep('refs', '--tree', '--format', 'json', '--limit', '0', target, *more)
    return json.loads(answer.must().out)


def kept(row):
    return row['retained_blocks'], row['retained_bytes']


def only(rows, pattern):
    found = [row for row in rows if re.search(pattern, row['what'])]
    same(f'rows like {pattern!r}', len(found), 1)
    return found[0]


def check(truth, answer):
    rows = answer['rows']
    same('the largest first', [r['retained_bytes'] for r in rows],
         sorted((r['retained_bytes'] for r in rows), reverse=True))
    same('the map', rows[0]['what'], 'global data kept_map')
    holds('its share', rows[0]['share_percent'] > 70, rows[0])
    same('the map keeps', kept(rows[0]), truth.kept['map'])
    same('the stack keeps', kept(only(rows, r'^stack of thread \d+')), truth.kept['stack'])
    same('the storage keeps', kept(only(rows, r'^thread-local storage of thread ')),
         truth.kept['tls'])
    # What two keep is neither's.
    same('a variable keeps', kept(only(rows, r'^global data kept_right$')), truth.kept['static'])
    shared = only(rows, r', held by global data kept_left, and from blocks$')
    same('what is shared', kept(shared), truth.kept['shared'])
    holds('it keeps nothing alone', not any(r['what'] == 'global data kept_left' and
                                            r['retained_bytes'] for r in rows), rows)
    same('blocks', sum(r['retained_blocks'] for r in rows), answer['totals']['retained_blocks'])
    same('bytes', sum(r['retained_bytes'] for r in rows), answer['totals']['retained_bytes'])


def check_tree(truth, answer):
    part = answer['tree']
    same('heads', [r['what'] for r in part if r['depth'] == 0][0], 'global data kept_map')
    table = part[1]
    same('below it the table', (table['depth'], kept(table)), (1, truth.kept['map']))
    others = part[2]
    same('no list is five percent: all in one row',
         (others['depth'], others['others'], others['what']), (2, 1024, '1,024 more'))
    same('and it is the rest', others['retained_bytes'],
         truth.kept['map'][1] - table['size'])
    # Of the list each one keeps its text and all that follow.
    at = [i for i, r in enumerate(part) if r['what'].startswith('stack of thread')][0]
    sizes = [r['retained_bytes'] for r in part[at:at + 4]]
    same('the stack and its first block', sizes[0], sizes[1])
    one = sizes[1] - sizes[2]
    same('each keeps one less', (sizes[2] - sizes[3], one), (one, truth.kept['stack'][1] // 1000))
    levels = [r['depth'] for r in part]
    holds('levels go down one at a time', all(b <= a + 1 for a, b in zip(levels, levels[1:])))


@case('who keeps how much, from a frozen clone')
def from_a_clone(lab):
    truth = Keeper(lab)
    answer = tree(lab, truth.pid)
    check(truth, answer)
    check_tree(truth, answer)


@case('the same from a core')
def from_a_core(lab):
    truth = Keeper(lab)
    core = lab.path('core')
    lab.seep('core', truth.pid, '-o', core).must()
    check(truth, tree(lab, core))


@case('what one block keeps')
def of_a_block(lab):
    truth = Keeper(lab)
    table = tree(lab, truth.pid)['tree'][1]
    answer = tree(lab, truth.pid, table['address'])
    same('it keeps', (answer['totals']['retained_blocks'], answer['totals']['retained_bytes']),
         truth.kept['map'])
    same('the head', (answer['tree'][0]['address'], answer['tree'][0]['depth']),
         (table['address'], 0))
    same('and who holds it', answer['path'][0]['what'], 'global data kept_map')


@case('text: limits, totals and what is asked wrongly')
def text(lab):
    truth = Keeper(lab)
    said = lab.seep('refs', '--tree', '--limit', '2', truth.pid).must().out
    holds('the map is first', re.search(r'KEEPS +SHARE +BLOCKS.*\n +[\d.]+ MiB.*kept_map', said),
          said)
    holds('others are counted', re.search(r'\d+ more', said), said)
    refuses(lab.seep('refs', truth.pid), 2, 'address is missing', 'help')
    quiet = lab.background(need('cat'))
    quiet.say('it runs')
    quiet.line()
    lab.seep('refs', '--tree', quiet.process.pid).must()


if __name__ == '__main__':
    run_all()
