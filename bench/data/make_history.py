#!/usr/bin/env python3
"""A history for `git fast-import`: make_history.py FILES COMMITS. The same bytes each time."""
import random
import sys

WORDS = ['int', 'return', 'struct', 'node', 'while', 'buffer', 'size', 'static', 'void', 'char',
         'index', 'list', 'alloc', 'free', 'if', 'else']
BEGAN = 1600000000
CHANGED_FILES = 12


def line():
    return '    ' + ' '.join(random.choice(WORDS) for _ in range(random.randint(2, 9))) + ';\n'


def change(lines):
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(lines))
        if random.random() < .5:
            lines[at] = line()
        elif random.random() < .6:
            lines.insert(at, line())
        elif len(lines) > 20:
            del lines[at]


def data(content):
    return b'data %d\n%s\n' % (len(content), content)


def commit(number, files, names, out):
    who = b'A <a@x> %d +0000' % (BEGAN + number * 600)
    message = ('commit %d\n\nsome text %s' % (number, line())).encode()
    out.write(b'commit refs/heads/main\nauthor %s\ncommitter %s\n' % (who, who) + data(message))
    for name in names if number == 0 else random.sample(names, CHANGED_FILES):
        if number:
            change(files[name])
        out.write(b'M 100644 inline %s\n' % name.encode() + data(''.join(files[name]).encode()))


random.seed(3)
files_nr, commits_nr = int(sys.argv[1]), int(sys.argv[2])
files = {'d%02d/s%d/file%d.c' % (i % 40, i % 7, i): [line() for _ in range(random.randint(30, 150))]
         for i in range(files_nr)}
for number in range(commits_nr):
    commit(number, files, sorted(files), sys.stdout.buffer)
