"""The cost of one malloc and its free at the end of a chain of calls, under each tool."""
import dataclasses
import json
import statistics
from typing import Optional

from runner import Command


@dataclasses.dataclass
class Loop:
    mode: str
    depth: int
    threads: int
    bar: Optional[float] = None  # recorded / bare, at most

    @property
    def title(self):
        threads = '' if self.threads == 1 else f', {self.threads} threads'
        return f'{self.mode}, {self.depth} frames{threads}'


LOOPS = [
    Loop('same', 8, 1, 2.5),
    Loop('same', 16, 1),
    Loop('same', 32, 1, 3.7),
    Loop('same', 64, 1),
    Loop('same', 8, 2, 2.5),
    Loop('same', 32, 2, 3.7),
    Loop('sites', 32, 1),
    Loop('tree', 32, 1),
    Loop('fifo', 32, 1),
    Loop('fifo', 32, 2),
]
HEAPTRACK_BAR = 14  # what heaptrack's recorder adds / what ours adds, at least
TOOLS = ['bare', 'seep', 'heaptrack-recorder', 'lsan']
ITERATIONS = {'small': 50_000, 'big': 200_000}
REPEATS = 15


def run_one(runner, build, tool, loop, size):
    cost = runner.run(Command([build / 'bench' / 'pairs', loop.mode, str(loop.depth),
                               str(loop.threads), str(ITERATIONS[size]), str(REPEATS)]),
                      tool.prefix)
    if cost.failure:
        return None
    return json.loads(cost.output)


def run_pairs(runner, build, tools, rounds, size, say):
    """{loop's title: {tool: {min_ns, median_ns}}}: least of the minima, median of the medians."""
    tools = [tool for tool in tools if tool.name in TOOLS]
    results = {}
    for loop in LOOPS:
        samples = {tool.name: [] for tool in tools}
        for number in range(rounds):
            for tool in tools if number % 2 == 0 else reversed(tools):
                result = run_one(runner, build, tool, loop, size)
                if result:
                    samples[tool.name].append(result)
        results[loop.title] = {
            name: {'min_ns': min(s['min_ns'] for s in found),
                   'median_ns': statistics.median(s['median_ns'] for s in found)}
            for name, found in samples.items() if found}
        say(f'pairs: {loop.title}: ' + ', '.join(
            f"{name} {r['min_ns']:.1f} ns" for name, r in results[loop.title].items()))
    return results


def ratio(result, tool):
    """Least / least of one loop, or None."""
    if tool not in result or 'bare' not in result:
        return None
    return result[tool]['min_ns'] / result['bare']['min_ns']


def added_ns(result, tool):
    if tool not in result or 'bare' not in result:
        return None
    return result[tool]['min_ns'] - result['bare']['min_ns']


def advantage(result):
    """How many times more heaptrack's recorder adds, or None."""
    theirs, ours = added_ns(result, 'heaptrack-recorder'), added_ns(result, 'seep')
    return theirs / ours if theirs and ours and ours > 0 else None
