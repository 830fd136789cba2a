"""The bars, and whether they hold: (what, measured, bar, holds) each."""
import pairs
from memory import HEAP_SHARE, NODE_BYTES
from workloads import WORKLOADS


def verdict(what, measured, bar, holds):
    return {'what': what, 'measured': measured, 'bar': bar, 'holds': holds}


def judge_workloads(results):
    for workload in WORKLOADS:
        tool = results.get(workload.name, {}).get('seep')
        if workload.bar and tool:
            if tool.get('failure'):
                yield verdict(f'{workload.name}: CPU', tool['failure'], f'<= {workload.bar}', False)
            else:
                got = tool['cpu']['median']
                yield verdict(f'{workload.name}: CPU', f'{got:.2f}', f'<= {workload.bar}',
                              round(got, 2) <= workload.bar)


def judge_pairs(results):
    for loop in pairs.LOOPS:
        result = results.get(loop.title, {})
        got = pairs.ratio(result, 'seep')
        if not loop.bar or got is None:
            continue
        yield verdict(f'pair, {loop.title}', f'{got:.2f}', f'<= {loop.bar}',
                      round(got, 2) <= loop.bar)
        times = pairs.advantage(result)
        if times is not None:
            yield verdict(f'pair, {loop.title}: heaptrack adds', f'{times:.1f} times as much',
                          f'>= {pairs.HEAPTRACK_BAR}', times >= pairs.HEAPTRACK_BAR)


def judge_memory(results):
    for name, census in results.items():
        if not census:
            continue
        yield verdict(f'{name}: memory of the table', f"{census['table_bytes'] / 1e6:.1f} MB",
                      f"<= {census['allowed_bytes'] / 1e6:.1f} MB ({HEAP_SHARE:.0%} of the touched "
                      f'heap + {NODE_BYTES} bytes a node)',
                      census['table_bytes'] <= census['allowed_bytes'])


def judge(results):
    return [*judge_pairs(results.get('pairs', {})),
            *judge_workloads(results.get('workloads', {})),
            *judge_memory(results.get('memory', {}))]
