#!/usr/bin/env python3
"""scripts/count-tests.py counts what it should, a crash included; counting.py SOURCE-ROOT."""
import json
import subprocess
import tempfile

from tap import Tap
from tree import ROOT


def count(tests, *options):
    """Last line and exit status for a log of (name, result, stdout) triples."""
    with tempfile.NamedTemporaryFile('w', suffix='.json') as log:
        for name, result, stdout in tests:
            log.write(json.dumps({'name': name, 'result': result, 'stdout': stdout,
                                  'returncode': int(result == 'ERROR')}) + '\n')
        log.flush()
        run = subprocess.run([ROOT / 'scripts/count-tests.py', *options, log.name], text=True,
                             capture_output=True, check=False)
    return (run.stdout.splitlines() or [run.stderr])[-1], run.returncode


CASES = (
    ('cases of TAP are counted one by one',
     [('a', 'OK', '1..2\nok 1 - x\nok 2 - y\n')], '2 passed, 0 failed, 0 skipped', 0),
    ('a failed case is one failure, not two',
     [('a', 'FAIL', '1..2\nok 1 - x\nnot ok 2 - y\n')], '1 passed, 1 failed, 0 skipped', 1),
    ('a skipped case is counted as such',
     [('a', 'OK', '1..2\nok 1 x\nok 2 y # skip no tty\n')], '1 passed, 0 failed, 1 skipped', 0),
    ('a case that cmocka skips is no failure',
     [('a', 'FAIL', '1..2\nok 1 - x\n# no data\nnot ok 2 # SKIP y\n')],
     '1 passed, 0 failed, 1 skipped', 0),
    ('a crash in the middle is a failure',
     [('a', 'ERROR', '1..3\nok 1 - x\n')], '1 passed, 1 failed, 0 skipped', 1),
    ('a crash after the last case is a failure',
     [('a', 'ERROR', '1..1\nok 1 - x\n')], '1 passed, 1 failed, 0 skipped', 1),
    ('cases that never ran are a failure, whatever the result says',
     [('a', 'OK', '1..3\nok 1 - x\n')], '1 passed, 1 failed, 0 skipped', 1),
    ('a crash without a word is a failure',
     [('a', 'ERROR', ''), ('b', 'OK', '')], '1 passed, 1 failed, 0 skipped', 1),
    ('a time-out is a failure',
     [('a', 'TIMEOUT', '1..2\nok 1 - x\n')], '1 passed, 1 failed, 0 skipped', 1),
    ('a skipped test is counted as such',
     [('a', 'SKIP', 'why'), ('b', 'OK', '')], '1 passed, 0 failed, 1 skipped', 0),
    ('no tests at all is no success', [], '0 passed, 0 failed, 0 skipped', 1),
)


def main():
    tap = Tap()
    for title, tests, line, status in CASES:
        got = count(tests)
        tap.case(title, [] if got == (line, status) else [f'{got} instead of {(line, status)}'])
    got = count([('b', 'OK', '')], '--failed-steps', '2')
    tap.case('a build that failed is a failure',
             [] if got == ('1 passed, 2 failed, 0 skipped', 1) else [str(got)])
    tap.done()


main()
