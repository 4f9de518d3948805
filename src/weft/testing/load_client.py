"""One client of a load: asks, again and again, and decides of each answer whether a user would have been content.

The only requests that are not failed and yet not answered at once are those that every real client repeats: a kept
connection turned out to be closed, no byte of an answer had come, and asking twice does no harm (RFC 9110, 9.2.2).
"""

import http.client
import json
import select
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from weft.testing.load_report import KEPT, NO_VERSION, Answers, Failure

#: A request without a byte for this long has failed, and a stopped load waits this long for requests in flight.
TIMEOUT_SECONDS = 60.0
#: After a failure a client pauses, so that a server that is down is not counted a thousand times a second.
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Target:
    """Where a load goes. `address` was resolved and checked once, so that nothing later can lead elsewhere."""

    address: str
    port: int
    host_header: str
    version_key: str | None = None
    version_header: str | None = None
    timeout: float = TIMEOUT_SECONDS


@dataclass(frozen=True)
class Request:
    """One thing to ask; `body` makes it a POST. A slow one takes its time by design and is left out of the latencies."""

    path: str
    body: bytes | None = None
    slow: bool = False

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


class _CountingSocket(socket.socket):
    """Knows how many bytes came: http.client cannot tell a connection closed at once from one lost in mid-answer."""

    received = 0

    def recv_into(self, *args):
        count = super().recv_into(*args)
        self.received += count
        return count


class _Connection(http.client.HTTPConnection):
    def connect(self):
        super().connect()
        plain = self.sock
        self.sock = _CountingSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self.sock.settimeout(self.timeout)

    def dropped(self) -> bool:
        """Whether the server has closed this idle connection, or said something unasked."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


class Client:
    """Asks one request at a time, keeps its own counts; read by other threads, written by its own only."""

    def __init__(self, target: Target, keep_alive: bool):
        self.target, self.keep_alive = target, keep_alive
        self.sent = self.ok = self.failed = self.reconnects = self.mixed = 0
        self.versions: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.mixed_answers: list[Failure] = []
        self.answers = Answers()
        self._connection: _Connection | None = None
        self._socket: socket.socket | None = None
        self._given_up = False

    def ask(self, request: Request) -> bool:
        """Send one request and judge the answer; returns whether it was good. Raises nothing."""
        self.sent += 1
        started = time.perf_counter()
        try:
            response, body = self._exchange(request)
        except (OSError, http.client.HTTPException) as error:
            self._fail(request, "unfinished" if self._given_up else _kind(error), detail=f"{type(error).__name__}: {error}")
            return False
        ended = time.perf_counter()
        if not 200 <= response.status <= 299:
            self._fail(request, "status", response.status, body=body)
            return False
        version = self._judge(request, response, body)
        self.answers.add(started, ended, version, request.slow)
        self.versions[version] += 1
        self.ok += 1
        return True

    def give_up(self) -> None:
        """End the request in flight from another thread; it counts as failed."""
        self._given_up = True
        held = self._socket
        if held is not None:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just ended by itself

    def close(self) -> None:
        """Close the kept connection, if there is one."""
        if self._connection:
            self._connection.close()
        self._connection = self._socket = None

    def _exchange(self, request: Request):
        """The answer and its whole body, over a kept or a new connection. Raises OSError, HTTPException."""
        if self._connection and self._connection.dropped():
            self.reconnects += 1
            self.close()
        reused = self._connection is not None
        try:
            return self._exchange_once(request)
        except (OSError, http.client.HTTPException) as error:
            stale = isinstance(error, ConnectionError) and reused and self._socket.received == self._received
            self.close()
            if not stale or request.body is not None or self._given_up:
                raise
        self.reconnects += 1
        try:
            return self._exchange_once(request)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _exchange_once(self, request: Request):
        connection = self._connection
        if connection is None:
            connection = _Connection(self.target.address, self.target.port, timeout=self.target.timeout)
            connection.connect()
            self._connection, self._socket = connection, connection.sock
        self._received = self._socket.received
        headers = {"Host": self.target.host_header, "Connection": "keep-alive" if self.keep_alive else "close"}
        connection.request(request.method, request.path, request.body, headers)
        response = connection.getresponse()
        body = response.read()
        if not self.keep_alive or response.will_close:
            self.close()
        return response, body

    def _judge(self, request: Request, response: http.client.HTTPResponse, body: bytes) -> str:
        """The version an answer names; counts it as mixed when it names two."""
        if self.target.version_header:
            return response.getheader(self.target.version_header) or NO_VERSION
        if not self.target.version_key:
            return NO_VERSION
        answer = _mapping(body)
        version = str(answer.get(self.target.version_key, NO_VERSION))
        lazy = str(answer.get(f"lazy_{self.target.version_key}", version))
        if lazy != version:
            self.mixed += 1
            self._keep(self.mixed_answers, request, "mixed", response.status, f"{version} and {lazy}", body)
        return version

    def _fail(self, request: Request, kind: str, status: int | None = None, detail: str = "", body: bytes = b"") -> None:
        self.failed += 1
        self._keep(self.failures, request, kind, status, detail, body)

    @staticmethod
    def _keep(kept: list[Failure], request: Request, kind: str, status: int | None, detail: str, body: bytes) -> None:
        if len(kept) < KEPT:
            kept.append(Failure(time.time(), kind, request.method, request.path, status, detail, body[:200].decode("utf-8", "replace")))


def _mapping(body: bytes) -> Mapping:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _kind(error: Exception) -> str:
    """One word for why no whole answer came."""
    kinds = ((TimeoutError, "timeout"), (ConnectionRefusedError, "refused"), (http.client.RemoteDisconnected, "closed"), (ConnectionError, "reset"),
             (http.client.IncompleteRead, "incomplete"), (http.client.HTTPException, "protocol"))
    return next((word for kind, word in kinds if isinstance(error, kind)), "network")
