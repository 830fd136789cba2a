"""Servers under load, for the check run: several processes, threads, signals, modules."""
import dataclasses
import os
import shutil
from typing import Callable

from runner import Command, Load
from workloads import find, free_port

DATABASE_USER = 'postgres'


@dataclasses.dataclass
class Server:
    name: str
    needs: str
    command: Callable


NGINX = '''daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_types *;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/root;
        ssi on;
        location /again/ {{ proxy_pass http://127.0.0.1:{port}/; }}
    }}
}}
'''


def nginx(place):
    folder = place.output / 'nginx'
    port = free_port()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / 'root').mkdir(parents=True)
    (folder / 'root' / 'page.html').write_text('some text of a page, again and again\n' * 500)
    user = 'user root;' if os.getuid() == 0 else ''
    (folder / 'nginx.conf').write_text(NGINX.format(folder=folder, port=port, user=user))
    argv = [find('nginx'), '-c', folder / 'nginx.conf', '-e', folder / 'error.log']
    client = [find('ab'), '-q', '-k', '-c', '16', '-n', place.pick('20000', '200000'),
              '-H', 'Accept-Encoding: gzip']
    url = f'http://127.0.0.1:{port}'
    return Command(argv, load=Load(
        ready=[find('ab'), '-q', '-n', '1', f'{url}/page.html'],
        commands=[client + [f'{url}/page.html'], client + [f'{url}/again/page.html']],
        stop=argv + ['-s', 'quit']))


def postgres(place):
    """A new database on a socket of its own; as its own user when we are root."""
    folder = place.output / 'postgres'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    as_user = []
    if os.getuid() == 0:
        shutil.chown(folder, DATABASE_USER, DATABASE_USER)
        as_user = ['setpriv', f'--reuid={DATABASE_USER}', f'--regid={DATABASE_USER}',
                   '--init-groups']
    data = folder / 'data'
    access = ['-h', folder, '-U', 'bench']
    bench = [*as_user, find('pgbench'), *access]
    prepare = [find('initdb'), '-D', data, '-U', 'bench', '-A', 'trust', '--no-sync']
    start = f'{shell(prepare)} >/dev/null && exec {shell([find("postgres")])} "$@"'
    return Command(
        ['sh', '-c', start, 'sh', '-D', data, '-c', 'listen_addresses=', '-k', folder, '-F'],
        cwd=folder,
        user=DATABASE_USER,
        load=Load(
            ready=[*as_user, find('psql'), *access, '-d', 'postgres', '-c', 'select 1'],
            commands=[bench + ['-i', '-q', '-s', '1', 'postgres'],
                      bench + ['-n', '-c', '4', '-t', place.pick('500', '5000'), 'postgres']],
            stop=[*as_user, find('pg_ctl'), 'stop', '-D', data, '-m', 'fast']))


def shell(words):
    return ' '.join(f"'{word}'" for word in words)


SERVERS = [Server('nginx', 'nginx', nginx), Server('postgres', 'postgres', postgres)]
