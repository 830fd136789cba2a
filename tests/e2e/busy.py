"""Real servers with clients at work, for tests that do something to them meanwhile.

Each is a context manager: redis(lab) gives (pid, load). load.done grows while the clients work, and
load.errors is what they saw that should not have been, complete at the end.
"""
import contextlib
import os
import pathlib
import signal
import socket
import struct

from clients import (Database, Load, backends_of, child_of, http_client, listening, nginx_command,
                     redis_client)
from lab import free_port, need, same
from others import as_other

CLIENTS = 4


def listens(running, port):
    running.until('it listens', listening(port))
    return running.process.pid


@contextlib.contextmanager
def redis(lab):
    port = free_port()
    running = lab.background(need('redis-server'), '--port', port, '--bind', '127.0.0.1', '--save',
                             '', '--dir', lab.folder, '--daemonize', 'no')
    pid = listens(running, port)
    with Load(CLIENTS, redis_client(port)) as load:
        yield pid, load


@contextlib.contextmanager
def nginx(lab):
    """Its worker."""
    port = free_port()
    running = lab.background(*nginx_command(lab, port))
    listens(running, port)
    worker = running.until('its worker', child_of(running.process.pid))
    with Load(CLIENTS, http_client(port)) as load:
        yield worker, load


PYTHON = '''
import http.server, json, sys
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        rows = json.dumps([{"number": i, "line": "a line of text"} for i in range(200)])
        body = "".join(row["line"] + "\\n" for row in json.loads(rows)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
'''


@contextlib.contextmanager
def python(lab):
    """A thread a client."""
    port = free_port()
    pid = listens(lab.background(need('python3'), '-c', PYTHON, port), port)
    with Load(CLIENTS, http_client(port)) as load:
        yield pid, load


NODE = '''
require("http").createServer((question, answer) => {
    const rows = JSON.stringify(Array.from({length: 200}, (_, i) => ({i, line: "a line of text"})));
    answer.end(Buffer.from(JSON.parse(rows).map(row => row.line + "\\n").join("")));
}).listen(Number(process.argv[1]), "127.0.0.1");
'''


@contextlib.contextmanager
def node(lab):
    port = free_port()
    pid = listens(lab.background(need('node'), '-e', NODE, port), port)
    with Load(CLIENTS, http_client(port)) as load:
        yield pid, load


JAVA = '''
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import java.util.zip.*;
public class Pages {
    public static void main(String[] arguments) throws Exception {
        HttpServer s = HttpServer.create(
            new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        s.setExecutor(Executors.newFixedThreadPool(4));
        s.createContext("/", exchange -> {
            byte[] body = "a line of text\\n".repeat(200).getBytes();
            Deflater d = new Deflater(); /* libzip: malloc and free */
            d.setInput(body); d.finish();
            byte[] small = new byte[8192];
            int n = d.deflate(small);
            d.end();
            Inflater i = new Inflater();
            i.setInput(small, 0, n);
            try { i.inflate(body); } catch (DataFormatException e) { body[0] = 0; }
            i.end();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        s.start();
    }
}
'''


@contextlib.contextmanager
def java(lab):
    compiler, machine = need('javac', 'java')
    (lab.folder / 'Pages.java').write_text(JAVA)
    lab.run(compiler, '-d', lab.folder, lab.folder / 'Pages.java').must()
    port = free_port()
    pid = listens(lab.background(machine, '-cp', lab.folder, 'Pages', port), port)
    with Load(CLIENTS, http_client(port)) as load:
        yield pid, load


def memcached_client(port):
    def work(number):
        with socket.create_connection(('127.0.0.1', port), timeout=30) as s:
            f = s.makefile('rwb')
            for i in range(1000000):
                key, value = b'k%d-%d' % (number, i % 500), b'x' * (i * 37 % 900)
                f.write(b'set %s 0 0 %d\r\n%s\r\nget %s\r\n' % (key, len(value), value, key))
                f.flush()
                stored, head = f.readline(), f.readline()
                got, last = f.read(len(value) + 2), f.readline()
                good = stored == b'STORED\r\n' and head.startswith(b'VALUE') and \
                    got == value + b'\r\n' and last == b'END\r\n'
                yield None if good else (stored, head, got[:50], last)
    return work


@contextlib.contextmanager
def memcached(lab):
    port = free_port()
    running = lab.background(*as_other(), need('memcached'), '-l', '127.0.0.1', '-p', port, '-U',
                             '0', '-m', '64')
    pid = listens(running, port)
    with Load(CLIENTS, memcached_client(port)) as load:
        yield pid, load


NAMED = '''
options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; pid-file none; session-keyfile none; dnssec-validation no; }};
controls {{ }};
zone "lab" {{ type primary; file "{folder}/lab.zone"; }};
'''
ZONE = '''$TTL 60
@ SOA ns.lab. root.lab. 1 60 60 60 60
@ NS ns.lab.
ns A 127.0.0.1
* TXT "a line of text"
'''


def name_client(port):
    """Asks for the text of ever other names."""
    def work(number):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(30)
            s.connect(('127.0.0.1', port))
            for i in range(1000000):
                name = b'n%d-%d' % (number, i)
                head = struct.pack('>6H', i & 0xffff, 0, 1, 0, 0, 0)
                s.send(head + bytes([len(name)]) + name + b'\x03lab\x00' + struct.pack('>2H', 16, 1))
                answer = s.recv(2048)
                good = answer[:2] == head[:2] and answer[3] & 15 == 0 and \
                    b'a line of text' in answer
                yield None if good else answer
    return work


@contextlib.contextmanager
def named(lab):
    """bind9; its allocator is jemalloc, by jemalloc's own functions."""
    port = free_port()
    os.chmod(lab.folder, 0o755)
    (lab.folder / 'lab.zone').write_text(ZONE)
    (lab.folder / 'named.conf').write_text(NAMED.format(folder=lab.folder, port=port))
    running = lab.background(need('named'), '-g', '-c', lab.folder / 'named.conf')
    pid = listens(running, port)
    running.until('its zone is loaded', lambda: next(name_client(port)(9)) is None)
    with Load(CLIENTS, name_client(port)) as load:
        yield pid, load


class Bench:
    """What pgbench does, and what went wrong, which it tells at its end only."""

    def __init__(self, database, backend):
        self.database, self.backend, self.errors = database, backend, []

    @property
    def done(self):
        """Processor time of the backend: grows while it works."""
        fields = pathlib.Path(f'/proc/{self.backend}/stat').read_text().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])


@contextlib.contextmanager
def postgres(lab):
    """A backend."""
    database = Database(lab)
    running = lab.background(*as_other(), *database.command)
    database.fill(running)
    bench = lab.background(*database.bench, '-c', '4', '-T', '3600', '-n', *database.access)
    # Four of these clients; one of what filled it may be about to end.
    running.until('backends', lambda: len(backends_of(running.process.pid)) >= 4)
    load = Bench(database, backends_of(running.process.pid)[-1])
    yield load.backend, load
    # Its own clock's signal: it finishes what it does, and tells.
    bench.process.send_signal(signal.SIGALRM)
    said = bench.wait()
    load.errors += [line for line in said.err.splitlines() if 'rror' in line]
    load.errors += [] if 'failed transactions: 0 ' in said.out and said.status == 0 else [said]
    os.kill(running.process.pid, signal.SIGINT)
    running.wait().must()


class Churn:
    """A victim that allocates and frees in threads, and counts."""

    def __init__(self, process, pid):
        self.process, self.pid, self.errors = process, pid, []

    def fence(self):
        """All its threads stand still, and it tells what it did; say('') lets it go on."""
        self.process.say('fence')
        truth = self.process.truth()
        same('failures inside the victim', truth['failures'], 0)
        return truth

    @property
    def done(self):
        truth = self.fence()
        self.process.say('')
        return sum(site['allocated_blocks'] for site in truth['sites'])


@contextlib.contextmanager
def churning(lab, program):
    """tests/victims/attached.c, however built."""
    process = lab.background(program, '4', 'churn')
    load = Churn(process, process.truth()['pid'])
    yield load.pid, load
    process.say('end')
    same('moment', process.truth()['at'], 'end')
    process.wait().must()
