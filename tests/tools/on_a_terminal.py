#!/usr/bin/env python3
"""Ctrl-C, Ctrl-Z and a hang-up; on_a_terminal.py jobs|hangup SEEP SAY_SIGNALS.

jobs: plays the shell: a session leader with a terminal, and seep run as a job in the foreground.
hangup: seep run leads the session itself, and the terminal goes away.

Prints what happened, one fact a line. Every wait is for an event; the caller's time-out ends it all.
"""
import os
import pty
import signal
import sys
import termios


def start_job(command, terminal):
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(terminal, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.dup2(terminal, 0)
        os.dup2(terminal, 1)
        os.dup2(terminal, 2)
        os.execv(command[0], command)
    return pid


class Keyboard:
    """The other end of the terminal."""

    def __init__(self, fd):
        self.fd = fd
        self.seen = b''

    def press(self, key):
        os.write(self.fd, key)

    def expect(self, text):
        """Reads until the program has printed text; what came before it is kept out."""
        while text not in self.seen:
            self.seen += os.read(self.fd, 4096)
        before, self.seen = self.seen.split(text, 1)
        return before


def stopped(pid):
    return os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])


def open_terminal():
    ours, terminal = pty.openpty()
    os.setsid()
    fd = os.open(os.ttyname(terminal), os.O_RDWR)     # becomes the controlling terminal
    attributes = termios.tcgetattr(fd)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    return ours, fd


def jobs(seep, program):
    ours, terminal = open_terminal()
    keyboard = Keyboard(ours)
    job = start_job([seep, 'run', '--quiet', '--', program], terminal)
    keyboard.expect(b'ready ')

    keyboard.press(b'\x03')
    keyboard.expect(b'got INT')
    keyboard.press(b'\x1a')
    print('after Ctrl-C:', keyboard.expect(b'got TSTP').split())
    print('launcher stopped' if stopped(job) else 'launcher ended')
    os.killpg(job, signal.SIGCONT)
    print('while stopped:', keyboard.expect(b'got CONT').split())
    os.kill(job, signal.SIGUSR1)
    keyboard.expect(b'got USR1')
    print('program goes on')

    # Only the launcher is told to go on: it must take the program with it.
    keyboard.press(b'\x1a')
    keyboard.expect(b'got TSTP')
    print('launcher stopped' if stopped(job) else 'launcher ended')
    os.kill(job, signal.SIGCONT)
    keyboard.expect(b'got CONT')
    print('program goes on')

    keyboard.press(b'\x1c')
    keyboard.expect(b'got QUIT')
    os.kill(job, signal.SIGTERM)
    print('after Ctrl-\\:', keyboard.expect(b'got TERM').split())
    print('status', os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))


def hangup(seep, program):
    output, program_output = os.pipe()
    job, terminal = pty.fork()
    if job == 0:
        os.dup2(program_output, 1)
        os.execv(seep, [seep, 'run', '--quiet', '--', program])
    os.close(program_output)
    said = Keyboard(output)
    said.expect(b'ready ')
    os.close(terminal)
    said.expect(b'got HUP')
    print('program was told of the hang-up')
    os.kill(job, signal.SIGTERM)
    said.expect(b'got TERM')
    print('status', os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))


{'jobs': jobs, 'hangup': hangup}[sys.argv[1]](*sys.argv[2:])
