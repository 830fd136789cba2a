"""seep flags in an /etc of its own: what the tests of the stub and of the daemon share."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from lab import BUILD, SEEP, SOURCE, holds, run_all, same, victim, wait_until

PRELOAD, REGISTRY = pathlib.Path('/etc/ld.so.preload'), pathlib.Path('/etc/seep/flags')
STARTED_STATUS = 7  # what the victim ends with
USAGE, TARGET, FILE = 2, 3, 4


class Flags:
    """seep and its libraries where everybody may read them, and an image to flag."""

    def __init__(self, lab):
        self.lab = lab
        lab.folder.chmod(0o755)
        self.home = lab.folder / 'home'
        self.home.mkdir(mode=0o755)
        for name in ('libseep-rec.so', 'libseep-flags.so'):
            shutil.copy(BUILD / 'rec' / name, self.home)
            (self.home / name).chmod(0o755)
        self.stub = self.home / 'libseep-flags.so'
        self.env = {'SEEP_RECORDER': str(self.home / 'libseep-rec.so')}
        self.image = self.copy('started')

    def copy(self, name, to=None):
        """Of a victim, or of the program whose path is given."""
        is_path = isinstance(name, pathlib.Path)
        path = self.home / (to or (name.name if is_path else name))
        shutil.copy(name if is_path else victim(name), path)
        path.chmod(0o755)
        return path

    def __call__(self, *arguments, **options):
        return self.lab.seep('flags', *arguments, env=self.env, **options)

    def on(self, *arguments):
        return self(*(arguments or (self.image,)), '+ust').must()

    def off(self, *arguments):
        return self(*(arguments or (self.image,)), '-ust').must()

    def rows(self):
        return json.loads(self('--format', 'json').must().out)['rows']

    def start(self, *command, status=STARTED_STATUS, **options):
        """What the victim says."""
        done = self.lab.run(*(command or (self.image,)), **options)
        same(f'exit status of {done!r}', done.status, status)
        return json.loads(done.out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        PRELOAD.unlink(missing_ok=True)
        shutil.rmtree('/etc/seep', ignore_errors=True)


class Daemon:
    """seep flags --daemon, and the flags that it heeds."""

    def __init__(self, flags):
        self.flags, self.canaries = flags, 0
        self.running = flags.lab.background(SEEP, 'flags', '--daemon', env=flags.env)
        self.running.until('the daemon is ready', lambda: 'watching' in self.running.errors())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running.process.poll() is None:
            self.running.process.terminate()
            self.running.wait()

    def end(self):
        self.running.process.terminate()
        self.running.wait().must()

    def heeds(self, image):
        """The daemon learns of a change from the kernel, a moment later."""
        wait_until(f'{image} is recorded', lambda: self.flags.start(image)['recorded'])

    def catches(self, image):
        """Flags an image that may be any; what was flagged before another is known before it."""
        self.flags.on(image)
        self.canaries += 1
        canary = self.flags.copy('started', f'canary-{self.canaries}')
        self.flags.on(canary)
        self.heeds(canary)


def nothing_left():
    holds('no list', not pathlib.Path('/etc/seep').exists())
    holds('no line', not PRELOAD.exists(), PRELOAD.exists() and PRELOAD.read_text())


def recorded(what, said, want=True):
    same(f'{what}: recorded', said['recorded'], want)


def main():
    if os.environ.get('SEEP_PRIVATE_ETC') == 'inside':
        run_all()
    done = subprocess.run([SOURCE / 'tests/cli/in_private_etc.sh', sys.executable, *sys.argv],
                          check=False)
    if done.returncode == 77:
        print('1..0 # SKIP a private /etc takes root and a mount namespace')
        sys.exit(0)
    sys.exit(done.returncode)
