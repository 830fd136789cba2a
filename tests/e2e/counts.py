#!/usr/bin/env python3
"""Every victim under the recorder: blocks and bytes per site equal its own truth, exactly."""
import json
import os
import pathlib
import re
import shutil
import stat

from lab import (SEEP, Skip, case, check_sites, check_sums, holds, need, need_root, refuses,
                 run_all, same, victim)

FRAMES_MAX = 4096  # rec/rec.h: deeper stacks are cut


def exact(lab, result, path, allowed=()):
    report = lab.report(path)
    check_sites(result.truth(), report)
    check_sums(report)
    return report.complete(allowed)


def at_exit(name, *arguments, allowed=(), title=None):
    """A case: run to the end, compare."""
    def run(lab):
        result, path = lab.record(victim(name), *arguments)
        if result.status == 77:
            raise Skip(result.err.splitlines()[0])
        exact(lab, result.must(), path, allowed)
    case(f'{title or name}: every site exact at exit')(run)


at_exit('allapi')
at_exit('allapi-plain')
at_exit('allcxx', allowed=['stopped_stacks'])  # the loader's _dl_start_user has no unwind rows
at_exit('threads')
at_exit('threads', '40', '200', title='threads, 40 of them')
at_exit('chrooter')
at_exit('sighandler')
at_exit('coro', allowed=['stopped_stacks'])  # a coroutine's outermost frame has no caller
at_exit('big')
at_exit('growers', '7')
at_exit('growers-fast', '7', title='growers, optimised')
at_exit('mlocker')


@case('threads: every site exact at the fence, where all stand still, and at the end')
def threads_at_the_fence(lab):
    running = lab.start(victim('threads'), '24', '500', '--wait')
    for moment in ('fence', 'end'):
        truth = running.truth()
        same('moment', truth['at'], moment)
        report = lab.report(lab.snap(truth['pid'], moment))
        check_sites(truth, report)
        check_sums(report.complete())
        running.say('')
    running.wait().must()


@case('allapi: the same counts by snap while it runs as at exit')
def snap_and_exit_agree(lab):
    running = lab.start(victim('allapi'), '--wait', options=('--at-exit', lab.path('end')))
    truth = running.truth()
    live = lab.report(lab.snap(truth['pid'], 'live'))
    check_sites(truth, live)
    running.say('')
    running.wait().must()
    end = lab.report(lab.path('end'))
    same('totals', live.totals, end.totals)


@case('allapi: usable sizes and distances of blocks are the same with and without the recorder')
def layout_unchanged(lab):
    plain = lab.run(victim('allapi')).must().truth()
    recorded = lab.record(victim('allapi'))[0].must().truth()
    for key in ('usable', 'layout'):
        same(key, recorded[key], plain[key])


@case('big: every block has its size in the list of blocks')
def big_blocks(lab):
    result, path = lab.record(victim('big'))
    listing = lab.seep('report', '--format', 'umdh', path).must().out
    sizes = [int(size, 16) for size in re.findall(r'^([0-9A-F]+) bytes', listing, re.MULTILINE)]
    for size in (131071, 131072, 131073, 262142, 262143, 262144, 262145, 1 << 30, 2147483649):
        holds(f'a block of {size} bytes is listed', size in sizes, sizes)
    totals = result.must().truth()['totals']
    same('all listed', (len(sizes), sum(sizes)), (totals['live_blocks'], totals['live_bytes']))


# ---- processes that become, make or leave others ----


@case('forker: children off: the parent exact, nothing of its children in it')
def forker_alone(lab):
    result, path = lab.record(victim('forker'))
    report = exact(lab, result.must(), path)
    same('of children', report.counts_of('allocate_in_child')['total_blocks'], 0)
    same('files', sorted(p.name for p in lab.folder.glob('end*')), ['end.seep'])


@case('forker: --follow: parent and each child exact, in files of their own')
def forker_followed(lab):
    for turn in range(5):  # children that live for a moment only: must not depend on luck
        result, path = lab.record(victim('forker'), options=['--follow', '-q'], name=f'end{turn}')
        truths = result.must().json_lines()
        same('moments', sorted({t['at'] for t in truths}), ['clone child', 'end', 'fork child'])
        for truth in truths:
            own = path if truth['at'] == 'end' else f"{path}.{truth['pid']}"
            report = lab.report(own)
            check_sites(truth, report)
            check_sums(report.complete())
        same('children by fork and clone', len(truths), 21)


@case('execer: the last image exact, nothing of the images before in it')
def execer_last(lab):
    result, path = lab.record(victim('execer'), '5')
    truths = result.must().json_lines()
    same('images', [t['stages_left'] for t in truths], [5, 4, 3, 2, 1, 0])
    same('one process', len({t['pid'] for t in truths}), 1)
    exact(lab, result, path)


@case('execer: a script as the program: the last image exact')
def execer_script(lab):
    script = pathlib.Path(lab.path('start.sh'))
    script.write_text(f'#!/bin/sh\nexec {victim("execer")} 2\n')
    script.chmod(0o755)
    result, path = lab.record(script)
    exact(lab, result.must(), path)


def dies(way, status, freed):
    @case(f'dies by {way}: nothing lost, its exit status kept')
    def run(lab):
        result, path = lab.record(victim('dies'), way, patience=60)
        report = exact(lab, result.must(status), path)
        at_exit_site = report.counts_of('free_at_exit')
        same('blocks freed by the exit handler', at_exit_site['live_blocks'], 0 if freed else 1)
        same('bytes of it', at_exit_site['total_bytes'], 5)


dies('return', 0, True)
dies('exit', 3, True)
dies('_exit', 4, False)
dies('quick_exit', 5, False)
dies('abort', 128 + 6, False)
dies('segv', 128 + 11, False)
dies('overflow', 128 + 11, False)
dies('kill', 128 + 9, False)
dies('term', 128 + 15, False)


def closer(way):
    @case(f'closer by {way}: exact without a descriptor, and its own files unharmed')
    def run(lab):
        result, path = lab.record(victim('closer'), way)
        exact(lab, result.must(), path)


closer('range')
closer('loop')


@case('the launcher is killed: the program goes on unharmed')
def launcher_killed(lab):
    running = lab.start(victim('growers'), '3', '--wait')
    running.truth()
    running.process.kill()
    running.process.wait()
    running.say('')
    same('it goes on', running.truth()['at'], 'step 2')
    running.say('')
    same('and on', running.truth()['at'], 'step 3')
    running.say('')


# ---- modules, depth, limits ----


@case('plugin: sites of unloaded modules that shared an address have their own names')
def plugins(lab):
    result, path = lab.record(victim('plugin'))
    if not result.must().truth()['same_address']:
        raise Skip('the loader gave the modules different addresses')
    report = exact(lab, result, path)
    for name, first in (('alpha', 0), ('beta', 1)):
        depths = [turn + i for turn in range(first, 10, 2) for i in range(5)]
        found = report.counts_of(f'{name}_descend')
        same(f'{name}_descend', found, {
            'total_blocks': sum(d + 1 for d in depths), 'live_blocks': 0, 'live_bytes': 0,
            'total_bytes': sum((d + 1) * (d + 2) // 2 for d in depths)})
        for stack in report.stacks():
            names = [f.get('function') for f in stack['frames']]
            if f'{name}_leak' in names:
                modules = {os.path.basename(f['module']) for f in stack['frames']
                           if f.get('function', '').startswith(('alpha_', 'beta_', 'plugin_'))}
                same('modules of its frames', modules, {f'plugin-{name}.so'})


def cut_blocks(report):
    return sum(s['live_blocks'] for s in report.stacks()
               if s['frames'][-1].get('mark', '').startswith('[cut off'))


@case('deep: counts exact, and as many blocks on cut stacks as have more frames than the limit')
def deep(lab):
    depths = (10000, 100000)
    result, path = lab.record(victim('deep'), *depths)
    report = exact(lab, result.must(), path, allowed=['cut_stacks'])
    # One frame for each level passed, and run, start_thread and clone3 above them.
    too_deep = sum(1 for depth in depths for d in range(0, depth + 1, 100)
                   if depth - d + 4 > FRAMES_MAX)
    at_the_bottom = sum(10 for depth in depths if depth + 5 > FRAMES_MAX)
    same('blocks on cut stacks', cut_blocks(report), too_deep + at_the_bottom)
    holds('cut stacks are counted', report.incomplete['cut_stacks'] > 0)
    text = lab.seep('report', path).must().out
    holds('the text says how many', f"limit: {report.incomplete['cut_stacks']}" in text, text[-300:])


@case('deep: nothing is cut below the limit')
def not_too_deep(lab):
    result, path = lab.record(victim('deep'), '3000')
    report = exact(lab, result.must(), path)
    same('blocks on cut stacks', cut_blocks(report), 0)
    deepest = max(len(s['frames']) for s in report.stacks())
    holds('the deepest stack is whole', 3000 < deepest < 3010, deepest)


@case('mlocker: locked memory stays in proportion')
def mlocker(lab):
    bare = lab.run(victim('mlocker'))
    if bare.status == 77:
        raise Skip('may not lock memory')
    recorded = lab.record(victim('mlocker'))[0].must().truth()
    more = recorded['resident_kib'] - bare.truth()['resident_kib']
    holds('less than 64 MiB more are resident', more < 64 * 1024, f'{more} KiB')


def lowas(mib):
    @case(f'lowas: {mib} MiB of address space: the program gets its memory; exact, or said not to be')
    def run(lab):
        bare = lab.run(victim('lowas'), mib).must().truth()
        result, path = lab.record(victim('lowas'), mib)
        truth = result.truth()
        same('failures inside the victim', truth['failures'], 0)
        holds('most of it is left to the program', truth['pieces'] >= bare['pieces'] // 3,
              f"{truth['pieces']} pieces of {bare['pieces']}")
        if 'not recorded' in result.err:
            same('exit status without the snapshot', result.status, 3)
            return
        dropped = lab.report(path).incomplete['dropped_blocks']
        if dropped: # the tables had little room, too: each block that is missing is counted
            live = lab.report(path).totals['live_blocks']
            holds('what is known and what is not make all', live <= truth['totals']['live_blocks']
                  <= live + dropped, f'{live} live, {dropped} dropped')
            return
        exact(lab, result.must(), path)


lowas(16)
lowas(64)
lowas(512)
lowas(4096)


# ---- nothing to see ----


def nothing_allocated(name):
    @case(f'{name}: the report says that nothing was allocated')
    def run(lab):
        result, path = lab.record(victim(name))
        result.must()
        report = lab.report(path).complete()
        same('rows', report.rows, [])
        same('blocks ever', report.totals['total_blocks'], 0)
        text = lab.seep('report', path).must().out
        holds('ever allocated: nothing', 'ever allocated: 0 B in 0 blocks' in text, text)


nothing_allocated('noalloc')
nothing_allocated('exits')


@case('ownmalloc: bypassed, and says so with a hint; no snapshot, status 3')
def own_malloc(lab):
    result, path = lab.record(victim('ownmalloc'))
    same('status', result.status, 3)
    same('truth', result.truth()['failures'], 0)
    lines = result.err.splitlines()
    same('lines', len(lines), 2)
    holds('why', lines[0].startswith('seep: ') and 'malloc of its own' in lines[0], lines)
    holds('hint', lines[1].startswith('hint: '), lines)
    holds('no file', not os.path.exists(path))


@case('ownmalloc: snap of it says the same')
def own_malloc_snap(lab):
    running = lab.start(victim('ownmalloc'), '--wait')
    pid = running.truth()['pid']
    refuses(lab.seep('snap', '--no-heaps', '-o', lab.path('s'), pid), 3, 'is not being recorded')


@case('static: exact, with and without fixed addresses')
def static(lab):
    for name in ('static', 'static-pie'):
        result, path = lab.record(victim(name))
        truth = result.must().truth()
        report = lab.report(path).complete()
        check_sites(truth, report)
        check_sums(report)
        same('output', result.out.count('\n'), 1)


@case('static: what it becomes by exec, and with --follow its child, if they are dynamic')
def static_execs(lab):
    result, path = lab.record(victim('execs-static'), victim('growers'), '3')
    truth = result.must().json_lines()[-1]
    check_sites(truth, lab.report(path).complete())
    result, path = lab.record(victim('execs-static'), '-f', victim('growers'), '3',
                              options=('--follow',))
    truth = result.must().json_lines()[-1]
    check_sites(truth, lab.report(f"{path}.{truth['pid']}").complete())


@case('static and stripped: refused before it starts')
def static_stripped(lab):
    result, path = lab.record(victim('static-stripped'))
    refuses(result, 3, 'its program is static and stripped', 'symbol table')
    same('output', result.out, '')
    holds('no file', not os.path.exists(path))


@case('static: what is preloaded only is refused')
def static_leaks(lab):
    result = lab.seep('run', '--leaks', '--', victim('static'))
    refuses(result, 3, 'cannot look for leaks at the end', 'seep leaks')
    same('output', result.out, '')


@case('static: signals, status, environment and events are as without it')
def static_untouched(lab):
    plain = lab.run(victim('started-static'), 'a', '').must(7)
    mine = lab.seep('run', '-q', '--', victim('started-static'), 'a', '').must(7)
    differ = {'pid', 'ppid', 'session', 'recorded'}
    before, now = json.loads(plain.out), json.loads(mine.out)
    now['environment'] = [v for v in now['environment']
                          if not v.startswith(('LD_PRELOAD=', 'SEEP_REC='))]
    same('recorded', now['recorded'], True)
    same('what it sees', {k: v for k, v in now.items() if k not in differ},
         {k: v for k, v in before.items() if k not in differ})
    path = lab.path('events')
    truth = lab.seep('run', '-q', '--events', path, '--', victim('static')).must().truth()
    events = json.loads(lab.seep('events', '--format', 'json', path).must().out)['rows']
    same('events', sum(e['event'] == 'alloc' and e['bytes'] == 50 for e in events),
         truth['totals']['allocated_blocks'])


def privileged_copy(lab, mode):
    copy = lab.path('privileged')
    shutil.copy(victim('allapi'), copy)
    if os.statvfs(lab.folder).f_flag & os.ST_NOSUID:
        raise Skip('the temporary folder is mounted nosuid')
    if os.geteuid() == 0:
        os.chown(copy, 65534, 65534)
    os.chmod(copy, mode)
    return copy


@case('setuid: a program that changes its user is refused with the reason')
def setuid(lab):
    need_root()
    result, path = lab.record(privileged_copy(lab, 0o4755))
    refuses(result, 3, 'it runs as another user', 'preloaded')
    holds('no file', not os.path.exists(path))


@case('setuid: a program of the system that changes its user is refused to an ordinary user')
def setuid_of_the_system(lab):
    if os.geteuid() == 0:
        raise Skip('for root it is no change of user')
    program = need('su')
    if not os.stat(program).st_mode & stat.S_ISUID or os.statvfs(program).f_flag & os.ST_NOSUID:
        raise Skip('su is not set-user-ID here')
    refuses(lab.seep('run', '--', program, '--version'), 3, 'it runs as another user', 'preloaded')


@case('setgid: a program that changes its group is refused with the reason')
def setgid(lab):
    need_root()
    result, _ = lab.record(privileged_copy(lab, 0o2755))
    refuses(result, 3, 'it runs as another group', 'preloaded')


@case('capabilities: a program that gains some is refused to a user, and recorded for root')
def capabilities(lab):
    need_root()
    setcap, setpriv = need('setcap', 'setpriv')
    copy = privileged_copy(lab, 0o755)
    if lab.run(setcap, 'cap_net_raw+ep', copy).status:
        raise Skip('file capabilities cannot be set here')
    result, path = lab.record(copy)
    exact(lab, result.must(), path)
    os.chmod(lab.folder, 0o755)
    drop = [setpriv, '--reuid=65534', '--regid=65534', '--clear-groups', '--']
    if lab.run(*drop, victim('allapi')).status:
        raise Skip('the build folder cannot be read by others')
    refuses(lab.run(*drop, SEEP, 'run', '--', copy), 3, 'capabilities', 'preloaded')


@case('setuid to oneself: is no privilege, and is recorded')
def setuid_self(lab):
    copy = lab.path('own')
    shutil.copy(victim('allapi'), copy)
    os.chmod(copy, 0o4755)
    result, path = lab.record(copy)
    exact(lab, result.must(), path)


# ---- growth ----


@case('growers: between steps only the leak grows, by the truth of the step')
def growers(lab):
    running = lab.start(victim('growers'), '4', '--wait')
    truths, shots = [], []
    for step in range(1, 5):
        truths.append(running.truth())
        shots.append(lab.snap(truths[-1]['pid'], f'step{step}'))
        running.say('')
    running.wait().must()
    for before, after, was, now in zip(shots, shots[1:], truths, truths[1:]):
        diff = lab.diff(before, after, '--group-by', 'function')
        grown = {r['name']: (r['delta_blocks'], r['delta_bytes']) for r in diff.rows
                 if r['delta_blocks'] or r['delta_bytes']}
        old = {s['site']: s for s in was['sites']}
        want = {s['site']: (s['live_blocks'] - old[s['site']]['live_blocks'],
                            s['live_bytes'] - old[s['site']]['live_bytes']) for s in now['sites']}
        same('grown', grown, {k: v for k, v in want.items() if v != (0, 0)})
        same('only the leak', list(grown), ['leaks'])


@case('many snapshots at once of one process: each exact')
def snaps_at_once(lab):
    running = lab.start(victim('threads'), '4', '100', '--wait')
    truth = running.truth()
    at_once = [lab.background(SEEP, 'snap', '-o', lab.path(f's{i}'), str(truth['pid']))
               for i in range(8)]
    for i, one in enumerate(at_once):
        one.wait().must()
        check_sites(truth, lab.report(lab.path(f's{i}')).complete())


if __name__ == '__main__':
    run_all()
