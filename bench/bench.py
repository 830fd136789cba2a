#!/usr/bin/env python3
"""What seep costs, beside what other tools cost, as ratios of one run; see doc/overhead.md.

  bench.py [OPTION...] [WORKLOAD...]   all workloads, and `pairs` (one malloc and its free)
  bench.py [OPTION...] check           every stack compared with another unwinder's
  bench.py doc                         puts the last results into doc/overhead.md

Exit status: 0 every bar holds, 1 one does not, 2 wrong usage.
"""
import argparse
import json
import pathlib
import shlex
import statistics
import sys

import exactness
import judge
import report
from contenders import ALL, DEFAULT, contenders
from inputs import make_inputs, origins, say
from memory import take_census
from pairs import run_pairs
from runner import Runner
from workloads import BIG, SMALL, WORKLOADS, Place, find

SECONDS_MAX = 400  # for one run
ROUNDS = {SMALL: 2, BIG: 5}


def read_arguments():
    parser = argparse.ArgumentParser(
        prog='scripts/bench.sh', formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__)
    names = [workload.name for workload in WORKLOADS] + ['pairs', 'check', 'doc']
    parser.add_argument('what', nargs='*', metavar='WORKLOAD', help=', '.join(names))
    parser.add_argument('--build', type=pathlib.Path, default=pathlib.Path('build'),
                        help='build folder (default: build)')
    parser.add_argument('--rounds', type=int, help='of every measurement')
    parser.add_argument('--quick', action='store_true', help='small inputs, two rounds')
    parser.add_argument('--tools', default=','.join(DEFAULT),
                        help=f"of {','.join(ALL)}; bare always")
    parser.add_argument('--at-least', type=int, default=10_000_000, metavar='STACKS',
                        help='check: go on until so many were compared')
    parser.add_argument('--seep', metavar='COMMAND', help='what records (default: BUILD/seep run)')
    arguments = parser.parse_args()
    for name in arguments.what:
        if name not in names:
            parser.error(f"no workload '{name}'; there are {', '.join(names)}")
    for name in arguments.tools.split(','):
        if name not in ALL:
            parser.error(f"no tool '{name}'; there are {', '.join(ALL)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error('no rounds')
    arguments.build = arguments.build.resolve()
    return arguments


def order(tools, number):
    """Bare and seep stand next to each other; what comes first alternates."""
    return list(tools) if number % 2 == 0 else list(reversed(tools))


def summary(values):
    return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def summarise(rounds, tool, has_clients):
    """Ratios to the bare run of the same round."""
    costs = [(costs[tool], costs['bare']) for costs in rounds if tool in costs]
    for cost, _ in costs:
        if cost.failure:
            return {'failure': cost.failure}
    result = {'cpu': summary([c.cpu_s / b.cpu_s for c, b in costs]),
              'wall': summary([c.wall_s / b.wall_s for c, b in costs]),
              'peak': summary([c.peak_bytes / b.peak_bytes for c, b in costs])}
    if has_clients:
        result['program_cpu'] = summary([c.program_cpu_s / b.program_cpu_s for c, b in costs])
    return result


def run_workload(runner, workload, place, tools, rounds_nr):
    tools = [tool for tool in tools if workload.name not in tool.cannot]
    given_up, rounds = set(), []
    for number in range(rounds_nr):
        costs = {}
        for tool in order(tools, number):
            if tool.name in given_up:
                continue
            costs[tool.name] = cost = runner.run(workload.command(place), tool.prefix)
            say(f'{workload.name} {number + 1}/{rounds_nr} {tool.name}: '
                + (cost.failure or f'{cost.cpu_s:.2f} s CPU'))
            if cost.failure:
                given_up.add(tool.name)
        if costs['bare'].failure:
            return {'bare': {'failure': costs['bare'].failure}}
        rounds.append(costs)
    has_clients = bool(workload.command(place).load)
    result = {tool.name: summarise(rounds, tool.name, has_clients)
              for tool in tools if tool.name != 'bare'}
    if workload.pairs:
        for tool in tools:
            if tool.name != 'bare' and 'cpu' in result[tool.name]:
                result[tool.name]['added_ns_a_pair'] = statistics.median(
                    (c[tool.name].cpu_s - c['bare'].cpu_s) * 1e9 / workload.pairs(place)
                    for c in rounds)
    return result


def measure(arguments, runner, place):
    wanted = arguments.what or ['pairs'] + [workload.name for workload in WORKLOADS]
    rounds = arguments.rounds or ROUNDS[place.size]
    names = ['bare'] + arguments.tools.split(',')
    prefix = shlex.split(arguments.seep) if arguments.seep else [arguments.build / 'seep', 'run',
                                                                 '--quiet', '--']
    tools, left_out = contenders(arguments.build, names, prefix)
    results = {'size': place.size, 'rounds': rounds, 'machine': report.machine(),
               'inputs': origins(place.data, [place.size]) if 'cc1' in wanted else {},
               'left_out': left_out, 'pairs': {}, 'workloads': {}, 'memory': {}}
    if 'pairs' in wanted:
        results['pairs'] = run_pairs(runner, arguments.build, tools, rounds, place.size, say)
    seep = next((tool for tool in tools if tool.name == 'seep'), None)
    for workload in WORKLOADS:
        if workload.name not in wanted:
            continue
        if not find(workload.needs):
            left_out[workload.name] = f"no command '{workload.needs}'"
            continue
        if seep:
            results['memory'][workload.name] = take_census(
                runner, arguments.build, lambda: workload.command(place), seep)
        results['workloads'][workload.name] = run_workload(runner, workload, place, tools, rounds)
        for tool in tools:
            if workload.name in tool.cannot:
                left_out[f'{workload.name} under {tool.title}'] = tool.cannot[workload.name]
    results['verdicts'] = judge.judge(results)
    return results, all(v['holds'] for v in results['verdicts'])


DOCUMENT = pathlib.Path(__file__).resolve().parent.parent / 'doc' / 'overhead.md'
MARKDOWN = {'overhead': report.markdown, 'check': report.check_markdown}


def typed(arguments):
    """The command that repeats this, wherever the build folder is."""
    words = ['scripts/bench.sh']
    if arguments.quick:
        words.append('--quick')
    if arguments.rounds:
        words += ['--rounds', str(arguments.rounds)]
    if arguments.tools != ','.join(DEFAULT):
        words += ['--tools', arguments.tools]
    return shlex.join(words + arguments.what)


def write_document(folder):
    for name, markdown in MARKDOWN.items():
        path = folder / f'{name}.json'
        if path.exists():
            report.put_into(DOCUMENT, name, markdown(json.loads(path.read_text())))
            say(f'{name}: into {DOCUMENT}')


def main():
    arguments = read_arguments()
    folder = arguments.build / 'bench-results'
    if 'doc' in arguments.what:
        write_document(folder)
        return 0
    name = 'check' if 'check' in arguments.what else 'overhead'
    size = SMALL if arguments.quick or name == 'check' else BIG
    place = Place(arguments.build / 'bench-data', arguments.build / 'bench',
                  arguments.build / 'bench-data' / 'output', size)
    make_inputs(place.data, [size])
    place.output.mkdir(exist_ok=True)
    runner = Runner(arguments.build, SECONDS_MAX)
    try:
        run = exactness.check if name == 'check' else measure
        results, good = run(arguments, runner, place)
    finally:
        runner.close()
    results = {'command': typed(arguments), **results}
    text = MARKDOWN[name](results)
    folder.mkdir(exist_ok=True)
    (folder / f'{name}.json').write_text(json.dumps(results, indent=1) + '\n')
    (folder / f'{name}.md').write_text(text)
    print(text)
    say(f'written: {folder}/{name}.md and .json')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
