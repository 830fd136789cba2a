"""What a process looks like from outside, to be compared before and after."""
import hashlib
import os
import pathlib


def maps_of(pid):
    """[(range, permissions, rest)] of all mappings."""
    lines = pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines()
    return [tuple(line.split(None, 2)) for line in lines]


# glibc's free() reads it, once, when an arena shrinks (shrink_heap() in malloc/arena.c).
OF_GLIBC = '/proc/sys/vm/overcommit_memory'


def fds_of(pid):
    folder, found = f'/proc/{pid}/fd', {}
    for fd in os.listdir(folder):
        try:
            found[fd] = os.readlink(f'{folder}/{fd}')
        except FileNotFoundError:  # closed meanwhile
            continue
    return {fd: path for fd, path in found.items() if path != OF_GLIBC}


def threads_of(pid):
    return sorted(os.listdir(f'/proc/{pid}/task'))


def code_of(pid):
    """A digest of each mapping of code, by its range."""
    found = {}
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for where, permissions, rest in maps_of(pid):
            if 'x' not in permissions or rest.endswith('[vsyscall]'):
                continue
            low, high = (int(x, 16) for x in where.split('-'))
            memory.seek(low)
            found[where] = hashlib.sha256(memory.read(high - low)).hexdigest()
    return found


def offsets_of(pid):
    """A digest of each small mapping that relocations write to and then protect (RELRO)."""
    found = {}
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for where, permissions, rest in maps_of(pid):
            low, high = (int(x, 16) for x in where.split('-'))
            if permissions != 'r--p' or high - low > 1 << 16 or '/' not in rest:
                continue
            memory.seek(low)
            found[where] = hashlib.sha256(memory.read(high - low)).hexdigest()
    return found


def of_files(pid):
    """Mappings of files, which do not come and go in a program that loads nothing."""
    return [line for line in maps_of(pid) if '/' in line[2]]


def standing(pid):
    """Everything, of a process that stands still."""
    return {'maps': maps_of(pid), 'fds': fds_of(pid), 'threads': threads_of(pid),
            'code': code_of(pid), 'offsets': offsets_of(pid)}


def running(pid):
    """What stays as it is in a process that goes on."""
    return {'maps': of_files(pid), 'fds': fds_of(pid), 'code': code_of(pid),
            'offsets': offsets_of(pid)}


def differences(before, after):
    """{key: what is not the same}; empty when all is."""
    found = {}
    for key in before:
        if before[key] != after[key]:
            old, new = before[key], after[key]
            if isinstance(old, dict):
                old, new = sorted(old.items()), sorted(new.items())
            found[key] = {'gone': [x for x in old if x not in new][:4],
                          'new': [x for x in new if x not in old][:4]}
    return found
