"""Results as Markdown: the tables of doc/overhead.md."""
import os
import pathlib
import platform

import pairs
from workloads import WORKLOADS

TITLES = {'seep': 'seep', 'seep-sample': 'seep, samples',
          'heaptrack-recorder': 'heaptrack, recorder alone',
          'heaptrack-raw': 'heaptrack --raw', 'heaptrack': 'heaptrack', 'lsan': 'LSan',
          'lsan-check': 'LSan, with check', 'memcheck': 'memcheck'}


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '| ' + ' | '.join('---' for _ in head) + ' |']
    lines += ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def number(value, digits=2):
    return '-' if value is None else f'{value:.{digits}f}'


def spread(ratio):
    return f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})"


def cell(result, key):
    if result is None:
        return '-'
    if result.get('failure'):
        return result['failure']
    return spread(result[key])


def tools_in(results):
    found = {name for result in results.values() for name in result}
    return [name for name in TITLES if name in found]


def ratios(results, key, bars=False):
    tools = tools_in(results)
    head = ['workload', *(TITLES[t] for t in tools)]
    if bars:
        head.insert(2, 'bar')
    rows = []
    for workload in WORKLOADS:
        result = results.get(workload.name)
        if not result:
            continue
        row = [workload.name, *(cell(result.get(tool), key) for tool in tools)]
        if bars:
            row.insert(2, '-' if workload.bar is None else f'{workload.bar:.2f}')
        rows.append(row)
    return table(head, rows)


def median_ratio(result, tool):
    if tool not in result or 'bare' not in result:
        return None
    return result[tool]['median_ns'] / result['bare']['median_ns']


def pairs_table(results):
    head = ['loop', 'seep', 'bar', 'heaptrack, recorder alone', 'LSan', 'seep, by medians',
            'heaptrack adds / seep adds']
    rows = []
    for loop in pairs.LOOPS:
        result = results.get(loop.title)
        if result:
            rows.append([loop.title, number(pairs.ratio(result, 'seep')), number(loop.bar, 1),
                         number(pairs.ratio(result, 'heaptrack-recorder'), 1),
                         number(pairs.ratio(result, 'lsan')),
                         number(median_ratio(result, 'seep')),
                         number(pairs.advantage(result), 1)])
    return table(head, rows)


def megabytes(value):
    return f'{value / 1e6:.1f}'


def memory_table(results):
    head = ['workload', 'touched heap MB', 'table MB', 'of the heap', 'stack nodes', 'allowed MB',
            'peak grew by MB', 'blocks lost', 'stacks cut or stopped']
    rows = [[name, megabytes(c['touched_bytes']), megabytes(c['table_bytes']),
             f"{c['table_bytes'] / max(c['touched_bytes'], 1):.0%}", c['nodes'],
             megabytes(c['allowed_bytes']), megabytes(c['added_peak_bytes']), c['dropped_blocks'],
             c['cut_stacks'] + c['stopped_stacks'] + c['missing_stacks']]
            for name, c in results.items() if c]
    return table(head, rows)


def verdict_table(verdicts):
    return table(['what', 'measured', 'bar', 'holds'],
                 [[v['what'], v['measured'], v['bar'], 'yes' if v['holds'] else '**no**']
                  for v in verdicts])


def machine():
    """Its class; nothing that names it."""
    cpu = 'unknown processor'
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            cpu = line.split(':', 1)[1].strip()
            break
    virtual = 'hypervisor' in pathlib.Path('/proc/cpuinfo').read_text()
    return {'processor': cpu, 'processors': os.cpu_count(), 'virtual': virtual,
            'kernel': platform.release().split('-')[0], 'libc': ' '.join(platform.libc_ver()),
            'load_before': os.getloadavg()[0]}


def machine_line(m):
    return (f"{m['processors']} x {m['processor']}{' (virtual)' if m['virtual'] else ''}, "
            f"Linux {m['kernel']}, {m['libc']}; load average before: {m['load_before']:.1f}")


def markdown(results):
    parts = [f"Made by `{results['command']}`: {results['rounds']} rounds, "
             f"{results['size']} inputs.\n"
             f"{machine_line(results['machine'])}.\n"]
    for name, origin in results['inputs'].items():
        parts.append(f'Input of cc1, {name}: {origin}.\n')
    if results.get('pairs'):
        parts += ['### One malloc and its free, tool / bare: least of all repetitions\n',
                  pairs_table(results['pairs'])]
    workloads = results.get('workloads')
    if workloads:
        parts += ['### CPU time, tool / bare: median (least-greatest)\n',
                  ratios(workloads, 'cpu', bars=True)]
        servers = {name: tools for name, tools in workloads.items()
                   if any('program_cpu' in tool for tool in tools.values())}
        if servers:
            parts += ['The server alone, its clients left out:\n', ratios(servers, 'program_cpu')]
        parts += ['### Wall time, tool / bare\n', ratios(workloads, 'wall'),
                  '### Peak of resident memory of the largest process, tool / bare\n',
                  ratios(workloads, 'peak')]
    if results.get('memory'):
        parts += ['### Memory of the recorder\n', memory_table(results['memory'])]
    if results['left_out']:
        parts.append('Left out:\n')
        parts += [f'- {name}: {why}' for name, why in results['left_out'].items()]
        parts.append('')
    parts += ['### Bars\n', verdict_table(results['verdicts'])]
    return '\n'.join(parts)


def check_markdown(results):
    rows = results['programs']
    body = [[name, r['processes'], f"{r['checked_stacks']:,}", r['differing_stacks'],
             r['stopped_stacks'], r['cut_stacks'], r['missing_stacks'],
             r['failure'] or 'ended well']
            for name, r in rows.items()]
    body.append(['all', sum(r['processes'] for r in rows.values()),
                 f"{results['checked_stacks']:,}", results['differing_stacks'],
                 *(sum(r[key] for r in rows.values())
                   for key in ('stopped_stacks', 'cut_stacks', 'missing_stacks')), ''])
    return (f"Made by `{results['command']}`.\n\n" +
            table(['program', 'processes', 'stacks compared', 'differing', 'stopped early',
                   'cut by depth', 'without a stack', 'how it went'], body))


def put_into(document, name, text):
    """Replaces what stands between the marks `<!-- NAME -->` and `<!-- end of NAME -->`."""
    begin, end = f'<!-- {name} -->\n', f'<!-- end of {name} -->\n'
    before, rest = document.read_text().split(begin)
    after = rest.split(end)[1]
    document.write_text(f'{before}{begin}\n{text.strip()}\n\n{end}{after}')
