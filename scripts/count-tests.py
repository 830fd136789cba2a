#!/usr/bin/env python3
"""Sums meson's test logs, case by case, and ends with `N passed, N failed, N skipped`.

A test that speaks TAP is as many cases as it has lines `ok` and `not ok`; one that ends otherwise
than its TAP promised (a crash, a time-out, cases missing) is one failed case more. Any other test is
one case. The exit status is 1 when something failed.
"""
import argparse
import json
import re
import sys

POINT = re.compile(r'^\s*(not )?ok\b\s*\d*\s*(?:- )?(.*)$')
PLAN = re.compile(r'^\s*1\.\.(\d+)')
SKIP = re.compile(r'#\s*skip\b\S*\s*(.*)', re.IGNORECASE)
CMOCKA_SKIP = re.compile(r'^\s*not ok\b\s*\d+ # SKIP', re.MULTILINE)
MARKED_AS_TAP = re.compile(r'^\s*(1\.\.\d+|TAP version|ok\b|not ok\b)', re.MULTILINE)


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.skips = {}
        self.failures = []


def read_tap(test, count):
    """Counts the points of one TAP stream; returns (points, failed points, planned)."""
    points = bad = 0
    planned = None
    remark = ''
    for line in test['stdout'].splitlines():
        plan = PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
            if planned == 0:
                count.skipped += 1
        point = POINT.match(line)
        if not point:
            remark = line.lstrip('# ')
            continue
        points += 1
        name = f"{test['name']}: {point.group(2)}"
        skip = SKIP.search(line)
        if skip and point.group(2).startswith('#'):
            # cmocka: "not ok 4 # SKIP NAME"; what the test printed before is the reason.
            count.skipped += 1
            count.skips[f"{test['name']}: {skip.group(1)}"] = remark or 'no reason given'
        elif skip:
            count.skipped += 1
            count.skips[name.split(' # ')[0]] = skip.group(1) or 'no reason given'
        elif point.group(1):
            count.failed += 1
            bad += 1
            count.failures.append(name)
        else:
            count.passed += 1
    return points, bad, planned


def count_test(test, count):
    result = test['result']
    if MARKED_AS_TAP.search(test.get('stdout', '')):
        points, bad, planned = read_tap(test, count)
        incomplete = planned is not None and points != planned
        # meson takes cmocka's "not ok … # SKIP" for a failure; the exit status knows better.
        good = result in ('OK', 'SKIP', 'EXPECTEDFAIL') or (
            result == 'FAIL' and CMOCKA_SKIP.search(test['stdout']) and test['returncode'] == 0)
        if incomplete or (not good and not bad):
            count.failed += 1
            count.failures.append(f"{test['name']}: {result}, {points} of {planned} cases")
            return False
        return not bad
    if result == 'SKIP':
        count.skipped += 1
        count.skips[test['name']] = test.get('stdout', '').strip()[-100:] or 'no reason given'
    elif result in ('OK', 'EXPECTEDFAIL'):
        count.passed += 1
    else:
        count.failed += 1
        count.failures.append(f"{test['name']}: {result}")
        return False
    return True


def what_went_wrong(test):
    """The failed points with their comments; the end of the output where there are none."""
    lines = test.get('stdout', '').splitlines()
    shown = []
    failed = False
    for line in lines:
        point = POINT.match(line)
        failed = bool(point and point.group(1)) or (failed and not point)
        if failed:
            shown.append(line)
    return shown[:200] + (test.get('stderr', '').splitlines() + ([] if shown else lines))[-40:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--failed-steps', type=int, default=0, help='builds that failed')
    parser.add_argument('logs', nargs='*')
    args = parser.parse_args()

    count = Count()
    count.failed = args.failed_steps
    for log in args.logs:
        with open(log, encoding='utf-8', errors='replace') as lines:
            for line in lines:
                test = json.loads(line)
                if not count_test(test, count):
                    print(f"\n-- {log.split('/')[0]}: {test['name']}")
                    print('\n'.join(what_went_wrong(test)))
    if count.failures:
        print('\nfailed:')
        for name in count.failures:
            print(f'  {name}')
    if count.skips:
        print('\nskipped:')
        for name, why in count.skips.items():
            print(f'  {name}: {why}')
    print(f'\n{count.passed} passed, {count.failed} failed, {count.skipped} skipped')
    return 1 if count.failed or not count.passed else 0


sys.exit(main())
