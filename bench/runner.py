"""Runs one command under one tool, and says what it cost."""
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Callable, Optional

READY_SECONDS = 60
STATUS_OVERTIME = 'too long'


@dataclasses.dataclass
class Load:
    """What is done to a server: the commands wait for it, use it, and end it."""
    ready: list
    commands: list
    stop: list


@dataclasses.dataclass
class Command:
    """argv[0] is what a tool is put before. stdin is a path; output goes nowhere."""
    argv: list
    env: dict = dataclasses.field(default_factory=dict)
    cwd: Optional[pathlib.Path] = None
    stdin: Optional[pathlib.Path] = None
    load: Optional[Load] = None
    user: Optional[str] = None  # when we are root, the program is not
    good: tuple = (0,)          # exit statuses


@dataclasses.dataclass
class Cost:
    wall_s: float
    cpu_s: float         # of everything
    program_cpu_s: float  # without a server's clients
    peak_bytes: int      # the largest process, clients left out
    failure: Optional[str]
    output: str


class Runner:
    def __init__(self, build, seconds):
        self.measure = build / 'bench' / 'measure'
        self.seconds = seconds
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='seep-bench-'))
        self.number = 0

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self):
        """Empty, for one run's output; any user may write."""
        self.number += 1
        folder = self.folder / str(self.number)
        folder.mkdir()
        self.folder.chmod(0o755)
        folder.chmod(0o777)
        return folder

    def _start(self, argv, out, seconds, **how):
        return subprocess.Popen([self.measure, out, str(int(seconds)), *map(str, argv)],
                                stdout=subprocess.PIPE, stderr=open(f'{out}.err', 'w'), **how)

    @staticmethod
    def _read(out):
        try:
            return json.loads(pathlib.Path(out).read_text())
        except (OSError, ValueError):
            return {'wall_s': 0, 'user_s': 0, 'system_s': 0, 'peak_bytes': 0, 'status': 125,
                    'overtime': False}

    def _use_server(self, server, load, folder):
        """Returns the clients' CPU seconds and what went wrong."""
        began = time.monotonic()
        while subprocess.run(load.ready, capture_output=True).returncode:
            if server.poll() is not None or time.monotonic() - began > READY_SECONDS:
                return 0, 'the server did not get ready'
            time.sleep(0.02)
        cpu_s = 0
        failure = None
        for i, argv in enumerate(load.commands):
            client = self._start(argv, folder / f'client{i}.json', self.seconds)
            client.communicate()
            cost = self._read(folder / f'client{i}.json')
            cpu_s += cost['user_s'] + cost['system_s']
            if cost['status']:
                failure = f"client {i} ended with status {cost['status']}"
        subprocess.run(load.stop, capture_output=True)
        return cpu_s, failure

    def run(self, command, prefix: Callable = lambda folder: [],
            watch: Optional[Callable] = None):
        """
        prefix(folder for its output) is what stands before the command; watch(pid of the measuring
        process) returns an object whose stop() is called when all is over.
        """
        folder = self.new_folder()
        argv = [*prefix(folder), *command.argv]
        if command.user and os.getuid() == 0:
            argv = ['setpriv', f'--reuid={command.user}', f'--regid={command.user}',
                    '--init-groups', *argv]
        out = folder / 'cost.json'
        stdin = open(command.stdin or '/dev/null', 'rb')
        client_s, failure = 0, None
        with stdin, self._start(argv, out, self.seconds, stdin=stdin, cwd=command.cwd,
                                env={**os.environ, **command.env}) as process:
            watcher = watch(process.pid) if watch else None
            if command.load:
                client_s, failure = self._use_server(process, command.load, folder)
                if failure:
                    end_children(process.pid)
            output = process.communicate()[0].decode(errors='replace')
            if watcher:
                watcher.stop()
        cost = self._read(out)
        if cost['overtime']:
            failure = STATUS_OVERTIME
        elif not failure and cost['status'] not in command.good:
            last = pathlib.Path(f'{out}.err').read_text(errors='replace').strip().splitlines()[-1:]
            failure = f"status {cost['status']}: {' '.join(last)}"
        cpu_s = cost['user_s'] + cost['system_s']
        shutil.rmtree(folder, ignore_errors=True)
        return Cost(cost['wall_s'], cpu_s + client_s, cpu_s, cost['peak_bytes'], failure, output)


def children(pid):
    found = []
    try:
        for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
            found += map(int, (task / 'children').read_text().split())
    except OSError:
        pass
    return found


def end_children(pid):
    for child in children(pid):
        try:
            os.kill(child, signal.SIGTERM)
        except OSError:
            pass
