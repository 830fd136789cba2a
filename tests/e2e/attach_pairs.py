#!/usr/bin/env python3
"""seep attach --pair and --fds: who acquires and releases what is no memory, exactly."""
import ctypes.util
import json
import sys
import time

from attach_lab import attach, detach
from lab import Wrong, case, holds, run_all, same, victim
from untouched import differences, running

OWN = ('--pair', 'open=thing_get:close=thing_put@2',
       '--pair', 'open=out_open@2:close=out_close@ok',
       '--pair', 'open=number_get@int,number_inner@int:close=number_put')
# The site of a thing that a function of the victim hands on is that function.
SITES = {'by_number': 'number_get'}


def start(lab, *arguments):
    process = lab.background(victim('resources'), *arguments)
    return process, process.truth()['pid']


def fence(process, what='fence'):
    process.say(what)
    truth = process.truth()
    same('failures inside the victim', truth['failures'], 0)
    return {s['site']: s for s in truth['sites']}


def end(process):
    process.say('end')
    same('failures inside the victim', process.truth()['failures'], 0)
    process.wait().must()


def look(lab, pid, name):
    return lab.report(lab.snap(pid, name, '--no-heaps')).complete(['unknown_frees'])


def look_at_work(lab, pid, name):
    """On a busy machine a thread may stand in a hook for longer than a snapshot waits; it says so."""
    for number in range(10):
        report = lab.report(lab.snap(pid, f'{name}-{number}', '--no-heaps'))
        if not report.incomplete['torn']:
            break
    return report.complete(['unknown_frees'])


def counts(report):
    """(ever, held) by site."""
    return {row['name']: (row['total_blocks'], row['live_blocks'])
            for kind in report.data['resources'] for row in kind['rows']}


def still(process, pid):
    """The process while its threads do nothing."""
    fence(process)
    found = running(pid)
    process.say('')
    return found


def check_as_before(process, pid, before):
    """Its descriptors come and go by themselves; none of ours is among them."""
    found = differences(before, still(process, pid))
    holds('our own is gone', 'seep-rec' not in str(found.pop('fds', '')))
    same('what differs', found, {})


def check_between(first, second, born_before):
    """What happened between two fences, and what is held of all that happened since attach."""
    (truth_a, report_a), (truth_b, report_b) = first, second
    a, b = counts(report_a), counts(report_b)
    wrong = []
    for name, now in truth_b.items():
        site = SITES.get(name, name)
        want = now['allocated_blocks'] - truth_a[name]['allocated_blocks']
        got = b.get(site, (0, 0))[0] - a.get(site, (0, 0))[0]
        if got != want:
            wrong.append(f'{name}: {got} acquired, true is {want}')
        held = b.get(site, (0, 0))[1]
        if not born_before and held != now['live_blocks']:
            wrong.append(f'{name}: {held} held, true is {now["live_blocks"]}')
    if wrong:
        raise Wrong('; '.join(wrong))
    for kind in report_b.data['resources']:
        same('bytes of handles', sum(row['live_bytes'] + row['total_bytes']
                                     for row in kind['rows']), 0)
    names = {row['name'] for row in report_b.rows}
    same('sites of handles among memory', names & {'by_open', 'by_socket', 'by_dup'}, set())


@case('threads: each acquisition and release of descriptors and things, exactly')
def exact(lab):
    process, pid = start(lab, '3')
    before = still(process, pid)
    attach(lab, pid, '--fds', *OWN)
    time.sleep(0.5)
    first = fence(process), look(lab, pid, 'first')
    process.say('')
    time.sleep(0.5)
    second = fence(process), look(lab, pid, 'second')
    check_between(first, second, born_before=False)
    descriptors = second[1].data['snapshot']['descriptors']
    held = sum(kind['live_blocks'] for kind in second[1].data['resources']
               if kind['kind'] == '[file descriptors]')
    same('open, and of these not known', (descriptors['open'] - held, descriptors['gone']),
         (descriptors['unseen'], 0))
    # Its three standard ones and the listener.
    same('from before', descriptors['unseen'], 4)
    process.say('')
    detach(lab, pid)
    check_as_before(process, pid, before)
    end(process)


@case('exceptions, and threads that are cancelled, pass; who waits for ever does not hold it up')
def passes(lab):
    process, pid = start(lab, '2')
    before = still(process, pid)
    for _ in range(3):
        attach(lab, pid, '--fds', *OWN)
        for _ in range(3):
            fence(process, 'cancel')
        detach(lab, pid)
        # This one was inside when the recorder was taken out.
        fence(process, 'cancel')
        check_as_before(process, pid, before)
    end(process)


@case('a range of descriptors is closed at once, however high the numbers of other kinds are')
def ranges(lab):
    process, pid = start(lab, '1')
    attach(lab, pid, '--fds', '--pair', 'open=ticket_get@int:close=ticket_put')
    fence(process, 'range')
    detach(lab, pid)
    end(process)


@case('what it says: sections of their own, in report, diff and snap')
def says(lab):
    process, pid = start(lab, '1')
    attach(lab, pid, '--fds', *OWN)
    time.sleep(0.2)
    old = lab.snap(pid, 'old', '--no-heaps')
    time.sleep(0.2)
    fence(process)
    new = lab.path('new')
    answer = lab.seep('snap', '--no-heaps', '-o', new, pid).must()
    holds('what is held is told', 'file descriptors: ' in answer.err, answer)
    text = lab.seep('report', new).must().out
    for words in ('file descriptors: ', ' held; ever acquired: ', ' open in all, ',
                  'thing_get: ', ' in by_dup2\n'):
        holds(f'{words!r} is there', words in text, text)
    text = lab.seep('diff', old, new).must().out
    holds('a diff has them', 'file descriptors: ' in text and '; ever acquired: ' in text, text)
    data = json.loads(lab.seep('diff', '--format', 'json', old, new).must().out)
    same('kinds', {kind['kind'] for kind in data['resources']},
         {'[file descriptors]', '[thing_get]', '[out_open]', '[number_get]'})
    process.say('')
    end(process)


SQLITE = '''
import sqlite3, sys
kept = []
def opens():
    return sqlite3.connect(":memory:")
def open_some(nr, keep):
    for i in range(nr):
        c = opens()
        if i < keep:
            kept.append(c)
        else:
            c.close()
opens().close()
print("ready", flush=True)
for line in sys.stdin:
    if not line.strip():
        break
    open_some(*[int(w) for w in line.split()])
    print("done", flush=True)
'''


BUSY = '''
import ctypes, sys
sqlite = ctypes.CDLL(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    if not line.strip():
        break
    db, statement = ctypes.c_void_p(), ctypes.c_void_p()
    assert sqlite.sqlite3_open(b":memory:", ctypes.byref(db)) == 0
    assert sqlite.sqlite3_prepare_v2(db, b"select 1", -1, ctypes.byref(statement), None) == 0
    print("status", sqlite.sqlite3_close(db), flush=True)
    sys.stdin.readline()
    assert sqlite.sqlite3_finalize(statement) == 0
    print("status", sqlite.sqlite3_close(db), flush=True)
'''


@case('sqlite: a connection that refuses to be closed is held still')
def sqlite_busy(lab):
    process = lab.background(sys.executable, '-c', BUSY, ctypes.util.find_library('sqlite3'))
    same('it', process.line(), 'ready')
    pid = process.process.pid
    attach(lab, pid, '--pair', 'open=sqlite3_open:close=sqlite3_close')
    for number in (1, 2, 3):
        process.say('open')
        same('it', process.line(), 'status 5')
        kind, = look(lab, pid, f'busy-{number}').data['resources']
        same('ever, held', (kind['total_blocks'], kind['live_blocks']), (number, 1))
        process.say('close')
        same('it', process.line(), 'status 0')
        kind, = look(lab, pid, f'closed-{number}').data['resources']
        same('ever, held', (kind['total_blocks'], kind['live_blocks']), (number, 0))
    detach(lab, pid)
    process.say('')
    process.wait().must()


@case('sqlite in python3, named by the pair of the manual')
def sqlite(lab):
    if not ctypes.util.find_library('sqlite3'):
        raise Wrong('sqlite is not installed')
    process = lab.background(sys.executable, '-c', SQLITE)
    same('it', process.line(), 'ready')
    pid = process.process.pid
    before = running(pid)
    attach(lab, pid, '--pair', 'open=sqlite3_open,sqlite3_open_v2:close=sqlite3_close,'
                               'sqlite3_close_v2')
    process.say('50 7')
    same('it', process.line(), 'done')
    report = look(lab, pid, 'one')
    kind, = report.data['resources']
    same('kind, ever, held', (kind['kind'], kind['total_blocks'], kind['live_blocks']),
         ('[sqlite3_open]', 50, 7))
    process.say('9 2')
    same('it', process.line(), 'done')
    kind, = look(lab, pid, 'two').data['resources']
    same('ever, held', (kind['total_blocks'], kind['live_blocks']), (59, 9))
    detach(lab, pid)
    same('what differs', differences(before, running(pid)), {})
    process.say('3 1')
    same('it', process.line(), 'done')
    process.say('')
    process.wait().must()


def recorded(lab, program):
    """A python3 program that is attached to before it does what it does; and what was recorded then."""
    process = lab.background(sys.executable, '-c', program)
    same('it', process.line(), 'ready')
    attach(lab, process.process.pid, '--fds')
    process.say('')
    same('it', process.line(), 'done')
    return process, look(lab, process.process.pid, 'one')


CHILDREN = '''
import ctypes, os, subprocess, sys
syscall = ctypes.CDLL(None).syscall
def children():
    subprocess.run(["/bin/true"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    pid = os.fork()
    if not pid:
        os.close(0)
        os.open("/dev/null", os.O_RDONLY)
        os._exit(0)
    os.waitpid(pid, 0)
    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)])
    os.wait()
print("ready", flush=True)
sys.stdin.readline()
for i in range(20):
    children()
kept = [os.dup(0) for i in range(6)]
for fd in kept[:2]:
    syscall(3, fd)
for i in range(3):
    syscall(32, 0)
print("done", flush=True)
sys.stdin.readline()
'''


@case('children have descriptors of their own; what goes by the recorder is told')
def unseen(lab):
    process, report = recorded(lab, CHILDREN)
    kind, = report.data['resources']
    # For each child: what is in and out of it, and a pipe for errors.
    same('ever', kind['total_blocks'], 20 * 5 + 6)
    # dup() by a system call of its own takes the lowest numbers: first those that were closed so.
    same('held', kind['live_blocks'], 6)
    same('by the kernel', report.data['snapshot']['descriptors'],
         {'open': 3 + 6 + 1, 'unseen': 3 + 1, 'gone': 0})
    detach(lab, process.process.pid)
    process.say('')
    process.wait().must()


GONE = '''
import ctypes, os, sys
print("ready", flush=True)
sys.stdin.readline()
kept = [os.dup(0) for i in range(6)]
for fd in kept[:2]:
    ctypes.CDLL(None).syscall(3, fd)
print("done", flush=True)
sys.stdin.readline()
'''


@case('a descriptor that is closed by a way that is not recorded is not held, and told')
def gone(lab):
    process, report = recorded(lab, GONE)
    kind, = report.data['resources']
    same('ever, held', (kind['total_blocks'], kind['live_blocks']), (6, 4))
    same('by the kernel', report.data['snapshot']['descriptors'],
         {'open': 3 + 4, 'unseen': 3, 'gone': 2})
    text = lab.seep('report', lab.path('one')).must().out
    holds('it is told', '2 more were closed by such ways' in text, text)
    process.say('')
    process.wait().must()


@case('a process that opens and closes all the time: nothing is taken for unknown')
def churning(lab):
    process, pid = start(lab, '3')
    attach(lab, pid, '--fds')
    # What it had then it has closed by now.
    time.sleep(0.5)
    for number in range(6):
        descriptors = look_at_work(lab, pid, f'snap-{number}').data['snapshot']['descriptors']
        same('gone', descriptors['gone'], 0)
        # A thread that gets no processor right after open() has one that is not noted yet.
        holds('only those from before are unknown', 4 <= descriptors['unseen'] <= 4 + 3,
              descriptors)
    end(process)


@case('bad pairs are refused, with a hint, and nothing is changed')
def refused(lab):
    process, pid = start(lab, '1')
    before = still(process, pid)
    for pair, status, words in (
            ('open=thing_get', 2, "'open=thing_get' is no pair of functions"),
            ('open=thing_get:close=', 2, 'is no pair of functions'),
            ('open=thing_get@9:close=thing_put', 2, 'is no pair of functions'),
            ('open=thing_get:close=thing_lost', 3, "has no function 'thing_lost'"),
            ('open=libnothing/thing_get:close=thing_put', 3, "in 'libnothing'"),
            ('open=thing_get:close=free', 3, "cannot record function 'free'"),
            ('open=tiny:close=thing_put', 3, 'cannot stand before tiny')):
        answer = lab.seep('attach', '--pair', pair, pid).must(status)
        holds(f'it says {words!r}', words in answer.err, answer)
        holds('there is a hint', 'hint: ' in answer.err, answer)
        answer = lab.seep('attach', '--dry-run', '--pair', pair, pid).must(status)
    answer = lab.seep('attach', '--fds', '--pair', 'open=dup@int:close=close', pid).must(3)
    holds('a function of two kinds', "cannot record function" in answer.err, answer)
    check_as_before(process, pid, before)
    end(process)


run_all()
