#!/usr/bin/env python3
"""What a program tells by seep/seep.h while seep attach records it: as exact as under seep run."""
import os
import signal
import struct
import time

from attach_lab import attach, detach
from lab import SEEP, SOURCE, Skip, case, check_sites, holds, need, run_all, same, victim
from marks_lab import (check_between, check_heirs, check_marks, check_pools, check_signals, check_tag_threads,
                       check_tags, check_traffic, generations)
from untouched import differences, maps_of, running, standing

# Libc frees what it has had from before; a static program has code that nothing describes.
OLDER = ['unknown_frees']
CYCLES = int(os.environ.get('SEEP_ATTACH_CYCLES', '40'))
MAGIC = b'seephook'  # of struct seep_hooks; then two numbers, and the word


def words_of(pid):
    """What stands in each module that uses the header: 0, or the address of the functions."""
    found = {}
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for where, permissions, rest in maps_of(pid):
            if not permissions.startswith('rw-p') or '/' not in rest:
                continue
            low, high = (int(x, 16) for x in where.split('-'))
            memory.seek(low)
            data = memory.read(high - low)
            at = data.find(MAGIC)
            while at >= 0:
                found[low + at] = struct.unpack_from('<Q', data, at + 16)[0]
                at = data.find(MAGIC, at + 8)
    holds('it uses the header', found)
    return list(found.values())


def begin(lab, mode, name='marks', *more, **options):
    process = lab.background(victim(name), mode, '--begin', '--wait', *more, **options)
    return process, process.truth()['pid']


def attached(lab, mode, check, name='marks'):
    """Attached before it does anything: check the end, and that it is as it was."""
    process, pid = begin(lab, mode, name)
    attach(lab, pid)
    holds('it has been told', all(words_of(pid)))
    process.say('')
    truth = process.truth()
    same('moment', truth['at'], 'end')
    path = lab.snap(pid, 'end.seep')
    check(truth, path)
    detach(lab, pid)
    same('nobody is told any more', set(words_of(pid)), {0})
    after = standing(pid)
    attach(lab, pid)
    detach(lab, pid)
    same('what differs', differences(after, standing(pid)), {})
    process.say('')
    process.wait().must()


def marks(lab, truth, path):
    check_marks(lab, truth, path, OLDER)
    check_traffic(lab, truth, path)
    check_between(lab, truth, path)


KINDS = {'a program': 'marks', 'one that is not optimised': 'marks-plain', 'a static program': 'marks-static'}
CHECKS = {
    'marks': ('marks', marks),
    'tags': ('tags', lambda *all: check_tags(*all, OLDER)),
    'tags in threads': ('tag-threads', lambda *all: check_tag_threads(*all, OLDER)),
    'scopes that threads have ended in': ('heirs', lambda *all: check_heirs(*all, OLDER)),
    'pools': ('pools', lambda *all: check_pools(*all, OLDER)),
    'a million blocks of pools': ('pool-many', lambda lab, truth, path: check_sites(
        truth, lab.report(path).complete(OLDER))),
    # The code by which an entry leads to the recorder has no unwind information.
    'signals that interrupt it': ('signals', lambda *all: check_signals(*all, [*OLDER, 'stopped_stacks'])),
}

for kind, program in KINDS.items():
    for what, (mode, checks) in CHECKS.items():
        @case(f'{kind}: {what}, exactly, and afterwards it is as it was')
        def told(lab, mode=mode, checks=checks, program=program):
            attached(lab, mode, lambda truth, path: checks(lab, truth, path), program)


@case('before it does anything: attached and detached, and its calls do nothing')
def nothing(lab):
    for program in KINDS.values():
        process, pid = begin(lab, 'pools', program)
        before = standing(pid)
        attach(lab, pid)
        holds('something has changed', differences(before, standing(pid)))
        detach(lab, pid)
        same('what differs', differences(before, standing(pid)), {})
        same('nobody is told', set(words_of(pid)), {0})
        process.say('')
        process.truth()
        process.say('')
        process.wait().must()


@case(f'threads that never stop telling: {CYCLES} times attached and detached')
def cycles(lab):
    for program in KINDS.values():
        process = lab.background(victim(program), 'load')
        pid = process.truth()['pid']
        before = running(pid)
        for number in range(CYCLES):
            attach(lab, pid)
            holds('it has been told', all(words_of(pid)))
            if number % 10 == 5:
                time.sleep(0.05)
                rows = lab.report(lab.snap(pid, 'load.seep', '--no-heaps'), by='tag').rows
                holds('scopes and pools are there', {'[busy]', '[busy] [pool first]'} & {r['name'] for r in rows},
                      [r['name'] for r in rows])
            detach(lab, pid)
            same('nobody is told any more', set(words_of(pid)), {0})
            same(f'what differs after {number + 1}', differences(before, running(pid)), {})
        os.kill(pid, signal.SIGTERM)
        same('it ended by our signal', process.wait().status, -signal.SIGTERM)


@case('seep killed while it attaches or detaches: seep detach leaves nobody told')
def killed(lab):
    process = lab.background(victim('marks'), 'load')
    pid = process.truth()['pid']
    before = running(pid)
    for number in range(20):
        if number % 2:
            attach(lab, pid)
        tool = lab.background(SEEP, 'detach' if number % 2 else 'attach', pid)
        time.sleep(number / 1000)
        tool.process.kill()
        tool.wait()
        last = lab.seep('detach', pid)
        holds('done, or nothing to do', last.status == 0 or 'not being recorded' in last.err, last)
        same('nobody is told', set(words_of(pid)), {0})
        same(f'what differs after {number + 1}', differences(before, running(pid)), {})
    os.kill(pid, signal.SIGTERM)
    same('it ended by our signal', process.wait().status, -signal.SIGTERM)


@case('a write of seep fails while it detaches: whoever is still told of the recorder still has it')
def failing(lab):
    strace, process = need('strace'), lab.background(victim('marks'), 'load')
    pid = process.truth()['pid']
    before, failed = running(pid), 0
    for number in range(1, 20):
        attach(lab, pid)
        failed += 0 != lab.run(strace, '-f', '-qq', '-o', '/dev/null', '-e', 'trace=pwrite64', '-e',
                               f'inject=pwrite64:error=EIO:when={number}', SEEP, 'detach', '-q', pid).status
        last = lab.seep('detach', pid)
        holds('done, or nothing to do', last.status == 0 or 'not being recorded' in last.err, last)
        same('nobody is told', set(words_of(pid)), {0})
        same(f'what differs after {number}', differences(before, running(pid)), {})
    holds('some have failed', failed > 1, failed)
    os.kill(pid, signal.SIGTERM)
    same('it ended by our signal', process.wait().status, -signal.SIGTERM)


LIBRARY = ('#include <stdlib.h>\n#include <seep/seep.h>\nvoid go(int i);\n'
           'void go(int i) { seep_mark(i ? "late" : "unheard"); free(malloc(100 + i));\n'
           'seep_mark(i ? "later" : "heard"); }\n')
LOADER = ('#include <dlfcn.h>\n#include <stdio.h>\n#include <stdlib.h>\n'
          'int main(int argc, char **argv) {\n'
          'for (int i = 0; i < 2; i++) {\n'
          '  puts("ready"); fflush(stdout); getchar();\n'
          '  void *lib = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);\n'
          '  if (!lib) return 1;\n'
          '  ((void (*)(int))dlsym(lib, "go"))(0); ((void (*)(int))dlsym(lib, "go"))(1);\n'
          '  puts("told"); fflush(stdout); getchar();\n'
          '  dlclose(lib); }\n'
          'return 0; }\n')


@case('a call that is about to be made, its address in a small frame only: detach waits for it')
def held(lab):
    program = victim('marks-held')
    if not os.path.exists(program):
        raise Skip('it is for x86-64')
    process = lab.background(program)
    pid = process.truth()['pid']
    before = standing(pid)['code']
    for word in range(8):
        attach(lab, pid)
        process.say(str(word))
        same('it has the address', process.line(), 'holding')
        tool = lab.background(SEEP, 'detach', pid)
        time.sleep(0.2)
        holds('detach waits', tool.process.poll() is None, word)
        process.say('go')
        same('it goes on', process.line(), 'called')
        tool.wait().must()
        same('nobody is told', set(words_of(pid)), {0})
    process.say('0')
    same('it looks again', process.line(), 'holding')
    process.say('go')
    same('there is nobody', process.line(), 'nothing')
    same('code', standing(pid)['code'], before)
    process.wait().must()


@case('a library that is loaded later is heard from its first allocation on')
def loaded_later(lab):
    (lab.folder / 'lib.c').write_text(LIBRARY)
    (lab.folder / 'main.c').write_text(LOADER)
    lab.run(need('cc'), '-shared', '-fPIC', '-s', '-I', SOURCE / 'include', 'lib.c', '-o', 'lib.so').must()
    lab.run('cc', 'main.c', '-o', 'main', '-ldl').must()
    process = lab.background(lab.path('main'), lab.path('lib.so'))
    same('it says', process.line(), 'ready')
    pid = process.process.pid
    for last in (False, True):
        attach(lab, pid)
        process.say('')
        same('it says', process.line(), 'told')
        found = generations(lab, lab.snap(pid, 'told.seep'))
        same('its marks', [found[g][0]['since'] for g in sorted(found)],
             ['the beginning', 'heard', 'late', 'later'])
        holds('it has been told', all(words_of(pid)))
        if not last:
            detach(lab, pid)
            same('nobody is told', set(words_of(pid)), {0})
        process.say('')
        if not last:
            same('it says', process.line(), 'ready')
    process.wait().must()


@case('a library that is unloaded while it is attached to: detach leaves alone what is there now')
def unloaded(lab):
    (lab.folder / 'lib.c').write_text(LIBRARY)
    (lab.folder / 'main.c').write_text(LOADER)
    lab.run(need('cc'), '-shared', '-fPIC', '-I', SOURCE / 'include', 'lib.c', '-o', 'lib.so').must()
    lab.run('cc', 'main.c', '-o', 'main', '-ldl').must()
    process = lab.background(lab.path('main'), lab.path('lib.so'))
    same('it says', process.line(), 'ready')
    pid = process.process.pid
    process.say('')
    same('it says', process.line(), 'told')
    attach(lab, pid)
    process.say('')
    same('it says', process.line(), 'ready')
    detach(lab, pid)
    process.say('')
    same('it says', process.line(), 'told')
    same('nobody is told', set(words_of(pid)), {0})
    process.say('')
    process.wait().must()


@case('a forked child of an attached process tells nobody, and its parent is not disturbed')
def forked(lab):
    process, pid = begin(lab, 'fork')
    attach(lab, pid)
    process.say('')
    child = process.truth()
    same('who', child['at'], 'child')
    lab.seep('detach', '-q', child['pid']).must()
    same('nobody is told', set(words_of(child['pid'])), {0})
    process.say('')
    same('who', process.truth()['at'], 'end')
    path = lab.snap(pid, 'end.seep')
    found = generations(lab, path)
    same('marks', [found[g][0]['since'] for g in found], ['the beginning', 'in the parent'])
    rows = {r['name']: r['live_blocks'] for r in lab.report(path, by='tag').rows}
    same('scopes', {k: v for k, v in rows.items() if k != '(no tag)'}, {'[before]': 3})
    detach(lab, pid)
    process.say('')
    process.wait().must()


@case('musl: marks, scopes and pools, exactly')
def musl(lab):
    compiler, program = need('musl-gcc'), lab.path('marks-musl')
    built = lab.run(compiler, '-O2', '-g', '-fno-builtin', '-pthread', '-I', SOURCE / 'include', '-o', program,
                    SOURCE / 'tests' / 'victims' / 'marks.c')
    if built.status:
        raise Skip(f'it does not compile with musl: {built.err.splitlines()[0]}')
    for mode, check in (('pools', check_pools), ('tags', check_tags), ('heirs', check_heirs)):
        process = lab.background(program, mode, '--begin', '--wait')
        pid = process.truth()['pid']
        attach(lab, pid)
        process.say('')
        truth = process.truth()
        check(lab, truth, lab.snap(pid, 'end.seep'), [*OLDER, 'stopped_stacks'])
        detach(lab, pid)
        same('nobody is told', set(words_of(pid)), {0})
        process.say('')
        process.wait().must()


if __name__ == '__main__':
    run_all()
