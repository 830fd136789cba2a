#!/usr/bin/env python3
"""Snapshots that are damaged, foreign or unequal, and places that cannot be written."""
import gzip
import json
import os
import pathlib
import random
import resource
import subprocess

from lab import (SEEP, SOURCE, TOOLS, Skip, Wrong, case, holds, need, need_root, refuses, run_all, same,
                 victim)
from others import as_other, copy_of_seep

FOUND, USAGE, TARGET, FILE = 1, 2, 3, 4


def two_snapshots(lab):
    """Of one process, a step apart."""
    running = lab.start(victim('growers'), '2', '--wait')
    shots = []
    for step in (1, 2):
        truth = running.truth()
        shots.append(pathlib.Path(lab.snap(truth['pid'], f'step{step}.seep')))
        running.say('')
    running.wait().must()
    return shots


# ---- what is no snapshot ----


def both_refuse(lab, path, status, message, hint=None):
    """report of it, and diff with it on either side."""
    good = two_snapshots(lab)[0]
    for arguments in (['report', path], ['diff', path, good], ['diff', good, path]):
        refuses(lab.seep(*arguments), status, message, hint)
        refuses(lab.seep(arguments[0], '--format', 'json', *arguments[1:]), status, message, hint)


def no_snapshot(title, content, message, hint=None):
    @case(f'{title}: report and diff refuse it')
    def run(lab):
        path = lab.folder / 'input'
        path.write_bytes(content(lab) if callable(content) else content)
        both_refuse(lab, path, FILE, message, hint)


no_snapshot('an empty file', b'', 'the file is empty', 'disk was full')
no_snapshot('a program', lambda _: SEEP.read_bytes(), 'it is an ELF program', 'seep run')
no_snapshot('JSON', b'{"schema": 1}', 'it looks like JSON')
no_snapshot('text', b'words\nand more words\n' * 100, 'cannot read snapshot')
no_snapshot('zeros', bytes(5000), 'cannot read snapshot')
no_snapshot('noise', random.Random(1).randbytes(20000), 'cannot read snapshot')
no_snapshot('a packed snapshot', lambda lab: gzip.compress(two_snapshots(lab)[0].read_bytes()),
            'gzip-compressed', 'unpacked')
no_snapshot('a snapshot sent as text',
            lambda lab: two_snapshots(lab)[0].read_bytes().replace(b'\r\n', b'\n'), 'changed on its way',
            'binary')
no_snapshot('the first bytes of a snapshot', lambda lab: two_snapshots(lab)[0].read_bytes()[:20],
            'cannot read snapshot')


@case('a file that does not exist: report and diff say so')
def missing(lab):
    both_refuse(lab, lab.path('nowhere.seep'), FILE, 'No such file or directory')


@case('a folder: report and diff say so')
def folder(lab):
    both_refuse(lab, lab.folder, FILE, 'Is a directory')


@case('a file that may not be read')
def unreadable(lab):
    good = two_snapshots(lab)[0]
    seep = copy_of_seep(lab)
    if os.geteuid() == 0:
        command = [*as_other(), seep]
    else:
        good.chmod(0)
        command = [seep]
    refuses(lab.run(*command, 'report', good), FILE, 'Permission denied')


@case('a snapshot of a newer version: refused with the version it needs')
def newer(lab):
    path = two_snapshots(lab)[0]
    copy = lab.folder / 'newer.seep'
    copy.write_bytes(path.read_bytes())
    lab.run(TOOLS / 'reseal', copy, '7').must()
    both_refuse(lab, copy, FILE, 'written by a newer seep .format 7, this one reads up to 1.')
    lab.run(TOOLS / 'reseal', copy, '1').must()
    lab.report(copy).complete()


@case('kept files of version 1 are read')
def kept(lab):
    for path in sorted((SOURCE / 'tests' / 'data').glob('v1*.seep')):
        lab.seep('report', path).must()


# ---- damage ----


def read_damaged(lab, path, good_totals):
    """
    Good or damaged, told or refused; never a crash, never a wrong figure without a word. Returns
    what it was.
    """
    result = lab.seep('report', '--format', 'json', '--sort', 'total_bytes', path, patience=30)
    if result.status == FILE:
        refuses(result, FILE, 'cannot read snapshot')
        return 'refused'
    same(f'exit status {result!r}', result.status, 0)
    answer = json.loads(result.out)
    if answer['incomplete']['damaged']:
        holds('it says what is damaged', answer['snapshot'].get('damage'), answer['snapshot'])
        lab.seep('report', path).must()
        return 'damaged'
    same('totals', answer['totals'], good_totals)
    return 'good'


def good_totals_of(lab, path):
    return json.loads(lab.seep('report', '--format', 'json', '--sort', 'total_bytes',
                               path).must().out)['totals']


@case('a snapshot cut short anywhere: read up to the last good chunk, or refused, and said')
def truncated(lab):
    path = two_snapshots(lab)[1]
    totals, content = good_totals_of(lab, path), path.read_bytes()
    cut = lab.folder / 'cut.seep'
    seen = []
    lengths = [*range(1, len(content), max(1, len(content) // 60)), len(content) - 1]
    for length in lengths:
        cut.write_bytes(content[:length])
        seen.append(read_damaged(lab, cut, totals))
    same('good ones', seen.count('good'), 0)
    holds('short ones are refused, long ones are read', seen[0] == 'refused' and
          seen[-1] == 'damaged' and seen.count('damaged') > 10, seen)
    cut.write_bytes(content[:-1])
    same('nothing but the end is missing: totals', good_totals_of(lab, cut), totals)


@case('a snapshot with any bit flipped: never a wrong figure without a word')
def flipped(lab):
    path = two_snapshots(lab)[1]
    totals, content = good_totals_of(lab, path), path.read_bytes()
    dice, seen = random.Random(4711), []
    flipped_file = lab.folder / 'flipped.seep'
    for _ in range(150):
        damaged = bytearray(content)
        damaged[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        flipped_file.write_bytes(damaged)
        seen.append(read_damaged(lab, flipped_file, totals))
    holds('most can still be read', seen.count('damaged') + seen.count('good') > 100, seen)


@case('diff with a damaged snapshot: compares what is left, and says so')
def diff_damaged(lab):
    one, two = two_snapshots(lab)
    content = two.read_bytes()
    two.write_bytes(content[:-30])
    answer = lab.diff(one, two)
    same('said', answer.incomplete['damaged'], True)
    text = lab.seep('diff', one, two).must()
    holds('the text says so', 'is damaged' in text.out and 'is damaged' in text.err, text)


# ---- two that do not belong together ----


@case('snapshots of two processes: refused; --force compares and says it')
def two_processes(lab):
    one, two = two_snapshots(lab)[0], None
    running = lab.start(victim('pause'), '100')
    two = lab.snap(running.truth()['pid'], 'other.seep')
    refuses(lab.seep('diff', one, two), USAGE, 'not of the same process', '--force')
    forced = lab.seep('diff', '--force', '--format', 'json', one, two).must()
    holds('said in the result', json.loads(forced.out)['incomplete'].get('forced'), forced)
    holds('and on stderr', 'not of the same process' in forced.err, forced.err)


@case('a restart between two snapshots: refused')
def restarted(lab):
    one = two_snapshots(lab)[0]
    again = lab.folder / 'again'
    again.mkdir()
    running = lab.start(victim('growers'), '1', '--wait')
    two = lab.snap(running.truth()['pid'], 'again.seep')
    refuses(lab.seep('diff', one, two), USAGE, 'not of the same process', '--force')


@case('another program in the same process (exec) between two snapshots: refused')
def executed(lab):
    fence = lab.folder / 'fence'
    os.mkfifo(fence)
    running = lab.start(need('bash'), '-c',
                        f'echo ready; read -r line <{fence}; exec {victim("growers")} 1 --wait')
    same('the shell', running.line(), 'ready')
    pid = bash_of(running.process.pid)
    one = lab.snap(pid, 'shell.seep')
    fence.write_text('\n')
    same('pid', running.truth()['pid'], int(pid))
    two = lab.snap(pid, 'program.seep')
    refuses(lab.seep('diff', one, two), USAGE, 'not of the same', '--force')


def bash_of(launcher):
    """The pid, once the shell has got so far that it is recorded."""
    child = pathlib.Path(f'/proc/{launcher}/task/{launcher}/children').read_text().split()
    if child and 'seep-rec' in pathlib.Path(f'/proc/{child[0]}/maps').read_text():
        return child[0]
    return None


@case('the older one second: compared, with a warning')
def wrong_order(lab):
    one, two = two_snapshots(lab)
    result = lab.seep('diff', two, one).must()
    holds('warning', result.err.startswith('seep: warning: ') and 'was taken after' in result.err,
          result.err)


@case('a snapshot with itself: nothing changed')
def itself(lab):
    one = two_snapshots(lab)[0]
    same('rows', lab.diff(one, one).rows, [])


# ---- places that cannot be written ----


def writers(lab, target):
    """Command lines that each write `target`."""
    one, two = two_snapshots(lab)
    running = lab.start(victim('growers'), '1', '--wait')
    pid = running.truth()['pid']
    return [
        ['snap', '-o', target, pid],
        ['report', '-o', target, one],
        ['report', '--format', 'json', '-o', target, one],
        ['diff', '-o', target, one, two],
        ['diff', '--format', 'umdh', '-o', target, one, two],
    ]


@case('an output folder that does not exist')
def no_folder(lab):
    for command in writers(lab, lab.path('no/such/out')):
        refuses(lab.seep(*command), FILE, 'cannot write .*: No such file or directory')


@case('a folder as the output')
def output_folder(lab):
    for command in writers(lab, lab.folder):
        refuses(lab.seep(*command), FILE, 'cannot write .*: Is a directory')


@case('an output folder that may not be written')
def closed_folder(lab):
    if os.geteuid() == 0:
        raise Skip('root may write everywhere')
    closed = lab.folder / 'closed'
    closed.mkdir(0o555)
    for command in writers(lab, closed / 'out'):
        refuses(lab.seep(*command), FILE, 'cannot write .*: Permission denied')


@case('/dev/full as standard output')
def full_output(lab):
    one, two = two_snapshots(lab)
    for command in (['report', one], ['diff', '--format', 'json', one, two], ['help']):
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([SEEP, *command], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=lab.env, check=False, timeout=60)
        holds(f'{command[0]}: one line', done.stderr.startswith('seep: ') and
              'No space left' in done.stderr and done.stderr.count('\n') <= 2, done.stderr)
        same('status', done.returncode, FILE)


def old_one_survives(lab, command, target, limit):
    """Fails for want of room, says so once, and leaves what was there, and nothing else."""
    target.parent.mkdir(exist_ok=True)
    before, beside = target.read_bytes(), sorted(os.listdir(target.parent))
    result = lab.seep(*command, **limit)
    refuses(result, FILE, f"cannot write '{target}': (No space left|File too large)")
    same('the file that was there', target.read_bytes(), before)
    same('files beside it', sorted(os.listdir(target.parent)), beside)


@case('a limit on file sizes: refused in words, the snapshot that was there stays')
def file_limit(lab):
    keep = lab.folder / 'keep'
    keep.mkdir()
    target = keep / 'out'
    target.write_bytes(b'what was good')

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    for command in writers(lab, target):
        old_one_survives(lab, command, target, {'preexec_fn': limited})


@case('a full disk: refused in words, the snapshot that was there stays')
def disk_full(lab):
    need_root()
    mount, umount = need('mount', 'umount')
    disk = lab.folder / 'disk'
    disk.mkdir()
    if lab.run(mount, '-t', 'tmpfs', '-o', 'size=16k', 'none', disk).status:
        raise Skip('tmpfs cannot be mounted here')
    try:
        target = disk / 'out'
        target.write_bytes(b'what was good')
        commands = writers(lab, target)
        (disk / 'filler').write_bytes(bytes(12 * 1024 - 4096))
        for command in commands:
            fill(disk)
            old_one_survives(lab, command, target, {})
    finally:
        lab.run(umount, '-l', disk)


def fill(disk):
    """To the last page."""
    try:
        with open(disk / 'filler', 'ab', buffering=0) as f:
            while True:
                f.write(bytes(4096))
    except OSError:
        pass


@case('run --at-exit on a full disk: the program is not disturbed, the status says it')
def disk_full_at_exit(lab):
    need_root()
    mount, umount = need('mount', 'umount')
    disk = lab.folder / 'disk'
    disk.mkdir()
    if lab.run(mount, '-t', 'tmpfs', '-o', 'size=16k', 'none', disk).status:
        raise Skip('tmpfs cannot be mounted here')
    try:
        fill(disk)
        (disk / 'filler').write_bytes(b'')
        running = lab.start(victim('growers'), '1', '--wait',
                            options=['--at-exit', disk / 'end.seep'])
        running.truth()
        fill(disk)
        running.say('')
        result = running.wait()
        holds('the program went on to its end', '"step 1"' in running.said[0], running.said)
        refuses(result, FILE, 'cannot write .*: No space left')
        same('nothing half-written', os.listdir(disk), ['filler'])
    finally:
        lab.run(umount, '-l', disk)


@case('a snapshot is written over an older one in one step: readers see the old or the new')
def replaced(lab):
    running = lab.start(victim('growers'), '1', '--wait')
    pid = running.truth()['pid']
    path = lab.snap(pid, 'same.seep')
    every = lab.background(SEEP, 'snap', '-q', '--every', '1ms', '--count', '30', '-o',
                           lab.path('x.seep'), str(pid))
    for i in range(30):
        lab.snap(pid, 'same.seep', '--no-symbols')
        if lab.report(path).totals['live_blocks'] == 0:
            raise Wrong(f'an empty snapshot in round {i}')
    every.wait().must()
    left = [p.name for p in lab.folder.iterdir() if p.name.startswith('.seep-')]
    same('temporary files left', left, [])


if __name__ == '__main__':
    run_all()
