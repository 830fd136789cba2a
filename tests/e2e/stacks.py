#!/usr/bin/env python3
"""The recorder's check build: every stack it takes is the one that libgcc's unwinder finds."""
import json

from lab import (BUILD, TOOLS, VICTIMS, Skip, case, free_port, holds, need, run_all, same, victim)

RECORDER = BUILD / 'rec' / 'libseep-rec-check.so'
AT_LEAST = 1000000  # stacks compared in all
RECORDING = 1  # enum wire_state

checked_in_all = {}


def statuses(lab):
    return [json.loads(line) for line in (lab.folder / 'status').read_text().splitlines()]


def command_of(lab, command, *options):
    return [TOOLS / 'run_status', RECORDER, lab.folder / 'status', *options, '--', *command]


def judge(name, lab, result, at_least=1):
    """All processes together; a program that was not recorded is a failure, too."""
    seen = statuses(lab)
    holds('it was recorded', seen and all(s['state'] == RECORDING for s in seen), seen)
    same(f'differing stacks; {result.err[-1500:]}', sum(s['differing_stacks'] for s in seen), 0)
    checked = sum(s['checked_stacks'] for s in seen)
    holds(f'at least {at_least} stacks were compared', checked >= at_least, checked)
    checked_in_all[name] = checked


def checked(name, make, at_least=1, options=(), status=0):
    @case(f'{name}: 0 differing stacks')
    def run(lab):
        command, more = make(lab)
        result = lab.run(*command_of(lab, command, *options), **more)
        if result.status == 77:
            raise Skip(result.err.strip().splitlines()[-1])
        result.must(status)
        judge(name, lab, result, at_least)
    return run


def program(*words, **options):
    return lambda lab: ([need(str(words[0])), *words[1:]], options)


# ---- the hard cases ----


def adversarial(variant):
    name = f'adv-{variant}'

    @case(f'{name}: 0 differing stacks, and none of its allocations left out')
    def run(lab):
        path = BUILD / 'tests' / 'adversarial' / name
        if not path.exists():
            raise Skip('this variant is not built here')
        result = lab.run(*command_of(lab, [path, '--modules', VICTIMS]))
        if result.status == 77:
            raise Skip(result.err.strip().splitlines()[-1])
        truth = result.must().truth()
        same('failures inside', truth['failures'], 0)
        judge(name, lab, result, sum(c['allocations'] for c in truth['cases']))


for one in ('fast', 'plain', 'realign', 'other'):
    adversarial(one)

for one in ('allapi', 'allapi-plain', 'allcxx', 'big', 'chrooter', 'coro', 'execer', 'growers',
            'mlocker', 'plugin', 'sighandler', 'threads'):
    checked(f'victim {one}', program(victim(one)), at_least=10)
checked('victim closer', program(victim('closer'), 'range'), at_least=10)
checked('victim deep', program(victim('deep'), '3500'), at_least=10)
checked('victim forker, children too', program(victim('forker')), at_least=10,
        options=['--follow'])
checked('victim dies', program(victim('dies'), 'kill'), at_least=10, status=128 + 9)

# ---- programs that people use ----

PYTHON = '''
import collections, json, re, threading
def work(n):
    for i in range(n):
        rows = [{"id": j, "tags": [str(j), "x" * (j % 50)]} for j in range(100)]
        again = json.loads(json.dumps(rows))
        counts = collections.Counter(re.findall(r"[a-z]+|[0-9]+", json.dumps(again)))
        sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
threads = [threading.Thread(target=work, args=(20,)) for _ in range(3)]
for t in threads: t.start()
work(20)
for t in threads: t.join()
'''

SQL = '''
create table t(id integer primary key, name text, value real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
insert into t select i, 'name ' || (i * 7919 % 3000), i * 0.5 from n;
create index by_name on t(name);
select count(*) from (select name, group_concat(id) from t group by name order by name);
select sum(length(json_group)) from (select json_group_array(id) as json_group from t group by id % 99);
update t set name = name || '!' where id % 3 = 0;
delete from t where id % 5 = 0;
'''


def python(_):
    return [need('/usr/bin/python3'), '-c', PYTHON], {'env': {'PYTHONMALLOC': 'malloc'}}


def records():
    return '[' + ','.join(f'{{"id":{i},"name":"n{i % 17}","v":[{i},{i * 2}]}}'
                          for i in range(8000)) + ']'


def document():
    items = ''.join(f'<item id="i{i}"><name>n{i}</name><v a="{i * 3}">text {i}</v></item>'
                    for i in range(5000))
    return f'<?xml version="1.0"?><list>{items}</list>'


def compiled(lab):
    (lab.folder / 'main.cpp').write_text(
        '#include <map>\n#include <string>\n#include <vector>\n'
        'int main() { std::map<std::string, std::vector<int>> m; m["a"].push_back(1);\n'
        'return m["a"][0] - 1; }\n')
    return [need('g++'), '-O2', '-o', 'main', 'main.cpp'], {}


checked('python, 4 threads', python, at_least=100000)
checked('sqlite', program('sqlite3', ':memory:', stdin=SQL), at_least=10000)
checked('jq', program('jq', 'group_by(.name) | map({k: .[0].name, s: (map(.v[1]) | add)})',
                      stdin=records()), at_least=50000)
checked('xmllint', program('xmllint', '--format', '-', stdin=document()), at_least=20000)
checked('g++, with all that it starts', compiled, at_least=50000, options=['--follow'])


@case('redis-server under load: 0 differing stacks')
def redis(lab):
    server, bench, client = need('redis-server', 'redis-benchmark', 'redis-cli')
    port = str(free_port())
    process = lab.background(*command_of(lab, [server, '--port', port, '--save', '', '--bind',
                                               '127.0.0.1', '--dir', lab.folder]))
    process.until('redis answers', lambda: lab.run(client, '-p', port, 'ping').out == 'PONG\n')
    load = lab.run(bench, '-p', port, '-n', '10000', '-c', '20', '-d', '300', '-r', '3000', '-q', '-t',
                   'set,get,lpush,lpop,sadd,hset,spop,zadd,mset')
    load.must()
    holds('no error', 'rror' not in load.out + load.err, load)
    lab.run(client, '-p', port, 'shutdown', 'nosave')
    judge('redis', lab, process.wait().must(), 50000)


@case(f'all together: at least {AT_LEAST} stacks were compared')
def all_together(_):
    if len(checked_in_all) < 10:
        raise Skip('only some of the cases ran')
    print(f'# {checked_in_all}')
    holds('enough', sum(checked_in_all.values()) >= AT_LEAST, checked_in_all)


@case('seep run --check: uses that recorder, and the snapshot is as good')
def by_option(lab):
    result, path = lab.record(victim('growers'), '3', options=['--check'])
    truth = result.must().truth()
    found = lab.report(path).complete().counts_of('leaks')
    same('leaks', found['live_blocks'], truth['sites'][0]['live_blocks'])


if __name__ == '__main__':
    run_all()
