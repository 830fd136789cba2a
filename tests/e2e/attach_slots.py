#!/usr/bin/env python3
"""seep attach where malloc and free begin with what cannot be made a jump: by the slots of who
calls them. What is seen is exact, what is not is told, and every word is put back."""
import re
import struct

from attach import every_way
from attach_faults import writes
from attach_lab import attach, detach
from lab import VICTIMS, Skip, case, check_sums, holds, need, run_all, same, victim
from untouched import differences, maps_of, standing

HOW = ('short', 'jumped', 'trapped')
WHY = {'short': 'it is too short', 'jumped': 'something else has changed it',
       'trapped': 'something else has changed it'}
CALLED = ('lazy', 'now', 'direct')


def slots_of(lab, pid, path):
    """{address: word} of the slots that a mapped file has for malloc and free."""
    tables = lab.run(need('readelf'), '-rW', path).must().out
    low = min(int(line[0].split('-')[0], 16) for line in maps_of(pid) if line[2].endswith(str(path)))
    found = {}
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for offset, name in re.findall(r'^([0-9a-f]+) .*(?:GLOB_DAT|JUMP_SLOT?)\s+\S+ (malloc|free)\b',
                                       tables, re.M):
            memory.seek(low + int(offset, 16))
            found[name, int(offset, 16)] = struct.unpack('<Q', memory.read(8))[0]
    return found


def begin(lab, how, called):
    process = lab.background(victim(f'attach-slots-{how}-{called}'))
    truth = process.truth()
    same('moment', truth['at'], 'start')
    return process, truth['pid']


def tell(process, what):
    process.say(what)
    truth = process.truth()
    same('moment', truth['at'], what)
    same('failures inside the victim', truth['failures'], 0)
    return truth['totals']


def look(lab, pid, name):
    report = lab.report(lab.snap(pid, name, '--no-heaps'))
    same('functions seen in part', report.incomplete['partial_functions'], 2)
    check_sums(report.complete(['partial_functions', 'lost_frees', 'unknown_frees']))
    return report


def mixed(lab, how, called):
    process, pid = begin(lab, how, called)
    path = VICTIMS / f'victim-attach-slots-{how}-{called}'
    before, slots = standing(pid), slots_of(lab, pid, path)
    holds('there are slots', len(slots) >= 2, slots)
    said = attach(lab, pid).err
    for name in ('malloc', 'free'):
        holds('it is told', re.search(rf'{name} of libattach-slots-{how}\.so is seen in part, its entry '
                                      rf'being left alone \({WHY[how]}\): calls through 2 slots of 2 '
                                      'modules are', said), said)
    holds('what follows is told', 'blocks freed so stay shown as live' in said, said)
    holds('slots lead elsewhere', slots_of(lab, pid, path) != slots or
          differences(before, standing(pid))['code'])

    same('live', tell(process, 'some')['live_blocks'], 55)
    report = look(lab, pid, 'some')
    # Of the 45 that were freed, 5 were by a pointer and 10 within the library.
    same('seen', report.counts_of('by_malloc')['total_blocks'], 100)
    same('shown as live', report.counts_of('by_malloc')['live_blocks'], 70)
    same('told by then', report.incomplete['lost_frees'], 0)

    same('live', tell(process, 'reuse')['live_blocks'], 67)
    report = look(lab, pid, 'reuse')
    # An address that is given out again was free: 12 of the 15.
    same('shown as live', report.counts_of('by_malloc')['live_blocks'], 70)
    same('told', report.incomplete['lost_frees'], 12)
    text = lab.seep('report', lab.snap(pid, 'text', '--no-heaps')).must()
    holds('it is told', re.search('of which not all calls are seen.*: 2', ' '.join(text.out.split())),
          text)

    same('live', tell(process, 'drop')['live_blocks'], 0)
    same('shown as live', look(lab, pid, 'drop').counts_of('by_malloc')['live_blocks'], 3)
    detach(lab, pid)
    same('what differs', differences(before, standing(pid)), {})
    same('slots', slots_of(lab, pid, path), slots)
    same('live', tell(process, 'some')['live_blocks'], 55)
    again = slots_of(lab, pid, path)
    for _ in range(10):
        attach(lab, pid)
        detach(lab, pid)
    same('what differs after more', differences(before, standing(pid)), {})
    same('slots after more', slots_of(lab, pid, path), again)
    tell(process, 'drop')
    process.say('end')
    process.wait().must()


for _how in HOW:
    for _called in CALLED:
        @case(f'{_how}, called by {_called}: exact but for what cannot be seen, and as it was')
        def of_program(lab, how=_how, called=_called):
            mixed(lab, how, called)

    @case(f'{_how}, preloaded: threads that go on, exact, and as it was')
    def preloaded(lab, how=_how):
        library = VICTIMS / f'libattach-slots-{how}.so'
        # The loader frees what ended threads had by a pointer of its own.
        said = every_way(lab, [victim('attached'), '3', 'churn'],
                         ['partial_functions', 'lost_frees'], env={'LD_PRELOAD': library})
        holds('it is told', WHY[how] in said, said)


@case('a write of detach takes longer than the process may stand still')
def slow_write(lab):
    # It has memory of ours in several places, which is given back piece by piece.
    process, pid = begin(lab, 'trapped', 'lazy')
    before = standing(pid)
    attach(lab, pid)
    for number in range(1, len(writes(lab, 'detach', pid)) + 1):
        attach(lab, pid)
        writes(lab, 'detach', pid, '-e', f'inject=pwrite64:delay_exit=20000:when={number}')
        same(f'what differs, write {number} being slow', differences(before, standing(pid)), {})
    process.say('end')
    process.wait().must()


def left_alone(lab, pid):
    """{function: how many pointers to it are told to be left alone}; nothing is changed."""
    plan = ' '.join(lab.seep('attach', '--dry-run', pid).must().out.split())
    found = re.findall(r'note (malloc|free) of \S+ is seen in part, .*?, through (\d+) pointers? to it in data and',
                       plan)
    return {function: int(number) for function, number in found}


def without_tables(lab):
    """The same, where the C library alone has such."""
    process, pid = begin(lab, 'short', 'direct')
    found = left_alone(lab, pid)
    process.say('end')
    process.wait().must()
    return found


for _name, _how in (('tables', 'one by one'), ('packed', 'packed')):
    @case(f'tables of pointers to functions, relocated {_how}: left alone, counted, and copies live on')
    def tables(lab, name=_name):
        program, library = victim(f'attach-{name}'), VICTIMS / f'libattach-slots-{name}.so'
        if not program.exists():
            raise Skip('the linker cannot pack relocations')
        same('it is packed', '(RELR)' in lab.run(need('readelf'), '-dW', library).must().out, name == 'packed')
        process = lab.background(program)
        pid = process.truth()['pid']
        before, others = standing(pid), without_tables(lab)
        # The program's table has one of each, and the library's.
        want = {function: others.get(function, 0) + 2 for function in ('malloc', 'free')}
        same('told before', left_alone(lab, pid), want)
        said = lab.seep('attach', pid).must().err
        for function, number in want.items():
            holds('it is told', re.search(rf'{function} of {library.name} is seen in part, its entry being left '
                                          rf'alone \(it is too short\): .*through {number} pointers to it in data',
                                          said), said)
        for number in range(1, 4):
            tell(process, 'round')
            report = lab.report(lab.snap(pid, 'round', '--no-heaps'))
            same('seen', [report.counts_of(site)['total_blocks'] for site in ('by_name', 'by_table', 'by_library')],
                 [20 * number, 0, 0])
        detach(lab, pid)
        same('what differs', differences(before, standing(pid)), {})
        tell(process, 'round')
        done = lab.seep('attach', '--format', 'json', pid).must().json_lines()[0]
        same('left alone', (done['pointers_left'], done['slots_left']), (sum(want.values()), 0))
        tell(process, 'round')
        detach(lab, pid)
        tell(process, 'round')
        process.say('end')
        process.wait().must()


@case('the plan says it, and changes nothing')
def dry_run(lab):
    process, pid = begin(lab, 'short', 'now')
    before = standing(pid)
    plan = lab.seep('attach', '--dry-run', pid).must()
    holds('it is told', re.search(r'note +free of libattach-slots-short\.so is seen in part', plan.out),
          plan)
    functions = re.search(r'^functions +(\d+)', plan.out, re.M).group(1)
    same('what differs', differences(before, standing(pid)), {})
    done = lab.seep('attach', '--format', 'json', pid).must().json_lines()[0]
    same('functions', done['functions'] - done['functions_by_slots'], int(functions))
    same('by slots', (done['functions_by_slots'], done['slots']), (2, 4))
    detach(lab, pid)
    process.say('end')
    process.wait().must()


if __name__ == '__main__':
    run_all()
