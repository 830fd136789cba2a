"""The workloads' inputs: made once, the same bytes each time, kept in BUILD/bench-data."""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent / 'data'
ROWS = {'small': 60_000, 'big': 600_000}
HISTORY = {'small': (60, 150), 'big': (600, 1500)}  # files, commits
FUNCTIONS = {'small': 200, 'big': 450}


def say(text):
    print(f'bench: {text}', file=sys.stderr, flush=True)


def make_documents(folder):
    subprocess.run([HERE / 'make_documents.py', folder], check=True)


def make_sql(folder, size):
    template = (HERE / 'bulk.sql.in').read_text()
    (folder / f'bulk-{size}.sql').write_text(template.replace('@ROWS@', str(ROWS[size])))


def make_history(folder, size):
    repository = folder / f'git-{size}'
    env = {**os.environ, 'GIT_CONFIG_GLOBAL': '/dev/null', 'GIT_CONFIG_NOSYSTEM': '1'}
    unfinished = folder / f'git-{size}.unfinished'
    shutil.rmtree(unfinished, ignore_errors=True)
    subprocess.run(['git', 'init', '--bare', '--quiet', '--initial-branch=main', unfinished],
                   check=True, env=env)
    with subprocess.Popen([HERE / 'make_history.py', *map(str, HISTORY[size])],
                          stdout=subprocess.PIPE) as source:
        subprocess.run(['git', 'fast-import', '--quiet'], cwd=unfinished, stdin=source.stdout,
                       check=True, env=env)
    if source.returncode:
        raise RuntimeError('make_history.py failed')
    unfinished.rename(repository)


def make_generated_c(folder, size):
    source = folder / f'{size}.c'
    with open(source, 'w') as out:
        subprocess.run([HERE / 'make_c.py', str(FUNCTIONS[size])], stdout=out, check=True)
    subprocess.run(['gcc', '-E', source, '-o', folder / f'{size}.i.new'], check=True)
    (folder / f'{size}.i.new').rename(folder / f'{size}.i')


def make_preprocessed(folder, size):
    """Says in SIZE.i.origin what SIZE.i is."""
    origin = f'{FUNCTIONS[size]} generated functions'
    log = folder / f'{size}.i.log'
    if size == 'big':
        with open(log, 'w') as out:
            done = subprocess.run([HERE / 'make_sqlite.sh', folder / 'big.i'], stdout=out,
                                  stderr=out)
        if done.returncode == 0:
            origin = "the SQLite amalgamation of Debian's source package"
        else:
            say(f'no Debian source of sqlite3 (see {log}): a generated program instead')
            make_generated_c(folder, size)
    else:
        make_generated_c(folder, size)
    (folder / f'{size}.i.origin').write_text(origin + '\n')


def copy_scripts(folder):
    for name in 'groups.jq', 'work.py', 'work.pl':
        shutil.copyfile(HERE / name, folder / name)


def make_inputs(folder, sizes):
    """Makes what is missing; folder is made too."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_scripts(folder)
    steps = [('documents', folder / 'documents.made', lambda: make_documents(folder))]
    for size in sizes:
        make_sql(folder, size)
        steps += [
            (f'git history, {size}', folder / f'git-{size}',
             lambda size=size: make_history(folder, size)),
            (f'preprocessed C, {size}', folder / f'{size}.i.origin',
             lambda size=size: make_preprocessed(folder, size)),
        ]
    for what, proof, make in steps:
        if not proof.exists():
            say(f'making input: {what}')
            make()
            if not proof.exists():
                proof.touch()


def origins(folder, sizes):
    """What was used where there is a choice, for the report."""
    return {f'{size}.i': (folder / f'{size}.i.origin').read_text().strip() for size in sizes}
