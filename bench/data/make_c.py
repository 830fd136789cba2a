#!/usr/bin/env python3
"""A C program of many functions for a compiler: make_c.py FUNCTIONS. The same each time."""
import random
import sys

HEAD = '''#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct item { struct item *next; long key; double weight; char name[24]; int values[8]; };
'''


def name():
    return random.choice('abcd')


def expression(depth):
    if depth == 0:
        return random.choice([name(), str(random.randint(1, 999)), 'item->values[%s & 7]' % name(),
                              'item->key', 'table[%s & 63]' % name()])
    operator = random.choice(['+', '-', '*', '&', '|', '^', '<<', '>>'])
    right = expression(depth - 1)
    if operator in ('<<', '>>'):
        right = '(%s & 15)' % right
    return '(%s %s %s)' % (expression(depth - 1), operator, right)


def statement(number, depth):
    indent = '\t' * (3 - depth)
    kind = random.randrange(6) if depth else 0
    inner = lambda: ''.join(statement(number, depth - 1) for _ in range(random.randint(1, 3)))
    if kind == 1:
        return '%sif (%s > %s) {\n%s%s} else {\n%s%s}\n' % (
            indent, expression(1), expression(1), inner(), indent, inner(), indent)
    if kind == 2:
        return '%sfor (int i = 0; i < %d; i++) {\n%s%s}\n' % (
            indent, random.randint(2, 60), inner(), indent)
    if kind == 3:
        cases = ''.join('%scase %d:\n%s%s\tbreak;\n' % (indent, case, inner(), indent)
                        for case in range(random.randint(2, 5)))
        return '%sswitch (%s & 7) {\n%s%sdefault:\n%s\tbreak;\n%s}\n' % (
            indent, name(), cases, indent, indent, indent)
    if kind == 4 and number:
        return '%s%s += f%d(item, %s, %s, c, d);\n' % (
            indent, name(), random.randrange(number), name(), expression(1))
    if kind == 5:
        return '%ssnprintf(item->name, sizeof(item->name), "%%ld", (long)%s);\n' % (
            indent, expression(1))
    return '%s%s = %s;\n' % (indent, name(), expression(2))


def function(number):
    body = ''.join(statement(number, 2) for _ in range(random.randint(3, 10)))
    return ('long f%d(struct item *item, long a, long b, long c, long d)\n{\n'
            '\tstatic long table[64];\n\n%s\treturn a ^ b ^ c ^ d;\n}\n\n' % (number, body))


random.seed(11)
sys.stdout.write(HEAD + '\n')
for i in range(int(sys.argv[1])):
    sys.stdout.write(function(i))
