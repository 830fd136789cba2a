#!/usr/bin/env python3
"""seep heaps on processes that know nothing of it: the growing heap, the balance, damage, servers."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from clients import Load, child_of, listening, redis_client
from lab import (BUILD, Skip, case, free_port, holds, need, need_root, refuses, run_all, same, victim,
                 wait_until)

METER = BUILD / 'examples' / 'batterymeter' / 'batterymeter-release'
LOOKS = 20
TRIES = 20


def heaps(lab, *arguments, status=0):
    """All JSON objects that seep heaps writes."""
    text = lab.seep('heaps', '--format', 'json', *arguments).must(status).out
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        same('schema', value['schema'], 'seep-heaps-1')
        found.append(value)
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def look(lab, target):
    return heaps(lab, target)[0]


def note(answer, pattern):
    found = [n for n in answer['notes'] if re.search(pattern, n)]
    holds(f'a note says {pattern!r}', found, answer['notes'])
    return found[0]


def check_sums(answer):
    """Totals are the sums of the rows that lie in no other heap; the balance adds up to RSS."""
    totals = answer['totals']
    rows = [r for r in answer['rows'] if not r['inside']]
    for key in ('busy_bytes', 'busy_blocks', 'committed_bytes', 'free_bytes', 'overhead_bytes'):
        same(f'sum of {key}', sum(r[key] or 0 for r in rows), totals[key])
    for r in answer['rows']:
        if r['busy_bytes'] is not None:
            same(f"committed of {r['heap']}", r['committed_bytes'],
                 r['busy_bytes'] + r['cached_bytes'] + r['free_bytes'] + r['overhead_bytes'])
    if 'rss_bytes' in totals:
        same('balance', sum(l['bytes'] for l in answer['balance']), totals['rss_bytes'])
    same('failed checks', totals['failed_checks'], 0)


def need_instant(answer):
    if answer['totals']['method'] not in ('frozen clone', 'stopped'):
        raise Skip(f"this machine lets nobody stop a process: {answer['totals']['method']}")


def ask(meter, command):
    meter.say(command)
    return meter.truth()


@case("BatteryMeter, not recorded: the worker's heap grows, by blocks of the two sizes that leak")
def meter_grows(lab):
    meter = lab.background(METER, '--headless', '--rate', '0', '--turns', '0')
    pid = ask(meter, 'turn 300')['pid']
    before = look(lab, pid)
    need_instant(before)
    one = lab.snap(pid, 'one.seep')
    ask(meter, 'turn 500')
    two = lab.snap(pid, 'two.seep')
    change = heaps(lab, one, two)[0]
    grown = {r['heap']: r['delta_busy_bytes'] for r in change['rows'] if r['delta_busy_bytes']}
    holds('one arena grew, and only it', len(grown) == 1 and 'arena' in list(grown)[0], grown)
    same('its name', change['totals']['growing_heap'], list(grown)[0])
    # malloc(3072) and malloc(4560) give blocks of 3080 and 4568 usable bytes
    sizes = {s['size']: s['delta_blocks'] for s in change['sizes']}
    same('blocks by size', sizes, {3080: 500, 4568: 500})
    same('bytes', list(grown.values()), [500 * (3080 + 4568)])
    said = note(change, 'grows at')
    holds('the sentence', re.match(r'The heap of thread worker \(glibc arena \d+\) grows at '
                                   r'[\d.]+ [KM]iB/s, by blocks of 4,568 and 3,080 bytes', said), said)
    refuses(lab.seep('diff', one, two), 4, 'does not say who allocated', 'seep heaps')
    # the process itself against a snapshot of it
    ask(meter, 'turn 10')
    # Having answered, it may still have what it prints with for a moment.
    wait_until('there are 20 blocks more', lambda: heaps(lab, two, pid)[0]['totals']
               ['delta_busy_blocks'] == 20)
    meter.say('quit')
    meter.wait().must()


@case('BatteryMeter, recorded: the sizes are those that were asked for')
def meter_recorded(lab):
    meter = lab.start(METER, '--headless', '--rate', '0', '--turns', '0')
    pid = ask(meter, 'turn 300')['pid']
    one = lab.snap(pid, 'one.seep')
    ask(meter, 'turn 400')
    two = lab.snap(pid, 'two.seep')
    need_instant(heaps(lab, one)[0])
    change = heaps(lab, one, two)[0]
    same('sizes', {s['size']: s['delta_blocks'] for s in change['sizes']}, {3072: 400, 4560: 400})
    report = lab.diff(one, two, '--group-by', 'function')
    same('and who', {r['name']: r['delta_blocks'] for r in report.rows},
         {'battery_info_init': 400, 'cpu_info_init': 400})
    small = lab.snap(pid, 'small.seep', '--no-blocks')
    holds('smaller', os.path.getsize(small) < os.path.getsize(two),
          (os.path.getsize(small), os.path.getsize(two)))
    same('figures without blocks', look(lab, small)['totals']['busy_blocks'],
         look(lab, two)['totals']['busy_blocks'])
    meter.say('quit')
    meter.wait().must()


@case('--watch: a table and a sentence each time; ends with the process, or by Ctrl-C')
def watch(lab):
    meter = lab.background(METER, '--headless', '--rate', '200')
    pid = meter.process.pid
    meter.until('it runs', lambda: ask(meter, 'truth')['turns'] > 100)
    answers = heaps(lab, '--watch', '500ms', '--count', '3', pid)
    same('looks', len(answers), 3)
    for answer in answers[1:]:
        holds('an arena grows', 'arena' in answer['totals']['growing_heap'], answer['totals'])
        growth, ns = answer['totals']['growing_heap_bytes'], answer['totals']['elapsed_ns']
        row = next(r for r in answer['rows'] if r['heap'] == answer['totals']['growing_heap'])
        holds('the rate is growth by time', abs(row['busy_bytes_per_s'] - growth * 1e9 / ns) < 2, row)
    ends = lab.background(BUILD / 'seep', 'heaps', '--watch', '200ms', pid)
    while 'changes in' not in ends.line():
        pass
    ends.process.send_signal(signal.SIGINT)
    ends.wait().must()
    ends = lab.background(BUILD / 'seep', 'heaps', '--watch', '200ms', pid)
    while 'changes in' not in ends.line():
        pass
    meter.say('quit')
    meter.wait().must()
    holds('says that it ended', 'has ended' in ends.wait().must().err)


def status_bytes(pid, key):
    text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(rf'^{key}: +(\d+) kB', text, re.MULTILINE).group(1)) * 1024


@case('a process that stands still: the balance is its RSS, to the byte')
def balance(lab):
    still = lab.background(victim('growers'), '1', '--wait')
    pid = still.truth()['pid']
    need_instant(look(lab, pid))
    for _ in range(TRIES):
        before = status_bytes(pid, 'Rss')
        answer = look(lab, pid)
        check_sums(answer)
        if status_bytes(pid, 'Rss') == before:
            break
    else:
        raise Skip('the kernel takes and gives pages all the time')
    parts = {l['part']: l['bytes'] for l in answer['balance']}
    same('nothing changed meanwhile', parts.get('changed', 0), 0)
    same('the sum of the mappings', sum(parts.values()) - parts.get('kernel', 0), before)
    still.wait()


@case('a written-over block: status 1 and the place, first from the process, then from a snapshot')
def damage(lab):
    broken = lab.background(victim('overruns'))
    truth = broken.truth()
    need_instant(look(lab, truth['pid']))
    shot = lab.snap(truth['pid'], 'broken.seep')
    for target in (truth['pid'], shot):
        result = lab.seep('heaps', '--check', target).must(1)
        places = [int(a, 16) for a in re.findall(r'0x[0-9a-f]{6,}', result.out)]
        holds('the place is the header behind the block',
              any(truth['block'] < a <= truth['behind'] for a in places), (truth, result))
    result = lab.seep('heaps', truth['pid']).must()
    holds('the table says so', 'DAMAGED' in result.out, result)
    broken.wait().must()
    fine = lab.background(victim('growers'), '1', '--wait')
    lab.seep('heaps', '--check', fine.truth()['pid']).must()
    fine.wait()


@case('a static program, and one of 32 bits')
def other_programs(lab):
    static = lab.background(victim('static'), '--wait')
    answer = look(lab, static.truth()['pid'])
    same('allocator', answer['totals']['allocator'], 'glibc')
    holds('blocks', answer['totals']['busy_blocks'] >= 25, answer)
    check_sums(answer)
    static.wait()
    source = lab.folder / 'narrow.c'
    source.write_text('#include <stdlib.h>\n#include <stdio.h>\nint main(void)\n{\n'
                      'for (int i = 0; i < 1000; i++) if (!malloc(1000)) return 1;\n'
                      'puts("{}"); fflush(stdout); return getchar(), 0;\n}\n')
    built = lab.run(shutil.which('cc') or need('gcc'), '-m32', '-o', lab.path('narrow'), source)
    if built.status:
        raise Skip('no compiler for 32 bits')
    narrow = lab.background(lab.path('narrow'))
    narrow.truth()
    answer = look(lab, narrow.process.pid)
    check_sums(answer)
    holds('its blocks', 1000 <= answer['totals']['busy_blocks'] < 1020, answer['totals'])
    narrow.wait().must()


@case('a process in another pid namespace: both pids are shown')
def container(lab):
    need_root()
    unshare = need('unshare')
    running = lab.background(unshare, '--pid', '--fork', '--mount-proc', victim('growers'), '1', '--wait')
    inside = running.truth()['pid']
    pid = int(running.until('its pid', child_of(running.process.pid)))
    result = lab.seep('heaps', pid).must()
    holds('both pids', f'(pid {pid}, {inside} in its container)' in result.out, result)
    check_sums(look(lab, pid))
    running.wait()


@case('a core has the same heaps as the process it is of; a snapshot of the core too')
def core(lab):
    still = lab.background(victim('growers'), '3', '--wait')
    pid = still.truth()['pid']
    live = look(lab, pid)
    need_instant(live)
    path = lab.path('core')
    lab.seep('core', '-o', path, pid).must()
    shot = lab.snap(path, 'core.seep')
    for target in (path, shot):
        answer = look(lab, target)
        for key in ('heaps', 'busy_bytes', 'busy_blocks', 'free_bytes', 'committed_bytes'):
            same(f'{key} of {target}', answer['totals'][key], live['totals'][key])
        same('failed checks', answer['totals']['failed_checks'], 0)
    still.wait()


@case(f'redis under load: {LOOKS} looks, every check holds, no client sees an error')
def redis(lab):
    server = need('redis-server')
    port = free_port()
    running = lab.background(server, '--port', port, '--bind', '127.0.0.1', '--save', '', '--dir',
                             lab.folder, '--daemonize', 'no')
    running.until('redis listens', listening(port))
    with Load(4, redis_client(port)) as load:
        for _ in range(LOOKS):
            before = load.done
            wait_until('clients work', lambda: load.errors or load.done > before + 50)  # pylint: disable=cell-var-from-loop
            answer = look(lab, running.process.pid)
            need_instant(answer)
            check_sums(answer)
            same('allocator', answer['totals']['allocator'], 'jemalloc')
            holds('blocks', answer['totals']['busy_blocks'] > 1000, answer['totals'])
    same('errors of clients', load.errors, [])
    os.kill(running.process.pid, signal.SIGTERM)
    running.wait().must()


@case('nginx: master and worker')
def nginx(lab):
    server = need('nginx')
    port = free_port()
    settings = lab.folder / 'nginx.conf'
    settings.write_text(f'daemon off; pid {lab.folder}/pid; error_log {lab.folder}/error.log;\n'
                        'worker_processes 1; events {}\n'
                        f'http {{ access_log off; server {{ listen 127.0.0.1:{port}; '
                        'location / { return 200 "hello"; } } }\n')
    running = lab.background(server, '-c', settings, '-p', lab.folder)
    running.until('nginx listens', listening(port))
    worker = running.until('its worker', child_of(running.process.pid))
    for pid in (running.process.pid, worker):
        answer = look(lab, pid)
        need_instant(answer)
        check_sums(answer)
        holds('blocks', answer['totals']['busy_blocks'] > 100, answer['totals'])
    os.kill(running.process.pid, signal.SIGQUIT)
    running.wait()


@case('python3 that grows in a thread: every check holds, and the heap that grows is named')
def python(lab):
    program = need('python3')
    running = lab.background(program, '-c', '''
import sys, threading
kept = []
def work():
    for line in sys.stdin:
        kept.extend(bytearray(5000) for _ in range(300))
        print('{}', flush=True)
worker = threading.Thread(target=work)
print('{}', flush=True)
worker.start()
worker.join()
''')
    running.truth()
    running.say('more')
    running.truth()
    one = lab.snap(running.process.pid, 'one.seep')
    answer = look(lab, one)
    need_instant(answer)
    check_sums(answer)
    running.say('more')
    running.truth()
    change = heaps(lab, one, running.process.pid)[0]
    holds('an arena of glibc grows', 'glibc arena' in change['totals']['growing_heap'],
          change['totals'])
    biggest = change['sizes'][0]
    holds('by 300 blocks of 5001 bytes and what rounds them', 5001 <= biggest['size'] <= 5032
          and biggest['delta_blocks'] == 300, change['sizes'])
    running.wait().must()


@case('what cannot be looked at: refused, each with its reason')
def refusals(lab):
    done = subprocess.Popen(['true'])
    done.wait()
    refuses(lab.seep('heaps', done.pid), 3, 'no such process')
    if pathlib.Path('/proc/2/comm').exists() and not os.path.exists('/proc/2/exe'):
        refuses(lab.seep('heaps', '2'), 3, 'process 2')
    ended = lab.background(victim('growers'), '1')
    ended.until_zombie()
    refuses(lab.seep('heaps', ended.process.pid), 3, 'has ended')
    text = lab.folder / 'text.seep'
    text.write_text('no snapshot')
    refuses(lab.seep('heaps', text), 4, 'text file')


if __name__ == '__main__':
    run_all()
