"""The load of switches.py, a process of its own: `python switch_load.py PORT RATE SLOW_SECONDS RESULT`, until its standard input ends.

Raw sockets and threads, so that a request costs a tenth of a millisecond here. RATE is the quick requests a second of all clients together;
beside them are slow requests, uploads and downloads that take their time. A quick request's latency counts from when it was due, so that a
stall is not hidden by clients that wait for it. A line of counts goes to standard output every second, everything to RESULT at the end.
"""

import json
import pickle
import socket
import sys
import threading
import time
from array import array

#: Seconds without a byte after which a request has failed.
TIMEOUT = 75.0
#: A client that is later than this asks from now on: the server or this machine can't keep up with the rate.
BEHIND = 1.0
KEPT_ALIVE, FRESH = 8, 2
POST = b"x" * 4096
PIECE, PIECES = b"y" * 65536, 20
LINES = 30
LINE = 4096
HOST = b"Host: shop.test\r\nUser-Agent: load\r\n"


class Bad(Exception):
    """An answer that no user wants; `kind` is one word."""

    def __init__(self, kind, detail=""):
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class Stale(Exception):
    """A kept connection was closed before any byte of this answer: every client asks once more (RFC 9110, 9.2.2)."""


class Client:
    """Asks one request at a time; written by its own thread only."""

    def __init__(self, port, kind):
        self.port, self.kind, self.sock = port, kind, None
        self.sent = self.ok = self.again = 0
        self.start, self.end = array("d"), array("d")
        self.bad, self.mixed, self.versions = [], [], {}

    def ask(self, request, judge, keep=True, due=None):
        """Send a request, bytes or a list of pieces with a pause after each, and judge the answer."""
        began = time.monotonic()
        self.sent += 1
        try:
            try:
                head, body = self._exchange(request)
            except Stale:
                self.again += 1
                head, body = self._exchange(request)
            version = judged(head, body, judge)
            self.versions[version] = self.versions.get(version, 0) + 1
            self.ok += 1
        except Bad as error:
            (self.mixed if error.kind == "mixed" else self.bad).append((time.monotonic(), self.kind, error.kind, error.detail))
            keep = False
            time.sleep(0.02)
        self.start.append(due or began)
        self.end.append(time.monotonic())
        if not keep or b"\r\nConnection: close" in head:
            self.close()

    def _exchange(self, request):
        kept = self.sock is not None
        got = b""
        try:
            if not kept:
                self.sock = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._send(request)
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionResetError("closed")
            return self._answer(got)
        except OSError as error:
            self.close()
            if kept and not got and isinstance(error, ConnectionError):
                raise Stale from None
            raise Bad("timeout" if isinstance(error, TimeoutError) else "cut" if got else "closed", f"{type(error).__name__}: {error}") from None

    def _send(self, request):
        if isinstance(request, bytes):
            self.sock.sendall(request)
            return
        for piece in request:
            self.sock.sendall(piece)
            time.sleep(0.1)

    def _answer(self, got):
        """(head, body), whole."""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        if head[9:12] != b"200":
            raise Bad("status " + head[9:12].decode("ascii", "replace"))
        length = int(header(head, b"Content-Length") or -1)
        parts, have = [body], len(body)
        while have < length:
            parts.append(self._more())
            have += len(parts[-1])
        if have != length:
            raise Bad("length", f"{have} bytes, not {length}")
        return head, b"".join(parts)

    def _more(self):
        got = self.sock.recv(65536)
        if not got:
            raise ConnectionResetError("the answer is not whole")
        return got

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None


def header(head, name):
    """A header's value, b"" where it is not there."""
    at = head.find(b"\r\n" + name + b": ")
    if at < 0:
        return b""
    at += len(name) + 4
    end = head.find(b"\r\n", at)
    return head[at:] if end < 0 else head[at:end]


def judged(head, body, judge):
    """The one version that an answer names. Raises Bad where it names two, or is not the answer to what was asked."""
    version = header(head, b"X-Version")
    named = judge(body)
    if not version or named != {version}:
        raise Bad("mixed", f"header {version.decode()}, body {sorted(named)}")
    by = header(head, b"X-Weft-Release")
    if by and not by.startswith(version + b"-"):
        raise Bad("mixed", f"{version.decode()} from {by.decode()}")
    return version.decode()


def words(body):
    return set(body.split()[:3])


def whole(length):
    """The judge of an upload's answer: the server must have got all of it."""
    def judge(body):
        said = body.split()
        if len(said) != 4 or int(said[3]) != length:
            raise Bad("upload", body[:80].decode("ascii", "replace"))
        return set(said[:3])
    return judge


def lines(body):
    return {line.rstrip(b".") for line in body.split(b"\n")[:-1]}


def get(path, keep=True):
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + (b"\r\n" if keep else b"Connection: close\r\n\r\n")


def post(length):
    return b"POST / HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % length


def quick(client, over, first, interval, keep):
    """One request after another at its time: most are the same GET, some import late, some POST on a new connection."""
    due, number = first, 0
    while not over.wait(max(0.0, due - time.monotonic())):
        number += 1
        if number % 20 == 7:
            client.ask(get(b"/late", keep), words, keep, due)
        elif number % 20 == 13:
            client.close()
            client.ask(post(len(POST)) + POST, whole(len(POST)), False, due)
        else:
            client.ask(get(b"/", keep), words, keep, due)
        due += interval
        if time.monotonic() - due > BEHIND:
            due = time.monotonic()


def long(client, over, request, judge, keep):
    while not over.is_set():
        client.ask(request, judge, keep)


def threads(port, rate, slow, over):
    """(client, thread) of everything that asks."""
    found, now, count = [], time.monotonic(), KEPT_ALIVE + FRESH

    def add(kind, work, *more):
        client = Client(port, kind)
        found.append((client, threading.Thread(target=work, args=(client, over, *more), daemon=True)))
    for number in range(count):
        add("quick", quick, now + number / rate, count / rate, number < KEPT_ALIVE)
    for number in range(4):
        add("slow", long, get(b"/slow?%g" % slow, number % 2 == 0), words, number % 2 == 0)
    size = len(PIECE) * PIECES
    for _ in range(2):
        add("upload", long, [post(size), *[PIECE] * PIECES], whole(size), False)
    for number in range(2):
        add("download", long, get(b"/download?%d" % LINES, number == 0), lines, number == 0)
    return found


def counts(clients):
    return {"sent": sum(len(c.end) for c in clients), "failed": sum(len(c.bad) for c in clients), "mixed": sum(len(c.mixed) for c in clients)}


def tell(clients, over):
    while not over.wait(1.0):
        print(json.dumps(counts(clients)), flush=True)


def main(port, rate, slow, result):
    over = threading.Event()
    pairs = threads(int(port), float(rate), float(slow), over)
    clients = [client for client, _ in pairs]
    everything = [thread for _, thread in pairs] + [threading.Thread(target=tell, args=(clients, over), daemon=True)]
    for thread in everything:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in everything:
        thread.join(TIMEOUT + 15)
    unfinished = sum(c.sent - len(c.end) for c in clients)
    versions = {}
    for client in clients:
        for version, count in client.versions.items():
            versions[version] = versions.get(version, 0) + count
    with open(result, "wb") as out:
        pickle.dump({**counts(clients), "unfinished": unfinished, "again": sum(c.again for c in clients), "versions": versions,
                     "answers": [(c.kind, c.start, c.end) for c in clients],
                     "bad": [each for c in clients for each in c.bad], "two": [each for c in clients for each in c.mixed],
                     "cpu": time.process_time()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
