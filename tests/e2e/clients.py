"""Servers for the tests, and clients that keep them busy and remember what went wrong."""
import grp
import http.client
import json
import os
import pathlib
import shutil
import socket
import threading

from lab import Skip, free_port, holds, need, same
from others import as_other, ordinary_user

PAGE = b'a line of text\n' * 200


class Load:
    """Clients in threads; whatever goes wrong in one is remembered."""

    def __init__(self, clients, work):
        self.errors, self.done = [], 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(work, i))
                        for i in range(clients)]

    def client(self, work, number):
        try:
            for answer in work(number):
                self.done += 1
                if self.stop.is_set():
                    return
                if answer is not None:
                    raise ValueError(answer)
        except Exception as e:  # pylint: disable=broad-except
            self.errors.append(f'client {number}: {e!r}')

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def child_of(pid):
    children = pathlib.Path(f'/proc/{pid}/task/{pid}/children')
    return lambda: (children.read_text().split() or [None])[0]


def listening(port):
    def test():
        try:
            socket.create_connection(('127.0.0.1', port), timeout=1).close()
            return True
        except OSError:
            return False
    return test


def redis_client(port):
    def work(number):
        with socket.create_connection(('127.0.0.1', port), timeout=30) as s:
            f = s.makefile('rwb')
            for i in range(1000000):
                value = b'x' * (i * 37 % 900)
                f.write(b'SET k%d:%d %s\r\nGET k%d:%d\r\nINCR n\r\n' % (
                    number, i % 500, value or b'-', number, i % 500))
                f.flush()
                ok, length = f.readline(), f.readline()
                got, count = f.readline().rstrip(), f.readline()
                good = ok == b'+OK\r\n' and length[:1] == b'$' and got == (value or b'-') \
                    and count[:1] == b':'
                yield None if good else (ok, length, count)
    return work


def check_heaps(lab, target):
    """Its heaps: they hold something, and every figure fits the allocator's books."""
    totals = json.loads(lab.seep('heaps', '--format', 'json', target).must().out)['totals']
    same('failed checks', totals['failed_checks'], 0)
    holds('blocks are in use', totals['busy_blocks'] > 0, totals)


def http_client(port):
    """Reads PAGE again and again."""
    def work(_):
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        for _ in range(1000000):
            connection.request('GET', '/page.txt', headers={'Accept-Encoding': 'identity'})
            answer = connection.getresponse()
            body = answer.read()
            good = answer.status == 200 and body == PAGE
            yield None if good else (answer.status, body[:50])
    return work


NGINX = '''
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; root {folder}/www; gzip on; gzip_types *; gzip_min_length 1; }}
}}
'''


def nginx_command(lab, port):
    """What starts it with PAGE, its worker as somebody else when we are root."""
    server, user = need('nginx'), ordinary_user()
    os.chmod(lab.folder, 0o755)
    (lab.folder / 'www').mkdir()
    (lab.folder / 'www' / 'page.txt').write_bytes(PAGE)
    name = f'user {user.pw_name} {grp.getgrgid(user.pw_gid).gr_name};' if user else ''
    (lab.folder / 'nginx.conf').write_text(NGINX.format(folder=lab.folder, port=port, user=name))
    return [server, '-p', lab.folder, '-c', lab.folder / 'nginx.conf', '-e',
            lab.folder / 'error.log']


def postgres_tool(name):
    found = shutil.which(name)
    if found:
        return found
    for folder in sorted(pathlib.Path('/usr/lib/postgresql').glob('*/bin'), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    raise Skip(f'{name} is not installed')


class Database:
    """A new one of PostgreSQL, owned by somebody else when we are root (as_other())."""

    def __init__(self, lab):
        server, initdb, pgbench = (postgres_tool(n) for n in ('postgres', 'initdb', 'pgbench'))
        user, data, port = ordinary_user(), lab.folder / 'data', free_port()
        data.mkdir()
        if user:
            os.chown(data, user.pw_uid, user.pw_gid)
            os.chown(lab.folder, user.pw_uid, user.pw_gid)
        lab.run(*as_other(), initdb, '-D', data / 'db', '-U', 'lab', '-A', 'trust', '--no-sync',
                '--no-locale', '-E', 'UTF8').must()
        self.lab = lab
        self.command = [server, '-D', data / 'db', '-p', port, '-h', '127.0.0.1', '-k', data, '-F']
        self.access = ['-h', '127.0.0.1', '-p', str(port), '-U', 'lab', 'postgres']
        self.bench = [pgbench]

    def fill(self, running):
        """With what pgbench works on, as soon as it answers."""
        psql = postgres_tool('psql')
        running.until('postgres answers',
                      lambda: self.lab.run(psql, '-c', 'select 1', *self.access).status == 0)
        self.lab.run(*self.bench, '-i', '-q', *self.access).must()


def backends_of(pid):
    """Those that serve a client now, the youngest last."""
    found = []
    for child in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split():
        try:
            if b'127.0.0.1' in pathlib.Path(f'/proc/{child}/cmdline').read_bytes():
                found.append(child)
        except OSError:
            continue
    return found
