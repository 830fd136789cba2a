#!/usr/bin/env python3
"""The layers of doc/tour.md hold in the #include graph; layering.py SOURCE-ROOT.

The table is read from the page itself, so page and check cannot disagree.
"""
import re

from tap import Tap
from tree import ROOT, name, sources, without_comments

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
ROW = re.compile(r'^\|([^|]+)\|([^|]+)\|([^|]+)\|\s*$', re.MULTILINE)

# What is no third party: the C library, the kernel, the compiler.
SYSTEM = re.compile(r'''^(
    (sys|linux|asm|asm-generic|net|netinet|arpa|bits|gnu)/.*
  | (aio|alloca|argp|argz|assert|byteswap|complex|cpuid|ctype|dirent|dlfcn|elf|endian|envz|err|errno
    |error|execinfo|fcntl|features|fenv|float|fnmatch|ftw|getopt|glob|gnu-versions|grp|iconv|ifaddrs
    |inttypes|langinfo|libgen|libintl|limits|link|locale|malloc|math|mntent|netdb|nl_types|paths|poll
    |pthread|pty|pwd|regex|resolv|sched|search|semaphore|setjmp|sgtty|signal|spawn|stdalign|stdarg
    |stdatomic|stdbool|stddef|stdint|stdio|stdio_ext|stdlib|stdnoreturn|string|strings|syscall|syslog
    |tar|termio|termios|tgmath|threads|time|uchar|ucontext|ulimit|unistd|unwind|utime|utmp|utmpx
    |values|wait|wchar|wctype|wordexp|immintrin|x86intrin|xmmintrin|emmintrin)\.h
)$''', re.VERBOSE)

# Only src/target opens /proc or looks into other processes. Exceptions, each with its reason.
PROCESS = re.compile(r'"/proc/|\bptrace\s*\(|\bprocess_vm_readv\s*\(|\bprocess_vm_writev\s*\(')
MAY_TOUCH_PROCESSES = {
}


def read_table():
    """{folder: folders it may use} from the table under "Who may use whom"."""
    page = (ROOT / 'doc/tour.md').read_text(encoding='utf-8')
    section = page.split('Who may use whom', 1)[1].split('\n## ', 1)[0]
    table = {}
    for folders, may_use, _ in ROW.findall(section):
        if 'may use' in may_use or set(folders.strip()) <= set('-: '):
            continue
        uses = {word.strip(' `') for word in may_use.split(',')}
        for folder in folders.split(','):
            table[folder.strip(' `')] = uses
    return table


def layer_of(path):
    parts = path.relative_to(ROOT).parts
    if parts[0] == 'rec':
        return 'rec'
    return parts[1] if len(parts) > 2 else 'main'


def includes(path):
    return INCLUDE.findall(without_comments(path.read_text(encoding='utf-8')))


def check_layers(tap, files, table):
    for layer in sorted({layer_of(path) for path in files}):
        problems = []
        if layer not in table:
            problems.append(f'{layer} is not in the table of doc/tour.md')
        allowed = table.get(layer, set()) | {layer}
        for path in files:
            if layer_of(path) != layer:
                continue
            for kind, header in includes(path):
                other = header.split('/')[0]
                if kind == '<' or '/' not in header or 'all of src' in allowed:
                    continue
                if other not in allowed:
                    problems.append(f'{name(path)} includes {header}: {layer} may use '
                                    f"{', '.join(sorted(allowed - {layer})) or 'nothing'}")
        tap.case(f'{layer} uses only what it may', problems)


def check_third_parties(tap, files):
    users = {}
    for path in files:
        for kind, header in includes(path):
            if kind == '<' and not SYSTEM.match(header):
                users.setdefault(header, set()).add(name(path))
    tap.case('each third-party header is included in one file',
             [f"<{header}> is included in {', '.join(sorted(paths))}"
              for header, paths in sorted(users.items()) if len(paths) > 1])
    tap.case('the recorder includes no third-party header',
             [f'<{header}> is included in {path}' for header, paths in sorted(users.items())
              for path in sorted(paths) if path.startswith('rec/')])


def check_processes(tap, files):
    problems = []
    used = set()
    for path in files:
        if layer_of(path) in ('target', 'rec'):
            continue
        for nr, line in enumerate(without_comments(path.read_text(encoding='utf-8')).split('\n'), 1):
            if not PROCESS.search(line):
                continue
            used.add(name(path))
            if name(path) not in MAY_TOUCH_PROCESSES:
                problems.append(f'{name(path)}:{nr}: {line.strip()}')
    tap.case('only src/target opens /proc or calls ptrace', problems)
    tap.case('every exception to that is used',
             [path for path in MAY_TOUCH_PROCESSES if path not in used])


def cycle_from(header, graph, state, trail):
    state[header] = 'open'
    for other in graph.get(header, ()):
        if state.get(other) == 'open':
            return trail + [header, other]
        if other not in state:
            cycle = cycle_from(other, graph, state, trail + [header])
            if cycle:
                return cycle
    state[header] = 'done'
    return None


def check_cycles(tap, files):
    graph = {}
    for path in files:
        if path.suffix == '.h' and layer_of(path) != 'rec':
            graph[str(path.relative_to(ROOT / 'src'))] = [h for k, h in includes(path) if k == '"']
    state = {}
    cycles = [cycle_from(header, graph, state, []) for header in graph if header not in state]
    tap.case('headers have no cycles', [' -> '.join(cycle) for cycle in cycles if cycle])


# A function that a header declares; its name is the group.
DECLARED = re.compile(r'^(?!static|typedef|#)[a-z_][\w \*]*?[ \*](\w+)\((?:[^;{}]|\n)*?\)'
                      r'(?:\s*__attribute__\s*\(\([^;]*\)\))?;', re.MULTILINE)
WORD = re.compile(r'\w+')


def check_declared(tap, files):
    """By the file that has the function and one more; or by what stands in the header itself."""
    texts = {path: without_comments(path.read_text(encoding='utf-8'))
             for path in files + sources('*.c', '*.h', under='tests')}
    words = {path: set(WORD.findall(text)) for path, text in texts.items()}
    problems = []
    for path in files:
        # The recorder's are named by assembly, piece by piece.
        if path.suffix != '.h' or layer_of(path) == 'rec':
            continue
        for function in DECLARED.findall(texts[path]):
            users = sum(function in found for other, found in words.items() if other != path)
            if users < 2 and len(re.findall(rf'\b{function}\b', texts[path])) < 2:
                problems.append(f'{name(path)}: {function}()')
    tap.case('what a header declares is used by others', problems)


def main():
    tap = Tap()
    files = sources('*.c', '*.h', under='src') + sources('*.c', '*.h', under='rec')
    check_layers(tap, files, read_table())
    check_third_parties(tap, files)
    check_processes(tap, files)
    check_cycles(tap, files)
    check_declared(tap, files)
    tap.done()


main()
