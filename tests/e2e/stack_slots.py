#!/usr/bin/env python3
"""seep refs: a block that only a function's local holds, and the name of that function."""
import json
import re
import shutil

from lab import case, holds, need, run_all, same, victim

# A core does not tell what threads but the first are called.
NAMED = r'^stack of thread (\d+)(?: \(victim-holder\))?, in holder\+0x[0-9a-f]+ \(holder\.c:(\d+)\)$'


class Holder:
    def __init__(self, lab, program=None):
        self.running = lab.background(program or victim('holder'))
        self.at = {}
        while (line := self.running.line()) != 'ready':
            name, value = line.split()
            self.at[name] = value
        self.pid = self.at.pop('pid')


def roots(lab, target, address, *options):
    answer = json.loads(lab.seep('refs', '--format', 'json', *options, target, address).must().out)
    same('one root', [row['from'] for row in answer['rows']], ['root'])
    same('and the way from it', answer['path'][0]['what'], answer['rows'][0]['what'])
    return answer['rows'][0]['what']


def check(lab, truth, target, *options):
    """Threads and lines of the calls in holder that keep each of the blocks."""
    found = {}
    for name, address in truth.at.items():
        said = roots(lab, target, address, *options)
        match = re.match(NAMED, said)
        holds(f'{name} is held by holder', match, said)
        found[name] = match.groups()
    same('the first thread', found['main'][0], truth.pid)
    holds('another thread', found['thread'][0] != truth.pid, found)
    same('both calls are of one thread', found['outer'][0], found['thread'][0])
    same('the inner ones stand at one line', found['thread'][1], found['main'][1])
    holds('the outer one stands where it calls itself', found['outer'][1] != found['main'][1],
          found)
    return found


@case('from a clone, a stopped process, a core and a snapshot')
def everywhere(lab):
    truth = Holder(lab)
    found = check(lab, truth, truth.pid)
    same('stopped', check(lab, truth, truth.pid, '--method', 'stop'), found)
    core, path = lab.path('core'), lab.path('refs.seep')
    lab.seep('core', truth.pid, '-o', core).must()
    lab.seep('snap', '-q', '--references', '-o', path, truth.pid).must()
    same('core', check(lab, truth, core), found)
    truth.running.process.kill()
    truth.running.process.wait()
    same('snapshot', check(lab, truth, path), found)


@case('the whole stack is one owner all the same')
def owner(lab):
    truth = Holder(lab)
    rows = json.loads(lab.seep('refs', '--tree', '--format', 'json', '--limit', '0',
                               truth.pid).must().out)['rows']
    stacks = [row['what'] for row in rows if row['what'].startswith('stack of thread')]
    same('a row a thread, without functions', [re.sub(r'\d+', 'N', what) for what in stacks],
         ['stack of thread N (victim-holder)'] * len(stacks))


@case('stripped: the module and the place in it')
def stripped(lab):
    program = lab.path('victim-holder')
    shutil.copy(victim('holder'), program)
    lab.run(need('strip'), program).must()
    truth = Holder(lab, program)
    for address in truth.at.values():
        said = roots(lab, truth.pid, address)
        holds('no name is made up', re.search(r'\), in victim-holder\+0x[0-9a-f]+$', said), said)


SOURCE = '''
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static __attribute__((noinline)) void holder(void)
{
	void *volatile slots[20] = {0};
	slots[9] = malloc(777);
	printf("main 0x%llx\\n", (unsigned long long)slots[9] ^ 0x5a5a5a5a5a5a5a5aull);
	fflush(stdout);
	for (;;)
		pause();
}
int main(void)
{
	printf("pid %d\\n", (int)getpid());
	holder();
}
'''


@case('code without unwind information: nothing is guessed')
def no_tables(lab):
    source, program = lab.path('bare.c'), lab.path('bare')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(SOURCE)
    lab.run(need('cc'), '-g', '-O1', '-fno-asynchronous-unwind-tables', '-fno-unwind-tables',
            '-fno-omit-frame-pointer', source, '-o', program).must()
    running = lab.background(program)
    pid = running.line().split()[1]
    address = int(running.line().split()[1], 16) ^ 0x5a5a5a5a5a5a5a5a
    answer = json.loads(lab.seep('refs', '--format', 'json', pid, hex(address)).must().out)
    said = [row['what'] for row in answer['rows'] if row['what'].startswith('stack')]
    holds('it is on the stack', said, answer)
    # .debug_frame may still have the rules; a wrong function must not be named.
    for what in said:
        holds('holder, or nothing', re.search(r'\(bare\)(, in holder\+0x[0-9a-f]+.*)?$', what), what)


if __name__ == '__main__':
    run_all()
