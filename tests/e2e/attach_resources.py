#!/usr/bin/env python3
"""What is recorded by seep attach --pair and --fds, by marks, in tables for programs and over time."""
import csv
import io
import json
import shutil
import sys
import time

from attach_lab import attach, detach
from lab import SEEP, SOURCE, case, holds, refuses, run_all, same, victim

KINDS = ('[file descriptors]', '[ticket_get]')
SITES = {'[file descriptors]': 'by_dup', '[ticket_get]': 'by_ticket', 'memory': 'by_malloc'}
PAIR = ('--fds', '--pair', 'open=ticket_get@int:close=ticket_put')


def start(lab, *options):
    process = lab.background(victim('handles'))
    pid = process.truth()['pid']
    attach(lab, pid, *(options or PAIR))
    return process, pid


def tell(process, *commands):
    """The truth after the last of these."""
    for command in commands:
        process.say(command)
        truth = process.truth()
        same('failures inside the victim', truth['failures'], 0)
    return truth


def marked(lab, name='marked'):
    """Three generations of which something stays; their truth, and a snapshot."""
    process, pid = start(lab)
    for mark, commands in (('one', ['get 5']), ('two', ['get 7', 'put 0 2']),
                           (None, ['get 3', 'put 1 4', 'put 0 1'])):
        truth = tell(process, *commands)
        if mark:
            lab.seep('mark', '-q', pid, mark).must()
            tell(process, 'mark')
    path = lab.snap(pid, name, '--no-heaps')
    detach(lab, pid)
    process.say('end')
    process.wait().must()
    return truth['generations'], path


def table(lab, *arguments):
    """Rows of the csv, as a program reads it."""
    return list(csv.DictReader(io.StringIO(lab.seep(*arguments, '--format', 'csv').must().out)))


@case('report --generations: of each kind, what is still held of what was acquired, exactly')
def generations(lab):
    truth, path = marked(lab)
    data = json.loads(lab.seep('report', '--generations', '--group-by', 'function', '--format',
                               'json', path).must().out)
    true = [(g, t['held']) for g, t in enumerate(truth)]
    for kind in KINDS:
        rows = [r for r in data['resources'] if r['kind'] == kind]
        same(f'generations of {kind}',
             [(r['generation'], r['live_blocks']) for r in rows if not r['site']], true)
        same(f'sites of {kind}',
             [(r['generation'], r['site'], r['live_blocks']) for r in rows if r['site']],
             [(g, SITES[kind], held) for g, held in true])
    same('their marks', [r['since'] for r in data['resources'] if not r['site']],
         ['the beginning', 'one', 'two'] * 2)
    same('memory beside it', [(r['generation'], r['live_blocks'], r['live_bytes'])
                              for r in data['rows'] if not r['site']],
         [(g, held, held * 100) for g, held in true])
    # One table, where there can be no more.
    rows = [(r['kind'], int(r['generation']), int(r['live_blocks']))
            for r in table(lab, 'report', '--generations', path) if not r['site']]
    same('as csv', rows, [(kind, *t) for kind in ('memory', *KINDS) for t in true])


@case('report --generations: what was allocated and freed of memory, without the handles')
def traffic(lab):
    path = marked(lab)[1]
    heads = [r for r in json.loads(lab.seep('report', '--generations', '--format', 'json', path)
                                   .must().out)['rows'] if not r['site']]
    same('allocated and freed', [(r['allocated_blocks'], r['allocated_bytes'], r['freed_blocks'])
                                 for r in heads],
         [(5, 500, 0), (7, 700, 2), (None, None, None)])
    data = json.loads(lab.seep('report', '--generations', '--format', 'json', path).must().out)
    for kind in KINDS:
        same(f'acquired and released of {kind}',
             [(r['allocated_blocks'], r['freed_blocks']) for r in data['resources']
              if r['kind'] == kind and not r['site']], [(5, 0), (7, 2), (None, None)])
    same('as csv', [(r['kind'], r['allocated_bytes'], r['allocated_blocks'], r['freed_blocks'])
                    for r in table(lab, 'report', '--generations', path)
                    if r['since'] == 'one'],
         [('memory', '700', '7', '2')] + [(kind, '', '7', '2') for kind in KINDS])


def summed(truth, of):
    """What these sites have acquired and released."""
    sites = [s for s in truth['sites'] if s['site'] in of]
    return (sum(s['allocated_blocks'] for s in sites),
            sum(s['allocated_blocks'] - s['live_blocks'] for s in sites))


@case('report --generations: threads that acquire and release all the time, between two marks')
def traffic_of_threads(lab):
    process = lab.background(victim('resources'), '3')
    pid = process.truth()['pid']
    attach(lab, pid, '--fds', '--pair', 'open=thing_get:close=thing_put@2')
    truths = []
    for mark in ('one', 'two'):
        time.sleep(0.4)
        process.say('fence')
        truths.append(process.truth())
        lab.seep('mark', '-q', pid, mark).must()
        if mark == 'one':
            process.say('')
    data = json.loads(lab.seep('report', '--generations', '--format', 'json',
                               lab.snap(pid, 'marks', '--no-heaps')).must().out)
    process.say('')
    process.say('end')
    rows = {r['kind']: r for r in data['resources'] if r['since'] == 'one'}
    things = {'by_thing'}
    numbers = {'by_out', 'by_number'}
    files = {s['site'] for s in truths[0]['sites']} - things - numbers
    for kind, of in (('[thing_get]', things), ('[file descriptors]', files)):
        (made, freed), (made_later, freed_later) = (summed(t, of) for t in truths)
        holds('there was something', made_later > made, kind)
        same(kind, (rows[kind]['allocated_blocks'], rows[kind]['freed_blocks']),
             (made_later - made, freed_later - freed))


@case('report --generations: of what went by while the recording was off, nothing is said')
def traffic_off(lab):
    process, pid = start(lab)
    for number, (mode, commands) in enumerate((('off', ['get 3']), ('lite', ['mark', 'get 5']),
                                               ('lite', ['mark', 'get 2', 'put 2 1']))):
        tell(process, *commands)
        lab.seep('mark', '-q', pid, f'mark {number}').must()
        lab.seep('mode', '-q', pid, mode).must()
    path = lab.snap(pid, 'off', '--no-heaps')
    process.say('end')
    answer = lab.seep('report', '--generations', '--format', 'json', path).must()
    data = json.loads(answer.out)
    for rows in (data['rows'], *([r for r in data['resources'] if r['kind'] == kind]
                                 for kind in KINDS)):
        same('held, acquired, released',
             [(r['live_blocks'], r['allocated_blocks'], r['freed_blocks']) for r in rows
              if not r['site']], [(3, 3, 0), (0, None, None), (1, None, None), (0, None, None)])
    text = lab.seep('report', '--generations', path).must().out
    holds('it is said', 'Incomplete: the recording was off for ' in text, text)


@case('report --generations: for people, a table of each kind, and what stays each time')
def generations_text(lab):
    path = marked(lab)[1]
    text = lab.seep('report', '--generations', path).must().out
    for kind, site in (('file descriptors', 'by_dup'), ('ticket_get', 'by_ticket')):
        holds('it has a table', f'\n{kind}: what is still held of what was acquired after each '
                                'mark\n' in text, text)
        holds('what stays is named', f'every generation of {kind} after the first mark' in text and
              f'in {site}' in text, text)


@case('diff --from and --to: of each kind, what was acquired in between and is held, exactly')
def between(lab):
    truth, path = marked(lab)
    held = [t['held'] for t in truth]
    marks = ('one', 'two', None)
    for first in range(-1, 2):
        for last in range(first + 1, 3):
            options = ['--from', marks[first]] if first >= 0 else []
            options += ['--to', marks[last]] if marks[last] else []
            if not options:
                continue
            data = json.loads(lab.seep('diff', '--group-by', 'function', '--format', 'json',
                                       *options, path).must().out)
            same('kinds', sorted(k['kind'] for k in data['resources']), sorted(KINDS))
            for kind in data['resources']:
                same(f'{kind["kind"]} {options}',
                     (kind['live_blocks'], kind['live_blocks_before'], kind['total_blocks']),
                     (sum(held[:last + 1]), sum(held[:first + 1]), None))
                same('its rows', [(r['name'], r['delta_blocks']) for r in kind['rows']],
                     [(SITES[kind['kind']], sum(held[first + 1:last + 1]))])
            rows = table(lab, 'diff', '--group-by', 'function', *options, path)
            same('as csv', {r['kind']: (r['function'], int(r['delta_blocks'])) for r in rows},
                 {kind: (site, sum(held[first + 1:last + 1])) for kind, site in SITES.items()})
    text = lab.seep('diff', '--from', 'one', '--to', 'two', path).must().out
    holds('for people', f'ticket_get: {sum(held[:2])} held, +{held[1]}\n' in text, text)
    holds('what is not known is not said', 'ever' not in text, text)
    refuses(lab.seep('diff', '--from', 'three', path), 2, "there is no mark 'three'")


@case('csv: rows of each kind behind those of memory, told apart by a column')
def as_csv(lab):
    process, pid = start(lab)
    tell(process, 'get 5')
    old = lab.snap(pid, 'old', '--no-heaps')
    truth = tell(process, 'get 4', 'put 0 2')['generations'][0]
    new = lab.snap(pid, 'new', '--no-heaps')
    process.say('end')
    rows = table(lab, 'report', '--group-by', 'function', new)
    same('report', [(r['kind'], r['rank'], r['function'], int(r['live_blocks']),
                     int(r['total_blocks']), int(r['live_bytes'])) for r in rows],
         [(kind, '1', SITES[kind], truth['held'], truth['made'], size * truth['held'])
          for kind, size in (('memory', 100), (KINDS[0], 0), (KINDS[1], 0))])
    rows = table(lab, 'diff', '--group-by', 'function', old, new)
    same('diff', [(r['kind'], r['function'], int(r['delta_blocks'])) for r in rows],
         [(kind, SITES[kind], truth['held'] - 5) for kind in ('memory', *KINDS)])
    data = lab.diff(old, new).data
    seconds = (data['after']['taken_monotonic_ns'] - data['before']['taken_monotonic_ns']) / 1e9
    text = lab.seep('diff', old, new).must().out.split('ticket_get: ')[1].splitlines()
    same('heads for people', text[1].split(), ['#', 'change', 'rate', 'held', 'ever', 'site'])
    same('its change', text[2].split()[1], f"+{truth['held'] - 5}")
    rate = (truth['held'] - 5) / seconds
    holds(f'its rate is {rate}/s', abs(float(text[2].split()[2].removesuffix('/s')) - rate) < 0.51,
          text)
    rows = table(lab, 'diff', '--grown-only', new, old)
    same('what shrank is left out of all', rows, [])


def top(lab, *arguments):
    """The only row of seep top, as JSON, and its resources by kind."""
    row, = json.loads(lab.seep('top', '--format', 'json', *arguments).must().out)['rows']
    return row, {r['kind']: r for r in row['resources'] or []}


@case('top: what is held now of each kind, exactly; nothing of it once nobody records it')
def top_once(lab):
    process, pid = start(lab)
    for command in ('get 7', 'get 90', 'put 0 30'):
        held = tell(process, command)['generations'][0]['held']
        kinds = top(lab, '--once', pid)[1]
        same(f'after {command}', {k: r['live_blocks'] for k, r in kinds.items()},
             {kind: held for kind in KINDS})
    same('what cannot be said yet', {(r['trend'], r['delta_blocks'], r['slope_blocks_per_s'])
                                     for r in kinds.values()}, {('too-early', 0, None)})
    # Closed by a way that is not recorded.
    tell(process, 'hide')
    same('descriptors', top(lab, '--once', pid)[1]['[file descriptors]']['live_blocks'], held - 1)
    text = lab.seep('top', '--once', pid).must().out
    holds('for people', ['RESOURCE', 'HELD'] == text.split('\n\n')[1].split()[2:4], text)
    detach(lab, pid)
    same('resources of one that is not recorded', top(lab, '--once', pid)[0]['resources'], None)
    attach(lab, pid, '--quiet')
    same('of one of which only memory is', top(lab, '--once', pid)[0]['resources'], [])
    same('there is no table', lab.seep('top', '--once', pid).must().out.count('RESOURCE'), 0)


def grown(lab, process, pid, *options):
    """Tickets grow from before the look until after it."""
    tell(process, 'rate 20')
    answer = lab.seep('top', '--for', '3s', '--interval', '100ms', *options, pid).must().out
    tell(process, 'get 0')
    return answer


@case('top: what grows is said to grow, by as much as it does; what stays is steady')
def top_watch(lab):
    process, pid = start(lab)
    before = tell(process, 'get 50')['by_rate']
    row, = json.loads(grown(lab, process, pid, '--format', 'json'))['rows']
    kinds = {r['kind']: r for r in row['resources']}
    true = tell(process, 'get 0')['by_rate'] - before
    tickets, files = kinds['[ticket_get]'], kinds['[file descriptors]']
    same('tickets, and descriptors', (tickets['trend'], files['trend']), ('growing', 'steady'))
    holds('as many more, but for those that came before or after', 0 < tickets['delta_blocks'] <= true,
          (tickets, true))
    rate = tickets['delta_blocks'] / (tickets['span_ns'] / 1e9)
    holds('at the rate', 0.7 * rate < tickets['rate_blocks_per_s'] < 1.4 * rate, tickets)
    holds('in a sentence', tickets['verdict'].startswith('growing at ') and '/s (fit ' in
          tickets['verdict'], tickets)
    same('descriptors', (files['live_blocks'], files['delta_blocks'], files['verdict']),
         (50, 0, 'steady'))


@case('top: csv has a row of each kind behind that of the process')
def top_csv(lab):
    process, pid = start(lab)
    tell(process, 'get 3')
    rows = list(csv.DictReader(io.StringIO(grown(lab, process, pid, '--format', 'csv'))))
    same('kinds', [r['kind'] for r in rows], ['memory', KINDS[1], KINDS[0]])
    same('pids', {r['pid'] for r in rows}, {str(pid)})
    same('memory has no handles', [rows[0][k] for k in ('live_blocks', 'delta_blocks')], ['', ''])
    holds('handles have no bytes', all(r['rss_bytes'] == r['delta_bytes'] == '' for r in rows[1:]),
          rows)
    same('their trends', [r['trend'] for r in rows[1:]], ['growing', 'steady'])
    same('descriptors', (rows[2]['live_blocks'], rows[2]['delta_blocks']), ('3', '0'))
    holds('a rate', float(rows[1]['rate_blocks_per_s']) > 1, rows[1])


@case('top: what does not fit on the terminal is left out, the verdict stays')
def top_widths(lab):
    process, pid = start(lab)
    tell(process, 'get 3')
    for columns, heads in ((80, 'PID RESOURCE HELD VERDICT'),
                           (140, 'PID NAME RESOURCE HELD DELTA SLOPE VERDICT')):
        lab.env['COLUMNS'] = str(columns)
        table_of = grown(lab, process, pid).split('\n\n')[1].splitlines()
        same(f'heads at {columns}', table_of[0].split(), heads.split())
        holds('no line is longer', max(len(line) for line in table_of) <= columns, table_of)
        holds('it grows', 'growing at ' in table_of[1], table_of)


@case('top: of all processes, too, what is recorded is watched from the first sample on')
def top_all(lab):
    process, pid = start(lab)
    tell(process, 'rate 20')
    data = json.loads(lab.seep('top', '--for', '2s', '--interval', '100ms', '--format',
                               'json').must().out)
    row, = (r for r in data['rows'] if r['pid'] == pid)
    tickets = {r['kind']: r for r in row['resources']}['[ticket_get]']
    holds('samples', tickets['samples'] > 1 and tickets['delta_blocks'] > 0, tickets)
    same('others have none', {type(r['resources']) for r in data['rows']
                              if r['recorded'] is False}, {type(None)})


@case('top: on a terminal both tables fit, however many processes there are')
def top_screen(lab):
    first = lab.path('!handles')  # by name before all others
    shutil.copy(victim('handles'), first)
    process = lab.background(first)
    pid = process.truth()['pid']
    attach(lab, pid, *PAIR)
    tell(process, 'get 3')
    for _ in range(40):
        lab.background('sleep', '60')
    drawn = lab.run(sys.executable, SOURCE / 'tests/cli/top_pty.py', 'wait', 'resize', 'wait', 'q',
                    '--', SEEP, 'top', '--sort', 'name', '--interval', '100ms').must().out
    screen = drawn.split('screen\n')[1].strip('\n').split('\n')
    holds('both kinds are there', sum(line.split()[:1] == [str(pid)] for line in screen) == 3,
          screen)
    holds('it fits', len(screen) < 30, screen)


@case('top: of a process that ends, what was seen stays')
def top_ends(lab):
    process, pid = start(lab)
    tell(process, 'get 3', 'rate 20')
    watching = lab.background(SEEP, 'top', '--for', '60s', '--interval', '100ms', '--format',
                              'json', pid)
    time.sleep(1.5)
    process.say('end')
    process.wait().must()
    row, = json.loads(watching.wait().must(3).out)['rows']
    tickets = {r['kind']: r for r in row['resources']}['[ticket_get]']
    same('it', row['state'], 'ended')
    holds('it was growing', tickets['verdict'].startswith('ended after ') and
          'was growing at ' in tickets['verdict'], tickets)


@case('csv: where nothing but memory is recorded there is no such column')
def memory_alone(lab):
    process, pid = start(lab, '--quiet')
    tell(process, 'get 5')
    path = lab.snap(pid, 'one', '--no-heaps')
    process.say('end')
    row, = table(lab, 'report', path)
    same('its last column', list(row)[-1], 'live_samples')
    data = json.loads(lab.seep('report', '--format', 'json', path).must().out)
    same('resources', data['resources'], [])


run_all()
