#!/usr/bin/env python3
"""big.xml (100 MB), small.xml (its first tenth), big.json and small.json; make_documents.py FOLDER

The same bytes each time.
"""
import json
import pathlib
import random
import sys

MB = 1024 * 1024
WORDS = ['alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel', 'india',
         'juliett', 'kilo', 'lima']
ITEM = ('<item id="i%d" class="%s"><name>%s</name><price cur="EUR">%d.%02d</price>'
        '<desc>%s &amp; %s</desc><tags><t>%s</t><t>%s</t></tags></item>\n')


def words(count):
    return ' '.join(random.choice(WORDS) for _ in range(count))


def items():
    i = 0
    while True:
        yield ITEM % (i, random.choice(WORDS), words(3), i % 1000, i % 100, words(12), words(6),
                      WORDS[i % 12], WORDS[i % 7])
        i += 1


def write_xml(folder):
    with open(folder / 'big.xml', 'w') as big, open(folder / 'small.xml', 'w') as small:
        for file in big, small:
            file.write('<?xml version="1.0"?>\n<catalog>\n')
        written = 0
        for item in items():
            big.write(item)
            if written < 10 * MB:
                small.write(item)
            written += len(item)
            if written >= 100 * MB:
                break
        for file in big, small:
            file.write('</catalog>\n')


def write_json(path, count):
    with open(path, 'w') as file:
        for i in range(count):
            file.write(',\n' if i else '[')
            json.dump({'id': i, 'user': words(2), 'group': random.choice(WORDS),
                       'score': random.random() * 1000, 'tags': [words(1) for _ in range(5)],
                       'nested': {'a': {'b': i % 97, 'c': words(4)}, 'list': [i, i + 1, i + 2]}},
                      file)
        file.write(']\n')


folder = pathlib.Path(sys.argv[1])
random.seed(7)
write_xml(folder)
write_json(folder / 'big.json', 150000)
write_json(folder / 'small.json', 15000)
