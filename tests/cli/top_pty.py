#!/usr/bin/env python3
"""Drives `seep top` on a terminal of its own: top_pty.py STEPS -- COMMAND…

STEPS is a list of what to do each time the whole table has been drawn: "q", "s" and "c" are keys (c is
Ctrl-C), "resize" gives the terminal another size, "term" sends SIGTERM, "sh:COMMAND" runs a command, "wait"
only waits for the next table. Prints, each on a line:
    screens N      how many tables were drawn
    status N       exit status, negative when a signal ended it
    restored yes   whether the terminal's settings are as before
    cursor shown   the last thing said about the cursor
    widest N       the widest line, without escape sequences
and then, after "screen", the last screen and what was said after it.
"""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

DRAWN = b'\x1b[J'  # every table ends with clearing what is below it


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))


def act(step, pid, fd):
    if step in ('q', 's'):
        os.write(fd, step.encode())
    elif step == 'c':
        os.write(fd, b'\x03')
    elif step == 'term':
        os.kill(pid, signal.SIGTERM)
    elif step == 'resize':
        resize(fd, 30, 60)
    elif step.startswith('sh:'):
        subprocess.run(['sh', '-c', step[3:]], check=True)
    elif step != 'wait':
        sys.exit(f'unknown step {step}')


def login(slave):
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)


def drive(pid, master, slave, steps):
    """We hold the slave too, so that its settings can be read afterwards: no end of file comes."""
    output, seen, deadline = b'', 0, time.monotonic() + 60
    while True:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            sys.exit('not at its end after a minute')
        ready = select.select([master], [], [], 0.05)[0]
        if ready:
            output += os.read(master, 65536)
        while output.count(DRAWN) > seen:
            seen += 1
            if steps:
                act(steps.pop(0), pid, master)
        if not ready and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return output


def main():
    split = sys.argv.index('--')
    master, slave = os.openpty()
    resize(slave, 40, 120)
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.close(master)
        login(slave)
        os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
    output = drive(pid, master, slave, sys.argv[1:split])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    screens = output.split(DRAWN)
    text = [re.sub(r'\x1b\[[0-9?]*[a-zA-Z]', '', screen.decode('utf-8', 'replace')).replace('\r', '')
            for screen in screens]
    print('screens', len(screens) - 1)
    print('status', status)
    print('restored', 'yes' if termios.tcgetattr(slave) == before else 'no')
    shown, hidden = output.rfind(b'\x1b[?25h'), output.rfind(b'\x1b[?25l')
    print('cursor', 'shown' if shown > hidden else 'hidden')
    print('widest', max(len(line) for line in '\n'.join(text).split('\n')))
    print('screen')
    print('\n'.join(text[-2:]))


main()
