#!/usr/bin/env python3
"""The looks of the code: sizes, width, clang-format; looks.py SOURCE-ROOT."""
import re
import shutil
import statistics
import subprocess

from tap import Tap
from tree import ROOT, name, sources

FILE_MAX = 900
FILE_MEDIAN = 250
FUNCTION_P90 = 50
COLUMNS = 100
OPEN_MARK = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')


def lines_of(path):
    return path.read_text(encoding='utf-8').split('\n')[:-1]


def functions(path):
    """(first line, length) of every function: from `{` to `}` in the first column."""
    start = None
    for nr, line in enumerate(lines_of(path), 1):
        if line == '{':
            start = nr
        elif line == '}' and start is not None:
            yield start, nr - start + 1
            start = None


def check_sizes(tap, files):
    sizes = {path: len(lines_of(path)) for path in files}
    tap.case(f'no file is longer than {FILE_MAX} lines',
             [f'{name(p)}: {n} lines' for p, n in sizes.items() if n > FILE_MAX])
    median = statistics.median(sizes.values())
    tap.case(f'the median file has at most {FILE_MEDIAN} lines',
             [f'{median}'] if median > FILE_MEDIAN else [])
    lengths = sorted((n, f'{name(p)}:{start}') for p in files for start, n in functions(p))
    p90 = lengths[len(lengths) * 9 // 10][0]
    tap.case(f'9 of 10 functions have at most {FUNCTION_P90} lines',
             [f'{p90}; the longest:'] + [f'{n} {where}' for n, where in lengths[-10:]]
             if p90 > FUNCTION_P90 else [])


def check_text(tap, files):
    wide, spaces, marks = [], [], []
    for path in files:
        for nr, line in enumerate(lines_of(path), 1):
            where = f'{name(path)}:{nr}'
            if len(line.expandtabs(8)) > COLUMNS:
                wide.append(where)
            if line != line.rstrip():
                spaces.append(where)
            if OPEN_MARK.search(line):
                marks.append(f'{where}: {line.strip()}')
    tap.case(f'no line is wider than {COLUMNS} columns', wide)
    tap.case('no line ends in white space', spaces)
    tap.case('nothing is marked as left open', marks)


def check_format(tap, files):
    tool = shutil.which('clang-format')
    folders = sorted({path.parent for path in files})
    for folder in folders:
        title = f'clang-format agrees in {name(folder)}'
        if not tool:
            tap.skip(title, 'clang-format is not installed')
            continue
        here = [str(path) for path in files if path.parent == folder]
        run = subprocess.run([tool, '--dry-run', '--Werror', *here], cwd=ROOT, text=True,
                             capture_output=True, check=False)
        wrong = sorted({line.split(': ')[0] for line in run.stderr.splitlines()
                        if 'clang-format-violations' in line})
        if run.returncode and not wrong:
            wrong = run.stderr.splitlines()[:5]
        tap.case(title, [where.replace(f'{ROOT}/', '') for where in wrong[:10]])


def main():
    tap = Tap()
    files = sources('*.c', '*.h', '*.cpp')
    check_sizes(tap, files)
    check_text(tap, files)
    check_format(tap, files)
    tap.done()


main()
