#!/usr/bin/env python3
"""seep run --leaks: a program is looked at when it is about to end, and ends as it would have."""
import json
import os
import signal

from lab import SEEP, case, holds, refuses, run_all, same, victim

LOST = 7


def run(lab, *command, options=()):
    """The result, and the answer or None."""
    path = lab.path('leaks.json')
    result = lab.seep('run', '-q', '--leaks', '--list', '--possible', '--format', 'json', '-o',
                      path, *options, '--', *command)
    if not os.path.exists(path):
        return result, None
    with open(path, encoding='utf-8') as file:
        return result, json.load(file)


def check(answer):
    same('leaks', (answer['totals']['leaks'], answer['totals']['possible_blocks']), (LOST, 0))
    for row in answer['rows']:
        holds('its line', row['site'].startswith('lose (ends.c:'), row)


@case('main returns, and exit() in a thread; another thread holds a block on its stack')
def ends(lab):
    for how, status in (('main', 0), ('exit', 5)):
        result, answer = run(lab, victim('ends'), how)
        same('its own status', result.status, status)
        same('what it says', result.out, f'lost {LOST}\n')
        check(answer)
        os.unlink(lab.path('leaks.json'))


@case('in a sandbox where waiting by system calls would end it')
def sandbox(lab):
    result, answer = run(lab, victim('ends'), 'sandbox')
    same('its own status', result.must().out, f'lost {LOST}\n')
    check(answer)


@case('every class of block by its right name at the end')
def classes(lab):
    result, answer = run(lab, victim('leaker'))
    notes = [line.split() for line in result.must().out.splitlines()]
    want = {n[1] for n in notes if len(n) == 4 and n[3] == 'leaked'}
    possible = {n[1] for n in notes if len(n) == 4 and n[3] == 'possible'}
    tree = int(next(n[1] for n in notes if n[0] == 'tree'))
    same('leaked blocks', answer['totals']['leaked_blocks'], len(want) + tree - 1)
    leaked = {r['address'] for r in answer['rows'] if r['state'] == 'leaked'}
    holds('heads are leaks', leaked <= want, leaked - want)
    same('possibly leaked', {r['address'] for r in answer['rows'] if r['state'] != 'leaked'},
         possible)


@case('--exit-code, a baseline, and text on standard error')
def statuses(lab):
    known = lab.path('known')
    said = lab.seep('run', '--leaks', '--exit-code', '--', victim('ends')).must(1)
    same('standard output is the program\'s', said.out, f'lost {LOST}\n')
    holds('the answer is on standard error', f'{LOST} leaks' in said.err and
          'lose (ends.c:' in said.err, said.err)
    running = lab.start(victim('ends'), 'waits')
    running.line()
    pid = running.line().split()[1]
    lab.seep('leaks', '--write-baseline', known, pid).must()
    lab.seep('run', '--leaks', '--exit-code', '--baseline', known, '--', victim('ends')).must()
    refuses(lab.seep('run', '--exit-code', '--', victim('ends')), 2, 'needs --leaks')
    refuses(lab.seep('run', '--leaks', '--baseline', '/nowhere', '--', victim('ends')), 4,
            'baseline')


@case('who ends without exit() was not looked at, and that is said')
def unseen(lab):
    result, answer = run(lab, victim('ends'), '_exit')
    same('no answer', answer, None)
    same('status', result.status, 3)
    holds('it is said', 'not looked at for leaks' in result.err, result.err)


@case('--follow: children too, each to a file of its own')
def follow(lab):
    script = lab.path('script')
    with open(script, 'w', encoding='utf-8') as file:
        file.write(f'{victim("ends")} main & echo child $!; wait\n')
    result, _ = run(lab, '/bin/sh', script, options=['--follow'])
    pid = next(line.split()[1] for line in result.out.splitlines() if line.startswith('child'))
    with open(lab.path(f'leaks.json.{pid}'), encoding='utf-8') as file:
        check(json.load(file))


@case('when seep is killed the program ends as ever')
def killed(lab):
    running = lab.background(SEEP, 'run', '-q', '--leaks', '--', victim('ends'), 'waits')
    running.line()
    pid = int(running.line().split()[1])
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    os.kill(pid, 0)
    # The program has the same standard streams: they end when it has.
    running.wait()


if __name__ == '__main__':
    run_all()
