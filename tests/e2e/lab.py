"""What all end-to-end tests share: a runner that prints TAP, seep and what it answers, victims.

A case is a function with the decorator `case`; it gets a Lab, a folder of its own that goes away
afterwards. It fails by raising, and is skipped by raising Skip with the reason.

    SEEP_BUILD=/path/to/build tests/e2e/counts.py [WORD...]    only cases whose name has all WORDs
"""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('SEEP_BUILD', SOURCE / 'build')).resolve()
SEEP = BUILD / 'seep'
VICTIMS = BUILD / 'tests' / 'victims'
TOOLS = BUILD / 'tests' / 'e2e'
PATIENCE = 120  # seconds for anything that must come to an end
LOST = ('dropped_blocks', 'unknown_frees', 'lost_frees', 'cut_stacks', 'stopped_stacks',
        'missing_stacks')

CASES = []


class Skip(Exception):
    """This machine cannot do it; the text says why."""


class Wrong(Exception):
    """What was found is not what is true."""


def case(name):
    def register(function):
        CASES.append((name, function))
        return function
    return register


def same(what, got, want):
    if got != want:
        raise Wrong(f'{what}: got {got!r}, true is {want!r}')


def holds(what, good, seen=''):
    if not good:
        raise Wrong(f'not true: {what}' + (f'; seen: {seen}' if seen != '' else ''))


def need(*programs):
    """Paths of the programs, or Skip."""
    found = [shutil.which(p, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") for p in programs]
    for program, path in zip(programs, found):
        if not path:
            raise Skip(f'{program} is not installed')
    return found if len(found) > 1 else found[0]


def need_root():
    if os.geteuid() != 0:
        raise Skip('only root can do this')


def clean_environment(home):
    """The user's settings must not decide what a test sees."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(('SEEP', 'LD_', 'DEBUGINFOD', 'GIT_', 'MALLOC_', 'GLIBC_TUNABLES',
                                'ASAN_', 'UBSAN_', 'LSAN_', 'PYTHON'))}
    env.update(HOME=home, TMPDIR=home, LC_ALL='C.UTF-8', TERM='dumb', NO_COLOR='1')
    return env


def run_all():
    words = sys.argv[1:]
    if not SEEP.exists():
        sys.exit(f'{SEEP} does not exist: set SEEP_BUILD to the build folder')
    # Files that are imported have cases of their own, which are not this one's.
    chosen = [(n, f) for n, f in CASES
              if f.__module__ == '__main__' and all(w in n for w in words)]
    failed = 0
    print(f'1..{len(chosen)}', flush=True)
    for nr, (name, function) in enumerate(chosen, 1):
        began = time.monotonic()
        verdict, remark, trouble = 'ok', '', ''
        try:
            with Lab() as lab:
                function(lab)
        except Skip as why:
            remark = f' # skip {why}'
        except Exception:  # pylint: disable=broad-except
            verdict, trouble = 'not ok', traceback.format_exc()
            failed += 1
        print(f'{verdict} {nr} - {name}{remark}')
        print(f'# took {time.monotonic() - began:.1f} s')
        for line in trouble.splitlines():
            print(f'# {line}')
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f'status {self.status}, stdout {self.out[-600:]!r}, stderr {self.err[-1200:]!r}'

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines() if line.startswith('{')]

    def truth(self):
        """The last line of truth."""
        lines = self.json_lines()
        holds('the victim told its truth', lines, self)
        return lines[-1]

    def must(self, status=0):
        same(f'exit status of {self!r}', self.status, status)
        return self


class Report:
    """`seep report` or `seep diff` as JSON."""

    def __init__(self, text):
        self.data = json.loads(text)
        self.totals, self.rows = self.data['totals'], self.data['rows']
        self.incomplete = self.data['incomplete']

    def stacks(self):
        for row in self.rows:
            yield from row['stacks']

    def counts_of(self, function):
        """Sum of the rows that are named after `function` (rows must be functions)."""
        keys = ('total_blocks', 'total_bytes', 'live_blocks', 'live_bytes')
        same('rows are functions', self.data['group_by'], 'function')
        return {k: sum(r[k] for r in self.rows if r['name'] == function) for k in keys}

    def complete(self, allowed=()):
        lost = {k: self.incomplete[k] for k in LOST if self.incomplete[k] and k not in allowed}
        same('what was lost', lost, {})
        same('torn', self.incomplete['torn'], False)
        same('damaged', self.incomplete['damaged'], False)
        return self


class Lab:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='seep-e2e-'))
        self.env = clean_environment(str(self.folder))
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return str(self.folder / name)

    def run(self, *command, stdin='', env=None, patience=PATIENCE, **options):
        try:
            done = subprocess.run([str(c) for c in command], input=stdin, text=True,
                                  errors='replace', capture_output=True, timeout=patience,
                                  cwd=options.pop('cwd', self.folder), check=False,
                                  env={**self.env, **(env or {})}, **options)
        except subprocess.TimeoutExpired as late:
            raise Wrong(f'no end after {patience} s: {command}; {late.stderr!r}') from late
        return Result(done.returncode, done.stdout, done.stderr)

    def seep(self, *arguments, **options):
        return self.run(SEEP, *arguments, **options)

    def record(self, *command, options=(), name='end.seep', **more):
        """Runs to the end; returns what was said, and the path of the snapshot."""
        path = self.path(name)
        return self.seep('run', '--at-exit', path, *options, '--', *command, **more), path

    def report(self, path, *options, by='function'):
        """All rows, those without a live block too (that is what this order is for)."""
        answer = self.seep('report', '--format', 'json', '--group-by', by, '--sort',
                           'total_bytes', *options, path)
        return Report(answer.must().out)

    def diff(self, old, new, *options):
        return Report(self.seep('diff', '--format', 'json', *options, old, new).must().out)

    def start(self, *command, **options):
        """In the background, under the recorder."""
        return self.background(SEEP, 'run', *options.pop('options', ()), '--', *command, **options)

    def background(self, *command, **options):
        process = Background(self, [str(c) for c in command], **options)
        self.running.append(process)
        return process

    def snap(self, target, name, *options):
        path = self.path(name)
        self.seep('snap', '-o', path, *options, target).must()
        return path


class Background:
    """A process that is talked to by lines."""

    def __init__(self, lab, command, env=None, **options):
        self.err_path = lab.folder / f'stderr-{len(lab.running)}'
        self.pending = b''
        self.said = []
        with open(self.err_path, 'wb') as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err,
                cwd=lab.folder, env={**lab.env, **(env or {})}, start_new_session=True, **options)

    def errors(self):
        return self.err_path.read_text(errors='replace')

    def line(self, patience=PATIENCE):
        """The next line of its standard output, without the newline."""
        deadline = time.monotonic() + patience
        while b'\n' not in self.pending:
            ready = select.select([self.process.stdout], [], [], deadline - time.monotonic())[0]
            got = os.read(self.process.stdout.fileno(), 65536) if ready else b''
            if not got:
                raise Wrong(f"{'end of output' if ready else 'silence'}: {self.process.args}: "
                            f'{self.errors()[-1000:]}')
            self.pending += got
        line, self.pending = self.pending.split(b'\n', 1)
        self.said.append(line.decode(errors='replace'))
        return self.said[-1]

    def truth(self):
        return json.loads(self.line())

    def say(self, text):
        self.process.stdin.write(text.encode() + b'\n')
        self.process.stdin.flush()

    def until(self, what, test):
        """As wait_until(), and fails as soon as this process is gone."""
        def alive():
            if self.process.poll() is not None:
                raise Wrong(f'ended instead: {what}: {self.errors()[-1000:]}')
            return test()
        return wait_until(what, alive)

    def until_zombie(self):
        """Until it has ended, without collecting it."""
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def wait(self, patience=PATIENCE):
        """Waits for its end; standard input is closed first, so that nobody waits for us."""
        try:
            out, _ = self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired as late:
            raise Wrong(f'no end after {patience} s: {self.process.args}') from late
        return Result(self.process.returncode, (self.pending + out).decode(errors='replace'),
                      self.errors())

    def end(self):
        """For good, with all its children; harmless when it is over."""
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.communicate()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


def victim(name):
    return VICTIMS / f'victim-{name}'


def check_sites(truth, report):
    """Every site of the victim, exactly."""
    holds('the victim names sites', truth['sites'], truth)
    wrong = []
    for site in truth['sites']:
        found = report.counts_of(site['site'])
        want = {'live_blocks': site['live_blocks'], 'live_bytes': site['live_bytes']}
        if not site.get('only_live'):
            want['total_blocks'] = site['allocated_blocks']
            want['total_bytes'] = site['allocated_bytes']
        found = {k: found[k] for k in want}
        if found != want:
            wrong.append(f"{site['site']}: got {found}, true is {want}")
    if wrong:
        raise Wrong('; '.join(wrong))
    same('failures inside the victim', truth['failures'], 0)


def check_sums(report):
    """The rows add up to the totals, and live and freed to all."""
    totals = report.totals
    for key in ('live_blocks', 'live_bytes', 'total_blocks', 'total_bytes'):
        same(f'sum of {key}', sum(r[key] for r in report.rows), totals[key])
    same('freed blocks', totals['freed_blocks'], totals['total_blocks'] - totals['live_blocks'])
    same('freed bytes', totals['freed_bytes'], totals['total_bytes'] - totals['live_bytes'])


ONE_LINE = re.compile(r'\Aseep: [^\n]+\n(hint: [^\n]+\n)?\Z')


def refuses(result, status, message, hint=None):
    """Exactly one line, and a hint line when there is one; `hint` False: there must be none."""
    same(f'exit status of {result!r}', result.status, status)
    holds('one line "seep: …", at most one hint', ONE_LINE.match(result.err), result.err)
    holds('nothing on standard output', result.out == '', result.out)
    first, _, rest = result.err.partition('\n')
    holds(f'the message says {message!r}', re.search(message, first), first)
    if hint is False:
        same('no hint', rest, '')
    elif hint is not None:
        holds(f'the hint says {hint!r}', re.search(hint, rest), rest)
    return result


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_until(what, test, patience=30):
    """Asks again and again until `test` answers; for what has no event to wait for."""
    deadline = time.monotonic() + patience
    while True:
        answer = test()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Wrong(f'not after {patience} s: {what}')
        time.sleep(0.02)
