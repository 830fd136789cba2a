"""Victims that are linked statically, with an allocator that is not the C library's."""
import pathlib

from lab import SOURCE, Skip, need

FOLDERS = ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib',
           '/usr/local/lib')
# The archive; how the program is linked; what else it needs. tcmalloc is started by a static object,
# so all of it is taken.
KINDS = {
    'jemalloc': ('libjemalloc.a', ['-static'], ['-lm']),
    'jemalloc, static-pie': ('libjemalloc_pic.a', ['-static-pie', '-fPIE'], ['-lm']),
    'tcmalloc': ('libtcmalloc_minimal.a', ['-static', '-Wl,--whole-archive'],
                 ['-Wl,--no-whole-archive', '-lstdc++', '-lm']),
    'mimalloc': ('libmimalloc.a', ['-static'], []),
}


def archive(file):
    for folder in FOLDERS:
        path = pathlib.Path(folder) / file
        if path.exists():
            return path
    raise Skip(f'{file} is not installed')


def build(lab, kind, name):
    """tests/victims/NAME, of C or C++, with the allocator of KINDS."""
    file, how, more = KINDS[kind]
    library, program = archive(file), lab.folder / f'{pathlib.Path(name).stem}-static'
    compiler = need('g++' if name.endswith('.cpp') else 'gcc')
    lab.run(compiler, '-D_GNU_SOURCE', '-O2', '-g', '-fno-builtin', '-w', '-pthread', 
            SOURCE / 'tests/victims' / name, '-o', program, *how, library, *more).must()
    return program
