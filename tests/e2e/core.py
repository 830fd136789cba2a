#!/usr/bin/env python3
"""
Cores: written by seep, by gdb's gcore and by the kernel, and read again; held against what the
program says of its own memory, and against what gdb makes of ours.
"""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

from lab import (SEEP, TOOLS, Skip, Wrong, case, holds, need, need_root, refuses, run_all, same,
                 victim, wait_until)

USAGE, TARGET, FILE = 2, 3, 4
DUMPED = ('heap', 'small', 'data', 'sparse', 'shared', 'private', 'unforked', 'wiped')


def start(lab, *arguments, program=None):
    """The victim outside the recorder, and its truth."""
    running = lab.background(program or victim('cored'), *arguments)
    return running, running.truth()


def read_core(lab, path, truth=None, files=None):
    ranges = [f"{r['addr']}:{r['bytes']}" for r in truth['ranges'].values()] if truth else []
    options = ['--files', files] if files else []
    found = lab.run(TOOLS / 'read_core', *options, path, *ranges).must().json_lines()[0]
    if truth:
        found['ranges'] = dict(zip(truth['ranges'], found['ranges']))
    return found


def same_memory(truth, found, names=DUMPED):
    wrong = []
    for name in names:
        true, got = truth['ranges'][name], found['ranges'][name]
        if (got['read'], got['hash']) != (true['bytes'], true['hash']):
            wrong.append(f'{name}: got {got}, true is {true}')
    if wrong:
        raise Wrong('; '.join(wrong))


def check_core(lab, path, truth):
    """Memory and threads of a core of a victim that has ended or stands still."""
    found = read_core(lab, path, truth)
    same('pid', found['pid'], truth['pid'])
    same('comm', found['comm'], 'victim-cored')
    same('threads', len(found['threads']), 4)
    for thread in found['threads']:
        holds('registers', thread['pc'] and thread['sp'] and thread['tp'] and
              thread['vector_bytes'] >= 512, thread)
    holds('the program, libc, the loader and the vdso', found['modules'] >= 4, found)
    same_memory(truth, found)
    same('bytes cut', found['cut_bytes'], 0)
    same('files of another build', found['files_other'], 0)
    return found


def seep_core(lab, truth, *options, name='seep.core'):
    path = lab.folder / name
    result = lab.seep('core', *options, '-o', path, truth['pid']).must()
    return path, result


# ---- the same memory, whoever wrote it ----


for method in ('auto', 'clone', 'stop'):
    def ours(lab, method=method):
        running, truth = start(lab)
        path, result = seep_core(lab, truth, '--method', method)
        if 'registers' in result.err:
            raise Skip(f'the process cannot be stopped here: {result.err}')
        holds('it says what it did', re.search(r'stood still for .*wrote ', result.err), result)
        found = check_core(lab, path, truth)
        same('what is not to be dumped', found['ranges']['unwanted']['read'], 0)
        running.say('')
        same('the program goes on', running.line(), 'alive')
        running.wait().must()
    case(f'seep core --method {method}: every range as the program has it')(ours)


@case('seep core --method live: the same memory, and it says what is not known')
def ours_live(lab):
    _, truth = start(lab)
    path, result = seep_core(lab, truth, '--method', 'live')
    holds('it warns', 'no single instant' in result.err and 'registers of 4 of 4' in result.err,
          result)
    found = read_core(lab, path, truth)
    same_memory(truth, found)
    same('threads', found['threads'], [])
    # What went on while it was written proves no leak.
    found = lab.seep('leaks', '--format', 'json', path).must()
    same('leaked', json.loads(found.out)['totals']['leaked_blocks'], 0)
    holds('why', 'went on: not one instant' in found.out, found.out)


@case("gcore's core: every range as the program has it")
def of_gcore(lab):
    gcore = need('gcore')
    _, truth = start(lab)
    done = lab.run(gcore, '-o', lab.path('gdb'), truth['pid'])
    path = lab.folder / f"gdb.{truth['pid']}"
    if not path.exists():
        raise Skip(f'gcore cannot: {done.err[-200:]}')
    check_core(lab, path, truth)


@case("the kernel's core: every range as the program has it")
def of_the_kernel(lab):
    pattern = pathlib.Path('/proc/sys/kernel/core_pattern').read_text(encoding='utf-8').strip()
    if '/' in pattern or pattern.startswith('|') or not pattern:
        raise Skip(f'cores of this machine go elsewhere ({pattern})')
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        raise Skip('the size of cores is limited')
    result = lab.run(victim('cored'), '--abort', preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    same('it aborted', result.status, -signal.SIGABRT)
    cores = [p for p in lab.folder.iterdir() if p.name.startswith(pattern.split('%')[0])]
    if not cores:
        raise Skip('the kernel wrote no core')
    found = check_core(lab, cores[0], result.truth())
    same('what is not to be dumped', found['ranges']['unwanted']['read'], 0)


@case('seep core --all: what is not to be dumped, too, and all of the code')
def everything(lab):
    _, truth = start(lab)
    path, _ = seep_core(lab, truth, '--all')
    found = check_core(lab, path, truth)
    same_memory(truth, found, [*DUMPED, 'unwanted'])


@case('seep core -o -: the same core through a pipe')
def through_a_pipe(lab):
    running, truth = start(lab)
    path = lab.folder / 'piped.core'
    lab.run('/bin/sh', '-c', '"$1" core -o - "$2" | cat > "$3"', 'sh', SEEP, truth['pid'],
            path).must()
    found = read_core(lab, path, truth)
    same_memory(truth, found)
    running.say('')
    same('the program goes on', running.line(), 'alive')


# ---- what it costs ----


@case('memory that was not touched is not in the file, and is not touched')
def sparse(lab):
    need_root()
    _, truth = start(lab)
    shared = truth['ranges']['shared']['addr']
    folder = pathlib.Path(f"/proc/{truth['pid']}/map_files")
    mapping = next(p for p in folder.iterdir() if p.name.startswith(f'{shared:x}-'))

    def figures():
        status = pathlib.Path(f"/proc/{truth['pid']}/status").read_text(encoding='utf-8')
        memory = dict(re.findall(r'^(RssAnon|RssShmem):\s+(\d+)', status, re.MULTILINE))
        return {**memory, 'blocks': os.stat(mapping).st_blocks}
    before = figures()
    path, _ = seep_core(lab, truth)
    same('figures of the process', figures(), before)
    size = path.stat()
    holds('the file has holes', size.st_blocks * 512 < 20 << 20 < 90 << 20 < size.st_size,
          (size.st_blocks * 512, size.st_size))
    same('mode', size.st_mode & 0o777, 0o600)


# ---- gdb ----


def gdb(lab, path, *commands):
    words = [need('gdb'), '-nx', '-batch']
    for command in ('set pagination off', 'set width 0', *commands):
        words += ['-ex', command]
    return lab.run(*words, victim('cored'), path).must().out


@case('gdb reads it: threads, stacks, variables, libraries, mappings')
def gdb_reads(lab):
    need('gdb')
    _, truth = start(lab)
    path, result = seep_core(lab, truth)
    if 'registers' in result.err:
        raise Skip(f'the process cannot be stopped here: {result.err}')
    out = gdb(lab, path, 'thread apply all bt', 'print cored_number', 'x/s cored_text',
              'info sharedlibrary', 'info proc mappings')
    same('threads in thread_waits()', len(re.findall(r'^#\d+ .*\bthread_waits \(', out,
                                                     re.MULTILINE)), 3)
    same('threads in main()', len(re.findall(r'^#\d+ .*\bmain \(', out, re.MULTILINE)), 1)
    holds('the number', f"= {truth['number']}" in out, out)
    holds('the text', f"\"{truth['text']}\"" in out, out)
    holds('libc is loaded', re.search(r'0x\w+ +0x\w+ +Yes.*libc\.so', out), out)
    holds('the program is mapped', str(victim('cored')) in out.split('Mapped address', 1)[1], out)


@case('gdb finds the same memory in it as the program')
def gdb_dumps(lab):
    need('gdb')
    _, truth = start(lab)
    path, _ = seep_core(lab, truth)
    raw = lab.folder / 'raw'
    for name in DUMPED:
        r = truth['ranges'][name]
        gdb(lab, path, f"dump binary memory {raw} {r['addr']} {r['addr'] + r['bytes']}")
        value = 0xcbf29ce484222325
        if r['bytes'] > 1 << 20:
            continue  # too slow in this language; gdb could read it
        for byte in raw.read_bytes():
            value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
        same(name, f'{value:016x}', r['hash'])


# ---- files, and what goes wrong ----


@case('a core without its program: told, and found again in a folder')
def without_program(lab):
    program = lab.folder / 'victim-cored'
    shutil.copy2(victim('cored'), program)
    running, truth = start(lab, program=program)
    path, _ = seep_core(lab, truth)
    running.end()
    elsewhere = lab.folder / 'files'
    elsewhere.mkdir()
    same('gaps', read_core(lab, path, truth)['files_missing'], 0)
    program.rename(elsewhere / program.name)
    found = read_core(lab, path, truth)
    same('files missing', found['files_missing'], 1)
    holds('bytes missing', found['missing_bytes'] > 0, found)
    same_memory(truth, found)
    again = read_core(lab, path, truth, files=elsewhere)
    same('files missing', again['files_missing'], 0)
    holds('fewer bytes missing', again['missing_bytes'] < found['missing_bytes'], again)
    # Another program of that name is not taken for it.
    shutil.copy2(victim('pause'), program)
    same('files of another build', read_core(lab, path, truth)['files_other'], 1)


@case('a core cut short: what is left is read, what is lost is said')
def cut(lab):
    _, truth = start(lab)
    path, _ = seep_core(lab, truth)
    whole = path.stat().st_size
    for part in (9, 5, 2):
        os.truncate(path, whole * part // 10)
        found = read_core(lab, path, truth)
        same('bytes cut', found['cut_bytes'], whole - whole * part // 10)
        for name in DUMPED:
            true, got = truth['ranges'][name], found['ranges'][name]
            holds(name, got['read'] < true['bytes'] or got['hash'] == true['hash'], got)
    result = lab.seep('heaps', path)
    holds('its heaps are told with what is missing', 'the core was cut short by' in result.out,
          result)


@case('an existing file is left alone, unless forced')
def existing(lab):
    _, truth = start(lab)
    path = lab.folder / 'old.core'
    path.write_text('precious')
    refuses(lab.seep('core', '-o', path, truth['pid']), FILE, 'exists already', '--force')
    same('content', path.read_text(), 'precious')
    seep_core(lab, truth, '--force', name='old.core')
    read_core(lab, path, truth)


@case('without --output it is called core.PID, and --quiet says nothing')
def default_name(lab):
    _, truth = start(lab)
    result = lab.seep('core', '--quiet', truth['pid']).must()
    # Only root is told of all shared memory.
    same('talk', [line for line in result.err.splitlines() if 'shared memory' not in line], [])
    check_core(lab, lab.folder / f"core.{truth['pid']}", truth)


@case('no room: told, nothing is left, the program goes on')
def no_room(lab):
    running, truth = start(lab)
    before = sorted(lab.folder.iterdir())
    limit = 1 << 20
    refuses(lab.seep('core', '-o', lab.folder / 'full.core', truth['pid'],
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
            FILE, 'cannot write .*File too large', 'ulimit')
    same('files', sorted(lab.folder.iterdir()), before)
    refuses(lab.seep('core', '-o', lab.folder / 'no' / 'where.core', truth['pid']), FILE,
            'cannot write .*No such file')
    running.say('')
    same('the program goes on', running.line(), 'alive')


@case('interrupted: nothing is left, the program goes on, and the signal is passed on')
def interrupted(lab):
    running, truth = start(lab)
    before = sorted(lab.folder.iterdir())
    # A pipe that nobody empties: it cannot come to an end by itself.
    out, into = os.pipe()
    with subprocess.Popen([str(SEEP), 'core', '-o', '-', str(truth['pid'])], stdout=into,
                          stderr=subprocess.PIPE, env=lab.env, cwd=lab.folder) as process:
        os.close(into)
        wait_until('it writes', lambda: len(os.read(out, 1)) == 1)
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            os.read(out, 1 << 16)
        os.close(out)
        process.wait(60)
        same('it ended by', process.returncode, -signal.SIGINT)
    same('files', sorted(lab.folder.iterdir()), before)
    running.say('')
    same('the program goes on', running.line(), 'alive')


@case('what is no process: refused by name')
def no_process(lab):
    refuses(lab.seep('core', '-o', lab.path('x'), '999999999'), TARGET, 'no such process')
    refuses(lab.seep('core', '-o', lab.path('x'), 'nobody-is-called-so'), TARGET,
            'no process is called')
    result = lab.seep('core')
    same('exit status', result.status, USAGE)
    same('files', list(lab.folder.iterdir()), [])


SERVER = '''
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 0))
s.listen(5)
memory = bytearray(64 << 20)
for i in range(0, len(memory), 4096):
    memory[i] = 1
print(s.getsockname()[1], flush=True)
sys.stdin.read()
'''


@case('the process dies meanwhile: its port is free at once, and there is no half a core')
def dies_meanwhile(lab):
    server = lab.background(need('python3'), '-c', SERVER)
    port = int(server.line())
    writer = lab.background(SEEP, 'core', server.process.pid, '-o', '-')
    # It has begun, and cannot end as long as nobody reads.
    holds('it writes', writer.process.stdout.read(1 << 16))
    server.process.kill()
    server.process.wait()

    def can_bind():
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
                return True
            except OSError:
                return False
    wait_until('the port is free', can_bind)
    while writer.process.stdout.read(1 << 20):
        pass
    same('status', writer.process.wait(), 3)
    holds('why', 'ended' in writer.errors(), writer.errors())


if __name__ == '__main__':
    run_all()
