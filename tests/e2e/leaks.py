#!/usr/bin/env python3
"""seep leaks: every block of a victim that knows its own leaks gets its right name."""
import glob
import json
import re
import xml.etree.ElementTree

from lab import Skip, case, holds, need, refuses, run_all, same, victim


class Leaker:
    """The victim, standing still, and what it says of its blocks."""

    def __init__(self, running):
        self.running, self.notes, self.tree, self.pid = running, [], 0, None
        while (line := running.line()) != 'ready':
            word = line.split()
            if word[0] == 'tree':
                self.tree = int(word[1])
            elif word[0] == 'pid':
                self.pid = int(word[1])
            else:
                self.notes.append((word[0], int(word[1], 16), int(word[2]), word[3]))

    def addresses(self, what):
        return {address for _, address, _, state in self.notes if state == what}


def leaks(lab, target, *options):
    result = lab.seep('leaks', '--format', 'json', '--limit', '0', *options, target).must()
    return json.loads(result.out)


def check_names(truth, answer):
    rows = {int(row['address'], 16): row for row in answer['rows']}
    leaked = {a for a, row in rows.items() if row['state'] == 'leaked'}
    possible = {a for a, row in rows.items() if row['state'] == 'possibly leaked'}
    true_leaked = truth.addresses('leaked')
    same('possibly leaked', sorted(possible), sorted(truth.addresses('possible')))
    holds('no head that has not leaked', leaked <= true_leaked, leaked - true_leaked)
    # The tree was noted by its head only.
    same('blocks leaked', answer['totals']['leaked_blocks'], len(true_leaked) + truth.tree - 1)
    same('blocks possibly leaked', answer['totals']['possible_blocks'], len(possible))
    by_name = {}
    for name, address, size, _ in truth.notes:
        by_name.setdefault(name, []).append(rows.get(address))
    for name in ('direct', 'itself', 'realloc', 'in-freed', 'tls-ended', 'masked'):
        holds(f'{name} is a leak of its own', by_name[name][0] is not None)
    same('what hangs on the head', by_name['indirect-head'][0]['held_blocks'], 1)
    same('the block that hangs is no head', by_name['indirect'], [None])
    same('what hangs on the tree', by_name['tree-head'][0]['held_blocks'], truth.tree - 1)
    same('what hangs on realloc', by_name['realloc'][0]['held_blocks'], 1)
    same('itself', by_name['itself'][0]['is_cycle'], True)
    cycle = [row for row in by_name['cycle'] if row]
    same('the cycle is one leak', [row['members'] for row in cycle], [2])
    ring = [row for row in by_name['ring'] if row]
    same('the ring is one leak', [row['members'] for row in ring], [1000])


@case('every class of block by its right name, from a frozen clone')
def from_a_clone(lab):
    truth = Leaker(lab.background(victim('leaker')))
    check_names(truth, leaks(lab, truth.pid, '--list', '--possible'))


@case('the same while it stands still')
def while_stopped(lab):
    truth = Leaker(lab.background(victim('leaker')))
    check_names(truth, leaks(lab, truth.pid, '--list', '--possible', '--method', 'stop'))


@case('the same from a core, but for what only the kernel holds')
def from_a_core(lab):
    truth = Leaker(lab.background(victim('leaker')))
    core = lab.path('core')
    lab.seep('core', truth.pid, '-o', core).must()
    # What epoll and the timer hold is in the kernel, and in no core.
    truth.notes = [(name, address, size, 'leaked' if name in ('epoll', 'timer') else state)
                   for name, address, size, state in truth.notes]
    check_names(truth, leaks(lab, core, '--list', '--possible'))


@case('a tree of a million blocks that was lost')
def big_tree(lab):
    truth = Leaker(lab.background(victim('leaker'), '1048575'))
    same('its size', truth.tree, 1048575)
    check_names(truth, leaks(lab, truth.pid, '--list', '--possible'))


# What the victim keeps in memory that is neither heap nor stack nor a module's data.
OTHER = {'mmapped-table', 'sealed', 'closed', 'reserve'}


@case('--no-other-roots: what only memory of unknown use holds counts as leaked')
def no_other_roots(lab):
    truth = Leaker(lab.background(victim('leaker')))
    truth.notes = [(name, address, size, 'leaked' if name in OTHER else state)
                   for name, address, size, state in truth.notes]
    answer = leaks(lab, truth.pid, '--list', '--possible', '--no-other-roots')
    check_names(truth, answer)
    holds('said so', any(re.search(r'memory whose use is not known \(\d+ pieces\)', note)
                         for note in answer['notes']), answer['notes'])
    at = {name: address for name, address, _, _ in truth.notes}
    for name in OTHER | {'shared', 'global'}:
        answer = json.loads(lab.seep('refs', '--format', 'json', '--no-other-roots', truth.pid,
                                     hex(at[name])).must().out)
        same(f'state of {name}', answer['totals']['state'],
             'leaked' if name in OTHER else 'reachable')


@case('thirty looks change nothing, and see the same')
def many_looks(lab):
    running = lab.background(victim('leaker'))
    truth = Leaker(running)
    first = leaks(lab, truth.pid, '--list', '--possible')
    for _ in range(30):
        again = leaks(lab, truth.pid, '--list', '--possible')
        same('rows', again['rows'], first['rows'])
    running.wait().must()


@case('under the recorder every leak has its line of code and its age')
def with_sites(lab):
    truth = Leaker(lab.start(victim('leaker')))
    answer = leaks(lab, truth.pid, '--list', '--possible')
    check_names(truth, answer)
    for row in answer['rows']:
        holds('a site', row['site'], row)
        holds('an age', row['age_ms'] is not None, row)
    sites = {row['site'].split(' ')[0] for row in answer['rows']}
    same('who made them', sites, {'make', 'lose_tree', 'lose_by_realloc'})
    grouped = leaks(lab, truth.pid)
    holds('grouped by site', any(row['what'].startswith('make (leaker.c:')
                                 for row in grouped['rows']), grouped['rows'])


def library(name):
    """Path of an allocator that can be preloaded, or Skip."""
    found = glob.glob(f'/usr/lib/*/{name}') + glob.glob(f'/usr/lib/{name}')
    if not found:
        raise Skip(f'{name} is not installed')
    return found[0]


@case('a register that holds a block of jemalloc does not hold the next one')
def neighbours(lab):
    preload = library('libjemalloc.so.2')
    truth = Leaker(lab.background(victim('leaker'), env={'LD_PRELOAD': preload}))
    at = {name: address for name, address, _, _ in truth.notes}
    lost = {int(row['address'], 16) for row in leaks(lab, truth.pid, '--list')['rows']}
    holds('the one that it holds', at['register'] not in lost)
    holds('the next one is lost', at['register-next'] in lost)


def check_recorded(lab, preload, own=()):
    """own: functions of the allocator that lose blocks themselves."""
    truth = Leaker(lab.start(victim('leaker'), env={'LD_PRELOAD': preload}))
    answer = leaks(lab, truth.pid, '--list', '--possible')
    mine = [row for row in answer['rows'] if row['site'].startswith(tuple(own))] if own else []
    answer['rows'] = [row for row in answer['rows'] if row not in mine]
    answer['totals']['leaked_blocks'] -= len(mine)
    check_names(truth, answer)
    for row in answer['rows']:
        holds('a site', row['site'], row)
    refuses(lab.seep('leaks', '--method', 'clone', truth.pid), 3, 'recorder only', 'method stop')
    at = {name: address for name, address, _, _ in truth.notes}
    same('the way to a block', [step['address'] for step in
                                refs(lab, truth.pid, at['chain-held'])['path']][1:],
         [hex(at['chain']), hex(at['chain-held'])])
    blind = Leaker(lab.background(victim('leaker'), env={'LD_PRELOAD': preload}))
    for command in (('leaks', blind.pid), ('refs', '--tree', blind.pid)):
        refuses(lab.seep(*command), 3, r'blocks of .* are not known: .*\(not walked\)', 'seep run')


@case('tcmalloc, which cannot be walked: the blocks that the recorder saw')
def under_tcmalloc(lab):
    check_recorded(lab, library('libtcmalloc_minimal.so.4'), own=['MallocExtension'])


@case('the same under mimalloc')
def under_mimalloc(lab):
    check_recorded(lab, library('libmimalloc.so.2'))


@case('--exit-code, and a program that has lost nothing')
def exit_status(lab):
    truth = Leaker(lab.background(victim('leaker')))
    same('status', lab.seep('leaks', '--exit-code', truth.pid).status, 1)
    same('status', lab.seep('leaks', truth.pid).status, 0)
    quiet = lab.background(need('cat'))
    quiet.say('it runs')
    same('cat', quiet.line(), 'it runs')
    answer = lab.seep('leaks', '--exit-code', '--format', 'json', quiet.process.pid).must()
    same('leaked blocks', json.loads(answer.out)['totals']['leaked_blocks'], 0)


@case('a program that has not allocated yet: nothing leaked; one with a malloc of its own: refused')
def not_allocated(lab):
    quiet = lab.background(victim('noalloc'), '--wait')
    same('it is ready', json.loads(quiet.line())['at'], 'end')
    answer = lab.seep('leaks', '--exit-code', '--format', 'json', quiet.process.pid).must()
    same('leaked blocks', json.loads(answer.out)['totals']['leaked_blocks'], 0)
    heaps = json.loads(lab.seep('heaps', '--format', 'json', quiet.process.pid).must().out)
    same('heaps', (heaps['rows'], heaps['totals']['allocator']), ([], 'glibc'))
    holds('said so', any('nothing has been allocated' in n for n in heaps['notes']), heaps['notes'])
    same('blocks in a snapshot', lab.seep('blocks', '--format', 'json',
                                          lab.snap(quiet.process.pid, 'quiet.seep')).status, 0)
    own = lab.background(victim('ownmalloc'), '--wait')
    holds('it is ready', own.line())
    refuses(lab.seep('leaks', own.process.pid), 3, 'its allocator is not known', 'seep run')


def refs(lab, pid, address):
    answer = lab.seep('refs', '--format', 'json', '--limit', '0', pid, hex(address)).must()
    return json.loads(answer.out)


HOLDERS = {
    'global': r'^global data kept_global$',
    'chain': r'^global data kept_chain$',
    'mmapped-table': r'^other memory$',
    'shared': r'^shared memory ',
    'sealed': r'^other memory$',
    'reserve': r'^other memory$',
    'epoll': r'^epoll \d+, descriptor \d+$',
    'timer': r'^timer \d+$',
    'tls': r'^thread-local storage of thread \d+ ',
    'pthread-key': r"^thread's own data of thread \d+ ",
    'stack': r'^stack of thread \d+ ',
    'register': r'^register of thread \d+ ',
    'interior': r'^global data kept_middle$',
    'tagged': r'^global data kept_tagged$',
    'counted': r'^global data kept_counted$',
    'atexit': r'^global data ',
    'coroutine': r'^global data kept_way_in\+0x30$',
}


@case('a baseline: what is known is no news, one more of it is')
def baseline(lab):
    known = lab.path('known.txt')
    truth = Leaker(lab.background(victim('leaker')))
    lab.seep('leaks', '--write-baseline', known, truth.pid).must()
    answer = lab.seep('leaks', '--baseline', known, '--exit-code', '--format', 'json', truth.pid)
    same('rows', json.loads(answer.must().out)['rows'], [])
    holds('its totals stay', json.loads(answer.out)['totals']['leaked_blocks'] > 5000)
    # Another run has other addresses and the same kinds.
    other = Leaker(lab.background(victim('leaker')))
    lab.seep('leaks', '--baseline', known, '--exit-code', other.pid).must()
    lines = open(known, encoding='utf-8').read().splitlines()
    fewer = [line for line in lines if ' cycle of 1,000 blocks' not in line]
    same('one line is gone', len(fewer), len(lines) - 1)
    with open(known, 'w', encoding='utf-8') as file:
        file.write('\n'.join(fewer))
    answer = lab.seep('leaks', '--baseline', known, '--exit-code', '--list', '--format', 'json',
                      truth.pid).must(1)
    same('what is new', [row['members'] for row in json.loads(answer.out)['rows']], [1000])
    with open(known, 'w', encoding='utf-8') as file:
        file.write('no baseline\n')
    refuses(lab.seep('leaks', '--baseline', known, truth.pid), 4, 'line 1', 'write-baseline')


SUPPRESSIONS = '''
# both kinds may stand in one file
leak:lose_ring
{
   the tree, by Valgrind's rules
   Memcheck:Leak
   match-leak-kinds: definite
   fun:calloc
   fun:lose_t*
}
{
   about something else
   Memcheck:Cond
   fun:lose_chain
}
'''


@case('suppressions in both syntaxes')
def suppressions(lab):
    path = lab.path('rules')
    truth = Leaker(lab.start(victim('leaker')))
    with open(path, 'w', encoding='utf-8') as file:
        file.write(SUPPRESSIONS)
    before = leaks(lab, truth.pid, '--list')
    after = leaks(lab, truth.pid, '--list', '--suppressions', path)
    gone = {row['address'] for row in before['rows']} - {row['address'] for row in after['rows']}
    want = {hex(a) for name, a, _, _ in truth.notes if name == 'tree-head'}
    want |= {row['address'] for row in before['rows'] if row['members'] == 1000}
    same('suppressed', gone, want)
    same('their number', after['totals']['suppressed_leaks'], 2)
    same('totals stay', after['totals']['leaked_blocks'], before['totals']['leaked_blocks'])
    with open(path, 'w', encoding='utf-8') as file:
        file.write('{\n  open\n  Memcheck:Leak\n  fun:x\n')
    refuses(lab.seep('leaks', '--suppressions', path, truth.pid), 4, 'suppressions', 'braces')


@case('--since: only what was lost later')
def since(lab):
    running = lab.background(victim('leaker'))
    truth = Leaker(running)
    snapshot = lab.path('one.seep')
    lab.seep('snap', truth.pid, '-o', snapshot).must()
    same('nothing new', leaks(lab, truth.pid, '--since', snapshot)['rows'], [])
    other = Leaker(lab.background(victim('leaker')))
    refused_one = lab.seep('leaks', '--since', snapshot, other.pid)
    same('another process', refused_one.status, 2)


@case('--repeat: what three looks agree on')
def repeat(lab):
    truth = Leaker(lab.background(victim('leaker')))
    check_names(truth, leaks(lab, truth.pid, '--list', '--possible'))
    once = leaks(lab, truth.pid, '--list')
    again = leaks(lab, truth.pid, '--list', '--repeat', '3', '--interval', '10ms')
    same('rows', again['rows'], once['rows'])
    same('totals', *({**a['totals'], 'pause_ns': 0} for a in (again, once)))


@case('SARIF, JUnit and the tree say the same')
def formats(lab):
    truth = Leaker(lab.start(victim('leaker')))
    rows = leaks(lab, truth.pid)['rows']
    sarif = json.loads(lab.seep('leaks', '--format', 'sarif', truth.pid).must().out)
    results = sarif['runs'][0]['results']
    same('results', len(results), len(rows))
    for result in results:
        place = result['locations'][0]['physicalLocation']
        holds('its file', place['artifactLocation']['uri'].endswith('leaker.c'), place)
        holds('its line', place['region']['startLine'] > 1, place)
    junit = xml.etree.ElementTree.fromstring(
        lab.seep('leaks', '--format', 'junit', truth.pid).must().out)
    same('failures', (junit.get('failures'), len(junit.findall('testcase/failure'))),
         (str(len(rows)), len(rows)))
    tree = leaks(lab, truth.pid, '--tree')['tree']
    heads = [row['address'] for row in tree if row['depth'] == 0]
    holds('the tree is the largest', hex(next(a for name, a, _, _ in truth.notes
                                              if name == 'tree-head')) == heads[0], heads)
    holds('its children', [row['depth'] for row in tree[:3]] == [0, 1, 2], tree[:3])


@case('refs: who holds each block, by name')
def holders(lab):
    truth = Leaker(lab.background(victim('leaker')))
    for name, address, _, state in truth.notes:
        if name not in HOLDERS:
            continue
        answer = refs(lab, truth.pid, address)
        same(f'state of {name}', answer['totals']['state'],
             {'held': 'reachable', 'possible': 'possibly leaked'}[state])
        holds(f'{name} is held by a root', re.search(HOLDERS[name], answer['path'][0]['what']),
              answer)
        same(f'the way to {name}', [step['address'] for step in answer['path'][1:]],
             [hex(address)])
        holds('the root is among those that point to it',
              answer['path'][0]['what'] in [row['what'] for row in answer['rows']], answer)


@case('refs: a way of two steps, and blocks that nothing or only leaks point to')
def ways(lab):
    truth = Leaker(lab.background(victim('leaker')))
    at = {name: address for name, address, _, _ in truth.notes}
    answer = refs(lab, truth.pid, at['chain-held'] + 100)
    same('the way', [step['address'] for step in answer['path']][1:],
         [hex(at['chain']), hex(at['chain-held'])])
    same('who points to it', [(row['address'], row['offset']) for row in answer['rows']],
         [(hex(at['chain']), 0)])
    answer = refs(lab, truth.pid, at['direct'])
    same('nobody', (answer['rows'], answer['path']), ([], []))
    answer = refs(lab, truth.pid, at['indirect'])
    same('the head', [row['offset'] for row in answer['rows']], [8])
    same('no way', answer['path'], [])
    refuses(lab.seep('refs', truth.pid, '0x10'), 3, 'no busy block', 'blocks --at')
    refuses(lab.seep('refs', truth.pid, 'here'), 2, 'not an address')


@case('what blocks are that nobody knows, by how they point to each other')
def patterns(lab):
    truth = Leaker(lab.background(victim('leaker')))
    at = {name: hex(address) for name, address, _, _ in truth.notes}
    rows = leaks(lab, truth.pid)['rows']
    said = {row['example']: row['what'] for row in rows}
    same('the tree', said[at['tree-head']], 'block of 40 bytes, tree node, branches at +0 and +8')
    ring = [row['what'] for row in rows if row['cycles'] == 1 and row['blocks'] == 1000]
    same('the ring', ring, ['cycle of 1,000 blocks, list node, next at +0'])
    holds('one block proves nothing', said[at['direct']].endswith('bytes'), said[at['direct']])
    recorded = Leaker(lab.start(victim('leaker')))
    holds('who has a site needs no guess', not any(
        'node' in row['what'] for row in leaks(lab, recorded.pid)['rows']))


@case('what cannot be looked at')
def refused(lab):
    refuses(lab.seep('leaks', '1234567890'), 3, 'no such process|not a process')
    snapshot = lab.path('one.seep')
    running = lab.background(need('cat'))
    running.say('it runs')
    running.line()
    lab.seep('snap', running.process.pid, '-o', snapshot).must()
    refuses(lab.seep('leaks', snapshot), 4, 'no contents of memory', 'core')
    refuses(lab.seep('leaks'), 2, 'process')


@case('threads in the middle of malloc and free: no look finds a leak')
def in_the_middle(lab):
    process = lab.background(victim('attached'), '8', 'churn')
    pid = process.truth()['pid']
    found = []
    for _ in range(30):
        answer = json.loads(lab.seep('leaks', '--list', '--format', 'json', pid).must().out)
        # Of what is not read at one instant, nothing is leaked for certain.
        found += [row for row in answer['rows'] if row['state'] == 'leaked']
    same('leaked', found, [])
    process.say('end')
    same('moment', process.truth()['at'], 'end')
    process.wait().must()


if __name__ == '__main__':
    run_all()
