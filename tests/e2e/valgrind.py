#!/usr/bin/env python3
"""Programs that do the same each time: valgrind's totals and seep's are equal, to the byte."""
import re

from lab import BUILD, TOOLS, Skip, case, check_sums, holds, need, run_all, same, victim

RECORDER = BUILD / 'rec' / 'libseep-rec.so'
USED = re.compile(r'in use at exit: ([\d,]+) bytes in ([\d,]+) blocks')
HEAP = re.compile(r'total heap usage: ([\d,]+) allocs, ([\d,]+) frees, ([\d,]+) bytes allocated')
MODES = ['--run-libc-freeres=no', '--run-cxx-freeres=no', '--leak-check=no', '--log-file={log}',
         '--child-silent-after-fork=yes', '--error-exitcode=0']


def number(text):
    return int(text.replace(',', ''))


def by_valgrind(lab, command, env=None, **options):
    """
    With the recorder loaded there too, where it only forwards: the C library allocates a little for
    each module. And with as many variables as under seep, for programs that copy their environment.
    """
    preload = ':'.join(filter(None, [str(RECORDER), (env or {}).get('LD_PRELOAD')]))
    env = {**(env or {}), 'LD_PRELOAD': preload, 'SEEP_REC': '0'}
    log = lab.folder / 'valgrind.log'
    modes = [mode.format(log=log) for mode in MODES]
    result = lab.run(need('valgrind'), *modes, *command, env=env, **options)
    text = log.read_text(errors='replace')
    used, heap = USED.search(text), HEAP.search(text)
    holds('valgrind tells its totals', used and heap, text[-2000:])
    allocs, frees, total_bytes = (number(n) for n in heap.groups())
    live_bytes, live_blocks = (number(n) for n in used.groups())
    return result, {'total_blocks': allocs, 'freed_blocks': frees, 'total_bytes': total_bytes,
                    'live_bytes': live_bytes, 'live_blocks': live_blocks}


def by_seep(lab, command, env=None, **options):
    """With the variables that valgrind sets."""
    theirs = {'LD_LIBRARY_PATH': '/usr/lib/debug', 'GLIBCPP_FORCE_NEW': '1',
              'GLIBCXX_FORCE_NEW': '1'}
    return lab.record(*command, env={**(env or {}), **theirs}, **options)


def compare(lab, command, allowed=(), **options):
    theirs, want = by_valgrind(lab, command, **options)
    ours, path = by_seep(lab, command, **options)
    same('output', ours.out, theirs.out)
    same('exit status', (ours.status, theirs.status), (0, 0))
    report = lab.report(path).complete(['stopped_stacks', *allowed])
    check_sums(report)
    holds('something was allocated', want['total_blocks'] > 0, want)
    same('totals', {k: report.totals[k] for k in want}, want)


def same_totals(name, make):
    @case(f"{name}: allocs, frees, bytes and what is live at exit are valgrind's")
    def run(lab):
        command, options = make(lab)
        compare(lab, command, **options)


def program(*words, **options):
    return lambda lab: ([need(words[0]), *words[1:]], options)


SQL = '''
create table t(id integer primary key, name text, value real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
insert into t select i, 'name ' || (i * 7919 % 3000), i * 0.5 from n;
create index by_name on t(name);
select count(*), sum(value) from t where name like 'name 1%';
select name, group_concat(id) from t where id % 100 = 7 group by name order by name limit 20;
update t set value = value * 2 where id % 3 = 0;
delete from t where id % 5 = 0;
select avg(value) from t;
'''

SCRIPT = '''
import json, re
words = [f"word{i * 7919 % 1000}" for i in range(2000)]
text = " ".join(words)
found = re.findall(r"word(\\d+)", text)
table = {w: len(w) for w in words}
print(len(found), len(table), len(json.dumps(table)))
'''


def document():
    items = ''.join(f'<item id="i{i}"><name>n{i}</name><v a="{i * 3}">text {i}</v></item>'
                    for i in range(400))
    return f'<?xml version="1.0"?><list>{items}</list>'


def records():
    return '[' + ','.join(f'{{"id":{i},"name":"n{i % 17}","v":[{i},{i * 2}]}}'
                          for i in range(1000)) + ']'


def python(_):
    exe = '/usr/bin/python3'
    return [need(exe), '-S', '-E', '-c', SCRIPT], {
        'env': {'PYTHONMALLOC': 'malloc', 'PYTHONHASHSEED': '0', 'PYTHONDONTWRITEBYTECODE': '1'}}


def sqlite(lab):
    script = lab.folder / 'script.sql'
    script.write_text(SQL)
    return [need('sqlite3'), ':memory:', f'.read {script}'], {}


def git(lab):
    git_exe = need('git')
    repository = lab.path('repository')
    who = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'gc.auto=0']
    day = {'GIT_AUTHOR_DATE': '2020-01-01T00:00:00Z', 'GIT_COMMITTER_DATE': '2020-01-01T00:00:00Z'}
    lab.run(git_exe, 'init', '-q', repository).must()
    for i in range(20):
        (lab.folder / 'repository' / f'file{i % 5}').write_text(f'line {i}\n' * (i + 1))
        lab.run(git_exe, *who, '-C', repository, 'add', '.').must()
        lab.run(git_exe, *who, '-C', repository, 'commit', '-qm', f'change {i}', env=day).must()
    return [git_exe, '--no-pager', '-C', repository, 'log', '--stat', '-p'], {}


same_totals('ls', lambda lab: ([need('ls'), '-la', str(BUILD / 'tests')], {}))
same_totals('sort', program('sort', stdin='\n'.join(str(i * 7919 % 5000) for i in range(5000))))
same_totals('sed', program('sed', '-E', r's/([0-9]+)x?/<\1>/g', stdin='12x 34 56x\n' * 500))
same_totals('sqlite', sqlite)
same_totals('jq', program('jq', 'group_by(.name) | map({k: .[0].name, s: (map(.v[1]) | add)})',
                          stdin=records()))
same_totals('xmllint, and a preload of the user is kept',
            program('xmllint', '--xpath', 'count(//item[v/@a > 300])', '-', stdin=document(),
                    env={'LD_PRELOAD': str(TOOLS / 'still-clock.so')}))
same_totals('python', python)
same_totals('git', git)


def same_on_victim(name, *arguments, allowed=()):
    @case(f"victim {name}: allocs, frees, bytes and what is live at exit are valgrind's")
    def run(lab):
        _, want = by_valgrind(lab, [victim(name), *arguments])
        result, path = by_seep(lab, [victim(name), *arguments])
        result.must()
        report = lab.report(path).complete(['stopped_stacks', *allowed])
        same('totals', {k: report.totals[k] for k in want}, want)


same_on_victim('growers', '5')
same_on_victim('deep', '2000')
same_on_victim('execer', '0')
same_on_victim('coro')


@case('true: nothing is allocated, as valgrind says')
def true(lab):
    command = [need('true')]
    _, want = by_valgrind(lab, command)
    result, path = lab.record(*command)
    result.must()
    totals = lab.report(path).totals
    same('totals', {k: totals[k] for k in want}, want)


@case('the sum of a program and its children: each is counted in its own process')
def children(lab):
    shell = need('sh')
    need('sort', 'valgrind')
    script = 'echo 3 | sort >/dev/null; exec sort /dev/null'
    _, want = by_valgrind(lab, [need('sort'), '/dev/null'])
    result, path = lab.record(shell, '-c', script)
    result.must()
    totals = lab.report(path).totals
    if not want['total_blocks']:
        raise Skip('sort allocates nothing')
    same('totals of what the shell became', {k: totals[k] for k in want}, want)


if __name__ == '__main__':
    run_all()
