"""What is seen of a running command from outside: the recorder's tables, the heap it touched."""
import json
import os
import subprocess
import threading

from runner import children

INTERVAL_SECONDS = 0.003
TABLE_NAME = '/memfd:seep-rec'


class Watcher:
    """
    Looks at the children of a measuring process again and again. Keeps every recorder's table that
    appears among the launcher's descriptors open, so that it can be read when all is over.
    """

    def __init__(self, build, measuring_pid):
        self.table_stat = build / 'bench' / 'table_stat'
        self.measuring_pid = measuring_pid
        self.tables = {}
        self.anonymous_bytes = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self):
        while not self.ended.wait(INTERVAL_SECONDS):
            for pid in children(self.measuring_pid):
                self._look_for_tables(pid)
                self._look_at_memory(pid)

    def _look_for_tables(self, pid):
        folder = f'/proc/{pid}/fd'
        try:
            for name in os.listdir(folder):
                path = f'{folder}/{name}'
                if os.readlink(path).startswith(TABLE_NAME):
                    self._keep(path)
        except OSError:
            pass  # it has just ended, or has closed that one

    def _keep(self, path):
        inode = os.stat(path).st_ino
        if inode not in self.tables:
            self.tables[inode] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _look_at_memory(self, pid):
        try:
            with open(f'/proc/{pid}/status') as status:
                for line in status:
                    if line.startswith('RssAnon:'):
                        now = int(line.split()[1]) * 1024
                        self.anonymous_bytes = max(self.anonymous_bytes, now)
        except OSError:
            pass

    def stop(self):
        self.ended.set()
        self.thread.join()

    def read_tables(self):
        """A dict for every table that a process has used; the tables are let go."""
        found = []
        for fd in self.tables.values():
            done = subprocess.run([self.table_stat, f'/dev/fd/{fd}'], pass_fds=[fd],
                                  capture_output=True, text=True)
            os.close(fd)
            if done.returncode == 0:
                found.append(json.loads(done.stdout))
        self.tables = {}
        return [table for table in found if table['state']]


class Watch:
    """Makes the watcher of a run, and keeps it for afterwards."""

    def __init__(self, build):
        self.build = build
        self.watcher = None

    def __call__(self, measuring_pid):
        self.watcher = Watcher(self.build, measuring_pid)
        return self.watcher

    def tables(self):
        return self.watcher.read_tables() if self.watcher else []


HEAP_SHARE = 0.25
NODE_BYTES = 24


def take_census(runner, build, make_command, seep):
    """
    One run bare and one recorded, not timed. Touched heap: the peak of resident anonymous memory of
    the bare run. None when something went wrong.
    """
    bare_watch, seep_watch = Watch(build), Watch(build)
    bare = runner.run(make_command(), watch=bare_watch)
    recorded = runner.run(make_command(), seep.prefix, watch=seep_watch)
    tables = seep_watch.tables()
    if bare.failure or recorded.failure or not tables:
        return None
    touched = bare_watch.watcher.anonymous_bytes
    table = max(tables, key=lambda t: t['memory_bytes'])
    allowed = HEAP_SHARE * touched + NODE_BYTES * table['nodes']
    return {'touched_bytes': touched, 'table_bytes': table['memory_bytes'],
            'nodes': table['nodes'], 'allowed_bytes': round(allowed),
            'added_peak_bytes': recorded.peak_bytes - bare.peak_bytes,
            'dropped_blocks': table['dropped_blocks'], 'missing_stacks': table['missing_stacks'],
            'cut_stacks': table['cut_stacks'], 'stopped_stacks': table['stopped_stacks'],
            'parts': table['memory']}
