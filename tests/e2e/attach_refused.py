#!/usr/bin/env python3
"""seep attach where it could do harm: refused by name, with a hint, and the process is as it was."""
import os
import resource
import signal
import subprocess
import time

from attach import end, fence, go_on
from lab import (BUILD, Skip, case, holds, need, need_root, refuses, run_all, same, victim,
                 wait_until)
from others import as_other, copy_of_seep

TARGET = 3
USAGE = 2


def begin(lab, *arguments, before=(), program=None):
    process = lab.background(*before, program or victim('refuser'), *arguments)
    same('it says', process.line(), 'ready')
    return process


def code_of(pid):
    """What malloc's library has as code in this process."""
    with open(f'/proc/{pid}/maps', encoding='utf-8') as maps:
        for line in maps:
            where, permissions, rest = line.split(None, 2)
            if 'x' in permissions and '/libc.so.6' in rest:
                low, high = (int(x, 16) for x in where.split('-'))
                with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
                    memory.seek(low)
                    return memory.read(high - low)
    return None


def maps_of(pid):
    with open(f'/proc/{pid}/maps', encoding='utf-8') as maps:
        return maps.read()


def status_of(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as status:
        return dict(line.split(':\t', 1) for line in status.read().splitlines() if ':\t' in line)


def untouched(pid, act):
    """What `act` returns; the process's code, mappings and tracer must be what they were."""
    before = code_of(pid), maps_of(pid), status_of(pid)['TracerPid']
    result = act()
    after = code_of(pid), maps_of(pid), status_of(pid)['TracerPid']
    same('mappings', after[1], before[1])
    same('tracer', after[2], before[2])
    holds('code', after[0] == before[0])
    return result


def refused(name, states, message, hint, root=False):
    @case(name)
    def test(lab):
        if root:
            need_root()
        for state in states:
            process = begin(lab, *state.split())
            pid = process.process.pid
            refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET, message, hint)
            plan = untouched(pid, lambda: lab.seep('attach', '--dry-run', pid))
            same('exit status of the dry run', plan.status, TARGET)
            holds('the dry run says why', 'refused' in plan.out, plan)
            same('it ends well', process.wait().status, 0)
    return test


refused('a child in vfork() has its memory', ['vfork'],
        r'cannot attach: process \d+ is in vfork\(\): a child uses its memory', 'try again')
refused('another process has its memory', ['shared'],
        r'cannot attach: process \d+ shares its memory with process \d+', 'seep run')
refused('little address space', ['limited'],
        r'cannot attach: process \d+ may use only \d+ MiB of addresses', 'prlimit')
refused('somebody else has changed malloc', ['patched'],
        r'malloc of libc\.so\.6 was changed in memory by something else', 'another tool')
refused('a probe stands in an entry', ['probed'],
        r'a breakpoint or probe stands in calloc of libc\.so\.6', 'bpftrace')
refused('it is recorded already', ['recorded'],
        r'cannot attach: process \d+ is being recorded already', 'seep snap')
refused('all of its memory is locked', ['locked'],
        r'cannot attach: process \d+ has locked all of its memory', 'seep run', root=True)
refused('strict seccomp mode', ['strict'],
        r'cannot attach: process \d+ is in strict seccomp mode', 'the kernel would kill it')


def data_used(pid):
    return int(status_of(pid)['VmData'].split()[0]) << 10


@case('a limit on data: refused by name, or the recorder and the program have room')
def little_data(lab):
    need_root()
    seen = set()
    for room in (4, 8, 16, 24, 32, 64):
        process = lab.background(victim('attached'), '3')
        pid = process.truth()['pid']
        time.sleep(0.1)
        fence(process)
        limit = data_used(pid) + (room << 20)
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
        answer = untouched(pid, lambda: lab.seep('attach', '-q', '--dry-run', pid))
        seen.add(answer.status)
        if answer.status:
            refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET,
                    r'cannot attach: process \d+ may have only \d+ MiB of data', 'prlimit --data')
            go_on(process)
        else:
            lab.seep('attach', '-q', pid).must()
            go_on(process)
            time.sleep(0.1)
            fence(process)
            lab.report(lab.snap(pid, f'{room}.seep', '--no-heaps')).complete(['unknown_frees'])
            lab.seep('detach', '-q', pid).must()
            go_on(process)
        end(process)
    same('what was answered', seen, {0, TARGET})


@case('seccomp filters that would kill it, or take mmap away, are seen in time')
def filters(lab):
    need_root()
    for state, call in (('kills-yield', 'sched_yield'), ('no-mmap', 'mmap')):
        process = begin(lab, state)
        pid = process.process.pid
        refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET, call)
        same('it ends well', process.wait().status, 0)


LATER = '''
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};
	void (*allocate)(void);

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (argc < 2 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 2;
	puts("ready");
	fflush(stdout);
	getchar();
	allocate = (void (*)(void))dlsym(dlopen(argv[1], RTLD_NOW), "allocate");
	allocate();
	puts("allocated");
	fflush(stdout);
	return getchar() != -1;
}
'''
PART = '''
#include <stdlib.h>
void *kept[100];
__attribute__((noinline)) static void some(int from) { for (int i = 0; i < 50; i++) kept[from + i] = malloc(24); }
void allocate(void) { some(0); some(50); }
'''


@case('a filter that kills for process_vm_readv: the recorder does without')
def without_peek(lab):
    need_root()
    for compiler in ('gcc', 'musl-gcc'):
        # musl does not tell of what is loaded later: there it would be called.
        part, program = lab.path(f'{compiler}.so'), lab.path(f'{compiler}.out')
        for text, name, options in ((PART, part, ['-shared', '-fPIC']), (LATER, program, ['-ldl'])):
            source = lab.folder / 'source.c'
            source.write_text(text)
            lab.run(need(compiler), '-O1', '-g', '-fno-builtin', '-idirafter', '/usr/include',
                    '-idirafter', '/usr/include/x86_64-linux-gnu', source, '-o', name,
                    *options).must()
        process = lab.background(program, part)
        same('it says', process.line(), 'ready')
        pid = process.process.pid
        refuses(untouched(pid, lambda: lab.seep('attach', '--fds', pid)), TARGET,
                'process_vm_readv|does not use glibc 2.35')
        lab.seep('attach', '-q', pid).must()
        process.say('')
        same('it says', process.line(), 'allocated')
        report = lab.report(lab.snap(pid, 'some.seep', '--no-heaps'))
        holds('all is counted', report.totals['live_blocks'] >= 100, report.totals)
        lab.seep('detach', '-q', pid).must()
        same('it ends well', process.wait().status, 0)


@case('a seccomp filter that lets a call fail, or is of no concern, is no hindrance')
def harmless_filter(lab):
    need_root()
    process = begin(lab, 'fails')
    lab.seep('attach', process.process.pid).must()
    lab.seep('detach', process.process.pid).must()
    same('it ends well', process.wait().status, 0)


@case('a stopped process stays stopped')
def stopped(lab):
    process = begin(lab)
    pid = process.process.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until('it is stopped', lambda: status_of(pid)['State'].startswith('T'))
    refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET,
            'cannot attach: process .* is stopped', 'kill -CONT')
    holds('it is stopped still', status_of(pid)['State'].startswith('T'))
    os.kill(pid, signal.SIGCONT)
    same('it ends well', process.wait().status, 0)


@case('a process that strace or gdb traces')
def traced(lab):
    for program, command in (('strace', ['-o', '/dev/null', '-p']), ('gdb', ['-q', '-nx', '-p'])):
        tool = need(program)
        process = begin(lab)
        pid = process.process.pid
        tracer = lab.background(tool, *command, pid)
        wait_until('it is traced', lambda: status_of(pid)['TracerPid'].strip() != '0')
        refuses(lab.seep('attach', pid), TARGET,
                rf'cannot attach: process {pid} is traced by process \d+ \(', 'one tracer')
        tracer.process.send_signal(signal.SIGKILL)
        tracer.process.wait()
        same('it ends well', process.wait().status, 0)


@case('a process that runs under valgrind')
def translated(lab):
    process = begin(lab, before=[need('valgrind'), '-q'])
    pid = process.process.pid
    refuses(lab.seep('attach', pid), TARGET, 'runs under valgrind', 'by itself')
    same('it ends well', process.wait().status, 0)


@case('a program that gives its threads no thread pointer')
def bare(lab):
    process = begin(lab, program=victim('bare'))
    pid = process.process.pid
    refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET, 'has no thread pointer')
    same('it ends well', process.wait().status, 0)
    refuses(lab.seep('run', '--', victim('bare')), TARGET, 'its C library is not known', 'musl')


@case('a program as Go makes them, without a C library: refused by name, and never broken')
def lonely(lab):
    for name, is_go, why, hint in (
            ('lonely', 'written in Go', 'it uses no library', 'a Go program'),
            ('lonely-static', 'written in Go', 'written in Go', 'Go or a virtual machine'),
            ('lonely-stripped', 'written in Go, static and stripped', 'written in Go', 'symbol table')):
        if not victim(name).exists():
            raise Skip('it is not built here')
        process = begin(lab, program=victim(name))
        pid = process.process.pid
        refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET, is_go)
        process.say('')
        same('its end', process.wait().status, 7)
        refuses(lab.seep('run', '--', victim(name)), TARGET, f"cannot record '{victim(name)}': .*{why}", hint)
        # The recorder is preloaded into what a recorded program becomes, whatever that is.
        for options in ([], ['-f']):
            done = lab.seep('run', *options, '--', 'sh', '-c', f'exec {victim(name)} </dev/null')
            same(f'{name} {options}', (done.status, done.out), (7, 'ready\n'))


@case('no process, a zombie, a kernel thread, seep itself')
def nobody_there(lab):
    refuses(lab.seep('attach', 2**22 + 1), TARGET, 'no such process')
    process = lab.background('/bin/true')
    process.until_zombie()
    refuses(lab.seep('attach', process.process.pid), TARGET, r'has ended \(zombie\)')
    with open('/proc/2/stat', encoding='utf-8') as stat:
        if 'kthreadd' not in stat.read():
            raise Skip('no kernel threads to be seen')
    refuses(lab.seep('attach', 2), TARGET, 'is a kernel thread')


@case('a 32-bit program')
def narrow(lab):
    program = victim('heap-truth-32')
    if not program.exists():
        raise Skip('no 32-bit programs are built here')
    process = lab.background(program, '1', '100')
    process.line()
    refuses(lab.seep('attach', process.process.pid), TARGET, 'is no 64-bit x86 program', 'seep heaps')


@case('a static program without symbols')
def stripped(lab):
    program, source = lab.folder / 'stripped', lab.folder / 'pause.c'
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\nint main(void) { free(malloc(3)); '
                      'puts("ready"); fflush(stdout); return getchar() != EOF; }\n')
    if subprocess.run([need('gcc'), '-static', '-s', '-fno-builtin', source, '-o', program],
                      check=False, capture_output=True).returncode:
        raise Skip('no static programs can be built here')
    process = begin(lab, program=program)
    refuses(lab.seep('attach', process.process.pid), TARGET,
            'its program is static and stripped', 'symbol table')
    same('it ends well', process.wait().status, 0)


@case("other users' processes, and those that do not want to be looked at")
def no_rights(lab):
    need_root()
    seep, other = copy_of_seep(lab), as_other()
    process = begin(lab)
    refuses(lab.run(*other, seep, 'attach', process.process.pid), TARGET,
            'cannot (read|stop)', r'belongs to root \(uid 0\): run seep as root')
    home = lab.folder / 'refuser'
    home.write_bytes(victim('refuser').read_bytes())
    home.chmod(0o755)
    process = begin(lab, 'undumpable', before=other, program=home)
    refuses(lab.run(*other, seep, 'attach', process.process.pid), TARGET, 'cannot (read|stop)',
            'not dumpable')
    process = begin(lab, 'fails', before=other, program=home)
    refuses(lab.run(*other, seep, 'attach', process.process.pid), TARGET,
            'has a seccomp filter', 'as root')


@case('words that mean nothing')
def usage(lab):
    for arguments in ([], ['1', '2'], ['--for', 'soon', '1'], ['--nonsense', '1']):
        same('exit status', lab.seep('attach', *arguments).status, USAGE)


@case('the plan names every function, and changes nothing')
def dry_run(lab):
    process = begin(lab)
    pid = process.process.pid
    plan = untouched(pid, lambda: lab.seep('attach', '--dry-run', pid)).must()
    for word in ('nothing was done', 'glibc', 'libc.so.6', 'malloc', 'posix_memalign', 'free'):
        holds(f'{word} is named', word in plan.out, plan)
    same('nothing on standard error', plan.err, '')
    # It still works, afterwards.
    lab.seep('attach', pid).must()
    lab.seep('detach', pid).must()
    same('it ends well', process.wait().status, 0)


@case('attached twice, and the child of one that is attached')
def twice(lab):
    source, program = lab.folder / 'forks.c', lab.folder / 'forks'
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n'
                      'int main(void) { char c; free(malloc(3)); puts("ready"); fflush(stdout); '
                      'if (read(0, &c, 1) < 1) return 1; int up[2]; pipe(up); '
                      'int child = fork(); if (child) read(up[0], &c, 1); '
                      'if (!child) { write(up[1], &c, 1); while (read(0, &c, 1) > 0) free(malloc(9)); return 0; } '
                      'printf("%d\\n", child); fflush(stdout); '
                      'while (read(0, &c, 1) > 0) free(malloc(9)); return 0; }\n')
    subprocess.run([need('gcc'), '-fno-builtin', '-w', source, '-o', program], check=True)
    process = begin(lab, program=program)
    pid = process.process.pid
    lab.seep('attach', pid).must()
    refuses(untouched(pid, lambda: lab.seep('attach', pid)), TARGET,
            rf'cannot attach: process {pid} is being recorded already', 'seep detach')
    process.say('')
    child = int(process.line())
    refuses(untouched(child, lambda: lab.seep('attach', child)), TARGET,
            rf'cannot attach: process {child} has a recorder that nobody reads', 'seep detach')
    for one in (child, pid):
        lab.seep('detach', one).must()
        lab.seep('attach', one).must()
        lab.seep('detach', one).must()
    same('it ends well', process.wait().status, 0)


@case('gone in between')
def gone(lab):
    for _ in range(5):
        process = begin(lab)
        seep = lab.background(BUILD / 'seep', 'attach', process.process.pid)
        time.sleep(0.002)
        process.process.kill()
        status = seep.wait().status
        holds('done, or refused', status in (0, TARGET), seep.errors())


run_all()
