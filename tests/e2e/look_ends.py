#!/usr/bin/env python3
"""Looks during which the process, or the looker, ends or begins anew: nobody is left behind."""
import collections
import os
import random
import subprocess
import time

from lab import PATIENCE, case, holds, need, run_all, same, victim, wait_until
from looking import (LOOK, METHODS, Look, check_instant, children, ends_whole, goes_on, mutate,
                     state, status, word_now)


@case('threads and processes that come and go at once')
def comers_and_goers(lab):
    for hazard in ('churn', 'spawn'):
        process = lab.background(victim('look-hazard'), hazard)
        truth = process.truth()
        for method in METHODS:
            pid, seen = process.process.pid, 0
            for _ in range(30):
                look = Look(lab, method, pid)
                same(f'its end, after {process.errors()!r}', process.process.poll(), None)
                # On a busy machine its only thread may be in the middle of starting another.
                if 'no thread of it is' in look.facts.get('error', ''):
                    continue
                look.must_be(method)
                holds('threads', look.threads, look.facts)
                look.close()
                seen += 1
            holds('most looks succeeded', seen > 20, seen)
        process.until('it goes on', lambda t=truth, p=process: word_now(p.process.pid, t['counter']))


@case('processes that end in the middle of a look')
def enders(lab):
    seen = collections.Counter()
    for i in range(120):
        short = subprocess.Popen(['sleep', f'{random.uniform(0.001, 0.02):.4f}'])
        done = subprocess.run([LOOK, ('clone', 'stop', 'auto')[i % 3], str(short.pid)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=PATIENCE)
        holds('an answer or an error', done.returncode in (0, 3), (done.returncode, done.stderr))
        holds('said so', done.stdout.endswith('ready\n'), done.stdout[-200:])
        seen[done.returncode] += 1
        same('its end', short.wait(PATIENCE), 0)


def no_clone_left(pid):
    """Running ones are killed with their tracer; what may be left are zombies."""
    wait_until('clones have ended', lambda: all(state(c) == 'Z' for c in children(pid)))


@case('killed at every single call that traces: the process is whole')
def killed_everywhere(lab):
    strace = need('strace')
    quiet = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'}  # which traces, too
    for method in METHODS:
        process, truth = mutate(lab, '1')
        pid = process.process.pid
        nr = 0
        while True:
            nr += 1
            done = subprocess.run([strace, '-f', '-qq', '-o', '/dev/null', '-e', 'trace=ptrace',
                                   '-e', f'inject=ptrace:signal=SIGKILL:when={nr}', LOOK, method,
                                   str(pid)], stdin=subprocess.DEVNULL, capture_output=True,
                                  check=False, timeout=PATIENCE, env=quiet)
            holds('it comes to an end', nr < 500, done)
            goes_on(process, truth['pair'])
            no_clone_left(pid)
            holds('not many left', len(children(pid)) <= 1, children(pid))
            if done.returncode == 0:
                break
        holds('calls', nr > (10 if method == 'stop' else 30), nr)
        look = Look(lab, 'clone', pid).must_be('clone')
        check_instant(look, truth)
        look.close()
        same('zombies after the next look', children(pid), [])
        ends_whole(process)


@case('killed at random moments, two hundred times')
def killed_anytime(lab):
    process, truth = mutate(lab, '3')
    pid = process.process.pid
    waits_process = lab.background(victim('look-waits'), 60000)
    waits_process.line()
    others = children(waits_process.process.pid)
    for i in range(200):
        seen = pid if i % 2 else waits_process.process.pid
        tool = subprocess.Popen([LOOK, 'clone' if i % 4 < 3 else 'stop', str(seen)],
                                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.012))
        tool.kill()
        tool.communicate()
        same('both are there', (process.process.poll(), waits_process.process.poll()),
             (None, None))
    goes_on(process, truth['pair'])
    for seen, own in ((pid, []), (waits_process.process.pid, others)):
        no_clone_left(pid)
        Look(lab, 'clone', seen).must_be('clone').close()
        same('children', children(seen), own)
        same('state', status(seen, 'TracerPid'), '0')
    ends_whole(process)


@case('a program that runs itself again all the time: no look hangs, nor does it')
def runs_again(lab):
    running = lab.background(victim('look-exec'))
    same('it runs', running.line(), 'ready')
    pid = running.process.pid
    for i in range(40):
        # A look may find it between two programs; it must come to an end, and so must exec().
        answer = lab.seep('heaps', '--method', ('clone', 'stop')[i % 2], pid, patience=30)
        holds('a look, or why there is none', answer.status in (0, 3), answer)
    running.wait(patience=30).must()


if __name__ == '__main__':
    run_all()
