#!/usr/bin/env python3
"""Modes of the recorder, changed while the program runs: what was recorded when is exact, what was
not is counted, and what samples stand for is right on the average, whatever the sizes."""
import json
import math
import random
import time

from lab import SEEP, Wrong, case, check_sites, check_sums, holds, refuses, run_all, same, victim
from libraries import ALLOCATORS, library

TARGET, USAGE = 3, 2


class Phases:
    """The victim of that name under the recorder, and what it did so far."""

    def __init__(self, lab, *options, env=None):
        self.lab, self.nr = lab, 0
        self.running = lab.start(victim('phases'), options=options, env=env)
        self.truth = self.running.truth()
        self.pid = self.truth['pid']

    def __call__(self, command):
        self.running.say(command)
        before, self.truth = self.truth, self.running.truth()
        return before, self.truth

    def mode(self, mode):
        return self.lab.seep('mode', self.pid, mode).must()

    def report(self):
        self.nr += 1
        return self.lab.report(self.lab.snap(self.pid, f'{self.nr}.seep', '--no-heaps'))

    def site(self, name):
        return next(s for s in self.truth['sites'] if s['site'] == name)

    def exact(self, report, *names):
        check_sites({'sites': [self.site(name) for name in names], 'failures': 0}, report)

    def end(self):
        self.running.wait().must()


def modes_of(report):
    return [m['mode'] for m in report.data['snapshot']['modes']]


@case('off: what was born before stays exact, what is born meanwhile is counted')
def off_is_exact(lab):
    phases = Phases(lab)
    phases('a0')
    before = time.monotonic_ns()
    phases.mode('off')
    after = time.monotonic_ns()
    phases('a1')
    phases('f0')
    phases('f1')
    least = time.monotonic_ns() - after
    report = phases.report()
    phases.exact(report, 'phase_0')
    same('phase 1', report.counts_of('phase_1')['total_blocks'], 0)
    snapshot = report.data['snapshot']
    born = phases.site('phase_1')
    same('born while off', (snapshot['off_blocks'], snapshot['off_bytes']),
         (born['allocated_blocks'], born['allocated_bytes']))
    same('freed while off, never known', snapshot['off_frees'], born['freed_blocks'])
    same('modes', modes_of(report), ['lite', 'off'])
    holds('its time', least <= snapshot['off_ns'] <= time.monotonic_ns() - before)
    same('frees of blocks older than the recording', report.incomplete['unknown_frees'], 0)
    text = lab.seep('report', lab.path('1.seep')).must().out
    holds('the listing says it', 'the recording was off for' in text, text)
    holds('and how much', ': 100 blocks (' in text, text)
    phases.end()


@case('off and on again: new blocks are exact, blocks of the time between stay unknown')
def off_and_on(lab):
    phases = Phases(lab)
    phases('a0')
    phases.mode('off')
    phases('a1')
    before, after = phases('r0')  # free and allocation in one: known ones go, new ones are unknown
    resized = after['totals']['allocated_blocks'] - before['totals']['allocated_blocks']
    phases.mode('lite')
    phases('a2')
    phases('r2')
    report = phases.report()
    phases.exact(report, 'phase_0', 'phase_2')
    same('phase 1', report.counts_of('phase_1')['total_blocks'], 0)
    same('resized since', report.counts_of('resize')['live_blocks'], 10)
    same('born while off', report.data['snapshot']['off_blocks'], 100 + resized)
    phases('f1')
    report = phases.report()
    phases.exact(report, 'phase_0', 'phase_2')
    same('frees of what is not known', report.incomplete['unknown_frees'], 50)
    same('modes', modes_of(report), ['lite', 'off', 'lite'])
    phases.end()


@case('run --mode off: nothing is recorded until it is switched on')
def begins_off(lab):
    phases = Phases(lab, '--mode', 'off')
    phases('a0')
    report = phases.report()
    same('nothing', report.totals['total_blocks'], 0)
    phases.mode('lite')
    phases('a1')
    report = phases.report()
    phases.exact(report, 'phase_1')
    same('of before', report.counts_of('phase_0')['total_blocks'], 0)
    phases.end()


@case('samples of every byte are every block: lite, sample and off in turn stay exact')
def samples_of_all(lab):
    phases = Phases(lab)
    for number, mode in enumerate(['lite', 'sample=1', 'off', 'sample=2', 'lite', 'sample=1']):
        phases.mode(mode)
        phases(f'a{number}')
        if number:
            phases(f'f{number - 1}')
    report = phases.report()
    phases.exact(report, 'phase_0', 'phase_1', 'phase_3', 'phase_4', 'phase_5')
    same('phase 2', report.counts_of('phase_2')['total_blocks'], 0)
    check_sums(report)
    by_name = {row['name']: row for row in report.rows}
    for number, samples in enumerate([0, 100, None, 100, 0, 100]):
        if samples is not None:
            row = by_name[f'phase_{number}']
            same(f'samples of phase {number}', row['total_samples'], samples)
            same(f'and live', row['live_samples'], row['live_blocks'] if samples else 0)
    same('lost', report.incomplete['lost_frees'], 0)
    phases.end()


@case('threads with samples of every byte: handed over, resized, freed elsewhere: as without')
def threads_sampled(lab):
    result, path = lab.record(victim('threads'), options=['--mode', 'sample=1'])
    truth = result.must().truth()
    report = lab.report(path)
    for site in truth['sites']:
        # A block of 10 bytes is passed over once in 22,000 times.
        found = report.counts_of(site['site'])
        for key, want in (('live_blocks', site['live_blocks']),
                          ('total_blocks', site['allocated_blocks'])):
            holds(f"{site['site']}: {key}", abs(found[key] - want) <= 3, (found, want))
    same('lost', report.incomplete['lost_frees'], 0)


@case('a mode that changes all the time leaves no block behind that is gone')
def nothing_stale(lab):
    churn(lab, {})


for allocator in ALLOCATORS:
    @case(f'the same under {allocator}')
    def nothing_stale_under(lab, name=allocator):
        churn(lab, {'LD_PRELOAD': library(ALLOCATORS[name])})


def untorn(lab, pid):
    """On a machine that is busy with other things a thread may stand in a hook for long."""
    for _ in range(5):
        report = lab.report(lab.snap(pid, 'now.seep', '--no-heaps'))
        if not report.incomplete['torn']:
            return check_sums(report)
    raise Wrong('no snapshot of one instant in five')


def churn(lab, env):
    running = lab.start(victim('churner'), env=env)
    pid = running.truth()['pid']
    choose = random.Random(7)
    for turn in range(40):
        mode = choose.choice(['lite', 'off', 'sample=1', 'sample=256', 'sample=16K'])
        lab.seep('mode', '-q', pid, mode).must()
        if turn % 8 == 0:
            untorn(lab, pid)
    lab.seep('mode', '-q', pid, 'lite').must()
    running.say('')
    running.truth()
    report = lab.report(lab.snap(pid, 'end.seep', '--no-heaps'))
    same('live of what is gone', report.counts_of('churn')['live_blocks'], 0)
    last = report.counts_of('keep_last')
    same('kept at the end', (last['live_blocks'], last['live_bytes']), (1, 777))
    same('torn', report.incomplete['torn'], False)
    same('lost', report.incomplete['lost_frees'], 0)
    same('no room', report.incomplete['dropped_blocks'], 0)
    running.say('')
    running.wait().must()


# ---- estimates ----

MEAN, MIB, RUNS = 16384, 8, 20


def steps():
    """Sizes in order, site by site, as the victim has them; endless."""
    def pattern(size):
        i = 0
        while True:
            yield size(i)
            i += 1
    return {
        'tiny': pattern(lambda i: 1 + i % 31),
        'small': pattern(lambda i: 80 + i % 5 * 16),
        'middle': pattern(lambda i: 4000 + i % 11 * 700),
        'mixed': pattern(lambda i: 24 if i % 50 else 20000),
        'large': pattern(lambda i: 100000 + i % 3 * 200000),
        'grown': pattern(lambda i: 64 << i % 8),
        'fleeting': pattern(lambda i: 300 + i % 7),
    }


def tally(sizes, stays):
    """{size: (allocated, live)} of one thread."""
    counts, done, i = {}, 0, 0
    for size in sizes:
        allocated, live = counts.get(size, (0, 0))
        counts[size] = (allocated + 1, live + stays(i))
        done, i = done + size, i + 1
        if done >= MIB << 20 and (stays is not every_eighth or i % 8 == 0):
            return counts


def every_other(i):
    return i % 2


def every_eighth(i):
    return i % 8 == 7


def none(_):
    return 0


STAY = {'grown': every_eighth, 'fleeting': none}


def expectations(threads):
    """{(site, figure): (truth, variance)}: sums over blocks, each weighed by 1 / p if sampled."""
    found = {}
    for site, sizes in steps().items():
        counts = tally(sizes, STAY.get(site, every_other))
        for which, column in (('total', 0), ('live', 1)):
            for unit, value in (('blocks', lambda size: 1), ('bytes', lambda size: size)):
                truth = variance = 0
                for size, numbers in counts.items():
                    missed = math.exp(-size / MEAN)
                    truth += numbers[column] * value(size)
                    variance += numbers[column] * value(size) ** 2 * missed / (1 - missed)
                found[site, f'{which}_{unit}'] = (truth * threads, variance * threads)
    return found


def check_truth(truth, want):
    for site in truth['sites']:
        for key, figure in (('allocated_blocks', 'total_blocks'), ('live_bytes', 'live_bytes'),
                            ('allocated_bytes', 'total_bytes'), ('live_blocks', 'live_blocks')):
            same(f"{site['site']}: {key}", want[site['site'], figure][0], site[key])


def standard_errors(site, figure, variance):
    """Of the mean, that one in ten million passes at most, by Bernstein's inequality: it holds of
    few blocks, too, of which one that is missed is far from what is expected. Those that are never
    missed, not once in 100,000 times, are left out of it."""
    counts = tally(steps()[site], every_other)
    missed = [size for size, (nr, _) in counts.items()
              if 2 * RUNS * nr * math.exp(-size / MEAN) > 1e-5]
    one = max(missed) if figure.endswith('bytes') else 1
    third = math.log(2e7) * one / math.sqrt(variance + 1) / 3
    return (third + math.sqrt(third ** 2 + 2 * math.log(2e7) * RUNS)) / math.sqrt(RUNS)


@case(f'{RUNS} runs with {RUNS} seeds: estimates are right on the average, whatever the sizes')
def unbiased(lab):
    want = {1: expectations(1), 3: expectations(3)}
    scores = {key: [] for key in want[1]}
    for number in range(RUNS):
        threads = (1, 3)[number % 2]
        result, path = lab.record(victim('sampled'), MIB, threads,
                                  options=['--mode', f'sample={MEAN}', '-q'])
        if number < 2:
            check_truth(result.must().truth(), want[threads])
        report = lab.report(path)
        for (site, figure), (truth, variance) in want[threads].items():
            got = report.counts_of(site)[figure]
            scores[site, figure].append((got - truth) / math.sqrt(variance + 1))
    worst = 0
    for key, found in scores.items():
        z = sum(found) / math.sqrt(RUNS)
        worst = max(worst, abs(z))
        most = standard_errors(*key, want[1][key][1]) if key[0] == 'large' else 4.5
        holds(f'{key}: the mean of {RUNS} estimates is within {most:.1f} standard errors',
              abs(z) < most, f'{z:.2f} of {found}')
    # Squares of standard normal variables, if the variance is what it should be. ('large': of a
    # few blocks, nearly all of which are sampled: not normal.)
    squares = sum(z * z for key, found in scores.items() if key[1] == 'total_bytes'
                  for z in found if key[0] != 'large')
    print(f'# worst mean: {worst:.2f} standard errors; sum of {6 * RUNS} squares: {squares:.0f}')
    holds('estimates scatter as they should', 60 < squares < 205, squares)


@case('live is never more than ever was')
def live_and_ever(lab):
    result, path = lab.record(victim('sampled'), MIB, 1, options=['--mode', 'sample=4K', '-q'])
    result.must()
    report = lab.report(path)
    holds('row by row', all(
        row['live_blocks'] <= row['total_blocks'] and row['live_bytes'] <= row['total_bytes'] and
        row['live_samples'] <= row['total_samples'] for row in report.rows))
    check_sums(report)
    rows = {row['name']: row for row in report.rows}
    same('what is freed at once is temporary', rows['fleeting']['temporary_blocks'],
         rows['fleeting']['total_blocks'])
    same('what is not is not', [rows[name]['temporary_blocks'] for name in ('small', 'grown')],
         [0, 0])


@case('what samples stand for is said wherever they are shown')
def said(lab):
    _, path = lab.record(victim('sampled'), '1', options=['--mode', 'sample=64K', '-q'])
    text = lab.seep('report', path).must().out
    holds('about', ' held about ' in text, text)
    holds('samples', 'figures with samples are estimates' in text, text)
    holds('a column', '  samples  ' in text.splitlines()[3], text)
    same('mode', [m.get('mean_bytes') for m in lab.report(path).data['snapshot']['modes']], [65536])
    csv = lab.seep('report', '--format', 'csv', path).must().out.splitlines()
    same('csv', csv[0].split(',')[-1], 'live_samples')
    snapshot = lab.report(path).data['snapshot']
    blocks = lab.seep('blocks', path).must().out
    holds('blocks', f"{snapshot['live_samples']:,} blocks of it" in blocks, blocks)
    refuses(lab.seep('report', '--format', 'umdh', path), USAGE, 'cannot write samples', 'json')


# ---- seep mode ----


@case('seep mode: what is, what was; words that are none, processes that are not recorded')
def shows(lab):
    phases = Phases(lab, '--mode', 'sample=500000')
    phases.mode('off')
    phases.mode('off')
    rows = json.loads(lab.seep('mode', phases.pid, '--format', 'json').must().out)
    same('now', rows['totals']['now'], 'off')
    same('history', [row['mode'] for row in rows['rows']], ['sample=512K', 'off'])
    for word in ('sample', 'sample=', 'sample=0', 'sample=2G', 'sample=-1', 'on', '', 'LITE'):
        holds(word, lab.seep('mode', phases.pid, word).status == USAGE)
    for turn in range(70):
        phases.mode('lite' if turn % 2 else 'sample=4K')
    text = lab.seep('mode', phases.pid).must().out
    holds('more than are kept', '12 earlier changes are not kept' in text, text)
    phases.end()
    sleeper = lab.background('sleep', '60')
    refuses(lab.seep('mode', sleeper.process.pid, 'off'), TARGET, 'is not being recorded')


@case('a snapshot and a change of the mode at the same moment wait for each other')
def at_once(lab):
    running = lab.start(victim('churner'), '2')
    pid = running.truth()['pid']
    for turn in range(10):
        snap = lab.background(SEEP, 'snap', '-o', lab.path(f'{turn}.seep'), '--no-heaps', '-q', pid)
        lab.seep('mode', '-q', pid, ('off', 'sample=4K', 'lite')[turn % 3]).must()
        snap.wait().must()
        report = lab.report(lab.path(f'{turn}.seep'))
        if not report.incomplete['torn']:
            check_sums(report)
    running.say('')
    running.truth()
    running.say('')
    running.wait().must()


if __name__ == '__main__':
    run_all()
