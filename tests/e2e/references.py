#!/usr/bin/env python3
"""seep snap --references: leaks and refs answer from the file as they do from the memory."""
import json
import re

from keepers import Keeper, check as check_keepers, check_tree, tree
from leaks import HOLDERS, Leaker, check_names, leaks, library, refs
from lab import case, holds, refuses, run_all, same, victim


def snap(lab, target, *options):
    path = lab.path('refs.seep')
    lab.seep('snap', '--references', '-q', '-o', path, *options, target).must()
    return path


def without(rows, *names):
    """Rows without what passes with time."""
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def totals(answer):
    return {k: v for k, v in answer['totals'].items() if k not in ('pause_ns', 'process')}


AGES = ('age', 'age_ms')


def end(running):
    """What is asked afterwards cannot be asked of the process."""
    running.process.kill()
    running.process.wait()


@case('every class of block by its right name, after the process is gone')
def names(lab):
    running = lab.background(victim('leaker'))
    truth = Leaker(running)
    live = leaks(lab, truth.pid, '--list', '--possible')
    groups = leaks(lab, truth.pid)
    trees = leaks(lab, truth.pid, '--tree')
    path = snap(lab, truth.pid)
    end(running)
    answer = leaks(lab, path, '--list', '--possible')
    check_names(truth, answer)
    same('rows', answer['rows'], live['rows'])
    same('totals', totals(answer), totals(live))
    same('groups, and what their blocks look like', leaks(lab, path)['rows'], groups['rows'])
    same('the tree', leaks(lab, path, '--tree')['tree'], trees['tree'])
    holds('it says where that is from', answer['notes'][-1] ==
          'Read from a snapshot, taken from a frozen clone.', answer['notes'])


@case('who holds each block, by name, after the process is gone')
def holders(lab):
    running = lab.background(victim('leaker'))
    truth = Leaker(running)
    live = {name: refs(lab, truth.pid, address) for name, address, _, _ in truth.notes
            if name != 'ring'}
    path = snap(lab, truth.pid)
    end(running)
    for name, address, _, _ in truth.notes:
        if name == 'ring':
            continue
        answer = refs(lab, path, address)
        if live[name]['totals']['address'] == answer['totals']['address'] == hex(address):
            for part in ('rows', 'path'):
                if name != 'cycle':  # two of that name
                    same(f'{part} of {name}', answer[part], live[name][part])
        if name in HOLDERS:
            holds(f'{name} is held by a root', re.search(HOLDERS[name], answer['path'][0]['what']),
                  answer)
    refuses(lab.seep('refs', path, '0x10'), 3, 'no busy block', 'blocks --at')
    same('the middle of a block', refs(lab, path, truth.notes[0][1] + 50)['totals']['address'],
         hex(truth.notes[0][1]))


@case('a core and the snapshot made of it: one instant, one answer')
def of_a_core(lab):
    truth = Leaker(lab.background(victim('leaker')))
    core = lab.path('core')
    lab.seep('core', truth.pid, '-o', core).must()
    path = snap(lab, core)
    for options in ((), ('--list', '--possible'), ('--list', '--indirect'), ('--tree',),
                    ('--group-by', 'size', '--possible'), ('--group-by', 'class')):
        a, b = leaks(lab, core, *options), leaks(lab, path, *options)
        a['notes'], b['notes'] = a['notes'][:-1], b['notes'][:-1]
        same(f'with {options}', b, a)
    whole = [json.loads(lab.seep('refs', '--tree', '--format', 'json', '--limit', '0',
                                 target).must().out) for target in (core, path)]
    for part in ('rows', 'tree', 'totals'):
        same(f'who keeps most: {part}', whole[1][part], whole[0][part])


@case('who keeps how much')
def keepers(lab):
    truth = Keeper(lab)
    path = snap(lab, truth.pid)
    answer = tree(lab, path)
    check_keepers(truth, answer)
    check_tree(truth, answer)
    table = answer['tree'][1]
    one = tree(lab, path, table['address'])
    same('it keeps', (one['totals']['retained_blocks'], one['totals']['retained_bytes']),
         truth.kept['map'])


@case('under the recorder: sites and ages')
def with_sites(lab):
    truth = Leaker(lab.start(victim('leaker')))
    live = leaks(lab, truth.pid, '--list', '--possible')
    path = snap(lab, truth.pid)
    answer = leaks(lab, path, '--list', '--possible')
    check_names(truth, answer)
    same('rows', without(answer['rows'], *AGES), without(live['rows'], *AGES))
    for row in answer['rows']:
        holds('a site', row['site'], row)
        holds('an age', row['age_ms'] is not None, row)
    rules = lab.path('rules')
    with open(rules, 'w', encoding='utf-8') as file:
        file.write('leak:lose_ring\n')
    fewer = leaks(lab, path, '--list', '--suppressions', rules)
    same('one is suppressed', fewer['totals']['suppressed_leaks'], 1)


@case('classes of objects')
def classes(lab):
    running = lab.background(victim('classes'))
    pid = json.loads(running.line())['pid']
    core = lab.path('core')
    lab.seep('core', pid, '-o', core).must()
    path = snap(lab, core)
    groups = [leaks(lab, target, '--group-by', 'class')['rows'] for target in (core, path)]
    holds('there are some', any('shop::Order' in row['what'] for row in groups[0]), groups[0])
    same('leaks by their class', groups[1], groups[0])
    lists = [leaks(lab, target, '--list')['rows'] for target in (core, path)]
    holds('arrays, too', any(row['class'] == 'shop::Order[]' for row in lists[0]), lists[0])
    same('each one', lists[1], lists[0])


@case('an allocator that cannot be walked: held still for it; without the recorder refused')
def unwalked(lab):
    preload = {'LD_PRELOAD': library('libtcmalloc_minimal.so.4')}
    truth = Leaker(lab.start(victim('leaker'), env=preload))
    live = leaks(lab, truth.pid, '--list', '--possible')
    path = snap(lab, truth.pid)
    answer = leaks(lab, path, '--list', '--possible')
    same('rows', without(answer['rows'], *AGES), without(live['rows'], *AGES))
    same('totals', {**totals(answer), 'method': ''}, {**totals(live), 'method': ''})
    refuses(lab.seep('snap', '--references', '--method', 'clone', '-o', path, truth.pid), 3,
            'recorder only', 'method stop')
    blind = Leaker(lab.background(victim('leaker'), env=preload))
    refuses(lab.seep('snap', '--references', '-o', path, blind.pid), 3,
            'blocks of .* are not known', 'seep run')


@case('--since a snapshot, of a snapshot')
def since(lab):
    truth = Leaker(lab.background(victim('leaker')))
    path = snap(lab, truth.pid)
    same('nothing new', leaks(lab, path, '--since', path)['rows'], [])
    once = leaks(lab, path, '--list')
    again = leaks(lab, path, '--list', '--repeat', '9', '--interval', '1h')
    same('a snapshot is looked at once', again['rows'], once['rows'])


@case('what a snapshot cannot answer is refused, with the way out')
def refused(lab):
    truth = Leaker(lab.background(victim('leaker')))
    plain, path = lab.path('plain.seep'), snap(lab, truth.pid)
    lab.seep('snap', '-q', '-o', plain, truth.pid).must()
    for command in (('leaks', plain), ('refs', plain, '0x10'), ('refs', '--tree', plain)):
        refuses(lab.seep(*command), 4, 'taken without references', 'seep snap --references')
    refuses(lab.seep('leaks', '--list', '--content', path), 4, 'no contents of memory', 'core')
    for option in ('--no-blocks', '--no-heaps'):
        refuses(lab.seep('snap', '--references', option, truth.pid), 2, 'not with')
    size = len(open(path, 'rb').read())
    told = set()
    for share in range(1, 20):
        with open(path, 'rb') as whole, open(lab.path('cut.seep'), 'wb') as cut:
            cut.write(whole.read(size * share // 20))
        result = lab.seep('leaks', lab.path('cut.seep'))
        if result.status == 0:  # only the index at its end is lost
            holds('it is said', 'The snapshot is damaged' in result.out, result)
            continue
        same('status', result.status, 4)
        told.add('references in snapshot' in result.err)
    same('what is cut has no references, and says so', True in told, True)


@case('damage that leaves references is told, and the answer stands')
def damaged(lab):
    truth = Leaker(lab.background(victim('leaker')))
    path = snap(lab, truth.pid)
    whole = bytearray(open(path, 'rb').read())
    at = whole.index(b'\xd5CHKREGN') + 40
    whole[at] ^= 0x20
    with open(path, 'wb') as file:
        file.write(whole)
    answer = leaks(lab, path, '--list', '--possible')
    check_names(truth, answer)
    holds('it is said', any(n.startswith('The snapshot is damaged: ') and 'regions' in n
                            for n in answer['notes']), answer['notes'])
    at = whole.index(b'\xd5CHKRFED') + 40
    whole[at] ^= 0x20
    with open(path, 'wb') as file:
        file.write(whole)
    refuses(lab.seep('leaks', path), 4, 'references in snapshot .* are not whole')


@case('what was read while the process went on has possibly leaked, at most')
def weakened(lab):
    truth = Leaker(lab.background(victim('leaker')))
    # Registers are not read, nor with what the C library mangles, which is where one points to.
    truth.notes = [(name, address, size,
                    'leaked' if name in ('register-header', 'coroutine') else state)
                   for name, address, size, state in truth.notes]
    sure = leaks(lab, truth.pid)['totals']
    answer = leaks(lab, truth.pid, '--list', '--method', 'live')
    same('nothing is certain', (answer['totals']['leaked_blocks'], answer['totals']['leaks']),
         (0, 0))
    holds('possibly leaked', answer['totals']['possible_blocks'] >= sure['leaked_blocks'], answer)
    same('rows', {row['state'] for row in answer['rows']}, {'possibly leaked'})
    holds('it is said why', any('process went on' in n and '--repeat 2' in n
                                for n in answer['notes']), answer['notes'])
    same('no status 1 for it',
         lab.seep('leaks', '--exit-code', '--method', 'live', truth.pid).status, 0)
    twice = leaks(lab, truth.pid, '--list', '--method', 'live', '--repeat', '2', '--interval',
                  '10ms')
    holds('what two looks find lost has leaked', truth.addresses('leaked') >=
          {int(r['address'], 16) for r in twice['rows'] if r['state'] == 'leaked'} != set())
    at = {name: address for name, address, _, _ in truth.notes}
    said = lab.seep('refs', '--method', 'live', truth.pid, hex(at['direct'])).must().out
    holds('refs, too', 'possibly leaked' in said and 'on its way' in said, said)
    path = snap(lab, truth.pid, '--method', 'live')
    kept = leaks(lab, path, '--list')
    same('and a snapshot of that', kept['totals']['leaked_blocks'], 0)
    holds('its method', 'not one instant' in kept['notes'][-1], kept['notes'])


@case('seep blocks --at says how to go on')
def how_to_go_on(lab):
    truth = Leaker(lab.background(victim('leaker')))
    at = {name: address for name, address, _, _ in truth.notes}
    path, plain = snap(lab, truth.pid), lab.path('plain.seep')
    lab.seep('snap', '-q', '-o', plain, truth.pid).must()
    for target in (truth.pid, path):
        said = json.loads(lab.seep('blocks', '--at', hex(at['global'] + 20), '--format', 'json',
                                   target).must().out)['notes']
        command = re.search(r'seep (refs \S+ 0x[0-9a-f]+)', '\n'.join(said))
        holds('a command', command, said)
        found = lab.seep(*command.group(1).split()).must().out
        holds('it answers', 'global data kept_global' in found, found)
    holds('not where that would be refused', 'seep refs' not in
          lab.seep('blocks', '--at', hex(at['global']), plain).must().out)


if __name__ == '__main__':
    run_all()
