#!/usr/bin/env python3
"""The lab: BatteryMeter's leak between two snapshots, exactly; snapshots at full speed; pauses."""
import os
import re
import signal
import statistics
import time

from lab import BUILD, SOURCE, case, holds, run_all, same, victim

METER = BUILD / 'examples' / 'batterymeter'
LEAKS = {  # function that allocates: file, bytes a block
    'battery_info_init': ('battery.h', 3072),
    'cpu_info_init': ('cpu.h', 4560),
}
WARM_UP = 300  # turns until the cache is full
SHOTS = 20


def line_of_malloc(file):
    text = (SOURCE / 'examples' / 'batterymeter' / file).read_text()
    found = [nr for nr, line in enumerate(text.splitlines(), 1) if 'malloc(' in line]
    same(f'calls of malloc in {file}', len(found), 1)
    return found[0]


def start_meter(lab, build, *arguments):
    return lab.start(METER / f'batterymeter-{build}', '--headless', *arguments)


def ask(meter, command):
    meter.say(command)
    return meter.truth()


def check_leak_row(row, build, turns):
    function = row['site']['function']
    file, size = LEAKS[function]
    same(f'blocks of {function}', row['delta_blocks'], turns)
    same(f'bytes of {function}', row['delta_bytes'], turns * size)
    same('file', row['site']['file'].rsplit('/', 1)[-1], file)
    same('line', row['site']['line'], line_of_malloc(file))
    same('kind', row['site']['kind'], 'own')
    same('inlined', row['site']['inlined'], build == 'release')
    if build == 'release':
        same('inlined into', row['inlined_in']['function'], 'take_turn')
        same('file of that', row['inlined_in']['file'].rsplit('/', 1)[-1], 'meter.c')
        holds('line of that', row['inlined_in']['line'] > 0)
    frames = row['stacks'][0]['frames']
    same('stacks', len(row['stacks']), 1)
    same('chain', [f['function'] for f in frames[:3]], [function, 'take_turn', 'worker_run'])
    holds('every frame of our own has a line',
          all(f['line'] for f in frames if f['kind'] == 'own'), frames)


def lab_of(build, turns):
    @case(f'batterymeter-{build}: after {turns} turns +{turns} blocks of 3072 and of 4560, by line')
    def run(lab):
        meter = start_meter(lab, build, '--rate', '0', '--turns', '0')
        pid = ask(meter, f'turn {WARM_UP}')['pid']
        one = lab.snap(pid, 'one.seep')
        before = ask(meter, 'truth')
        after = ask(meter, f'turn {turns}')
        two = lab.snap(pid, 'two.seep')
        same('leaked by its own count', after['leaked_blocks'] - before['leaked_blocks'], 2 * turns)
        diff = lab.diff(one, two).complete()
        rows = {r['site'].get('function'): r for r in diff.rows[:2]}
        same('the two that grew most', set(rows), set(LEAKS))
        for row in rows.values():
            check_leak_row(row, build, turns)
        total = turns * (3072 + 4560)
        for row in diff.rows[2:]:
            holds('nothing else above the noise', abs(row['delta_bytes']) <= total // 100, row)
        text = lab.seep('diff', one, two).must().out
        for file, _ in LEAKS.values():
            holds(f'the text names {file}', f'{file}:{line_of_malloc(file)} in ' in text, text)
        if build == 'release':
            holds('the text says what was inlined',
                  len(re.findall(r'\(inlined in take_turn, meter\.c:\d+\)', text)) >= 2, text)
        gate = lab.seep('diff', '--exit-code', '--max', str(total // 2), one, two)
        same('status when it grew too much', gate.status, 1)
        lab.seep('diff', '--exit-code', '--max', str(total * 2), one, two).must(0)


lab_of('debug', 1000)
lab_of('release', 1000)
lab_of('debug', 100)
lab_of('release', 4096)


@case('batterymeter: without a turn between two snapshots nothing grew')
def standing_still(lab):
    meter = start_meter(lab, 'release', '--rate', '0', '--turns', '0')
    pid = ask(meter, 'turn 50')['pid']
    shots = [lab.snap(pid, f'{i}.seep') for i in range(2)]
    diff = lab.diff(*shots).complete()
    # It may not yet have freed the buffer of the answer that we have read already.
    same('rows', [r for r in diff.rows if r['site']['function'] != 'totals_print'], [])


@case('batterymeter: all it holds equals its own totals, while it rests and at exit')
def own_totals(lab):
    path = lab.path('end.seep')
    meter = lab.start(METER / 'batterymeter-release', '--headless', '--rate', '0', '--turns', '0',
                      options=('--at-exit', path, '-q'))
    truth = ask(meter, 'turn 500')
    for shot in (lab.snap(truth['pid'], 'now.seep'), path):
        if shot == path:
            meter.say('quit')
            meter.wait().must()
        report = lab.report(shot).complete()
        for function, (_, size) in LEAKS.items():
            found = report.counts_of(function)
            same(function, (found['live_blocks'], found['live_bytes']), (500, 500 * size))
        cached = report.counts_of('cache_add')
        same('cache', cached['live_blocks'], truth['cache_blocks'] if shot != path else 0)


def live_of(report, function):
    return report.counts_of(function)['live_blocks']


@case(f'batterymeter at full speed: {SHOTS} snapshots, each of one instant between two calls')
def full_speed(lab):
    meter = start_meter(lab, 'release', '--rate', '60000')
    pid = ask(meter, 'truth')['pid']
    lab.seep('snap', '--every', '1ms', '--count', SHOTS, '--no-symbols', '-o',
             lab.path('shot.seep'), pid).must()
    turns = ask(meter, 'pause')['turns']
    before = 0
    for i in range(1, SHOTS + 1):
        report = lab.report(lab.path(f'shot-{i}.seep')).complete()
        battery, cpu = live_of(report, 'battery_info_init'), live_of(report, 'cpu_info_init')
        holds('a turn allocates the battery, then the CPU', battery - cpu in (0, 1), (battery, cpu))
        holds('the counts only grow', battery >= before, (battery, before))
        before = battery
    holds('it was running all the while', 0 < before <= turns, (before, turns))
    holds('something happened between the first and the last',
          before > live_of(lab.report(lab.path('shot-1.seep')), 'battery_info_init'))


# ---- pauses ----

ROUNDS = 9
BOUND_MS = 20  # more than a snapshot may add, less than copying a million blocks at a halt takes


def longest_gap_ms(process, disturb, calls_least=1000):
    process.say('watch')
    same('answer', process.line(), 'watching')
    disturb()
    process.say('tell')
    seen = process.truth()
    holds('it allocated all the while', seen['calls'] > calls_least, seen)
    return seen['longest_ns'] / 1e6


def added_ms(base, loaded):
    """How much longer the typical longest gap is; medians, as the machine has gaps of its own."""
    return statistics.median(loaded) - statistics.median(base)


def start_twins(lab):
    """Two alike: while one is looked at, the other one shows what the load alone does."""
    twins = [lab.start(victim('pause')) for _ in range(2)]
    return twins, [twin.truth()['pid'] for twin in twins]


@case(f'a snapshot of a million live blocks keeps nobody from allocating for {BOUND_MS} ms')
def no_pause(lab):
    (observed, _), (pid, twin_pid) = start_twins(lab)
    own, other = [], []
    for _ in range(ROUNDS):
        other.append(longest_gap_ms(observed, lambda: lab.snap(twin_pid, 'twin', '--no-symbols')))
        own.append(longest_gap_ms(observed, lambda: lab.snap(pid, 'own', '--no-symbols')))
    print(f'# longest gap, ms: itself snapped {sorted(own)}, its twin snapped {sorted(other)}')
    live = live_of(lab.report(lab.path('own')).complete(), 'hold')
    same('live blocks', live, 1000000)
    holds(f'less than {BOUND_MS} ms more', added_ms(other, own) < BOUND_MS, (own, other))


@case('the measurement of pauses sees a pause: the same with the process halted shortly')
def pause_is_seen(lab):
    (observed, twin), (pid, twin_pid) = start_twins(lab)

    def halted(which):
        def disturb():
            os.kill(which, signal.SIGSTOP)
            time.sleep(3 * BOUND_MS / 1000)
            os.kill(which, signal.SIGCONT)
        return disturb
    # Halted for nearly all of the time, it has little left to allocate in, or nothing at all.
    own = [longest_gap_ms(observed, halted(pid), -1) for _ in range(5)]
    other = [longest_gap_ms(observed, halted(twin_pid)) for _ in range(5)]
    holds('the pause is seen', added_ms(other, own) > BOUND_MS, (own, other))
    twin.wait().must()


if __name__ == '__main__':
    run_all()
