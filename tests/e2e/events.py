#!/usr/bin/env python3
"""Mode full: every event is in the file, in the order in which things happened, or it is counted."""
import csv
import fcntl
import io
import json
import os
import pathlib
import re
import signal
import struct
import time

from attach_lab import attach, detach
from lab import (SEEP, Skip, Wrong, case, check_sites, holds, refuses, run_all, same, victim,
                 wait_until)

USAGE, TARGET, FILE = 2, 3, 4
JEMALLOC = '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'
F_OFD_SETLK = 37
FUNCTION = re.compile(r'(?: in |^)([A-Za-z_]\w*)(?: |$)')


class Events:
    """A file of events, as `seep events` reads it."""

    def __init__(self, lab, path):
        self.data = json.loads(lab.seep('events', '--format', 'json', path).must().out)
        self.rows, self.totals = self.data['rows'], self.data['totals']
        same('all are listed', len(self.rows), self.totals['events'])

    def whole(self):
        same('complete', self.data['complete'], True)
        same('lost', self.data['lost_events'], 0)
        same('damaged', self.data['damaged_chunks'], 0)
        return self

    def replay(self, born_before=False):
        """What is live in the end, {address: event}. Each step must be possible."""
        live, number = {}, -1
        for event in self.rows:
            holds('numbers ascend', event['number'] > number, event)
            number = event['number']
            address, kind = event['address'], event['event']
            if kind in ('alloc', 'restore'):
                holds('an address is given out when it is free', address not in live,
                      (live.get(address), event))
                live[address] = event
            elif kind == 'void':
                del live[address]
            elif address in live:
                born = live.pop(address)
                same('what ends is what began', event['bytes'], born['bytes'])
            else:
                holds('only what was born before is not known', born_before or not event['stack'],
                      event)
        return live

    def sites(self):
        """{function: [allocated blocks, allocated bytes, freed blocks, freed bytes]}"""
        sums = {}
        for event in self.rows:
            found = FUNCTION.search(event['site'])
            if not found:
                continue
            at = 0 if event['event'] in ('alloc', 'void') else 2
            sign = -1 if event['event'] in ('void', 'restore') else 1
            counts = sums.setdefault(found[1], [0, 0, 0, 0])
            counts[at] += sign
            counts[at + 1] += sign * event['bytes']
        return sums

    def exact(self, truth):
        found = self.sites()
        for site in truth['sites']:
            if site.get('only_live'):
                continue
            same(site['site'], found.get(site['site'], [0] * 4),
                 [site[key] for key in ('allocated_blocks', 'allocated_bytes', 'freed_blocks',
                                        'freed_bytes')])


def recorded(lab, *command):
    """Events of a run that lost none; the machine may be too busy for that at first."""
    for _ in range(8):
        result = lab.seep('run', '--events', lab.path('events'), '--', *command)
        events = Events(lab, lab.path('events'))
        if not events.data['lost_events']:
            return result.must().truth(), events
    raise Wrong(f"every time events were lost, last {events.data['lost_events']}")


def every_event(name, *arguments):
    @case(f'{name}: every event, in order; the sums of each site are its own')
    def run(lab):
        truth, events = recorded(lab, victim(name), *arguments)
        events.whole().exact(truth)
        live = events.replay()
        names = {site['site'] for site in truth['sites']}
        left = [e for e in live.values() if (FUNCTION.search(e['site']) or ' ')[1] in names]
        same('live in the end', (len(left), sum(e['bytes'] for e in left)),
             (truth['totals']['live_blocks'], truth['totals']['live_bytes']))


every_event('allapi')
every_event('threads', '2', '50')
every_event('growers', '7')


class Full:
    """`seep mode PID full` beside the victim phases."""

    def __init__(self, lab, *options):
        self.lab, self.path = lab, lab.path('events')
        self.running = lab.start(victim('phases'))
        self.pid = self.running.truth()['pid']
        self.writer = None
        self.options = options

    def __call__(self, command):
        self.running.say(command)
        return self.running.truth()

    def mode(self):
        out = self.lab.seep('mode', '--format', 'json', self.pid).must().out
        return json.loads(out)['totals']['now']

    def table(self):
        """The recorder's, as who started the process has it open."""
        folder = f'/proc/{self.running.process.pid}/fd'
        return next(f'{folder}/{n}' for n in os.listdir(folder)
                    if os.readlink(f'{folder}/{n}').startswith('/memfd:seep-rec'))

    def begin(self):
        self.writer = self.lab.background(SEEP, 'mode', self.pid, 'full', '-o', self.path,
                                          *self.options)
        self.writer.until('full', lambda: 'every event goes to' in self.writer.errors())
        same('mode', self.mode(), 'full')

    def end(self, how=signal.SIGINT):
        self.writer.process.send_signal(how)
        return self.writer.wait()


@case('an allocator that resizes blocks in place, with a recorder that has come later')
def resized(lab):
    if not os.path.exists(JEMALLOC):
        raise Skip(f'{JEMALLOC} is not installed')
    process = lab.background(victim('attach-names'), env={'LD_PRELOAD': JEMALLOC})
    path = lab.path('events')
    pid = process.truth()['pid']
    attach(lab, pid)
    writer = lab.background(SEEP, 'mode', pid, 'full', '-o', path)
    writer.until('full', lambda: 'every event goes to' in writer.errors())
    process.say('one')
    process.truth()
    writer.process.send_signal(signal.SIGINT)
    writer.wait().must()
    events = Events(lab, path).whole()
    events.replay()
    holds('some were resized', any(e['event'] == 'void' for e in events.rows), events.totals)
    detach(lab, pid)
    process.say('drain')
    same('failures inside the victim', process.truth()['failures'], 0)


@case('seep mode full: what happens meanwhile, and nothing else; then the mode is what it was')
def for_a_while(lab):
    full = Full(lab)
    full('a0')
    full.begin()
    full('a1')
    full('f0')
    truth = full('r1')
    full.end().must()
    same('mode', full.mode(), 'lite')
    events = Events(lab, full.path).whole()
    events.replay(born_before=True)
    found = events.sites()
    same('phase 0', found['phase_0'][:2] + found['phase_0'][2:3], [0, 0, 50])
    same('phase 1', found['phase_1'][0], 100)
    same('resized', [e['event'] for e in events.rows if 'in resize' in e['site']], ['alloc'] * 10)
    same('bytes', events.totals['freed_bytes'], truth['totals']['freed_bytes'])
    truth = full('a2')
    report = lab.report(lab.snap(full.pid, 'one.seep', '--no-heaps'))
    check_sites({'sites': [s for s in truth['sites'] if s['site'] != 'resize'], 'failures': 0},
                report)
    same('history', [m['mode'] for m in report.data['snapshot']['modes']],
         ['lite', 'full', 'lite'])
    full.running.wait().must()


@case('one writer at a time; a second one is refused, and takes nothing from the first')
def one_writer(lab):
    full = Full(lab)
    full.begin()
    refuses(lab.seep('mode', full.pid, 'full', '-o', lab.path('other')), TARGET,
            'are written already', 'seep run --events')
    full('a0')
    full.end().must()
    same('events', Events(lab, full.path).whole().sites()['phase_0'][0], 100)


@case('a file that nobody reads from, and a mode that cannot be put back: said, and not waited for')
def cannot(lab):
    full = Full(lab)
    os.mkfifo(lab.path('pipe'))
    refuses(lab.seep('mode', full.pid, 'full', '-o', lab.path('pipe')), FILE, 'cannot write')
    same('mode', full.mode(), 'lite')
    full.begin()
    with open(full.table(), 'r+b') as table:
        fcntl.fcntl(table, F_OFD_SETLK, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 1, 0))
        done = full.end()
    same('status', done.status, TARGET)
    holds('it is said', 'does not come to an end' in done.err and
          f"'seep mode {full.pid} lite' ends that" in done.err, done.err)
    same('mode', full.mode(), 'full')
    lab.seep('mode', full.pid, 'lite').must()
    full('a0')
    full.running.wait().must()


@case('a window: only what happened of late is kept, and the disk gets back the rest')
def window(lab):
    full = Full(lab, '--window', '2s')
    full.begin()
    for _ in range(3):
        for phase in range(6):
            full(f'a{phase}')
            full(f'f{phase}')
    time.sleep(4.5)
    full('a1')
    full.end().must()
    events = Events(lab, full.path).whole()
    same('window', events.data['window_ms'], 2000)
    same('left', {e['event'] for e in events.rows}, {'alloc'})
    same('of these', events.sites()['phase_1'][0], 100)
    holds('the rest is gone', events.data['gone_events'] >= 18 * 150, events.data['gone_events'])
    text = lab.seep('events', full.path).must().out
    holds('it is said', 'earlier events are gone' in text, text)


@case('a writer that is killed leaves a file that is good, and a program that goes on')
def killed(lab):
    full = Full(lab)
    full.begin()
    full('a0')
    wait_until('it is on the disk', lambda: b'EVNT' in pathlib.Path(full.path).read_bytes())
    full('a1')
    full.writer.process.kill()
    full.writer.wait()
    events = Events(lab, full.path)
    same('complete', events.data['complete'], False)
    same('lost', events.data['lost_events'], None)
    same('what was written', events.sites()['phase_0'][0], 100)
    text = lab.seep('events', full.path).must().out
    holds('it is said', 'was cut short' in text, text)
    full('a2')
    same('mode', full.mode(), 'full')
    full.begin()  # somebody else takes over
    full('a3')
    full.end().must()
    same('after it', Events(lab, full.path).whole().sites().get('phase_3', [0])[0], 100)
    same('mode, then', full.mode(), 'lite')
    full.running.wait().must()


@case('the program waits for nobody: with nobody to drain, events are lost and counted')
def never_waits(lab):
    running = lab.start(victim('churner'), '2', options=('--events', lab.path('events')))
    pid = running.truth()['pid']
    launcher = running.process.pid
    time.sleep(0.2)
    os.kill(launcher, signal.SIGSTOP)
    time.sleep(1)
    running.say('')
    running.truth()  # the program has come to its end all the same
    os.kill(launcher, signal.SIGCONT)
    running.say('')
    result = running.wait().must()
    holds('told', 'and lost ' in result.err, result.err)
    data = json.loads(lab.seep('events', '--format', 'json', '--limit', '1',
                               lab.path('events')).must().out)
    holds('counted', data['lost_events'] > 1000, data['lost_events'])
    holds(f'process {pid}', data['pid'] == pid)


@case('what is in the file and what it says was lost are together what happened')
def losses_add_up(lab):
    path = lab.path('events')
    running = lab.start(victim('attached'), '2', options=('--events', path))
    running.truth()
    os.kill(running.process.pid, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(running.process.pid, signal.SIGCONT)
    running.say('drain')
    truth = running.truth()
    running.say('')
    running.say('end')
    truth = running.truth()
    running.wait().must()
    data = json.loads(lab.seep('events', '--format', 'json', '--limit', '1', path).must().out)
    seen = data['totals']['events'] + data['lost_events']
    happened = truth['totals']['allocated_blocks'] + truth['totals']['freed_blocks']
    holds('lost', data['lost_events'] > 1000, data['lost_events'])
    holds('libc itself allocates a few', happened <= seen < happened + 200, (happened, seen))
    text = lab.seep('events', path).must().out
    holds('it is said', f"Incomplete: {data['lost_events']:,} events were lost" in text, text)


class Attached(Full):
    """`seep attach --mode full` to the victim phases."""

    def __init__(self, lab, *options):  # pylint: disable=super-init-not-called
        self.lab, self.path = lab, lab.path('events')
        self.running = lab.background(victim('phases'))
        self.pid = self.running.truth()['pid']
        self.writer = None
        self.options = options

    def begin(self):
        self.writer = self.lab.background(SEEP, 'attach', self.pid, '--mode', 'full', '-o',
                                          self.path, *self.options)
        self.writer.until('attached', lambda: 'recording since now' in self.writer.errors())
        same('mode', self.mode(), 'full')


@case('seep attach --mode full: what happens meanwhile; then the recorder is out')
def attached(lab):
    full = Attached(lab)
    full('a0')
    full.begin()
    full('a1')
    full('f0')
    truth = full('r1')
    done = full.end().must()
    holds('detached', 'no longer recorded' in done.err, done.err)
    refuses(lab.seep('mode', full.pid), TARGET, 'is not being recorded')
    events = Events(lab, full.path).whole()
    events.replay(born_before=True)
    same('phase 1', events.sites()['phase_1'][0], 100)
    same('frees', sum(e['event'] in ('free', 'realloc') for e in events.rows),
         truth['totals']['freed_blocks'])
    same('resized', [e['event'] for e in events.rows if 'in resize' in e['site']], ['alloc'] * 10)
    full('a2')
    full.running.wait().must()


@case('seep attach --mode full: for a time, in a window, and until the process ends')
def attached_for(lab):
    full = Attached(lab, '--for', '300ms', '--window', '10s')
    full.begin()
    full('a1')
    full.writer.wait().must()
    events = Events(lab, full.path).whole()
    same('phase 1', events.sites()['phase_1'][0], 100)
    same('window', events.data['window_ms'], 10000)
    full.options = ()
    refuses(lab.seep('attach', full.pid, '--mode', 'full', '-o', '/none/x'), FILE, 'cannot write')
    lab.seep('attach', full.pid).must()
    Full.begin(full)  # by seep mode
    full('a3')
    full.end().must()
    same('phase 3', Events(lab, full.path).whole().sites()['phase_3'][0], 100)
    lab.seep('detach', full.pid).must()
    full.begin()
    full('a2')
    full.running.wait().must()
    done = full.writer.wait().must()
    holds('said', 'has ended' in done.err, done.err)
    same('phase 2', Events(lab, full.path).whole().sites()['phase_2'][0], 100)


def busy_attached(lab):
    """What three threads at full speed did between two fences, and its events."""
    running = lab.background(victim('attached'), '3', 'churn')
    pid = running.truth()['pid']
    running.say('fence')
    first = running.truth()
    writer = lab.background(SEEP, 'attach', pid, '--mode', 'full', '-o', lab.path('events'))
    writer.until('attached', lambda: 'recording since now' in writer.errors())
    running.say('')
    time.sleep(0.02)
    running.say('fence')
    second = running.truth()
    writer.process.send_signal(signal.SIGINT)
    writer.wait().must()
    running.say('')
    running.say('end')
    same('failures', running.truth()['failures'], 0)
    running.wait().must()
    return first, second, Events(lab, lab.path('events'))


@case('seep attach --mode full: threads at full speed, every event between two fences')
def attached_busy(lab):
    for _ in range(8):
        first, second, events = busy_attached(lab)
        if not events.data['lost_events']:
            break
    events.whole().replay(born_before=True)
    found, before = events.sites(), {s['site']: s for s in first['sites']}
    for site in second['sites']:
        old = before[site['site']]
        name = 'strdup' if site['site'] not in found else site['site']
        same(site['site'], found.get(name, [0] * 4)[:2],
             [site[k] - old[k] for k in ('allocated_blocks', 'allocated_bytes')])
    holds('many', len(events.rows) > 1000, len(events.rows))


@case('children, and programs that it becomes: files of their own')
def children(lab):
    path = lab.path('events')
    result = lab.seep('run', '--follow', '--events', path, '--', 'sh', '-c',
                      f'{victim("growers")} 3; exec {victim("allapi")}')
    truths = result.must().json_lines()
    child, last = [t for t in truths if t['program'] == 'growers'][-1], truths[-1]
    Events(lab, path).whole().exact(last)
    Events(lab, f"{path}.{child['pid']}").whole().exact(child)


@case('children for which there are no descriptors left: each is told of once')
def few_descriptors(lab):
    several = 'for i in 1 2 3 4; do sleep 0.3 & done; wait'
    for limit in range(14, 22):
        done = lab.run('sh', '-c', f'ulimit -n {limit}; exec "$@"', 'sh', SEEP, 'run', '--follow',
                       '--events', lab.path('few'), '--', 'sh', '-c', several)
        holds(f'{limit} descriptors: few lines', len(done.err.splitlines()) <= 12, done.err[:500])


@case('listing: filters, limits, CSV')
def listing(lab):
    full = Full(lab)
    full.begin()
    full('a0')
    full('f0')
    full.end().must()
    path = full.path
    rows = list(csv.DictReader(io.StringIO(lab.seep('events', '--format', 'csv', path).out)))
    same('rows', len(rows), 150)
    one = rows[0]
    life = list(csv.DictReader(io.StringIO(lab.seep(
        'events', '--format', 'csv', '--address', one['address'], path).out)))
    same('one address', {r['address'] for r in life}, {one['address']})
    same('its life', [r['event'] for r in life][:2], ['alloc', 'free'])
    for options, want in ((['--kind', 'alloc'], 100), (['--kind=free'], 50),
                          (['--min', '3000'], sum(int(r['bytes']) >= 3000 for r in rows)),
                          (['--thread', str(full.pid)], 150), (['--thread', '1'], 0),
                          (['--site', 'phase_0'], 150), (['--site', 'phase_9'], 0),
                          (['--limit', '7'], 7), (['--from', '1h'], 0)):
        out = lab.seep('events', '--format', 'csv', *options, path).must().out
        same(f'{options}', len(out.splitlines()) - 1, want)
    text = lab.seep('events', path).must().out
    holds('as text', '130 more (--limit 0 shows all)' in text, text)
    holds('sums', 'Allocated: 100 blocks' in text and 'freed: 50 blocks' in text, text)
    full.running.wait().must()


@case('files that are none, are cut or damaged: said, and never worse')
def bad_files(lab):
    full = Full(lab)
    full.begin()
    full('a0')
    full.end().must()
    good = pathlib.Path(full.path).read_bytes()
    other = pathlib.Path(lab.path('other'))
    for length in (0, 1, 20, 31, 32, 40, len(good) // 2, len(good) - 30, len(good) - 1):
        other.write_bytes(good[:length])
        result = lab.seep('events', other)
        holds(f'{length} bytes', result.status in (0, FILE), result)
        holds('said', result.err.startswith('seep: ') if result.status else
              'cut short' in result.out, result)
    for at in range(0, len(good), 7):
        other.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1:])
        result = lab.seep('events', '--no-symbols', other)
        holds(f'byte {at}', result.status in (0, FILE), result)
    other.write_text('hello\n')
    refuses(lab.seep('events', other), FILE, 'it is a text file', 'seep run --events')
    refuses(lab.seep('events', lab.path('none')), FILE, 'cannot open events')
    refuses(lab.seep('events', lab.snap(full.pid, 'one.seep', '--no-heaps')), FILE,
            'it is a snapshot', 'seep report')
    refuses(lab.seep('report', full.path), FILE, 'cannot read snapshot')
    full.running.wait().must()


@case('what does not go together is refused')
def refused(lab):
    for options in (['--mode=full'], ['--events', 'x', '--mode=lite'], ['--window', '5m'],
                    ['--events', '-']):
        same(f'{options}', lab.seep('run', *options, '--', 'true').status, USAGE)
    refuses(lab.seep('run', '--events', '/none/x', '--', 'true'), FILE, 'cannot write')
    same('flags', lab.seep('flags', '--mode=full', '/bin/cat', '+ust').status, USAGE)
    same('no file', lab.seep('mode', '1', 'full').status, USAGE)
    for options in (['--mode=full'], ['--mode=full', '-o', '-'], ['-o', 'x'], ['--window', '1m']):
        same(f'attach {options}', lab.seep('attach', *options, '1').status, USAGE)
    same('window', lab.seep('mode', '1', 'lite', '--window', '1m').status, USAGE)
    for options in (['--from', '2s', '--to', '1s'], ['--address', 'xyz'], ['--kind', 'some']):
        same(f'{options}', lab.seep('events', *options, 'x').status, USAGE)


if __name__ == '__main__':
    run_all()
