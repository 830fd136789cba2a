#!/usr/bin/env python3
"""seep run --leaks against LeakSanitizer: the same blocks, on programs with one mistake each."""
import collections
import json
import os
import re

from lab import BUILD, Skip, Wrong, case, holds, run_all, same

FOLDER = BUILD / 'tests' / 'leaks'
SOURCES = r'/(?:alloc|flow|places|structures|allocation|objects|paths)\.c(?:pp)?:'
FRAME = re.compile(r'^ +#\d+ 0x[0-9a-f]+ in (.*) (\S*/\S+?)(?::\d+)?(?::\d+)?$')

# What the two may say differently, and why: sizes that only LeakSanitizer has, that only seep has.
DIFFERENT = {
    'malloc_nothing': ([1], [0], "LeakSanitizer's allocator makes one byte of none"),
    'vector_of_pointers': ([], [80] * 8, 'eight pointers are left in vector registers by the last '
                           'copy of the vector; LeakSanitizer takes them for live ones'),
}


class Checked:
    """One program of the two, and what it loses: sizes of blocks by the function that made them."""

    def __init__(self, lab, name):
        self.lab, self.plain, self.lsan = lab, FOLDER / f'leaks-{name}', FOLDER / f'leaks-{name}-lsan'
        for program in (self.plain, self.lsan):
            if not program.exists():
                raise Skip(f'{program.name} was not built: no compiler for it')
        self.cases = lab.run(self.plain, 'list').must().out.split()
        probe = self.by_lsan('malloc_simple' if name == 'c' else 'new_int', 'bad')
        if not probe:
            raise Skip('LeakSanitizer does not work here: it may not trace')

    def by_lsan(self, name, how):
        log = self.lab.path('lsan')
        result = self.lab.run(self.lsan, name, how, env={
            'LSAN_OPTIONS': f'report_objects=1:exitcode=23:log_path={log}:fast_unwind_on_malloc=0'
                            ':allocator_may_return_null=1'})
        holds('status', result.status in (0, 23), result)
        found, function, objects = collections.Counter(), None, False
        for path in list(self.lab.folder.glob('lsan.*')):
            text = path.read_text(encoding='utf-8')
            path.unlink()
            if 'LeakSanitizer has encountered a fatal error' in text:
                raise Skip('LeakSanitizer does not work here: it may not trace')
            for line in text.splitlines():
                if ' leak of ' in line:
                    function = None
                frame = FRAME.match(line)
                if frame and function is None and re.search(SOURCES, line):
                    function = plain_name(frame.group(1))
                size = re.match(r'^0x[0-9a-f]+ \((\d+) bytes\)', line)
                if size:
                    found[(function, int(size.group(1)))] += 1
        same(f'status and report of {name} agree', bool(found), result.status == 23)
        return found

    def by_seep(self, name, how):
        path = self.lab.path('seep.json')
        self.lab.seep('run', '-q', '--leaks', '--list', '--indirect', '--limit', '0', '--format',
                      'json', '-o', path, '--', self.plain, name, how).must()
        with open(path, encoding='utf-8') as file:
            answer = json.load(file)
        os.unlink(path)
        found = collections.Counter((plain_name(row['site']), row['size'])
                                    for row in answer['rows'])
        same('blocks in the totals', answer['totals']['leaked_blocks'], sum(found.values()))
        return found, answer


def plain_name(text):
    """The function's own name, without place, parameters, class and namespace."""
    text = re.sub(r' \([^()]*:\d+\)$', '', text or '')
    if 'operator()' in text or '{lambda' in text:
        return 'operator()'
    return re.sub(r'\(anonymous namespace\)::', '', text).split('(')[0].rsplit('::', 1)[-1]


def sizes(found):
    return collections.Counter(size for (_, size), nr in found.items() for _ in range(nr))


def compare(name, lsan, seep):
    """A sentence where the two differ in a way that is not explained, or None."""
    if lsan == seep:
        return None
    only_lsan, only_seep, _ = DIFFERENT.get(name, ((), (), ''))
    lsan_sizes = sizes(lsan) - collections.Counter(only_lsan)
    seep_sizes = sizes(seep) - collections.Counter(only_seep)
    if lsan_sizes != seep_sizes:
        return f'{name}: LeakSanitizer {dict(lsan)}, seep {dict(seep)}'
    if name not in DIFFERENT:
        return f'{name}: other functions: LeakSanitizer {dict(lsan)}, seep {dict(seep)}'
    return None


def check(lab, language):
    checked = Checked(lab, language)
    holds('there are programs', len(checked.cases) >= 40, checked.cases)
    wrong = []
    for name in checked.cases:
        seep, _ = checked.by_seep(name, 'bad')
        if not seep:
            wrong.append(f'{name}: seep finds no leak')
        wrong.append(compare(name, checked.by_lsan(name, 'bad'), seep))
        seep, _ = checked.by_seep(name, 'good')
        lsan = checked.by_lsan(name, 'good')
        if seep or lsan:
            wrong.append(f'{name} is good: LeakSanitizer {dict(lsan)}, seep {dict(seep)}')
    wrong = [text for text in wrong if text]
    if wrong:
        raise Wrong(f'{len(wrong)} of {len(checked.cases)}: ' + '; '.join(wrong))


@case('C: every leak, and nothing but leaks, as LeakSanitizer has them')
def in_c(lab):
    check(lab, 'c')


@case('C++: the same')
def in_cpp(lab):
    check(lab, 'cpp')


@case('a cycle of shared_ptr: both members, with their types')
def wordcount(lab):
    checked = Checked(lab, 'cpp')
    _, answer = checked.by_seep('wordcount_cycle', 'bad')
    same('members', len(answer['rows']), 2)
    for row in answer['rows']:
        holds('it is in a cycle', row['is_cycle'], row)
        holds('its type', 'word' in row['class'] and '_Sp_counted' in row['class'], row)
    same('one head', len({row['head'] or row['address'] for row in answer['rows']}), 1)
    said = lab.seep('run', '-q', '--leaks', '--', checked.plain, 'wordcount_cycle', 'bad').must().err
    holds('it is called a cycle', re.search(r'LEAKS +CYCLES.*\n.*leaked +1 +1 ', said), said)


if __name__ == '__main__':
    run_all()
