#!/usr/bin/env python3
"""Programs that once went wrong under the recorder, each with what must be true of it now."""
import json
import pathlib

from lab import (BUILD, SOURCE, TOOLS, VICTIMS, Skip, case, check_sites, check_sums, holds, need,
                 run_all, same, victim)

CHECK_RECORDER = BUILD / 'rec' / 'libseep-rec-check.so'
RECORDING = 1  # enum wire_state
LIBRARY_FOLDERS = [pathlib.Path('/usr', *rest) for rest in (
    ('lib', 'x86_64-linux-gnu'), ('lib', 'aarch64-linux-gnu'), ('lib64',), ('lib',),
    ('local', 'lib'))]
ALLOCATORS = ('libjemalloc.so.2', 'libmimalloc.so.2', 'libtcmalloc_minimal.so.4')


def regress(name):
    return victim(f'regress-{name}')


def needs_built(path):
    """What needs a C++ compiler, or is written in assembly for one kind of machine."""
    if not path.exists():
        raise Skip(f'{path.name} is not built here')
    return path


def module(name):
    return needs_built(VICTIMS / f'regress-{name}.so')


def able(result):
    """The victim's own word that this machine cannot do it."""
    if result.status == 77:
        raise Skip((result.err.strip().splitlines() or ['the victim cannot do it here'])[-1])
    return result


def as_bare(lab, *command, env=None):
    """Status and output are those without the recorder; returns the report of the end."""
    bare = able(lab.run(*command, env=env))
    result, path = lab.record(*command, env=env)
    same('(status, output)', (result.status, result.out), (bare.status, bare.out))
    return lab.report(path)


def check_stacks(lab, *command, env=None):
    """Under the check recorder no stack differs from libgcc's; returns the table's counters."""
    status = lab.folder / 'status'
    able(lab.run(TOOLS / 'run_status', CHECK_RECORDER, status, '--', *command, env=env)).must()
    seen = [json.loads(line) for line in status.read_text().splitlines()]
    same('processes that were recorded', [s['state'] for s in seen], [RECORDING])
    same('differing stacks', seen[0]['differing_stacks'], 0)
    holds('stacks were compared', seen[0]['checked_stacks'] >= 10, seen)
    return seen[0]


# ---- operators that come late, or from elsewhere ----


def late_cpp(title, *modules):
    @case(f'C++ in a C program: {title}')
    def run(lab):
        result, path = lab.record(regress('dlopen'), *[module(f'plugin-{m}') for m in modules])
        result.must()
        report = lab.report(path).complete()
        rounds = len(modules)
        same('left behind', report.counts_of('plugin_leaks')['live_blocks'], rounds)
        same('made there', report.counts_of('plugin_leaks')['total_blocks'], rounds)
        same('live elsewhere', report.counts_of('plugin_works')['live_blocks'], 0)
        check_sums(report)
        # Its own operator new asks malloc for more: that is the block.
        same('bytes of it', report.counts_of('plugin_leaks')['live_bytes'],
             sum(464 if m == 'own-new' else 400 for m in modules))


late_cpp('one module', 'plain')
late_cpp('the module has an operator new of its own', 'own-new')
late_cpp('loaded again and again', *['plain'] * 5)
late_cpp('its own operator new, loaded again and again', *['own-new'] * 5)
late_cpp('each kind by turns', *['own-new', 'plain'] * 4)
late_cpp('the other kind first', *['plain', 'own-new'] * 4)


def fork_delete(file):
    @case(f'a forked child deletes what its parent made: as bare under {file}')
    def run(lab):
        found = [f / file for f in LIBRARY_FOLDERS if (f / file).exists()]
        if not found:
            raise Skip(f'{file} is not installed')
        as_bare(lab, needs_built(regress('fork-delete')), env={'LD_PRELOAD': str(found[0])})


for one in ALLOCATORS:
    fork_delete(one)


@case('calloc, posix_memalign and realloc: counted once each with musl')
def musl(lab):
    program = lab.path('musl-zeroed')
    lab.run(need('musl-gcc'), '-g', '-O2', '-fno-builtin', '-D_GNU_SOURCE', '-w', '-o', program,
            SOURCE / 'tests' / 'victims' / 'regress_zeroed.c').must()
    result, path = lab.record(program)
    report = lab.report(path)
    check_sites(result.must().truth(), report)
    check_sums(report.complete(['stopped_stacks']))


@case('calloc, posix_memalign and realloc: counted once each')
def zeroed(lab):
    result, path = lab.record(regress('zeroed'))
    report = lab.report(path)
    check_sites(result.must().truth(), report)
    check_sums(report.complete())


# ---- stacks ----


@case('one call site at one stack pointer, on a big stack, then on a small one')
def same_sp(lab):
    as_bare(lab, regress('same-sp'))
    check_stacks(lab, regress('same-sp'))


@case('an alternate stack above the stack of its thread: 0 differing stacks')
def alt_above(lab):
    check_stacks(lab, regress('alt-above'), env={'LD_PRELOAD': str(module('bump'))})


@case('handlers that jump out of allocations: later stacks are known, a snapshot is whole')
def jump_out(lab):
    running = lab.start(regress('jump-out'), '--wait', env={'LD_PRELOAD': str(module('bump'))})
    truth = running.truth()
    report = lab.report(lab.snap(truth['pid'], 'afterwards'))
    same('torn', report.incomplete['torn'], False)
    check_sites(truth, report)
    running.say('')
    running.wait().must()


# ---- modules ----


@case('libraries with an address of their own: named, and counted exactly')
def text_segment(lab):
    result, path = lab.record(regress('text-segment'))
    report = lab.report(path)
    check_sites(result.must().truth(), report)
    check_sums(report.complete())


@case('6000 times another module at the same address: 0 differing stacks, none stopped')
def churn(lab):
    seen = check_stacks(lab, regress('churn'), '6000', module('frame-small'), module('frame-large'))
    same('stopped or missing', (seen['stopped_stacks'], seen['missing_stacks']), (0, 0))


@case('generated code, then a module at the same address: 0 differing stacks')
def generated(lab):
    for name in ('frame-small', 'frame-large'):
        check_stacks(lab, regress('generated'), module(name))


@case("a followed child's snapshot names the modules of its stacks")
def followed(lab):
    result, path = lab.record(victim('forker'), 'fork', options=['--follow', '-q'])
    children = [t for t in result.must().json_lines() if t['at'] == 'fork child']
    holds('there were children', children, result)
    for child in children:
        report = lab.report(f"{path}.{child['pid']}")
        check_sites(child, report.complete())
        nameless = [f for s in report.stacks() for f in s['frames'] if not f.get('module')]
        same('frames without a module', nameless, [])


# ---- limits that a program has, or sets itself ----


def sandbox(how):
    @case(f'a sandbox entered after the start ({how}): as bare')
    def run(lab):
        as_bare(lab, regress('seccomp'), how)


for one in ('open', 'more', 'strict'):
    sandbox(one)


def low_forks(mib):
    @case(f'{mib} MiB of address space: children and theirs run as bare')
    def run(lab):
        bare = able(lab.run(regress('low-forks'), mib))
        same('bare', bare.status, 0)
        result, _ = lab.record(regress('low-forks'), mib)
        holds('it ended well, or was not recorded and said so', result.status == 0 or (
            result.status == 3 and 'not recorded' in result.err), result)


for one in (1800, 2000, 2200, 16000):
    low_forks(one)


def forks_in_handlers(way, *options, more=()):
    @case(f'children of a handler in the middle of malloc: {" ".join((way, *more, *options))}')
    def run(lab):
        result, path = lab.record(victim('handler-forks'), way, '150', *more,
                                  options=[*options, '-q'])
        truth = result.must().json_lines()[-1]
        same('children that ended badly', truth['ended_badly'], 0)
        report = lab.report(path)
        check_sites(truth, report)
        check_sums(report.complete())


forks_in_handlers('fork')
forks_in_handlers('_Fork', more=('onstack',))
forks_in_handlers('syscall')
forks_in_handlers('clone', more=('onstack',))
forks_in_handlers('fork', '--follow')


@case('mlockall answers as it does without the recorder, where the limit forbids it')
def mlock_limit(lab):
    as_bare(lab, regress('mlock-limit'))


# ---- readers ----


@case('readers die in the middle of their snapshots of a busy process: its end is exact')
def dead_readers(lab):
    running = lab.start(regress('busy'), options=['-q', '--at-exit', lab.path('end')])
    pid = running.truth()['pid']
    for turn in range(5):
        lab.run(TOOLS / 'dead_reader', pid).must()
        lab.snap(pid, f'turn{turn}')
    running.say('')
    truth = running.truth()
    running.wait().must()
    report = lab.report(lab.path('end'))
    check_sites(truth, report.complete())
    check_sums(report)


if __name__ == '__main__':
    run_all()
