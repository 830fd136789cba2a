"""What the victim marks tells, compared with what a snapshot of it has; see tests/victims/marks.c."""
import json

from lab import check_sites, holds, same

NAMES = ['one', 'two', 'three', 'four']


def generations(lab, path, *options):
    """{generation: (head row, {site: row})} of report --generations."""
    answer = lab.seep('report', '--generations', '--format', 'json', '--group-by', 'function',
                      *options, path).must()
    found = {}
    for row in json.loads(answer.out)['rows']:
        head, sites = found.setdefault(row['generation'], ({}, {}))
        if row['site'] is None:
            head.update(row)
        else:
            sites[row['site']] = row
    return found


def figures(row):
    return {'live_blocks': row['live_blocks'], 'live_bytes': row['live_bytes']} if row else \
        {'live_blocks': 0, 'live_bytes': 0}


def check_generations(truth, found, site):
    for number, true in enumerate(truth['generations']):
        same(f'generation {number} at {site}', figures(found[number][1].get(site)),
             {k: true[k] for k in ('live_blocks', 'live_bytes')})


def check_sums(report):
    """Live and freed add up to all; what pools have handed on was not freed by that."""
    totals = report.totals
    for key in ('live_blocks', 'live_bytes', 'total_blocks', 'total_bytes'):
        same(f'sum of {key}', sum(r[key] for r in report.rows), totals[key])
    same('freed blocks', totals['freed_blocks'], totals['total_blocks'] - totals['live_blocks'])
    same('freed bytes', totals['freed_bytes'],
         totals['total_bytes'] - totals['live_bytes'] - totals['pooled_bytes'])


def check_marks(lab, truth, path, allowed=()):
    found = generations(lab, path)
    same('generations', sorted(found), list(range(5)))
    same('marks', [found[g][0]['since'] for g in range(5)], ['the beginning'] + NAMES)
    check_generations(truth, found, 'grow_between')
    report = lab.report(path)
    check_sites(truth, report)
    check_sums(report.complete(allowed))
    for key in ('live_blocks', 'live_bytes'):
        same(f'{key} of all generations', sum(found[g][0][key] for g in found), report.totals[key])


def check_traffic(lab, truth, path):
    found = generations(lab, path)
    for number in range(1, 4):
        head, true = found[number][0], truth['generations'][number]
        same(f'allocated in {number}', (head['allocated_blocks'], head['allocated_bytes']),
             (true['made_blocks'], true['made_bytes']))
        same(f'freed in {number}', head['freed_blocks'], 150)
    same('the last one is not over', found[4][0]['allocated_blocks'], None)


def check_between(lab, truth, path):
    truth = truth['generations']
    for first in [None] + NAMES:
        for last in NAMES + [None]:
            if (first is None and last is None) or \
                    (first and last and NAMES.index(first) >= NAMES.index(last)):
                continue
            options = (['--from', first] if first else []) + (['--to', last] if last else [])
            answer = lab.seep('diff', '--format', 'json', '--group-by', 'function', *options, path)
            data = json.loads(answer.must().out)
            row = [r for r in data['rows'] if r['name'] == 'grow_between'][0]
            begin = NAMES.index(first) + 1 if first else 0
            end = NAMES.index(last) + 1 if last else 5
            want = [sum(g[k] for g in truth[begin:end]) for k in ('live_blocks', 'live_bytes')]
            same(f'from {first} to {last}', [row['delta_blocks'], row['delta_bytes']], want)
            same('before', row['live_blocks_before'],
                 sum(g['live_blocks'] for g in truth[:begin]))
            same('nothing is said of what ever was', row['total_blocks'], None)
    by_number = lab.seep('diff', '--from', '#2', '--to', '#3', path).must().out
    holds('in words', "from mark 'two' to mark 'three': what was allocated then" in by_number,
          by_number)
    holds('not of freeing', 'freed' not in by_number, by_number)


def check_tags(lab, truth, path, allowed=()):
    report = lab.report(path)
    check_sites(truth, report)
    check_sums(report.complete(allowed))
    rows = {r['name']: r for r in lab.report(path, by='tag').rows}
    want = {'[request]': (10 * 4 + 5, 10 * (3 * 64 + 128) + 5 * 48),
            '[request] [query]': (40, 40 * 96)}
    want.update({f'[scope {i}]': (1, i + 1) for i in range(100)})
    same('scopes', sorted(want), sorted(set(rows) - {'(no tag)'}))
    for name, true in want.items():
        same(name, (rows[name]['live_blocks'], rows[name]['live_bytes']), true)
    filtered = lab.report(path, '--filter', "func='[query]'")
    same('the filter knows them', filtered.counts_of('in_scope')['live_blocks'], 40)


def check_tag_threads(lab, truth, path, allowed=()):
    check_sites(truth, lab.report(path).complete(allowed))
    rows = {r['name']: r for r in lab.report(path, by='tag').rows}
    for i in range(4):
        same(f'thread {i}', (rows[f'[thread {i}]']['live_blocks'],
                             rows[f'[thread {i}]']['total_blocks']), (1000, 3000))


def check_heirs(lab, truth, path, allowed=()):
    check_sites(truth, lab.report(path).complete(allowed))
    rows = {r['name']: r for r in lab.report(path, by='tag').rows}
    same('scopes left open', (rows['[left open]']['live_blocks'], rows['[left open]']['total_blocks'],
                              rows['[left open]']['total_bytes']), (20, 30, 10 * 600))


def check_signals(lab, truth, path, allowed=()):
    report = lab.report(path)
    check_sites(truth, report)
    report.complete(allowed)
    rows = {r['name']: r for r in lab.report(path, by='tag').rows}
    handler = [r for name, r in rows.items() if name.endswith('[pool handler]')]
    same('nothing is left in the pool of the handler', sum(r['live_blocks'] for r in handler), 0)
    holds('it was used', sum(r['total_blocks'] for r in handler) >= 3000)
    same('what stays was allocated in the scope',
         rows['[round]']['live_blocks'],
         [s for s in truth['sites'] if s['site'] == 'in_thread'][0]['live_blocks'])


def check_pools(lab, truth, path, allowed=()):
    report = lab.report(path)
    site = report.counts_of('carve')
    true = truth['sites'][0]
    same('live', (site['live_blocks'], site['live_bytes']),
         (true['live_blocks'], true['live_bytes']))
    same('ever', (site['total_blocks'], site['total_bytes']),
         (true['allocated_blocks'], true['allocated_bytes'] + truth['carved_twice']))
    same('pooled', report.totals['pooled_bytes'], truth['pooled_bytes'])
    same('live of all is what malloc gave', report.totals['live_bytes'], truth['malloced_bytes'])
    check_sums(report.complete(allowed))
    names = {r['name']: r['live_blocks'] for r in lab.report(path, by='tag').rows}
    same('pools by name', (names['[pool strings]'], names['[pool inner]'], names['[pool gone]']),
         (500, 1, 0))
