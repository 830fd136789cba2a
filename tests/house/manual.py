#!/usr/bin/env python3
"""Commands, their --help and their manual pages agree; manual.py SOURCE-ROOT SEEP."""
import os
import re
import subprocess
import sys

from tap import Tap
from tree import ROOT

SEEP = sys.argv[2]
PAGES = ROOT / 'doc/man'
HELP_OPTION = re.compile(r'^  (?:-\w, )?(--[a-z][a-z0-9-]*)', re.MULTILINE)
PAGE_OPTION = re.compile(r'^\*-.*$', re.MULTILINE)
LONG = re.compile(r'--[a-z][a-z0-9-]*')
HELP_PARTS = ('Usage: seep ', '\nGeneral\n', '\nExamples\n', '\nExit status\n', '\nSee \'man seep-')
PAGE_PARTS = ('# NAME', '# SYNOPSIS', '# DESCRIPTION', '# OPTIONS', '# EXAMPLES', '# EXIT STATUS',
              '# SEE ALSO')
STATUSES = ('0', '2', '3', '4', '70')


def seep(*args):
    env = dict(os.environ, NO_COLOR='1', COLUMNS='80')
    return subprocess.run([SEEP, *args], text=True, capture_output=True, env=env, check=False)


def page_of(command):
    path = PAGES / f'seep-{command}.1.scd'
    return path.read_text(encoding='utf-8') if path.exists() else None


def page_options(page):
    """The options a page explains: lines that begin with one in bold."""
    return {option for line in PAGE_OPTION.findall(page)
            for option in LONG.findall(line.replace('\\', ''))}


def compare(command, help_text, page):
    in_help = set(HELP_OPTION.findall(help_text))
    in_page = page_options(page)
    for option in sorted(in_help - in_page):
        yield f'{option} is in --help and not in seep-{command}.1.scd'
    for option in sorted(in_page - in_help):
        yield f'{option} is in seep-{command}.1.scd and not in --help'


def check_command(tap, command, overview):
    run = seep(command, '--help')
    page = page_of(command)
    problems = [f'exit status {run.returncode}'] if run.returncode else []
    problems += [f'no {part.strip()!r}' for part in HELP_PARTS if part not in run.stdout]
    problems += [f'wider than 80 columns: {line}' for line in run.stdout.splitlines()
                 if len(line) > 80]
    if run.stderr:
        problems.append(f'talks on stderr: {run.stderr.strip()}')
    tap.case(f'seep {command} --help is complete', problems)
    if page is None:
        tap.case(f'seep {command} has a manual page', [f'doc/man/seep-{command}.1.scd is missing'])
        return
    problems = [f'no section {part[2:]}' for part in PAGE_PARTS if part not in page]
    statuses = page.split('# EXIT STATUS')[-1].split('\n# ')[0]
    problems += [f'exit status {s} is not explained' for s in STATUSES
                 if not re.search(rf'^\*?{s}\b', statuses, re.MULTILINE)]
    tap.case(f'the page of seep {command} is complete', problems)
    tap.case(f'the page and the help of seep {command} have the same options',
             compare(command, run.stdout, page))
    tap.case(f'seep(1) names seep-{command}',
             [] if f'seep-{command}*(1)' in overview else ['it does not'])


def main():
    tap = Tap()
    listing = seep('help').stdout
    commands = re.findall(r'^  ([a-z]+)  +[a-z]', listing, re.MULTILINE)
    overview = (PAGES / 'seep.1.scd').read_text(encoding='utf-8')
    tap.case('seep help lists commands', [] if 'help' in commands else [listing])
    for command in commands:
        check_command(tap, command, overview)
    build = (PAGES / 'meson.build').read_text(encoding='utf-8')
    tap.case('every page is built and installed',
             [path.name for path in sorted(PAGES.glob('*.scd')) if f"'{path.stem}'" not in build])
    pages = {path.name for path in PAGES.glob('seep-*.1.scd')}
    tap.case('every page belongs to a command',
             sorted(pages - {f'seep-{command}.1.scd' for command in commands}))
    tap.done()


main()
