#!/usr/bin/env python3
"""seep flags: every start of an image is recorded, and nobody else notices.

Runs in a mount namespace with an /etc of its own; the machine's is never written.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import time

from flagging import (FILE, PRELOAD, REGISTRY, STARTED_STATUS, TARGET, Flags, main, nothing_left,
                      recorded)
from lab import SEEP, Skip, case, check_sites, holds, need, refuses, same, victim, wait_until
from others import as_other, ordinary_user


# ---- every start ----


@case('500 of 500 starts are recorded: shell, cron, threads that spawn, no environment')
def every_start(lab):
    log = lab.folder / 'log'
    with Flags(lab) as flags:
        flags.on()
        image = str(flags.image)
        shell = (f'i=0; while [ $i -lt 100 ]; do {image} >>{log}; '
                 f'[ $? -eq {STARTED_STATUS} ] || exit 1; i=$((i+1)); done')
        lab.run('/bin/sh', '-c', shell).must()
        for _ in range(100):
            cron = ['setsid', '--wait', 'env', '-i', 'SHELL=/bin/sh', 'PATH=/usr/bin:/bin',
                    'HOME=/', 'LOGNAME=root', '/bin/sh', '-c', f'{image} >>{log}']
            lab.run(*cron).must(STARTED_STATUS)
        for _ in range(100):
            lab.run('env', '-i', '/bin/sh', '-c', f'exec {image} >>{log}').must(STARTED_STATUS)
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
        same('processes', len({s['pid'] for s in said}), 500)
        flags.off()
    nothing_left()


def different(flags, *command, **options):
    """What a process sees of its start, with the flag and without."""
    plain = flags.start(*command, **options)
    flags.on()
    flagged = flags.start(*command, **options)
    flags.off()
    recorded(command, plain, False)
    recorded(command, flagged)
    return {key: (plain[key], flagged[key]) for key in plain
            if plain[key] != flagged[key] and key not in ('recorded', 'pid', 'session')}


@case('a recorded program sees the same start as without it')
def the_same_start(lab):
    with Flags(lab) as flags:
        image = str(flags.image)
        link = lab.folder / 'another-name'
        link.symlink_to(image)
        script = lab.folder / 'script.sh'
        script.write_text(f'#!{image} -x\n')
        script.chmod(0o755)
        second = lab.folder / 'script-of-script'
        second.write_text(f'#!{script}\n')
        second.chmod(0o755)
        for command in (
                [image], [image, ''], [image, 'a', ' b ', 'ä\n"'], [str(link), 'x'],
                ['./another-name'], ['./home/started', './home/started'],
                ['sh', '-c', f'umask 027; trap "" HUP USR1; exec {image} 5</dev/null 7<&5'],
                ['bash', '-c', f'exec -a other-argv0 {image} y'],
                [str(script), 'p', 'q'], ['./script.sh'], [str(second), 'z'],
                ['env', '-i', image], ['env', '-i', 'A=1', 'LD_PRELOAD=', image],
                ['env', 'LD_PRELOAD=libm.so.6', image]):
            same(f'changed by the flag: {command}', different(flags, *command), {})
        # Which of the two is the script cannot be told: then it is the interpreter's name.
        same('two alike', different(flags, script, script), {'comm': ('script.sh', 'started')})


@case('a program that is executed by descriptor is recorded')
def by_descriptor(lab):
    code = ('import os,sys; fd=os.open(sys.argv[1], os.O_RDONLY); '
            'os.set_inheritable(fd, int(sys.argv[2])); os.execve(fd, ["by-fd", "1"], {})')
    with Flags(lab) as flags:
        flags.on()
        for inherit in ('0', '1'):
            said = flags.start(sys.executable, '-c', code, flags.image, inherit)
            recorded('by descriptor', said)
            same('arguments', said['args'], ['by-fd', '1'])


def started_by_systemd(unit):
    """The environment of a drop-in, as systemd gives it to the program (systemd.exec(5))."""
    text = pathlib.Path(f'/etc/systemd/system/{unit}.d/50-seep-ust.conf').read_text()
    return dict(line[len('Environment="'):-1].split('=', 1) for line in text.splitlines()
                if line.startswith('Environment="'))


@case('a unit: its program is recorded where systemd starts it for that unit, and nowhere else')
def by_unit(lab):
    units = pathlib.Path('/etc/systemd/system')
    made = [f for f in (units.parent, units) if not f.exists()]
    units.mkdir(parents=True, exist_ok=True)
    file = units / 'seep-test.service'
    with Flags(lab) as flags:
        file.write_text(f'[Service]\nExecStart={flags.image}\n')
        other = flags.copy('started', 'another')
        flags.on('--unit', 'seep-test')
        holds('no stub for others', not PRELOAD.exists())
        env = started_by_systemd('seep-test.service')
        clean = {'PATH': '/usr/bin:/bin', **env}
        said = flags.start(flags.image, env=env)
        recorded('for its unit', said)
        recorded('from an empty environment', flags.start(
            'env', '-i', *(f'{k}={v}' for k, v in clean.items()), flags.image))
        recorded('by somebody else', flags.start(flags.image), False)
        recorded('another program of that unit', flags.start(other, env=env), False)
        recorded('for another unit', flags.start(
            flags.image, env={**env, 'SEEP_UNIT': 'x.service'}), False)
        flags.off('--unit', 'seep-test')
        recorded('with what systemd still knows', flags.start(flags.image, env=env), False)
        file.unlink()
    nothing_left()
    holds('no drop-in', not (units / 'seep-test.service.d').exists())
    for folder in reversed(made):
        folder.rmdir()


# ---- looking at it ----


@case('snap, leaks, top and flags see what the program says of itself')
def looked_at(lab):
    with Flags(lab) as flags:
        image = flags.copy('growers')
        flags.on(image)
        running = lab.background(image, '2', '--wait')
        for step in (1, 2):
            truth = running.truth()
            path = lab.snap(truth['pid'], f'step{step}.seep')
            report = lab.report(path).complete()
            check_sites(truth, report)
            if step == 1:
                listed = {r['image']: r for r in flags.rows()}
                same('running', listed[str(image)]['running_processes'], 1)
                same('recorded', listed[str(image)]['recorded_processes'], 1)
                top = json.loads(lab.seep('top', '--format', 'json', truth['pid']).must().out)
                same('recorded', top['rows'][0]['recorded'], True)
                holds('since', top['rows'][0]['recorded_for_ns'] > 0)
                reminder = lab.seep('top', truth['pid']).must().out
                holds('reminds', '+ust is on for every start of growers' in reminder, reminder)
                lab.seep('leaks', truth['pid'])
            running.say('')
        running.wait().must()
        grown = lab.diff(lab.path('step1.seep'), lab.path('step2.seep'), '--group-by', 'function')
        holds('the growth has its site', any(r['name'] == 'leaks' for r in grown.rows), grown.rows)
        flags.off(image)
        reminder = lab.seep('top', os.getpid()).must().out
        holds('reminds no more', '+ust' not in reminder, reminder)


@case('the clock moves with every look, and with the heap')
def clock(lab):
    with Flags(lab) as flags:
        image = flags.copy('growers')
        flags.on(image)
        running = lab.background(image, '2', '--wait')
        pid = running.truth()['pid']
        began = time.monotonic()
        wait_until('a second has gone by', lambda: time.monotonic() > began + 1.2)
        lab.snap(pid, 'sets-the-clock.seep')
        running.say('')
        running.truth()
        rows = json.loads(lab.seep('blocks', '--list', '--limit', '0', '--format', 'json',
                                   pid).must().out)['rows']
        ages = sorted(r['age_ms'] for r in rows if (r['site'] or '').startswith('leaks '))
        same('blocks', len(ages), 20)
        holds('ten are younger', ages[9] < 1000 < ages[10], ages)
        running.wait().must()


@case("an ordinary user's process is recorded, and he can look at it")
def of_another(lab):
    with Flags(lab) as flags:
        prefix = as_other()
        seep = flags.home / 'seep'
        shutil.copy(SEEP, seep)
        seep.chmod(0o755)
        image = flags.copy('growers')
        flags.on(image)
        running = lab.background(*prefix, image, '1', '--wait')
        truth = running.truth()
        own = lab.folder / 'own'
        own.mkdir()
        own.chmod(0o777)
        lab.run(*prefix, seep, 'snap', '-o', own / 'one.seep', truth['pid']).must()
        check_sites(truth, lab.report(own / 'one.seep').complete())
        check_sites(truth, lab.report(lab.snap(truth['pid'], 'root.seep')).complete())
        running.wait().must()


# ---- who is left alone ----


@case('programs that get privileges are left alone')
def privileged(lab):
    with Flags(lab) as flags:
        prefix = as_other()
        flags.on('--name', 'started')
        recorded('without privilege', flags.start(*prefix, flags.image))
        flags.image.chmod(0o4755)
        said = flags.start(*prefix, flags.image)
        if said['uid'] != 0:
            raise Skip('set-user-ID does nothing on this file system')
        recorded('with privilege', said, False)
        refuses(flags(flags.image, '+ust'), TARGET, r'set-user-ID')


@case('others, and other names, are not recorded')
def others_are_not(lab):
    with Flags(lab) as flags:
        other = flags.copy('started', 'started2')
        flags.on()
        recorded('flagged', flags.start())
        recorded('another name', flags.start(other), False)
        flags.off()
        flags.on('--name', 'started2')
        recorded('no more', flags.start(), False)
        recorded('by name', flags.start(other))
        deep = flags.home / 'deep'
        deep.mkdir(mode=0o755)
        same_name = flags.copy('started', 'deep/started2')
        recorded('by name elsewhere', flags.start(same_name))


@case('what a recorded program starts is not recorded, and inherits nothing of seep')
def children(lab):
    shell = os.path.realpath('/bin/sh')
    with Flags(lab) as flags:
        flags.on(shell)
        said = flags.start(shell, '-c', f'{flags.image}; exit $?')
        recorded('its child', said, False)
        same('seep in the environment',
             [v for v in said['environment'] if v.startswith(('SEEP', 'LD_'))], [])
        same('inherited', said['inherited'], 7)
        flags.on()
        recorded('a flagged child of it', flags.start(shell, '-c', f'{flags.image}; exit $?'))
        recorded('it becomes a flagged program', flags.start(shell, '-c', f'exec {flags.image}'))


@case('seep run of a flagged image records it once, by itself')
def under_run(lab):
    with Flags(lab) as flags:
        image = flags.copy('growers')
        flags.on(image)
        done, path = lab.record(image, '1')
        check_sites(done.must().truth(), lab.report(path).complete())
        flags.on()
        shell = os.path.realpath('/bin/sh')
        done = lab.seep('run', '--quiet', '--', shell, '-c', f'{flags.image}; exit $?')
        recorded('child of seep run', json.loads(done.must(STARTED_STATUS).out))
        done = lab.seep('run', '--quiet', '--follow', '--', shell, '-c', f'{flags.image}; exit $?')
        recorded('followed', json.loads(done.must(STARTED_STATUS).out))


# ---- the end of it ----


@case('after its time nothing is recorded, and the next look cleans up')
def expired(lab):
    with Flags(lab) as flags:
        flags.on(flags.image, '--expire', '2s')
        recorded('before', flags.start())
        end = flags.rows()[0]['expires_unix_s']
        wait_until('the time is over', lambda: time.time() >= end)
        recorded('after', flags.start(), False)
        answer = flags().must()
        holds('says so', 'expired' in answer.err, answer.err)
        same('list', answer.out, 'no image is flagged\n')
    nothing_left()


@case('other lines of ld.so.preload stay as they were')
def other_lines(lab):
    libm = next(pathlib.Path('/lib').glob('*/libm.so.6'), None)
    if not libm:
        raise Skip('no libm.so.6 to preload')
    with Flags(lab) as flags:
        for text in (f'# mine\n{libm} # why\n', f'{libm}', f'\n\n{libm}\n\n'):
            PRELOAD.write_text(text)
            PRELOAD.chmod(0o640)
            flags.on()
            other = flags.copy('started', 'second')
            flags.on(other)
            same('once', PRELOAD.read_text().count('libseep-flags.so'), 1)
            recorded('both', flags.start())
            flags.off()
            recorded('the other still', flags.start(other))
            flags.off(other)
            same('text', PRELOAD.read_text(), text)
            same('mode', stat.S_IMODE(PRELOAD.stat().st_mode), 0o640)
            holds('no list', not REGISTRY.exists())


@case('--clear takes everything away, damaged or not')
def cleared(lab):
    with Flags(lab) as flags:
        flags.on()
        REGISTRY.write_text('nonsense\n')
        refuses(flags(), FILE, 'is not a list')
        flags('--clear').must()
        nothing_left()
        flags('--clear').must()


@case('fifty changes at once lose none')
def at_once(lab):
    with Flags(lab) as flags:
        images = [flags.copy('started', f'image{i}') for i in range(50)]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(flags.on, images))
        same('flagged', {r['image'] for r in flags.rows()}, {str(i) for i in images})
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(flags.off, images))
    nothing_left()


# ---- what is broken ----


def break_stub(flags, how):
    stub = flags.stub
    if how == 'missing':
        stub.unlink()
    elif how == 'no ELF file':
        stub.write_text('this is text\n' * 500)
    elif how == 'empty':
        stub.write_bytes(b'')
    elif how == 'of 32 bits':
        data = bytearray(stub.read_bytes())
        data[4] = 1
        stub.write_bytes(data)
    elif how == 'cut short':
        stub.write_bytes(stub.read_bytes()[:200])
    else:
        stub.chmod(0o700)


@case('a broken stub harms no program')
def broken_stub(lab):
    for how in ('missing', 'no ELF file', 'empty', 'of 32 bits', 'cut short', 'unreadable'):
        with Flags(lab) as flags:
            flags.on()
            break_stub(flags, how)
            done = lab.run(*as_other(), flags.image)
            same(f'stub {how}: status', done.status, STARTED_STATUS)
            recorded(f'stub {how}', json.loads(done.out), False)
            holds('the loader says why', 'cannot be preloaded' in done.err, done.err)
            flags('--clear').must()
        nothing_left()
        shutil.rmtree(flags.home)


@case('without the recorder, or with a damaged list, programs go on')
def broken_rest(lab):
    with Flags(lab) as flags:
        flags.on()
        good = REGISTRY.read_text()
        (flags.home / 'libseep-rec.so').rename(flags.home / 'away')
        done = lab.run(flags.image)
        recorded('no recorder', json.loads(done.out), False)
        same('not a word', done.err, '')
        (flags.home / 'away').rename(flags.home / 'libseep-rec.so')
        recorded('again', flags.start())
        line = good.splitlines()[-1]
        for text, want in (('', False), ('seep-flags 2\n' + good.partition('\n')[2], False),
                           (good.rstrip('\n'), False), (good + 'ust\n\0\0\n', True),
                           (good.replace(line, 'ust x y z\n' + line), True),
                           (good + 'x' * 20000 + '\n', False), (good.replace('/', '//'), False),
                           (good.replace(line, line.replace('path', 'Path')), False),
                           ('\0' * 4096, False)):
            REGISTRY.write_text(text)
            recorded(repr(text[:60]), flags.start(), want)
        REGISTRY.write_text(good.replace(line, 'damaged\n' + line))
        answer = flags().must()
        holds('says which line', '1 damaged line' in answer.err and '(line 3)' in answer.err,
              answer.err)
        flags.on('--name', 'something')
        holds('the line is gone', 'damaged' not in REGISTRY.read_text())


@case('an image that is replaced is recorded still; what it became is told')
def replaced(lab):
    with Flags(lab) as flags:
        flags.on()
        running = lab.background(flags.copy('growers', 'other'), '1', '--wait')
        running.truth()
        new = flags.copy('started', 'new')
        new.rename(flags.image)
        recorded('the new one', flags.start())
        flags.image.unlink()
        holds('gone', 'no such file' in flags.rows()[0]['state'], flags.rows())
        shutil.copy(victim('static'), flags.image)
        flags.image.chmod(0o755)
        holds('static', 'statically linked' in flags.rows()[0]['state'], flags.rows())
        flags.image.unlink()
        flags.off()
        running.wait().must()
    nothing_left()


@case('where /etc may not be written, it is said and nothing is changed')
def read_only(lab):
    with Flags(lab) as flags:
        lab.run(need('mount'), '-o', 'remount,ro', '/etc')
        try:
            if os.access('/etc', os.W_OK):
                raise Skip('/etc cannot be made read-only here')
            refuses(flags(flags.image, '+ust'), FILE, 'Read-only file system', 'read-only')
        finally:
            lab.run(need('mount'), '-o', 'remount,rw', '/etc')
        user = ordinary_user()
        if user:
            lab.folder.chmod(0o755)
            seep = flags.home / 'seep'
            shutil.copy(SEEP, seep)
            seep.chmod(0o755)
            refuses(lab.run(*as_other(), seep, 'flags', flags.image, '+ust', env=flags.env), FILE,
                    'Permission denied', 'only root')
    nothing_left()


# ---- hard starts ----


@case('starts under narrow limits are recorded, or at least happen')
def narrow_limits(lab):
    with Flags(lab) as flags:
        flags.on()
        for limit, want in (('-n 64', True), ('-n 8', True), ('-n 5', True), ('-Sf 0', True),
                            ('-c 0', True), ('-s 512', True), ('-v 4000000', True),
                            ('-n 4', False), ('-f 1000', False), ('-v 20000', False)):
            said = flags.start('bash', '-c', f'ulimit {limit}; exec {flags.image}')
            if want:
                recorded(limit, said)


@case('an environment and arguments of megabytes do not hinder')
def large(lab):
    with Flags(lab) as flags:
        flags.on()
        many = {f'V{i}': 'x' * 1000 for i in range(1000)}
        recorded('a megabyte', flags.start(env=many))
        preload = ':'.join(['libm.so.6'] * 5000)
        said = flags.start(env={'LD_PRELOAD': preload})
        recorded('a long LD_PRELOAD', said)
        same('LD_PRELOAD', [v for v in said['environment'] if v.startswith('LD_')],
             ['LD_PRELOAD=' + preload])


FILTERED = """
import ctypes, os, struct, sys
action = {'kill': 0x80000000, 'errno': 0x50001}[sys.argv[1]]
number = 319  # memfd_create, x86-64
code = b''.join(struct.pack('HBBI', *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, action), (0x06, 0, 0, 0x7fff0000)))
program = ctypes.create_string_buffer(code)
libc = ctypes.CDLL(None, use_errno=True)
prog = struct.pack('HxxxxxxQ', 4, ctypes.addressof(program))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(prog), 0, 0):
    sys.exit(77)
os.execv(sys.argv[2], sys.argv[2:])
"""


@case('in a sandbox that forbids our calls the program starts, unrecorded')
def sandboxed(lab):
    with Flags(lab) as flags:
        flags.on()
        for how in ('kill', 'errno'):
            done = lab.run(sys.executable, '-c', FILTERED, how, flags.image)
            if done.status == 77:
                raise Skip('system calls cannot be filtered here')
            same(f'{how}: its end', done.status, STARTED_STATUS)
            recorded(how, json.loads(done.out), False)
        harmless = FILTERED.replace('319', '9999')
        recorded('a filter that lets us', flags.start(sys.executable, '-c', harmless, 'kill',
                                                      flags.image))


@case('a program that becomes itself is recorded every time')
def again_and_again(lab):
    shell = os.path.realpath('/bin/bash')
    log = lab.folder / 'log'
    code = (f'grep -c memfd:seep-rec /proc/$$/maps >>{log}; '
            f'[ "$1" = 0 ] || exec {shell} "$0" $(($1 - 1))')
    script = lab.folder / 'again.sh'
    script.write_text(code)
    with Flags(lab) as flags:
        flags.on(shell)
        lab.run(shell, script, '5').must()
        counts = log.read_text().split()
        same('images', len(counts), 6)
        holds('each recorded', all(int(c) > 0 for c in counts), counts)


@case('a hundred starts that are killed at once leave nothing behind')
def killed(lab):
    with Flags(lab) as flags:
        flags.on()
        for i in range(100):
            process = subprocess.Popen([flags.image], stdout=subprocess.DEVNULL)
            time.sleep(i / 50000)  # not to wait for anything: to hit every moment of a start
            process.send_signal(signal.SIGKILL)
            status = process.wait()
            holds('its end', status in (-signal.SIGKILL, STARTED_STATUS), status)
        recorded('and then', flags.start())


if __name__ == '__main__':
    main()
