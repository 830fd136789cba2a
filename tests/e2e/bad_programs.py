#!/usr/bin/env python3
"""Programs that cannot be recorded and processes that cannot be read: one line, a hint, the status."""
import os
import pathlib
import platform
import signal
import struct
import subprocess

from lab import (SEEP, Skip, case, free_port, holds, need, need_root, refuses, run_all, same, victim)
from others import as_other, copy_of_seep

USAGE, TARGET, FILE = 2, 3, 4


def refused(title, make, status, message, hint=None):
    """A case: seep with the arguments that make(lab) gives is refused."""
    @case(title)
    def run(lab):
        arguments = make(lab) if callable(make) else make
        refuses(lab.seep(*arguments), status, message, hint)


# ---- words that are wrong ----

refused('no such command', ['frobnicate'], USAGE, "'frobnicate' is not a seep command", 'seep help')
refused('a mistyped command: the right one is suggested', ['reprot', 'x'], USAGE, "'reprot'",
        "did you mean 'report'")
refused('a mistyped option: the right one is suggested', ['run', '--folow', '--', 'true'], USAGE,
        "unknown option '--folow'", "did you mean '--follow'")
refused('run without a command', ['run'], USAGE, 'expected a command', 'seep run --help')
refused('snap without a target', ['snap'], USAGE, 'expected a process', 'seep snap --help')
refused('snap with two targets', ['snap', '1', '2'], USAGE, "unexpected operand '2'")
refused('--count without --every', ['snap', '--count', '3', '1'], USAGE, '--count needs --every')
refused('a duration that is none', ['snap', '--every', 'soon', '1'], USAGE, "'soon' is not a duration")
refused('an option of another command', ['snap', '--at-exit', 'x', '1'], USAGE, 'unknown option')


# ---- programs ----


def file_with(name, content, mode=0o755):
    def make(lab):
        path = lab.folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return ['run', '--', path]
    return make


def elf(machine, kind=2, klass=2):
    """An ELF header alone: kind 2 is a program, klass 2 is 64-bit."""
    head = b'\x7fELF' + bytes([klass, 1, 1, 0]) + bytes(8)
    if klass == 2:
        head += struct.pack('<HHIQQQIHHHHHH', kind, machine, 1, 0x400000, 64, 0, 0, 64, 56, 0, 64, 0,
                            0)
    else:
        head += struct.pack('<HHIIIIIHHHHHH', kind, machine, 1, 0x400000, 52, 0, 0, 52, 32, 0, 40, 0,
                            0)
    return head.ljust(4096, b'\0')


OTHER_MACHINE = 183 if platform.machine() == 'x86_64' else 62  # aarch64, x86-64

refused('a program that no folder of PATH holds', ['run', '--', 'no-such-program-anywhere'], TARGET,
        "cannot run 'no-such-program-anywhere': No such file or directory", 'PATH')
refused('a path that does not exist', ['run', '--', './not/here'], TARGET,
        "cannot run './not/here': No such file")
refused('a file that is not executable', file_with('plain', b'#!/bin/sh\n', 0o644), TARGET,
        'Permission denied', 'chmod')
refused('a directory', lambda lab: ['run', '--', lab.folder], TARGET, 'Is a directory')
refused('an empty program name', ['run', '--', ''], TARGET, "cannot run ''")
refused('an empty file', file_with('empty', b''), TARGET, 'the file is empty')
refused('a program for another machine', file_with('foreign', elf(OTHER_MACHINE)), TARGET,
        'is a program for', 'same machine')
refused('a 32-bit program', file_with('small', elf(3, klass=1)), TARGET, 'is a program for', '64-bit')
refused('an ELF file that is cut short', file_with('cut', elf(62)[:30]), TARGET,
        'cut short or damaged')
refused('an object file', file_with('object.o', elf(62, kind=1)), TARGET, 'cannot run')
refused('a script whose interpreter is missing', file_with('script', b'#!/no/such/interpreter\n'),
        TARGET, "its interpreter '/no/such/interpreter'")
refused('a script with DOS line ends', file_with('dos', b'#!/bin/sh\r\necho\r\n'), TARGET,
        'interpreter', 'carriage return')
refused('a script of a static program that is stripped', lambda lab: file_with(
    's', f'#!{victim("static-stripped")}\n'.encode())(lab), TARGET, 'static and stripped')
refused('a recorder that does not exist', ['run', '--recorder', '/no/recorder.so', '--', 'true'],
        TARGET, 'recorder')


@case('a script without #! is run by the shell, as in a shell')
def plain_text(lab):
    arguments = file_with('words', b'exit 7\n')(lab)
    lab.seep(*arguments).must(7)


@case("the program's own failure is its own: status kept, no complaint with -q")
def own_failure(lab):
    result = lab.seep('run', '-q', '--', need('sh'), '-c', 'echo words >&2; exit 9')
    same('result', (result.status, result.out, result.err), (9, '', 'words\n'))


@case('arguments of the program are not taken for ours')
def arguments(lab):
    result = lab.seep('run', '-q', need('echo'), '--at-exit', '-x', '--help').must()
    same('output', result.out, '--at-exit -x --help\n')


@case('--at-exit into a folder that does not exist: refused before the program starts')
def unwritable_before(lab):
    marker = lab.folder / 'started'
    result, _ = lab.record(need('touch'), marker, name='no/such/folder/end.seep')
    refuses(result, FILE, 'cannot write .*: No such file or directory')
    holds('not started', not marker.exists())


@case('--at-exit onto a folder: refused before the program starts')
def folder_as_output(lab):
    marker = lab.folder / 'started'
    result = lab.seep('run', '--at-exit', lab.folder, '--', need('touch'), marker)
    refuses(result, FILE, 'cannot write .*: Is a directory')
    holds('not started', not marker.exists())


@case('--at-exit to standard output: refused, that is the program\'s')
def stdout_as_output(lab):
    refuses(lab.seep('run', '--at-exit', '-', '--', 'true'), USAGE, "standard output is the program's")


# ---- processes ----

refused('no such process', lambda lab: ['snap', '-o', lab.path('s'), dead_pid()], TARGET,
        r'no such process: \d+')
refused('a pid beyond all pids', ['snap', '99999999999999999999'], TARGET, 'no such process')
refused('pid 0', ['snap', '0'], TARGET, 'no such process: 0')
refused('a name that nobody has', ['snap', 'no-such-name'], TARGET, "is called 'no-such-name'",
        'ps -e')
refused('an empty name', ['snap', ''], USAGE, 'target is empty')


def dead_pid():
    done = subprocess.Popen(['true'])
    done.wait()
    return str(done.pid)


@case('a process without recorder')
def not_recorded(lab):
    bare = lab.background(victim('growers'), '1', '--wait')
    pid = bare.truth()['pid']
    refuses(lab.seep('snap', '--no-heaps', '-o', lab.path('s'), pid), TARGET,
            f'process {pid} is not being recorded', 'seep run')
    holds('no file', not os.path.exists(lab.path('s')))
    result = lab.seep('snap', '-o', lab.path('s'), pid)
    same('status with heaps', result.status, 0)
    holds('says what is missing', 'nobody recorded' in result.err and 'seep run' in result.err, result)
    refuses(lab.seep('report', lab.path('s')), FILE, 'does not say who allocated', 'seep heaps')
    refuses(lab.seep('diff', lab.path('s'), lab.path('s')), FILE, 'does not say who', 'seep heaps')


@case('a process that has ended and waits for its parent')
def zombie(lab):
    ended = lab.background('true')
    ended.until_zombie()
    refuses(lab.seep('snap', '-o', lab.path('s'), ended.process.pid), TARGET, 'has ended', 'parent')


@case('a thread of a process: the process is named')
def thread(lab):
    running = lab.start(victim('threads'), '2', '50', '--wait')
    pid = running.truth()['pid']
    tid = max(os.listdir(f'/proc/{pid}/task'), key=int)
    refuses(lab.seep('snap', '-o', lab.path('s'), tid), TARGET, f'is a thread of process {pid}',
            str(pid))


@case('a name that several processes have: their pids are listed')
def several(lab):
    copy = pathlib.Path(lab.path(f'twin{free_port()}'))  # a name that no other test has
    copy.write_bytes(victim('growers').read_bytes())
    copy.chmod(0o755)
    pids = [lab.start(copy, '1', '--wait').truth()['pid'] for _ in range(2)]
    result = lab.seep('snap', '-o', lab.path('s'), copy.name)
    refuses(result, TARGET, f"2 processes are called '{copy.name}'", 'pids')
    holds('both pids', all(str(pid) in result.err for pid in pids), result.err)


@case('snap by name: finds the one process that has it')
def by_name(lab):
    copy = pathlib.Path(lab.path(f'single{free_port()}'))
    copy.write_bytes(victim('growers').read_bytes())
    copy.chmod(0o755)
    pid = lab.start(copy, '1', '--wait').truth()['pid']
    report = lab.report(lab.snap(copy.name, 's'))
    same('pid', report.data['snapshot']['pid'], pid)


@case('a process that ends between two snapshots: what was taken stays, and it says so')
def ends_meanwhile(lab):
    running = lab.start(victim('growers'), '1', '--wait')
    pid = running.truth()['pid']
    every = lab.background(SEEP, 'snap', '--every', '20ms', '-o', lab.path('s.seep'), str(pid))
    every.until('the first snapshot', lambda: os.path.exists(lab.path('s-1.seep')))
    running.say('')
    running.wait().must()
    said = every.wait().must()
    holds('it says that it has ended', 'has ended' in said.err, said.err)
    lab.report(lab.path('s-1.seep')).complete()


@case("another user's process")
def another_user(lab):
    if os.geteuid() != 0:
        if os.stat('/proc/1').st_uid == os.geteuid():
            raise Skip('process 1 is our own')
        refuses(lab.seep('snap', '-o', lab.path('s'), '1'), TARGET, 'of process 1', 'root')
        return
    running = lab.start(victim('growers'), '1', '--wait')
    pid = running.truth()['pid']
    seep = copy_of_seep(lab)
    result = lab.run(*as_other(), seep, 'snap', '-o', '/dev/null', pid)
    refuses(result, TARGET, f'of process {pid}', 'root')


@case('an ordinary user: run, snap and report without any privilege')
def ordinary(lab):
    need_root()
    seep = copy_of_seep(lab)
    mine = lab.folder / 'mine'
    mine.mkdir()
    mine.chmod(0o777)
    program = lab.folder / 'growers'
    program.write_bytes(victim('growers').read_bytes())
    program.chmod(0o755)
    running = lab.background(*as_other(), seep, 'run', '--at-exit', mine / 'end.seep', '--', program,
                             '1', '--wait')
    truth = running.truth()
    lab.run(*as_other(), seep, 'snap', '-o', mine / 'now.seep', truth['pid']).must()
    running.say('')
    running.wait().must()
    for name in ('now.seep', 'end.seep'):
        report = lab.report(mine / name).complete()
        same('live', report.counts_of('leaks')['live_blocks'], 10)
        same('mode', (mine / name).stat().st_mode & 0o777, 0o600)


@case('snap goes on to work when the process is halted')
def halted(lab):
    running = lab.start(victim('growers'), '1', '--wait')
    pid = running.truth()['pid']
    os.kill(pid, signal.SIGSTOP)
    try:
        same('live', lab.report(lab.snap(pid, 's')).counts_of('leaks')['live_blocks'], 10)
    finally:
        os.kill(pid, signal.SIGCONT)


@case('the process that started it is gone: a snapshot is had all the same, or refused with a hint')
def launcher_gone(lab):
    running = lab.start(victim('growers'), '1', '--wait')
    pid = running.truth()['pid']
    running.process.kill()
    running.process.wait()
    result = lab.seep('snap', '-q', '-o', lab.path('s'), pid)
    if result.status == 0:
        same('live', lab.report(lab.path('s')).counts_of('leaks')['live_blocks'], 10)
    elif os.geteuid() == 0 and 'Operation not permitted' not in result.err:
        raise Skip(f'root without the right to open the mapping: {result.err!r}')
    else:
        refuses(result, TARGET, 'cannot open the recorder', 'root')
    running.say('')


if __name__ == '__main__':
    run_all()
