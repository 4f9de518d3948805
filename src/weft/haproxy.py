"""Drain a server of HAProxy and bring it back, over the runtime socket: for a deploy's hooks, and by hand.

    python -m weft.haproxy drain shop/web1 --socket /run/haproxy/admin.sock
    python -m weft.haproxy ready shop/web1 --socket /run/haproxy/admin.sock

Standard library only. `drain` lets no new session come to the server and returns when its sessions have ended; `ready` returns when it
is up again, `show` only looks. The socket must have `level admin`; it is a path, or HOST:PORT. With several sockets all load balancers do it.
Exit codes: 0 done, 2 your words, 3 refused and nothing changed, 4 undone: the server is ready again, 6 not known.
"""

from __future__ import annotations

import argparse
import csv
import re
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, NoReturn, Sequence

from weft.errors import FailedUndone, OutcomeUnknown, Refused, UsageError, WeftError

PAUSE, MOST, PATIENCE = 0.1, 8 << 20, 5.0
"""Seconds between two looks; bytes of an answer at the most; seconds for one answer."""
_NAME = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)


@dataclass(frozen=True)
class Server:
    """One line of `show stat`. sessions: now, with those that wait in its own queue."""

    name: str
    status: str
    sessions: int

    @property
    def up(self) -> bool:
        """Whether new sessions come to it."""
        return self.status.startswith(("UP", "no check"))


class Proxy:
    """One HAProxy. address: the path of its socket, or HOST:PORT."""

    def __init__(self, address: str):
        self.address = address

    def ask(self, command: str) -> str:
        """The answer to one command. Raises Refused where it is not to be had."""
        try:
            with self._connected() as link:
                link.sendall(command.encode("ascii") + b"\n")
                end, parts, size = time.monotonic() + PATIENCE, [], 0
                while block := link.recv(1 << 16):
                    parts.append(block)
                    size += len(block)
                    if size > MOST or time.monotonic() > end:
                        raise OSError("its answer does not end")
        except OSError as error:
            raise Refused(f"HAProxy does not answer at {self.address}: {error.strerror or error}",
                          "look whether it runs, and whether its configuration has: stats socket PATH level admin") from None
        return b"".join(parts).decode("utf-8", "replace").strip()

    def _connected(self) -> socket.socket:
        host, _, port = self.address.rpartition(":")
        if port.isdecimal() and host and "/" not in self.address:
            return socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(PATIENCE)
        try:
            link.connect(self.address)
        except OSError:
            link.close()
            raise
        return link

    def servers(self, backend: str) -> list[Server]:
        """The servers of a backend. Raises Refused where there is no such backend."""
        answer = self.ask("show stat")
        if not answer.startswith("# pxname,"):
            raise Refused(f"HAProxy at {self.address} does not show its servers: {answer[:200] or 'an empty answer'}", "the socket must have: level admin")
        rows = csv.DictReader(answer[2:].splitlines())
        found = [Server(row["svname"], row["status"], int(row["scur"] or 0) + int(row["qcur"] or 0)) for row in rows
                 if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")]
        if not found:
            raise Refused(f"HAProxy at {self.address} has no backend {backend!r} with servers", "give BACKEND/SERVER as they stand in haproxy.cfg")
        return found

    def server(self, backend: str, name: str) -> Server:
        """Raises Refused, with the names that there are."""
        known = {each.name: each for each in self.servers(backend)}
        if name not in known:
            raise Refused(f"HAProxy at {self.address} has no server {name!r} in {backend}", f"known: {', '.join(known)}")
        return known[name]

    def set(self, backend: str, name: str, state: str) -> None:
        """Raises Refused with HAProxy's own words: it is silent where it has done it."""
        answer = self.ask(f"set server {backend}/{name} state {state}")
        if answer:
            raise Refused(f"HAProxy at {self.address} does not set {backend}/{name} to {state}: {answer[:200]}", "the socket must have: level admin")


def drain(proxies: Sequence[Proxy], backend: str, name: str, seconds: float, last: bool = False) -> None:
    """No new sessions, then none at all. last: also where no other server is up.

    Raises Refused with nothing changed; FailedUndone where sessions did not end in time or nobody else serves: it is ready again."""
    for proxy in proxies:
        proxy.server(backend, name)
        _others(proxy, backend, name, last)
    end, drained = time.monotonic() + seconds, []
    try:
        for proxy in proxies:
            drained.append(proxy)
            proxy.set(backend, name, "drain")
            _others(proxy, backend, name, last)  # once more: another one may have been drained meanwhile
        for proxy in proxies:
            while count := proxy.server(backend, name).sessions:
                if time.monotonic() > end:
                    raise Refused(f"{backend}/{name} has {count} session{'s' if count > 1 else ''} after {seconds:g} s", "give it longer: --timeout SECONDS")
                time.sleep(PAUSE)
    except BaseException as error:
        _back(drained, backend, name, error)


def _back(proxies: Sequence[Proxy], backend: str, name: str, error: BaseException) -> NoReturn:
    """Undo a drain. Raises what it then comes to."""
    left = []
    for proxy in proxies:
        try:
            proxy.set(backend, name, "ready")
        except WeftError:
            left.append(proxy.address)
    if left:
        raise OutcomeUnknown(str(error), f"python -m weft.haproxy ready {backend}/{name}" + "".join(f" --socket {each}" for each in left),
                             f"{backend}/{name} may be drained in HAProxy at {', '.join(left)}") from error
    if not isinstance(error, WeftError):
        raise error
    raise FailedUndone(error.message, error.hint, f"{backend}/{name} is ready again") from error


def _others(proxy: Proxy, backend: str, name: str, last: bool) -> None:
    if not last and not any(each.up for each in proxy.servers(backend) if each.name != name):
        raise Refused(f"no other server of {backend} is up: users would be answered 503 (HAProxy at {proxy.address})",
                      "bring another one up first, or drain it all the same: --last")


def ready(proxies: Sequence[Proxy], backend: str, name: str, seconds: float) -> None:
    """New sessions come to it again. Raises OutcomeUnknown where it is not up in time; all load balancers are told before any is waited for."""
    failed: list[WeftError] = []
    for proxy in proxies:
        try:
            proxy.server(backend, name)
            proxy.set(backend, name, "ready")
        except Refused as error:
            failed.append(error)
    if failed:
        raise OutcomeUnknown("\n".join(each.message for each in failed), failed[0].hint, f"{backend}/{name} may still be drained there")
    end = time.monotonic() + seconds
    for proxy in proxies:
        while not (said := proxy.server(backend, name)).up:
            if time.monotonic() > end:
                raise OutcomeUnknown(f"{backend}/{name} is {said.status} after {seconds:g} s", f"look at its health check in HAProxy at {proxy.address}",
                                     f"{backend}/{name} is not drained any more, but HAProxy does not find it well")
            time.sleep(PAUSE)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", f"{self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m weft.haproxy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("what", choices=("drain", "ready", "show"))
    parser.add_argument("server", metavar="BACKEND/SERVER", help="as they stand in haproxy.cfg")
    parser.add_argument("--socket", action="append", metavar="PATH", help="the runtime socket, or HOST:PORT; repeatable (/run/haproxy/admin.sock)")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="N", help="seconds for sessions to end, and for the server to be up (30)")
    parser.add_argument("--last", action="store_true", help="drain it also where no other server is up")
    return parser


def _run(words: Sequence[str] | None) -> None:
    said = _parser().parse_args(words)
    backend, _, name = said.server.partition("/")
    if not _NAME.fullmatch(backend) or not _NAME.fullmatch(name):
        raise UsageError(f"{said.server!r} is not BACKEND/SERVER", "python -m weft.haproxy --help")
    if not 0 < said.timeout <= 86400:
        raise UsageError("--timeout is a number of seconds above 0", "python -m weft.haproxy --help")
    proxies = [Proxy(each) for each in said.socket or ["/run/haproxy/admin.sock"]]
    if said.what == "drain":
        drain(proxies, backend, name, said.timeout, said.last)
    elif said.what == "ready":
        ready(proxies, backend, name, said.timeout)
    for proxy in proxies:
        one = proxy.server(backend, name)
        print(f"{backend}/{name} at {proxy.address}: {one.status}, {one.sessions} session{'' if one.sessions == 1 else 's'}", flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """The exit code."""
    try:
        _run(words)
    except WeftError as error:
        print("\n".join(error.lines()), file=sys.stderr, flush=True)
        return error.code
    return 0


def _stopped(number: int, _frame: Any) -> NoReturn:
    sys.exit(128 + number)  # on the way out a drain is undone


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stopped)
    sys.exit(main())
