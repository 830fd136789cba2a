"""The check build of the recorder over real programs: every stack is compared, none may differ."""
import shlex

from inputs import say
from memory import Watch
from report import machine
from runner import Command
from servers import SERVERS
from workloads import WORKLOADS, find

ADVERSARIAL = ['adv-fast', 'adv-plain', 'adv-realign', 'adv-other']
ADVERSARIAL_REPEAT = '5'
SKIPPED = 77
ROUNDS_MAX = 20
COUNTS = ['checked_stacks', 'differing_stacks', 'cut_stacks', 'stopped_stacks', 'missing_stacks',
          'dropped_blocks']


def prefixes(arguments):
    """(for one process, for a family of processes)"""
    if arguments.seep:
        given = shlex.split(arguments.seep)
        return given, None
    run = [arguments.build / 'seep', 'run', '--quiet', '--check']
    return [*run, '--'], [*run, '--follow', '--']


def programs(arguments, place):
    """(name, makes its command, is a family of processes)"""
    wanted = [name for name in arguments.what if name != 'check']
    for workload in WORKLOADS:
        if (not wanted or workload.name in wanted) and find(workload.needs):
            yield workload.name, lambda w=workload: w.command(place), False
    if wanted:
        return
    for server in SERVERS:
        if find(server.needs):
            yield server.name, lambda s=server: s.command(place), True
    folder = arguments.build / 'tests' / 'adversarial'
    for name in ADVERSARIAL:
        if (folder / name).exists():
            yield name, lambda n=name: Command([folder / n, '--repeat', ADVERSARIAL_REPEAT],
                                               good=(0, SKIPPED)), False


def run_checked(runner, build, make_command, prefix):
    watch = Watch(build)
    cost = runner.run(make_command(), lambda folder: prefix, watch)
    tables = watch.tables()
    row = {name: sum(t[name] for t in tables) for name in COUNTS}
    failure = cost.failure
    if not failure and not row['checked_stacks']:
        failure = 'nothing was compared'
    return {'processes': len(tables), 'failure': failure, **row}


def add(rows, name, row):
    sum_ = rows.setdefault(name, {'processes': 0, 'failure': None, **dict.fromkeys(COUNTS, 0)})
    for key in ['processes', *COUNTS]:
        sum_[key] += row[key]
    sum_['failure'] = sum_['failure'] or row['failure']


def check(arguments, runner, place):
    one, family = prefixes(arguments)
    rows, total, rounds = {}, 0, 0
    while rounds == 0 or (0 < total < arguments.at_least and rounds < ROUNDS_MAX):
        rounds += 1
        for name, make_command, is_family in programs(arguments, place):
            prefix = family if is_family else one
            if not prefix:
                continue
            row = run_checked(runner, arguments.build, make_command, prefix)
            add(rows, name, row)
            total += row['checked_stacks']
            say(f"check {name}: {row['checked_stacks']:,} compared, {row['differing_stacks']} "
                f"differing{', ' + row['failure'] if row['failure'] else ''}; {total:,} so far")
    differing = sum(row['differing_stacks'] for row in rows.values())
    failed = any(row['failure'] for row in rows.values())
    results = {'machine': machine(), 'rounds': rounds, 'programs': rows, 'checked_stacks': total,
               'differing_stacks': differing}
    good = not differing and not failed and total >= arguments.at_least
    return results, good
