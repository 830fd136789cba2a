#!/usr/bin/env python3
"""The benchmark's own tools, tested: selftest.py BUILD. Prints TAP."""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / 'tests' / 'house')]
sys.dont_write_bytecode = True

import inputs  # noqa: E402
import judge  # noqa: E402
import pairs  # noqa: E402
import report  # noqa: E402
from contenders import Contender  # noqa: E402
from exactness import run_checked  # noqa: E402
from memory import take_census  # noqa: E402
from runner import STATUS_OVERTIME, Command, Load, Runner  # noqa: E402
from tap import Tap  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]).resolve()
PROGRAMS = BUILD / 'bench'
tap = Tap()


def equal(what, got, expected):
    return [] if got == expected else [f'{what}: {got!r} and not {expected!r}']


def output(*argv):
    return subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=True).stdout


def measured(*argv, seconds=60):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / 'cost.json'
        status = subprocess.run([PROGRAMS / 'measure', out, str(seconds), *argv],
                                capture_output=True).returncode
        return status, json.loads(out.read_text())


COUNTING = 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done'


def test_measure():
    status, cost = measured('sh', '-c', 'exit 7')
    tap.case('measure: the status is the command\'s',
             equal('status', status, 7) + equal('status in the file', cost['status'], 7))
    status, cost = measured('sh', '-c', f'({COUNTING}) & exit 0')
    tap.case('measure: CPU time of a process that lost its parent counts',
             [] if cost['user_s'] + cost['system_s'] > 0.02 else [str(cost)])
    small, large = (measured('dd', 'if=/dev/zero', 'of=/dev/null', 'count=1', f'bs={size}')[1]
                    ['peak_bytes'] for size in ('1K', '64M'))
    tap.case('measure: the peak is the command\'s own',
             [] if small < 8e6 and large > 64 * 2**20 else [f'{small} and {large}'])
    status, cost = measured('sleep', '60', seconds=1)
    tap.case('measure: a command that takes too long is killed',
             equal('overtime', cost['overtime'], True) + equal('status', status, 128 + 9))


def test_programs():
    problems = []
    for mode in 'same', 'sites', 'tree', 'fifo':
        for threads in '1', '2':
            result = json.loads(output(PROGRAMS / 'pairs', mode, '16', threads, '2000', '5'))
            if not 0 < result['min_ns'] <= result['median_ns']:
                problems.append(f'{mode}, {threads}: {result}')
    tap.case('pairs: figures of every loop', problems)
    runs = {output(PROGRAMS / 'micro', '20000', '12', '2', '500') for _ in range(2)}
    tap.case('micro: the same each time', equal('different results', len(runs), 1))
    wrong = subprocess.run([PROGRAMS / 'table_stat', '/etc/passwd'], capture_output=True, text=True)
    tap.case('table_stat: refuses what is no table', equal('status', wrong.returncode, 1))


def test_inputs():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        inputs.make_sql(folder, 'small')
        text = (folder / 'bulk-small.sql').read_text()
        tap.case('the SQL input has its size',
                 [] if 'i < 60000' in text and '@' not in text else [text[:400]])
    for script, arguments in ('make_history.py', ['20', '9']), ('make_c.py', ['12']):
        runs = {output(inputs.HERE / script, *arguments) for _ in range(2)}
        tap.case(f'{script}: the same each time', equal('different results', len(runs), 1))


def test_runner(runner):
    cost = runner.run(Command(['sh', '-c', 'echo said; exit 3']))
    tap.case('a failing program is a failure, with its status',
             equal('output', cost.output, 'said\n') +
             ([] if cost.failure and 'status 3' in cost.failure else [str(cost.failure)]))
    runner.seconds, seconds = 1, runner.seconds
    cost = runner.run(Command(['sleep', '60']))
    runner.seconds = seconds
    tap.case('so is one that takes too long', equal('failure', cost.failure, STATUS_OVERTIME))
    folder = runner.new_folder()
    pipe = folder / 'pipe'
    server = f'mkfifo {pipe}; read word <{pipe}; test "$word" = end'
    cost = runner.run(Command(['sh', '-c', server], load=Load(
        ready=['test', '-p', str(pipe)], commands=[['sh', '-c', COUNTING]],
        stop=['sh', '-c', f'echo end >{pipe}'])))
    tap.case('a server and its clients are told apart',
             equal('failure', cost.failure, None) +
             ([] if cost.cpu_s > cost.program_cpu_s + 0.02 else [str(cost)]))


def test_recorded(runner):
    """One pair a turn, and every stack of it compared."""
    def command():
        return Command([PROGRAMS / 'micro', '300000', '12', '1', '20000'])
    seep = Contender('seep', 'seep', lambda folder: [BUILD / 'seep', 'run', '--quiet', '--'])
    census = take_census(runner, BUILD, command, seep)
    tap.case('the recorder\'s table is found and read', ['no table'] if not census else
             equal('blocks lost', census['dropped_blocks'], 0) +
             ([] if census['nodes'] > 1000 and census['parts']['chunks'] > 0 else [str(census)]))
    row = run_checked(runner, BUILD, command,
                      [BUILD / 'seep', 'run', '--quiet', '--check', '--'])
    tap.case('the check build compares every stack',
             equal('failure', row['failure'], None) +
             equal('differing', row['differing_stacks'], 0) +
             ([] if row['checked_stacks'] >= 300000 else [str(row)]))


def made_up(cpu, pair_ns, table_bytes):
    ratio = {'median': cpu, 'min': cpu, 'max': cpu}
    loop = {'bare': {'min_ns': 10, 'median_ns': 11},
            'seep': {'min_ns': pair_ns, 'median_ns': pair_ns},
            'heaptrack-recorder': {'min_ns': 10 + 14 * 15, 'median_ns': 300}}
    return {
        'command': 'x', 'rounds': 1, 'size': 'small', 'inputs': {}, 'left_out': {},
        'machine': report.machine(), 'pairs': {pairs.LOOPS[0].title: loop},
        'workloads': {'sqlite': {'seep': {'cpu': ratio, 'wall': ratio, 'peak': ratio}}},
        'memory': {'sqlite': {'touched_bytes': 4_000_000, 'table_bytes': table_bytes, 'nodes': 100,
                              'allowed_bytes': 1_002_400, 'added_peak_bytes': 0,
                              'dropped_blocks': 0, 'missing_stacks': 0, 'cut_stacks': 0,
                              'stopped_stacks': 0}}}


def test_judge():
    at_the_bar, over = made_up(1.304, 25, 1_002_400), made_up(1.306, 25.6, 1_002_401)
    problems = [f'{v}' for v in judge.judge(at_the_bar) if not v['holds']]
    tap.case('what is at its bar holds', problems + equal(
        'bars', len(judge.judge(at_the_bar)), 4))
    tap.case('what is over does not', [f'{v}' for v in judge.judge(over) if v['holds']])
    over['verdicts'] = judge.judge(over)
    text = report.markdown(over)
    tap.case('the report says so', equal('bars that do not hold', text.count('**no**'), 4) +
             ([] if '| sqlite | 1.31 (1.31-1.31) | 1.30 |' in text else [text]))
    failed = {'sqlite': {'seep': {'failure': 'too long'}}}
    tap.case('a failed run holds no bar',
             equal('verdicts', [v['holds'] for v in judge.judge({'workloads': failed})], [False]))


def main():
    test_measure()
    test_programs()
    test_inputs()
    test_judge()
    runner = Runner(BUILD, 120)
    try:
        test_runner(runner)
        test_recorded(runner)
    finally:
        runner.close()
    tap.done()


if __name__ == '__main__':
    main()
