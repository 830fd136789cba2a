#!/usr/bin/env python3
"""seep flags --daemon: every start of an image is recorded, and nobody else is asked anything.

Runs in a mount namespace with an /etc of its own; the machine's is never written.
"""
import concurrent.futures
import json
import os
import subprocess
import sys
import time

from flagging import PRELOAD, STARTED_STATUS, TARGET, Daemon, Flags, main, nothing_left, recorded
from lab import case, check_sites, holds, refuses, same, wait_until


@case('the daemon: 500 of 500 starts are recorded, scripts too; no line for the loader')
def daemon_every_start(lab):
    log = lab.folder / 'log'
    with Flags(lab) as flags, Daemon(flags) as daemon:
        flags.on()
        holds('no line', not PRELOAD.exists())
        daemon.heeds(flags.image)
        image = str(flags.image)
        script = lab.folder / 'script.sh'
        script.write_text(f'#!{image}\n')
        script.chmod(0o755)
        lab.run('/bin/sh', '-c', f'i=0; while [ $i -lt 150 ]; do {script} >>{log}; '
                                 f'[ $? -eq {STARTED_STATUS} ] || exit 1; i=$((i+1)); done').must()
        for _ in range(150):
            lab.run('setsid', '--wait', 'env', '-i', '/bin/sh', '-c',
                    f'{image} >>{log}').must(STARTED_STATUS)
        with open(log, 'ab') as out, concurrent.futures.ThreadPoolExecutor(4) as threads:
            def spawn(_):
                pid = os.posix_spawn(image, [image], {},
                                     file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)])
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            statuses = list(threads.map(spawn, range(200)))
        same('exit statuses', set(statuses), {STARTED_STATUS})
        said = [json.loads(line) for line in log.read_text().splitlines()]
        same('starts', len(said), 500)
        same('recorded', sum(s['recorded'] for s in said), 500)
        same('complaints', daemon.running.errors().count('\n'), 1)
        flags.off()
        wait_until('no more', lambda: not flags.start()['recorded'])
        daemon.end()
    nothing_left()


@case('the daemon: a recorded program sees the same start, and nobody else is traced')
def daemon_same_start(lab):
    with Flags(lab) as flags, Daemon(flags) as daemon:
        image = str(flags.image)
        script = lab.folder / 'script.sh'
        script.write_text(f'#!{image} -x\n')
        script.chmod(0o755)
        thread = ('import os,sys,threading; t=threading.Thread(target=os.execv, '
                  'args=(sys.argv[1], sys.argv[1:])); t.start(); t.join()')
        commands = ([image], [image, '', 'b'], [str(script), 'p'], [str(script), str(script)],
                    ['env', '-i', image], ['env', '-i', 'A=1', 'LD_PRELOAD=', image],
                    ['env', 'LD_PRELOAD=libm.so.6', image], ['env', 'B=' + 'x' * 100000, image],
                    ['sh', '-c', f'umask 027; trap "" HUP; exec {image} 5</dev/null 7<&5'],
                    [sys.executable, '-c', thread, image, 'from a thread'])
        plain = [flags.start(*c) for c in commands]
        flags.on()
        daemon.heeds(image)
        for command, before in zip(commands, plain):
            now = flags.start(*command)
            recorded(command, now)
            same(f'changed by the daemon: {command[:3]}',
                 {k: (before[k], now[k]) for k in now if before[k] != now[k] and
                  k not in ('recorded', 'pid', 'session')}, {})
        recorded('another', flags.start(flags.copy('started', 'another')), False)


@case('the daemon: what a program held is there while it runs; replaced images are heeded')
def daemon_tables(lab):
    with Flags(lab) as flags, Daemon(flags) as daemon:
        image = flags.copy('growers')
        flags.on(image)
        flags.on()
        daemon.heeds(flags.image)
        running = lab.background(image, '1', '--wait')
        truth = running.truth()
        check_sites(truth, lab.report(lab.snap(truth['pid'], 'one.seep')).complete())
        same('state', {r['state'] for r in flags.rows()}, {'on'})
        running.wait().must()
        flags.copy('started', 'new').rename(flags.image)
        daemon.heeds(flags.image)
        daemon.end()
        holds('the stub is back', 'libseep-flags.so' in PRELOAD.read_text())
        recorded('by the stub', flags.start())
        flags('--clear').must()
    nothing_left()


@case('the daemon: killed at any moment it holds nobody up')
def daemon_killed(lab):
    with Flags(lab) as flags:
        flags.on()
        for i in range(5):
            with Daemon(flags) as daemon:
                many = [subprocess.Popen([flags.image], stdout=subprocess.DEVNULL)
                        for _ in range(20)]
                time.sleep(i / 500)  # another moment every time
                daemon.running.process.kill()
                same('statuses', {p.wait(timeout=60) for p in many}, {STARTED_STATUS})
                daemon.running.process.wait()
        with Daemon(flags) as daemon:
            daemon.heeds(flags.image)
            second = flags('--daemon')
            refuses(second, TARGET, 'runs already')
            daemon.end()
        recorded('by the stub', flags.start())


if __name__ == '__main__':
    main()
