"""The programs that overhead is measured on: what is run, with which input, and the bar for it."""
import dataclasses
import functools
import pathlib
import shutil
import socket
import subprocess
from typing import Callable, Optional

from runner import Command, Load

BIG, SMALL = 'big', 'small'


@dataclasses.dataclass
class Place:
    """Where a workload finds its inputs and our own programs, and may write."""
    data: pathlib.Path
    programs: pathlib.Path
    output: pathlib.Path
    size: str

    def pick(self, small, big):
        return small if self.size == SMALL else big


@dataclasses.dataclass
class Workload:
    name: str
    needs: str  # a command
    command: Callable[[Place], Command]
    bar: Optional[float] = None  # CPU recorded / bare, at most
    pairs: Optional[Callable[[Place], int]] = None  # malloc and free pairs that it makes


def find(name):
    """Path of a command; the folders of servers are looked at too."""
    path = shutil.which(name) or shutil.which(name, path='/usr/sbin:/sbin')
    return path or (str(newest) if (newest := newest_postgres(name)) else None)


def newest_postgres(name):
    return max(pathlib.Path('/usr/lib/postgresql').glob(f'*/bin/{name}'), default=None)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def sqlite(place):
    return Command([find('sqlite3'), '-init', '/dev/null', ':memory:'],
                   stdin=place.data / f'bulk-{place.size}.sql')


def xml(place):
    return Command([find('xmllint'), '--noout', place.data / f'{place.size}.xml'])


def jq(place):
    return Command([find('jq'), '-c', '-f', place.data / 'groups.jq',
                    place.data / f'{place.size}.json'])


def python(place):
    return Command([python_binary(), place.data / 'work.py', place.pick('25000', '150000')],
                   env={'PYTHONMALLOC': 'malloc', 'PYTHONHASHSEED': '0'})


@functools.cache
def python_binary():
    """Debian's, which a python of somebody else's may hide."""
    return shutil.which('python3', path='/usr/bin') or find('python3')


def perl(place):
    return Command([find('perl'), place.data / 'work.pl', place.pick('40000', '300000')],
                   env={'PERL_HASH_SEED': '0'})


@functools.cache
def compiler_proper():
    return subprocess.run(['gcc', '-print-prog-name=cc1'], capture_output=True, text=True,
                          check=True).stdout.strip()


def cc1(place):
    return Command([compiler_proper(), '-quiet', '-fpreprocessed', place.pick('-O1', '-O0'),
                    place.data / f'{place.size}.i', '-o', place.output / 'cc1.s'])


def git(place):
    return Command([find('git'), '-c', 'core.pager=cat', 'log', '--no-renames', '-p', '--stat',
                    'main'], cwd=place.data / f'git-{place.size}',
                   env={'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_CONFIG_NOSYSTEM': '1'})


def magick(place):
    return Command([find('convert-im6.q16'), '-seed', '1',
                    '-size', place.pick('400x400', '1200x1200'), 'plasma:fractal', '-blur', '0x3',
                    '-resize', '150%', '-rotate', '7', '-modulate', '110',
                    place.output / 'image.png'], env={'OMP_NUM_THREADS': '1'})


def cppmt(place):
    keys, rounds = place.pick(('10000', '3'), ('100000', '2'))
    return Command([place.programs / 'cppmt', keys, '4', rounds])


def redis(place):
    port = free_port()
    client = [find('redis-cli'), '-p', port]
    return Command(
        [find('redis-server'), '--port', port, '--bind', '127.0.0.1', '--save', '',
         '--appendonly', 'no', '--daemonize', 'no', '--logfile', '', '--dir', place.output],
        load=Load(
            ready=client + ['ping'],
            commands=[[find('redis-benchmark'), '-p', port, '-n', place.pick('20000', '200000'),
                       '-t', 'set,lpush,sadd', '-r', '100000', '-q']],
            stop=client + ['shutdown', 'nosave']))


def micro(name, depth, threads, small, big, bar=None):
    def pairs(place):
        return place.pick(small, big)

    def command(place):
        return Command([place.programs / 'micro', str(pairs(place)), str(depth), str(threads)])
    return Workload(name, 'sh', command, bar, pairs)


MILLION = 1_000_000

WORKLOADS = [
    Workload('sqlite', 'sqlite3', sqlite, 1.30),
    Workload('xml', 'xmllint', xml, 1.30),
    Workload('jq', 'jq', jq, 1.15),
    Workload('python', 'python3', python, 1.35),
    Workload('cc1', 'gcc', cc1, 1.30),
    Workload('git', 'git', git, 1.30),
    Workload('cppmt', 'sh', cppmt, 1.5),
    Workload('redis', 'redis-server', redis, 1.15),
    micro('micro8', 8, 1, MILLION, 10 * MILLION, 1.6),
    micro('micro32', 32, 1, MILLION, 6 * MILLION, 1.6),
    Workload('perl', 'perl', perl),
    Workload('magick', 'convert-im6.q16', magick),
    micro('micro64', 64, 1, 300_000, 3 * MILLION),
    micro('micro32t2', 32, 2, MILLION, 10 * MILLION),
]
