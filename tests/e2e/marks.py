#!/usr/bin/env python3
"""Marks, tags and pools: what a program tells by seep/seep.h, and seep mark from outside."""
import json
import os
import signal
import subprocess
import sys

from lab import (BUILD, SEEP, SOURCE, Skip, Wrong, case, check_sites, holds, need, refuses, run_all, same, victim,
                 wait_until)
from marks_lab import (check_between, check_generations, check_heirs, check_marks, check_pools, check_signals,
                       check_sums, check_tag_threads, check_tags, check_traffic, figures, generations)

MARKS = victim('marks')


# ---- marks ----

@case('marks of the program: every generation has the blocks that the program says, exactly')
def marks_inside(lab):
    result, path = lab.record(MARKS, 'marks')
    check_marks(lab, result.must().truth(), path)


@case('marks of the program: what was allocated and freed between two of them, exactly')
def marks_traffic(lab):
    result, path = lab.record(MARKS, 'marks')
    check_traffic(lab, result.must().truth(), path)


@case('diff between any two marks, from the beginning and to the end: the sums of generations')
def diff_between(lab):
    result, path = lab.record(MARKS, 'marks')
    check_between(lab, result.must().truth(), path)


@case('seep mark: from outside, while the program stands still, exactly')
def mark_outside(lab):
    running = lab.start(MARKS, 'steps', '--wait')
    truths = []
    for step in range(4):
        truths.append(running.truth())
        answer = lab.seep('mark', truths[-1]['pid'], f'step {step}').must()
        holds('it says so', f"mark 'step {step}' (#{step + 1}), " in answer.err, answer.err)
        running.say('')
    last = running.truth()
    path = lab.snap(last['pid'], 'steps.seep')
    running.say('')
    running.wait().must()
    found = generations(lab, path)
    check_generations(last, found, 'grow_between')
    for number in range(1, 4):
        head, true = found[number][0], last['generations'][number]
        same(f'allocated in {number}', (head['allocated_blocks'], head['allocated_bytes']),
             (true['made_blocks'], true['made_bytes']))


@case('seep mark: in a process that seep attach records, exactly')
def mark_attached(lab):
    running = lab.background(MARKS, 'steps', '--wait')
    pid = running.truth()['pid']
    attached = lab.seep('attach', pid)
    if attached.status:
        raise Skip(attached.err.splitlines()[0])
    for step in range(3):
        running.say('')
        running.truth()
        lab.seep('mark', '-q', pid, f'step {step}').must()
    running.say('')
    last = running.truth()
    found = generations(lab, lab.snap(pid, 'attached.seep'))
    for number, true in enumerate(last['generations'][1:4]):
        same(f'generation {number}', figures(found[number][1].get('grow_between')),
             {k: true[k] for k in ('live_blocks', 'live_bytes')})
        if number:
            same(f'allocated in {number}', found[number][0]['allocated_blocks'],
                 true['made_blocks'])
    lab.seep('detach', pid).must()
    refuses(lab.seep('mark', pid, 'late'), 3, 'is not being recorded')
    running.say('')
    running.wait().must()


@case('seep mark: errors')
def mark_errors(lab):
    running = lab.background('sleep', '60')
    pid = str(running.process.pid)
    refuses(lab.seep('mark', pid, 'x'), 3, f'process {pid} is not being recorded', 'seep run')
    refuses(lab.seep('mark', pid, ''), 2, 'the name is empty')
    refuses(lab.seep('mark', pid, 'x' * 80), 2, 'longer than 79 bytes')
    refuses(lab.seep('mark', pid), 2, '')
    refuses(lab.seep('mark', '2147483647', 'x'), 3, '')


@case('--from and --to: errors')
def from_to_errors(lab):
    path = lab.record(MARKS, 'marks')[1]
    plain = lab.record(MARKS, 'tags', name='tags.seep')[1]
    refuses(lab.seep('diff', '--from', 'none', path), 2, "there is no mark 'none'", "'one', 'two'")
    refuses(lab.seep('diff', '--from', '#5', path), 2, "there is no mark '#5'")
    refuses(lab.seep('diff', '--from', '#', path), 2, "there is no mark '#'")
    refuses(lab.seep('diff', '--from', 'two', '--to', 'one', path), 2, 'is not before mark')
    refuses(lab.seep('diff', '--from', 'two', '--to', 'two', path), 2, 'is not before mark')
    refuses(lab.seep('diff', '--from', 'one', plain), 2, "there is no mark 'one'", 'seep mark')
    refuses(lab.seep('diff', '--from', 'one', path, path), 2, 'of one snapshot')
    refuses(lab.seep('diff', path), 2, 'two snapshots are needed')
    refuses(lab.seep('report', '--generations', plain), 4, 'has no marks', 'seep mark')
    refuses(lab.seep('report', '--generations', '--format', 'umdh', path), 2, 'no format umdh')


@case('two marks of one name are told apart by number only')
def same_names(lab):
    running = lab.start(MARKS, 'steps', '--wait')
    pid = running.truth()['pid']
    for name in ('again', 'other', 'again'):
        lab.seep('mark', '--quiet', pid, name).must()
    path = lab.snap(pid, 'again.seep')
    refuses(lab.seep('diff', '--from', 'again', path), 2, "2 marks are called 'again'", '#1')
    lab.seep('diff', '--from', '#1', '--to', '#3', path).must()


@case('more marks than there is room for: the first ones count, the rest is told')
def too_many_marks(lab):
    result, path = lab.record(MARKS, 'many')
    truth = result.must().truth()
    found = generations(lab, path, '--limit', '0')
    same('generations', len(found), 4097)
    same('blocks of one in the middle', found[2000][0]['live_blocks'], 1)
    same('blocks of the last', found[4096][0]['live_blocks'], truth['after_last'])
    said = lab.seep('report', path).must().out
    holds('the others are told', 'marks not made, there being too many: 904' in said, said[-500:])


def untorn(lab, pid):
    """On a machine that is busy with other things a thread may stand in a hook for long."""
    for _ in range(5):
        path = lab.snap(pid, 'load.seep', '--no-heaps')
        report = lab.report(path)
        if not report.incomplete['torn']:
            return path, report
    raise Wrong('no snapshot of one instant in five')


@case('marks while snapshots are taken, and threads allocate: generations add up')
def marks_under_load(lab):
    running = lab.start(MARKS, 'load')
    pid = running.truth()['pid']
    for nr in range(8):
        lab.seep('mark', '-q', pid, f'outside {nr}').must()
        path, report = untorn(lab, pid)
        check_sums(report.complete())
        found = generations(lab, path)
        holds('there are marks', len(found) > nr, len(found))
        for key in ('live_blocks', 'live_bytes'):
            same(f'{key} of all generations', sum(found[g][0][key] for g in found),
                 report.totals[key])
        pools = [r for r in report.rows if r['name'] == 'churn_pool']
        holds('a pool has at most what fits between two resets',
              all(r['live_blocks'] <= 2 * 50 for r in pools), pools)
    os.kill(pid, signal.SIGTERM)
    running.wait()


# ---- tags ----

@case('tags: every scope holds what was allocated in it, exactly')
def tags(lab):
    result, path = lab.record(MARKS, 'tags')
    check_tags(lab, result.must().truth(), path)


@case('tags: in many threads at once, with churn: exact')
def tags_in_threads(lab):
    result, path = lab.record(MARKS, 'tag-threads')
    check_tag_threads(lab, result.must().truth(), path)


@case('tags: a scope that a thread has ended in is nobody else\'s')
def tags_left_open(lab):
    result, path = lab.record(MARKS, 'heirs')
    check_heirs(lab, result.must().truth(), path)


@case('tags: every stack is what an unwinder finds, scopes or not')
def tags_checked(lab):
    check = {'SEEP_RECORDER': str(BUILD / 'rec' / 'libseep-rec-check.so')}
    for mode in ('tags', 'tag-threads', 'marks'):
        result, path = lab.record(MARKS, mode, env=check)
        check_sites(result.must().truth(), lab.report(path))
        holds('no stack differs', 'differs' not in result.err, result.err)


@case('signals that interrupt allocations, scopes and pools, and use these themselves: exact')
def in_signals(lab):
    result, path = lab.record(MARKS, 'signals')
    check_signals(lab, result.must().truth(), path)


# ---- pools ----

@case('pools: blocks by alloc, free, reset and destroy; no byte twice')
def pools(lab):
    result, path = lab.record(MARKS, 'pools')
    check_pools(lab, result.must().truth(), path)


@case('pools: a million blocks at once, reset, and once more')
def many_pool_blocks(lab):
    result, path = lab.record(MARKS, 'pool-many')
    truth = result.must().truth()
    check_sites(truth, lab.report(path).complete())


@case('pools: more blocks than a small table has room for are counted as not recorded')
def more_than_room(lab):
    path = lab.path('small.seep')
    result = lab.run('sh', '-c', 'ulimit -v 900000; exec "$@"', 'sh', SEEP, 'run', '--at-exit', path,
                     '--', MARKS, 'pool-many')
    site = result.must().truth()['sites'][0]
    report = lab.report(path)
    found, dropped = report.counts_of('carve'), report.incomplete['dropped_blocks']
    same('ever', found['total_blocks'], site['allocated_blocks'])
    holds('the table was too small', dropped > 1000000, dropped)
    holds('what was entered was freed by the reset, and is live after it',
          0 < found['live_blocks'] < 100000, found)
    same('nothing else is lost', report.complete(['dropped_blocks']) is report, True)
    same('freed', report.totals['freed_blocks'],
         report.totals['total_blocks'] - report.totals['live_blocks'] - dropped)


# ---- ways in ----

@case('without the recorder the header does nothing')
def without_recorder(lab):
    for mode in ('marks', 'tags', 'pools'):
        lab.run(MARKS, mode).must()


@case('a static program that uses the header runs, and cannot be recorded')
def static_program(lab):
    source = lab.folder / 'static.c'
    source.write_text('#include <seep/seep.h>\n'
                      'int main(void) { seep_mark("x"); seep_tag_begin("t"); seep_tag_end();\n'
                      'seep_pool_create(&main, "p"); return 0; }\n')
    built = lab.run(need('cc'), '-static', '-I', SOURCE / 'include', source, '-o',
                    lab.path('static'))
    if built.status:
        raise Skip('no static libc')
    lab.run(lab.path('static')).must()


@case('the header compiles without a warning as C99 and C++98, by gcc and clang, in any mode')
def header_compiles(lab):
    body = ('#include <seep/seep.h>\n#include <seep/seep.h>\n'
            'int main(void)\n{\n\tint pool = 0;\n\tseep_mark("a");\n\tseep_tag_begin("b");\n'
            '\tseep_tag_end();\n\tseep_pool_create(&pool, "c");\n'
            '\tseep_pool_alloc(&pool, &pool, 4);\n\tseep_pool_free(&pool, &pool);\n'
            '\tseep_pool_reset(&pool);\n\tseep_pool_destroy(&pool);\n\treturn pool;\n}\n')
    (lab.folder / 'a.c').write_text(body)
    (lab.folder / 'a.cc').write_text(body.replace('return', '{ seep_tag_scope t("d"); }\n\treturn'))
    (lab.folder / 'b.c').write_text('#include <seep/seep.h>\nvoid other(void);\n'
                                    'void other(void) { seep_mark("o"); }\n')
    nr = 0
    for cc, cxx in (('gcc', 'g++'), ('clang', 'clang++')):
        for compiler, std, sources in ((cc, 'c99', ['a.c', 'b.c']), (cxx, 'c++98', ['a.cc'])):
            if lab.run('sh', '-c', f'command -v {compiler}').status:
                continue
            for mode in ([], ['-O2'], ['-fno-pie', '-no-pie'], ['-DSEEP_DISABLE'],
                         ['-O2', '-ffunction-sections', '-fdata-sections', '-Wl,--gc-sections']):
                out = lab.run(compiler, f'-std={std}', '-Wall', '-Wextra', '-Wpedantic', '-Werror',
                              '-I', SOURCE / 'include', *mode, *sources, '-o', 'a').must()
                same('warnings', out.err, '')
                lab.seep('run', '--', lab.path('a')).must()
                nr += 1
    holds('something was compiled', nr >= 10, nr)
    if not lab.run('sh', '-c', 'echo "int main(void){return 0;}" | cc -m32 -x c - -o m32').status:
        lab.run('cc', '-m32', '-I', SOURCE / 'include', 'a.c', 'b.c', '-o', 'm32').must()
        lab.run(lab.path('m32')).must()


@case('a library that is loaded later can make marks; stripped, and without a dynamic symbol of ours')
def loaded_later(lab):
    (lab.folder / 'lib.c').write_text('#include <seep/seep.h>\nvoid go(void);\n'
                                      'void go(void) { seep_mark("from the library"); }\n')
    (lab.folder / 'main.c').write_text(
        '#include <dlfcn.h>\nint main(int argc, char **argv) {\n'
        'void *lib = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);\n'
        'if (!lib) return 1;\n((void (*)(void))dlsym(lib, "go"))();\nreturn 0; }\n')
    lab.run(need('cc'), '-shared', '-fPIC', '-s', '-I', SOURCE / 'include', 'lib.c', '-o',
            'lib.so').must()
    lab.run('cc', 'main.c', '-o', 'main', '-ldl').must()
    path = lab.record(lab.path('main'), lab.path('lib.so'))
    path[0].must()
    found = generations(lab, path[1])
    same('its mark', found[1][0]['since'], 'from the library')


@case('a library that the program is linked with can make marks')
def linked_library(lab):
    (lab.folder / 'lib.c').write_text('#include <seep/seep.h>\nvoid go(void);\n'
                                      'void go(void) { seep_mark("linked"); }\n')
    (lab.folder / 'main.c').write_text('void go(void);\nint main(void) { go(); return 0; }\n')
    lab.run(need('cc'), '-shared', '-fPIC', '-I', SOURCE / 'include', 'lib.c', '-o',
            lab.path('libgo.so')).must()
    lab.run('cc', 'main.c', lab.path('libgo.so'), '-o', 'main').must()
    result, path = lab.record(lab.path('main'))
    result.must()
    same('its mark', generations(lab, path)[1][0]['since'], 'linked')


@case('python makes a mark by ctypes, as the manual says')
def from_python(lab):
    text = (SOURCE / 'doc/man/seep-mark.1.scd').read_text().split('```')[1]
    plain = lab.run(sys.executable, '-c', text).must()
    same('alone it is silent', plain.out + plain.err, '')
    result, path = lab.record(sys.executable, '-c', text)
    result.must()
    same('its mark', generations(lab, path)[1][0]['since'], 'warmed up')


@case('a child that is followed makes its own marks, and its parent\'s tags are not its own')
def forked_child(lab):
    running = lab.start(MARKS, 'fork', '--wait', options=('--follow',))
    for who, tag in (('child', '[child]'), ('end', '[before]')):
        truth = running.truth()
        same('who', truth['at'], who)
        path = lab.snap(truth['pid'], f'{who}.seep')
        found = generations(lab, path)
        same('marks', [found[g][0]['since'] for g in found],
             ['the beginning', 'in the child' if who == 'child' else 'in the parent'])
        rows = {r['name']: r['live_blocks'] for r in lab.report(path, by='tag').rows}
        same('scopes', {k: v for k, v in rows.items() if k != '(no tag)'}, {tag: 3})
        running.say('')
    running.wait().must()


if __name__ == '__main__':
    run_all()
