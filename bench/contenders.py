"""The tools that are compared: what each puts before a command, and what it is not asked to do."""
import dataclasses
import pathlib
import shutil
import subprocess
from typing import Callable


@dataclasses.dataclass
class Contender:
    name: str
    title: str
    prefix: Callable  # (folder of this run) -> list
    cannot: dict = dataclasses.field(default_factory=dict)  # workload: why it is left out


def first_existing(*patterns):
    for pattern in patterns:
        for path in sorted(pathlib.Path('/usr').glob(pattern)):
            return path
    return None


def heaptrack_preload():
    return first_existing('lib/heaptrack/libheaptrack_preload.so',
                          'lib/*/heaptrack/libheaptrack_preload.so')


def lsan_library():
    found = subprocess.run(['gcc', '-print-file-name=liblsan.so'], capture_output=True, text=True)
    path = pathlib.Path(found.stdout.strip()) if found.returncode == 0 else None
    return path.resolve() if path and path.is_absolute() else None


def preload(libraries, *settings):
    return ['env', 'LD_PRELOAD=' + ':'.join(map(str, libraries)), *settings]


def with_option(prefix, option):
    """Before the "--" at its end, if it has one."""
    at = len(prefix) - 1 if prefix[-1] == '--' else len(prefix)
    return [*prefix[:at], option, *prefix[at:]]


MICRO = ('micro8', 'micro32', 'micro64', 'micro32t2')
PERL_AND_LSAN = 'its realloc always copies: minutes'


def contenders(build, wanted, seep_prefix):
    """Those of `wanted` that are installed, bare and seep first; and why the others are not."""
    lsan = [lsan_library(), build / 'bench' / 'libbench-wake.so']
    recorder = heaptrack_preload()
    heaptrack, valgrind = shutil.which('heaptrack'), shutil.which('valgrind')
    known = [
        (Contender('bare', 'bare', lambda folder: []), True),
        (Contender('seep', 'seep', lambda folder: seep_prefix), True),
        (Contender('seep-sample', 'seep, samples of 512 KiB',
                   lambda folder: with_option(seep_prefix, '--mode=sample=512K')), True),
        (Contender('heaptrack-recorder', 'heaptrack, its recorder alone',
                   lambda folder: preload([recorder], 'DUMP_HEAPTRACK_OUTPUT=/dev/null')),
         recorder),
        (Contender('heaptrack-raw', 'heaptrack --raw',
                   lambda folder: [heaptrack, '--raw', '--output', folder / 'heaptrack']),
         heaptrack),
        (Contender('heaptrack', 'heaptrack',
                   lambda folder: [heaptrack, '--output', folder / 'heaptrack'],
                   {name: 'its interpreter takes many GB' for name in MICRO}), heaptrack),
        (Contender('lsan', 'LeakSanitizer, recording alone',
                   lambda folder: preload(lsan, 'LSAN_OPTIONS=detect_leaks=0'),
                   {'perl': PERL_AND_LSAN}), lsan[0]),
        (Contender('lsan-check', 'LeakSanitizer with its check',
                   lambda folder: preload(lsan, 'LSAN_OPTIONS=exitcode=0:log_path='
                                          f'{folder}/leaks'),
                   {'perl': PERL_AND_LSAN}), lsan[0]),
        (Contender('memcheck', 'memcheck',
                   lambda folder: [valgrind, '--quiet', '--leak-check=full',
                                   f'--log-file={folder}/memcheck']), valgrind),
    ]
    absent = {c.name: 'not installed' for c, there in known if c.name in wanted and not there}
    return [c for c, there in known if c.name in wanted and there], absent


DEFAULT = ['bare', 'seep', 'seep-sample', 'heaptrack-recorder', 'heaptrack-raw', 'lsan',
           'lsan-check']
ALL = DEFAULT + ['heaptrack', 'memcheck']
