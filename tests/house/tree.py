"""The source tree as the checks see it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]).resolve()
BUILD_FOLDER = re.compile(r'^build')


def sources(*patterns, under='.'):
    """Files below ROOT/under matching any of the patterns, build folders left out; sorted."""
    found = set()
    for pattern in patterns:
        for path in (ROOT / under).rglob(pattern):
            parts = path.relative_to(ROOT).parts
            if not BUILD_FOLDER.match(parts[0]) and not parts[0].startswith('.git'):
                found.add(path)
    return sorted(found)


def name(path):
    return str(path.relative_to(ROOT))


COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                               re.DOTALL)


def without_comments(text):
    """C text with comments blanked and line numbers kept; strings stay."""
    def blank(match):
        token = match.group(0)
        return token if token[0] in '"\'' else re.sub(r'[^\n]', ' ', token)
    return COMMENT_OR_STRING.sub(blank, text)
