#!/usr/bin/env python3
"""seep flags --daemon and static programs: recorded from their first allocation on.

Runs in a mount namespace with an /etc of its own; the machine's is never written.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import time

from attach import exact
from flagging import STARTED_STATUS, TARGET, Daemon, Flags, main, nothing_left, recorded
from lab import (SEEP, case, check_sites, check_sums, holds, need, refuses, same, victim,
                 wait_until)
from static_allocators import KINDS, build
from untouched import code_of

STATIC, STATIC_PIE, OTHERS = 500, 100, 20
GO_STATUS = 7  # what the program that looks like Go's ends with


class Spawned:
    """A start by posix_spawn, from whichever thread this is; it waits for the end of its input."""

    def __init__(self, *command, env):
        read_in, write_in = os.pipe2(os.O_CLOEXEC)
        read_out, write_out = os.pipe2(os.O_CLOEXEC)
        self.pid = os.posix_spawnp(command[0], command, env, file_actions=[
            (os.POSIX_SPAWN_DUP2, read_in, 0), (os.POSIX_SPAWN_DUP2, write_out, 1)])
        os.close(read_in)
        os.close(write_out)
        self.input, self.output = write_in, os.fdopen(read_out)

    def end(self):
        """Its status, and what it has said meanwhile."""
        os.close(self.input)
        rest = self.output.read()
        self.output.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), rest


def check_start(lab, number, *command, env):
    """Is everything there, the first allocation included, and the program as ever?"""
    spawned = Spawned(*command, '--wait', env=env)
    truth = json.loads(spawned.output.readline())
    report = lab.report(lab.snap(truth['pid'], f'{number}.seep', '--no-heaps')).complete()
    os.unlink(lab.path(f'{number}.seep'))
    check_sites(truth, report)
    check_sums(report)
    same('its end', spawned.end(), (0, ''))


def every_start(lab, program, count):
    with Flags(lab) as flags, Daemon(flags) as daemon:
        image = flags.copy(program)
        daemon.catches(image)
        path = str(image)
        ways = [([path], dict(os.environ)), (['env', '-i', path], {}), ([path], {}),
                (['sh', '-c', f'exec {path} "$@"', 'sh'], {'PATH': os.environ['PATH']})]
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            done = [threads.submit(check_start, lab, i, *ways[i % 4][0], env=ways[i % 4][1])
                    for i in range(count)]
            for each in done:
                each.result()
        same('complaints', daemon.running.errors().count('\n'), 1)
        flags('--clear').must()
        daemon.end()
    nothing_left()


@case(f'static: {STATIC} of {STATIC} starts, from the first allocation on')
def static(lab):
    every_start(lab, 'static', STATIC)


@case(f'static-pie: {STATIC_PIE} of {STATIC_PIE} starts, from the first allocation on')
def static_pie(lab):
    every_start(lab, 'static-pie', STATIC_PIE)


def codes(pid):
    return sorted(code_of(pid).values())


def with_allocator(lab, kind):
    with Flags(lab) as flags, Daemon(flags) as daemon:
        image = flags.copy(build(lab, kind, 'attached.c'))
        plain = lab.background(image, '1')
        bare = codes(plain.truth()['pid'])
        daemon.catches(image)
        running = lab.background(image, '3', 'churn')
        pid = running.truth()['pid']
        exact(lab, pid, running)
        lab.seep('detach', pid).must()
        same('code', codes(pid), bare)
        running.say('end')
        same('failures', running.truth()['failures'], 0)
        running.wait().must()
        daemon.end()


for _kind in KINDS:
    @case(f'{_kind}: {OTHERS} of {OTHERS} starts, from the first allocation on')
    def other_starts(lab, kind=_kind):
        every_start(lab, build(lab, kind, 'static.c'), OTHERS)

    @case(f'{_kind}: exact from the start on, and its code is its own after a detach')
    def other_allocator(lab, kind=_kind):
        with_allocator(lab, kind)


@case('a recorded static program sees the same start')
def same_start(lab):
    with Flags(lab) as flags, Daemon(flags) as daemon:
        image = str(flags.copy('started-static'))
        script = lab.folder / 'script.sh'
        script.write_text(f'#!{image} -x\n')
        script.chmod(0o755)
        thread = ('import os,sys,threading; t=threading.Thread(target=os.execv, '
                  'args=(sys.argv[1], sys.argv[1:])); t.start(); t.join()')
        commands = ([image], [image, '', 'b'], [str(script), 'p'], ['env', '-i', image],
                    ['env', '-i', 'A=1', 'LD_PRELOAD=x', image],
                    ['sh', '-c', f'umask 027; trap "" HUP; exec {image} 5</dev/null 7<&5'],
                    [sys.executable, '-c', thread, image, 'from a thread'])
        plain = [flags.start(*c) for c in commands]
        daemon.catches(image)
        for command, before in zip(commands, plain):
            now = flags.start(*command)
            recorded(command, now)
            same(f'changed by the daemon: {command[:3]}',
                 {k: (before[k], now[k]) for k in now if before[k] != now[k] and
                  k not in ('recorded', 'pid', 'session')}, {})
        daemon.end()


@case('what runs is shown, compared and detached from as after seep attach')
def afterwards(lab):
    with Flags(lab) as flags, Daemon(flags) as daemon:
        image = flags.copy('attached-static')
        daemon.catches(image)
        running = lab.background(image, '2')
        pid = running.truth()['pid']
        running.say('fence')
        running.truth()
        one = lab.snap(pid, 'one.seep', '--no-heaps')
        running.say('')
        time.sleep(0.1)
        running.say('fence')
        truth = running.truth()
        two = lab.snap(pid, 'two.seep', '--no-heaps')
        want = [s for s in truth['sites'] if s['site'] != 'by_libc']
        check_sites({**truth, 'sites': want}, lab.report(two).complete(['unknown_frees']))
        lab.diff(one, two)
        same('listed', [(r['running_processes'], r['recorded_processes']) for r in flags.rows()
                        if r['image'] == str(image)], [(1, 1)])
        daemon.end()  # it does not take the daemon any more
        lab.seep('mode', pid, 'off').must()
        lab.seep('mode', pid, 'lite').must()
        lab.seep('detach', pid).must()
        refuses(lab.seep('snap', '--no-heaps', '-o', lab.path('x'), pid), TARGET,
                'is not being recorded')
        running.say('')
        running.say('end')
        same('failures', running.truth()['failures'], 0)
        running.wait().must()


@case('refused by name, and untouched: stripped, as Go makes them, privileged, without the daemon')
def refused(lab):
    with Flags(lab) as flags:
        image = flags.copy('started-static')
        result = flags(image, '+ust')
        refuses(result, TARGET, 'it is statically linked', 'seep flags --daemon')
        with Daemon(flags) as daemon:
            stripped = flags.copy('static-stripped')
            flags.on(stripped)
            wait_until('it is told', lambda: lab.run(stripped).must() and
                       f"('{stripped}') is not recorded: " in daemon.running.errors())
            holds('why', 'static and stripped' in daemon.running.errors())
            lonely = flags.copy('lonely-static')
            flags.on(lonely)
            wait_until('it is told', lambda: lab.run(lonely).must(GO_STATUS) and
                       f"('{lonely}') is not recorded: " in daemon.running.errors())
            holds('why', 'written in Go' in daemon.running.errors())
            refuses(flags(flags.copy('lonely'), '+ust'), TARGET, 'it uses no library', 'Go')
            privileged = flags.copy('started-static', 'privileged')
            daemon.catches(privileged)
            os.chown(privileged, 1, 1)
            privileged.chmod(0o4755)
            before = daemon.running.errors()
            said = flags.start(privileged)
            recorded('set-user-ID', said, False)
            same('user', said['uid'], 1)
            same('nothing is said', daemon.running.errors(), before)
            refuses(flags(privileged, '+ust'), TARGET, 'set-user-ID')
            flags('--clear').must()
            daemon.end()


@case('a daemon that is killed holds no static program up')
def killed(lab):
    with Flags(lab) as flags:
        for i in range(8):
            with Daemon(flags) as daemon:
                image = flags.copy('started-static')
                daemon.catches(image)
                many = [subprocess.Popen([image], stdout=subprocess.DEVNULL) for _ in range(20)]
                time.sleep(i / 500)  # another moment every time
                daemon.running.process.kill()
                same('statuses', {p.wait(timeout=60) for p in many}, {STARTED_STATUS})
                daemon.running.process.wait()
        with Daemon(flags) as daemon:
            flags('--clear').must()
            daemon.end()


@case('seep killed at any call while it puts the recorder in: the program runs as ever')
def killed_at_each_call(lab):
    strace = need('strace')
    plain = lab.run(victim('static')).must().truth()
    same('calls', kills(lab, strace, 'ptrace', plain) > 30, True)
    same('writes', kills(lab, strace, 'pwrite64', plain) > 30, True)


@case('seep run where nothing can be traced: the program does not run at all')
def not_traced(lab):
    strace = need('strace')
    for _ in range(10):
        done = lab.run(strace, '-qq', '-o', '/dev/null', '-e', 'trace=ptrace',
                       '-e', 'inject=ptrace:error=EPERM',
                       SEEP, 'run', '--', victim('started-static'))
        refuses(done, TARGET, 'it cannot be traced', 'by ptrace')
        same('what it says', done.out, '')


def kills(lab, strace, call, plain):
    """How often it could be killed in this call."""
    for nr in range(1, 1000):
        done = lab.run(strace, '-qq', '-o', '/dev/null', '-e', f'trace={call}',
                       '-e', f'inject={call}:signal=SIGKILL:when={nr}',
                       SEEP, 'run', '-q', '--', victim('static'))
        said = done.truth()
        same(f'killed at {call} {nr}: its truth', {**said, 'pid': 0}, {**plain, 'pid': 0})
        if done.status == 0:
            return nr - 1
    return 0


if __name__ == '__main__':
    main()
