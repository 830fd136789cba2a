"""A workload of a script: objects, lists, strings, regular expressions, JSON; work.py COUNT."""
import json
import re
import sys


class Node:
    __slots__ = ('key', 'value', 'children')

    def __init__(self, key, value):
        self.key = key
        self.value = value
        self.children = []


count = int(sys.argv[1])
nodes = {}
total = 0
for i in range(count):
    key = 'k%d' % (i * 7919 % 100003)
    node = nodes.get(key)
    if node is None:
        node = nodes[key] = Node(key, {'i': i, 's': 'v' * (i % 50)})
    node.children.append((i, str(i * 3), [i] * (i % 5)))
    if len(node.children) > 6:
        node.children = node.children[3:]
    total += len(re.sub(r'\d+', '#', key + str(i)))
text = json.dumps([[n.key, n.value, [c[1] for c in n.children]] for n in nodes.values()])
for _ in range(2):
    parsed = json.loads(text)
    total += len(parsed)
words = ' '.join(n.key for n in nodes.values()).split()
total += len(set(word[::-1] for word in words))
print(total, len(text))
