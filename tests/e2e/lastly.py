#!/usr/bin/env python3
"""seep run --leaks --leaks-when: before exit handlers and destructors, after them, or both."""
import json
import os
import re
import signal

from lab import SEEP, Skip, case, holds, need, refuses, run_all, same, victim

WAYS = ('return', 'exit', 'thread', 'signal', 'err', 'leave', 'exec', 'quick')
# The C library ends these by itself; a look before that cannot be had.
UNSEEN = ('err', 'leave')


def run(lab, how, when, *options):
    """What it said, its status, and the answer or None."""
    path = lab.path('leaks.json')
    result = lab.seep('run', '-q', '--leaks', '--leaks-when', when, '--list', '--format', 'json',
                      '-o', path, *options, '--', victim('lastly'), how)
    answer = None
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            answer = json.load(file)
        os.unlink(path)
    return result, answer


def truth(said):
    """Sizes lost early and late."""
    notes = [line.split() for line in said.splitlines() if line.endswith((' early', ' late'))]
    return ({int(n[0]) for n in notes if n[1] == 'early'},
            {int(n[0]) for n in notes if n[1] == 'late'})


def sizes(rows):
    return {row['size'] for row in rows}


def check_unchanged(lab, how, result):
    alone = lab.run(victim('lastly'), how)
    same(f'{how}: what it does, in its order', result.out, alone.out)
    same(f'{how}: its status', result.status, alone.status)


@case('after: what is lost when all is done, however the program ends')
def after(lab):
    for how in WAYS[:-1]:
        result, answer = run(lab, how, 'after')
        check_unchanged(lab, how, result)
        early, late = truth(result.out)
        same(how, sizes(answer['rows']), early | late)


@case('before: what main or another thread has lost; handlers and destructors run as ever')
def before(lab):
    for how in WAYS:
        result, answer = run(lab, how, 'before')
        if how in UNSEEN:
            same(f'{how}: no answer', (answer, result.out), (None, lab.run(victim('lastly'),
                                                                           how).out))
            holds('it is said', 'not looked at for leaks' in result.err, result.err)
            continue
        check_unchanged(lab, how, result)
        early, _ = truth(result.out)
        same(how, sizes(answer['rows']), early)


@case('both: which blocks only lost their last pointer at the end')
def both(lab):
    for how in WAYS[:-1]:
        result, answer = run(lab, how, 'both')
        check_unchanged(lab, how, result)
        early, late = truth(result.out)
        rows, totals = answer['rows'], answer['totals']
        same(how, sizes(rows), early | late)
        if how in UNSEEN:
            holds('it is said', 'not looked at before its destructors' in result.err, result.err)
            holds('nothing is guessed', 'before_blocks' not in totals, totals)
            same('no row claims it', {row['when'] for row in rows}, {None})
            continue
        same(f'{how}: late', sizes(row for row in rows if row['when'] == 'at the end'), late)
        same(f'{how}: before', (totals['before_blocks'], totals['late_blocks']),
             (len(early), len(late)))
        holds('in words', any('dropped the last pointers' in n for n in answer['notes']),
              answer['notes'])


@case('groups of late losses stand apart')
def groups(lab):
    said = lab.seep('run', '-q', '--leaks', '--leaks-when', 'both', '--', victim('lastly')).err
    holds('late ones', 'prepare(void*) (lastly.cpp:' in said and ', lost at the end' in said, said)


@case('both, quick_exit: seen before, and its handlers run; the end does not come by')
def quick(lab):
    result, answer = run(lab, 'quick', 'both')
    same('no answer', answer, None)
    same('what it does', result.out, lab.run(victim('lastly'), 'quick').out)
    holds('it is said', 'not looked at for leaks' in result.err, result.err)


@case('exit() in the handler of a signal that comes in the middle of an allocation')
def storm(lab):
    for _ in range(10):
        result, _ = run(lab, 'storm', 'both')
        same('status', result.status, 6)


@case('two threads call exit() at once')
def twice(lab):
    for _ in range(5):
        result, answer = run(lab, 'twice', 'both')
        same('status', result.status, 6)
        # One may end the process while the other is still on its way; then that is said.
        holds('an answer, or why not', (answer is None) == bool(result.err), result)


@case('--follow: a child that returns from main, too')
def follow(lab):
    path = lab.path('leaks.json')
    result = lab.seep('run', '-q', '--follow', '--leaks', '--leaks-when', 'both', '--list',
                      '--format', 'json', '-o', path, '--', victim('lastly'), 'fork')
    same('its own status', result.status, 6)
    early, late = truth(result.out)
    with open(path, encoding='utf-8') as file:
        answer = json.load(file)
    same('the first', sizes(answer['rows']), early | late)
    children = list(lab.folder.glob('leaks.json.*'))
    same('children', len(children), 1)
    child = json.loads(children[0].read_text(encoding='utf-8'))
    holds('the child lost blocks late', child['totals']['late_blocks'] >= 2, child['totals'])


@case('in a sandbox, and with another thread that goes on')
def sandbox(lab):
    path = lab.path('leaks.json')
    for how, status in (('sandbox', 0), ('exit', 5)):
        result = lab.seep('run', '-q', '--leaks', '--leaks-when', 'both', '--list', '--format',
                          'json', '-o', path, '--', victim('ends'), how)
        same('status', result.status, status)
        with open(path, encoding='utf-8') as file:
            answer = json.load(file)
        same('leaks, all of them early', (answer['totals']['leaks'],
                                          answer['totals']['before_blocks'],
                                          answer['totals']['late_blocks']), (7, 7, 0))


@case('when seep is killed the program ends as ever')
def killed(lab):
    running = lab.background(SEEP, 'run', '-q', '--leaks', '--leaks-when', 'both', '--',
                             victim('ends'), 'waits')
    running.line()
    pid = int(running.line().split()[1])
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    os.kill(pid, 0)
    running.wait()


@case('stacks are the same, whenever it is looked at')
def stacks(lab):
    known = lab.path('known')
    lab.seep('run', '-q', '--leaks', '--leaks-when', 'both', '--format', 'text', '--',
             victim('lastly')).must(6)
    path = lab.path('end.seep')
    lines = []
    for when in ('after', 'both'):
        lab.seep('run', '-q', '--leaks', '--leaks-when', when, '-o', known, '--at-exit', path,
                 '--', victim('lastly')).must(6)
        rows = lab.report(path).rows
        lines.append([row['name'] for row in rows])
        frames = [frame for row in rows for stack in row['stacks'] for frame in stack['frames']]
        holds('main is there', any(frame.get('function') == 'main' for frame in frames), frames)
        same('what is ours is known as that', {frame['kind'] for frame in frames
                                               if frame.get('function') == 'main_and_look'} -
             {'recorder'}, set())
    same('rows', lines[1], lines[0])


LSAN = '''
#include <cstdlib>
#include <cstring>
#include <pthread.h>
static void *volatile of_object, *volatile of_handler, *volatile of_destructor, *volatile held;
struct Object { ~Object() { of_object = nullptr; } };
static Object object;
static void handler() { of_handler = nullptr; }
__attribute__((destructor)) static void destroy() { of_destructor = nullptr; }
static void *prepare(void *)
{
	of_object = memset(malloc(2001), 0, 2001);
	of_handler = memset(malloc(2002), 0, 2002);
	of_destructor = memset(malloc(2003), 0, 2003);
	held = memset(malloc(2004), 0, 2004);
	memset(malloc(101), 0, 101);
	return nullptr;
}
int main()
{
	pthread_t thread;
	pthread_create(&thread, nullptr, prepare, nullptr);
	pthread_join(thread, nullptr);
	atexit(handler);
	return 0;
}
'''


def by_lsan(lab, program):
    """Sizes that the sanitizer in the program reports, or Skip."""
    log = lab.path('lsan')
    lab.run(program, env={key: f'detect_leaks=1:report_objects=1:exitcode=0:log_path={log}'
                          for key in ('LSAN_OPTIONS', 'ASAN_OPTIONS')})
    text = ''.join(path.read_text(encoding='utf-8') for path in lab.folder.glob('lsan.*'))
    if 'Direct leak' not in text:
        raise Skip('LeakSanitizer does not work here: it may not trace')
    return {int(size) for size in re.findall(r'leak of (\d+) byte', text)}


def against_lsan(compiler, kind):
    @case(f'after is when LeakSanitizer looks: {compiler} -fsanitize={kind}')
    def compare(lab):
        source, plain, checked = lab.path('end.cpp'), lab.path('plain'), lab.path('checked')
        with open(source, 'w', encoding='utf-8') as file:
            file.write(LSAN)
        options = [need(compiler), '-g', '-O1', '-fno-builtin', source]
        lab.run(*options, '-o', plain).must()
        if lab.run(*options, f'-fsanitize={kind}', '-o', checked).status:
            raise Skip(f'{compiler} has no -fsanitize={kind} here')
        path = lab.path('leaks.json')
        lab.seep('run', '-q', '--leaks', '--list', '--format', 'json', '-o', path, '--',
                 plain).must()
        with open(path, encoding='utf-8') as file:
            ours = sizes(json.load(file)['rows'])
        same('ours', ours, {101, 2001, 2002, 2003})
        same('theirs', by_lsan(lab, checked), ours)


for name in ('g++', 'clang++'):
    for what in ('leak', 'address'):
        against_lsan(name, what)


MUSL = '''
#include <stdlib.h>
static void *volatile kept;
static void drop(void) { kept = 0; }
int main(void)
{
	void *volatile mine = malloc(101);
	kept = malloc(2001);
	mine = 0;
	atexit(drop);
	return 5;
}
'''


@case('with musl, whose constructors run after the program has been started')
def musl(lab):
    compiler, source, program = need('musl-gcc'), lab.path('m.c'), lab.path('m')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(MUSL)
    lab.run(compiler, '-g', source, '-o', program).must()
    path = lab.path('leaks.json')
    for when, want in (('before', {101}), ('both', {101, 2001})):
        lab.seep('run', '-q', '--leaks', '--leaks-when', when, '--list', '--format', 'json', '-o',
                 path, '--', program).must(5)
        with open(path, encoding='utf-8') as file:
            rows = json.load(file)['rows']
        mine = {row['size']: row['when'] for row in rows if row['size'] in (101, 2001)}
        same(when, set(mine), want)
        same('late', mine.get(2001), 'at the end' if when == 'both' else None)


@case('usage')
def usage(lab):
    refuses(lab.seep('run', '--leaks-when', 'both', '--', victim('lastly')), 2, 'needs --leaks')
    refuses(lab.seep('run', '--leaks', '--leaks-when', 'never', '--', victim('lastly')), 2, 'never')


if __name__ == '__main__':
    run_all()
