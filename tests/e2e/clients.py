"""Servers for the tests, and clients that keep them busy and remember what went wrong."""
import json
import pathlib
import socket
import threading

from lab import holds, same


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
