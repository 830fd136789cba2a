"""Where other allocators are."""
import pathlib

from lab import Skip

FOLDERS = ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib',
           '/usr/local/lib')
ALLOCATORS = {
    'jemalloc': 'libjemalloc.so.2',
    'tcmalloc': 'libtcmalloc_minimal.so.4',
    'mimalloc': 'libmimalloc.so.2',
}


def library(file):
    for folder in FOLDERS:
        path = pathlib.Path(folder) / file
        if path.exists():
            return str(path)
    raise Skip(f'{file} is not installed')
