"""What the application and its users have said lately: weft's own log of requests, and of the server's error log, where all sites share it, the lines
of this application's processes and no other's. Read as root, for the deploying account may read neither; no other file is told, and no secret that is known here."""

from __future__ import annotations

import os
import re
import select
import stat
import time
from pathlib import Path

from weft.errors import Refused
from weft.host import processes, secrets, traffic
from weft.host.commands import ids
from weft.host.layout import Layout
from weft.host.observe import account_exists, names
from weft.record import field, record
from weft.servers import SLOTS, Site, find
from weft.typing import Any

TAIL = 1 << 20
"""Bytes of the end of each file that are looked at."""
MOST = 10_000
LONGEST = 4_000
_PAUSE, _SIGN = 0.2, 1.0
_HEAD = re.compile(r"\[\w{3} (\w{3} +\d+ \d\d:\d\d:\d\d)(?:\.(\d{1,6}))? (\d{4})\] \[(\w*):\w+\] \[pid (\d+)")
_PASSENGER = re.compile(r"\[ [A-Z] (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d+) \d+/")
_APP = re.compile(r"App (\d+) output: ?(.*)")
_PIECE = re.compile(r"\[(\d{10})\] ?")


@record(frozen=True)
class Line:
    """at: seconds since 1970.  log: "error" or "access"."""

    at: float
    log: str
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"event": "line", "at": round(self.at, 3), "log": self.log, "text": self.text}


def answer(machine: Any) -> dict[str, Any]:
    """Each line is told as an event; with `follow` until nobody listens any more, with a sign of life each second."""
    most, follow, errors = words(machine.request.words)
    logs = Logs(machine.layout, machine.site, errors)
    lines = sorted(logs.new(), key=lambda line: line.at)
    for line in lines[-most:] if most else []:
        machine.tell(line.to_json())
    told, sign = min(most, len(lines)), time.monotonic()
    while follow and not gone():
        time.sleep(_PAUSE)
        for line in logs.new():
            machine.tell(line.to_json())
            told += 1
        if time.monotonic() - sign > _SIGN:
            machine.tell({"event": "alive"})
            sign = time.monotonic()
    return {"lines": told}


def words(said: dict[str, Any]) -> tuple[int, bool, bool]:
    """lines, follow, errors. Raises Refused."""
    lines, follow, errors = said.get("lines", 50), said.get("follow", False), said.get("errors", False)
    if type(lines) is not int or not 0 <= lines <= MOST:
        raise Refused(f"lines is not a number from 0 to {MOST}")
    if not isinstance(follow, bool) or not isinstance(errors, bool):
        raise Refused("follow and errors are true or false")
    return lines, follow, errors


def gone(fd: int = 1) -> bool:
    """Whether nobody reads any more what we write: of a pipe or a socket the kernel says so."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


class Tail:
    """The end of a file that grows, is emptied or gets another in its place. A path that is no plain file has no lines."""

    def __init__(self, path: Path):
        self.path, self.at, self.file, self.rest = path, -1, (0, 0), b""

    def read(self) -> list[str]:
        """Its new whole lines; the first time those of the last MiB."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            self.at = max(self.at, 0)
            return []  # should it come, all of it is new
        try:
            return self._new(fd)
        finally:
            os.close(fd)

    def _new(self, fd: int) -> list[str]:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode):
            return []
        first, other = self.at < 0, (seen.st_dev, seen.st_ino) != self.file or seen.st_size < self.at
        if first or other:
            self.at, self.rest, self.file = 0, b"", (seen.st_dev, seen.st_ino)
        if seen.st_size - self.at > TAIL:
            self.at, first = seen.st_size - TAIL, True
        block = os.pread(fd, seen.st_size - self.at, self.at) if seen.st_size > self.at else b""
        if first and self.at and block:
            block = block.partition(b"\n")[2]  # it begins in the middle of a line
        self.at = seen.st_size
        *lines, self.rest = (self.rest + block).split(b"\n")
        self.rest = self.rest[-LONGEST:]
        return [line.decode("utf-8", "replace") for line in lines]


@record
class Mine:
    """Tells the lines of one application in an error log that all sites share, by the pids of its slots' processes: those that run, and
    those that the server itself names together with the application's entry or its groups."""

    layout: Layout
    pids: set[int] = field(default_factory=set)
    last: tuple[float, bool] = (0.0, False)
    said: float = 0.0

    def learn(self, line: str) -> None:
        app, head = _APP.match(line), _HEAD.match(line)
        if app and str(self.layout.entry) in line:
            self.pids.add(int(app[1]))
        if head and head[4] == "wsgi" and f"mod_wsgi (pid={head[5]}" in line and (str(self.layout.entry) in line or self._group(line)):
            self.pids.add(int(head[5]))

    def _group(self, line: str) -> bool:
        return any(f"process='{self.layout.app}-{slot}'" in line or f"daemon process '{self.layout.app}-{slot}'" in line for slot in SLOTS)

    def take(self, line: str) -> Line | None:
        """A line without a head belongs to the one before it, but for what Passenger says a process has written."""
        app, passenger, head = _APP.match(line), _PASSENGER.match(line), _HEAD.match(line)
        if app:
            return self._written(int(app[1]), app[2])
        if passenger:
            self.last = (_passengers(passenger), f"{self.layout.root}/" in line)
        elif head:
            about = self._group(line) or head[4] != "wsgi" and f"{self.layout.root}/" in line
            self.last = (_when(head), int(head[5]) in self.pids or about)
        return Line(self.last[0], "error", line) if self.last[1] and line else None

    def _written(self, pid: int, text: str) -> Line | None:
        """Each line begins with its time where weft's own start of it has seen it."""
        piece = _PIECE.match(text)
        self.said = float(piece[1]) if piece else max(self.said, self.last[0])
        text = _PIECE.sub("", text, count=1)
        return Line(self.said, "error", text) if pid in self.pids and text else None


@record
class Own:
    """All of an error log that only this application's processes write. Each piece that they write begins with its time, also within a line."""

    last: float = 0.0

    def learn(self, line: str) -> None:
        """Nothing has to be known before."""

    def take(self, line: str) -> Line | None:
        """A line without a time belongs to the one before it; what the looked at end of the file begins with belongs to nothing."""
        head = _PIECE.match(line)
        self.last = float(head[1]) if head else self.last
        text = _PIECE.sub("", line)
        return Line(self.last, "error", text) if self.last and text else None


def _when(head: re.Match[str]) -> float:
    """The server writes its own local time."""
    try:
        whole = time.mktime(time.strptime(f"{head[1]} {head[3]}", "%b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return 0.0
    return whole + float(f"0.{head[2] or 0}")


def _passengers(head: re.Match[str]) -> float:
    """Its own local time, too."""
    try:
        return time.mktime(time.strptime(head[1], "%Y-%m-%d %H:%M:%S")) + float(f"0.{head[2]}")
    except (ValueError, OverflowError):
        return 0.0


class Logs:
    """Both logs of one application. errors: only what went wrong, which are the error log and requests with a 5xx."""

    def __init__(self, layout: Layout, site: Site, errors: bool):
        self.layout, self.site, self.errors = layout, site, errors
        self.mine, self.hidden = Mine(layout), secrets.hidden(layout, site, {})
        paths = dict.fromkeys(Path(find(site.server).error_log(site, slot)) for slot in SLOTS)
        self.error = [(Tail(path), Own() if layout.root in path.parents else self.mine) for path in paths]
        self.access = [Tail(log.with_name(log.name + end)) for log in layout.traffics for end in ("", ".1", ".2")]

    def new(self) -> list[Line]:
        found: list[Line | None] = []
        for tail, reader in self.error:
            lines = tail.read()
            if lines and reader is self.mine:
                self.mine.pids |= slot_pids(self.layout, self.site)
            for line in lines:
                reader.learn(line)
            found += [reader.take(line) for line in lines]
        found += [request(line, self.errors) for tail in self.access for line in tail.read()]
        return [Line(line.at, line.log, visible(self.hidden.text(line.text))) for line in found if line]


def request(line: str, errors: bool) -> Line | None:
    """A line of the log of requests; errors: only those that failed."""
    found = traffic.logged(line.encode())
    return Line(found.at, "access", f"{found.status} slot {found.group.rpartition('-')[2]}") if found and (found.failed or not errors) else None


def slot_pids(layout: Layout, site: Site) -> set[int]:
    """The slots' processes that run. What an application's account has written there names only processes of its own."""
    if layout.privileged and not account_exists(site.account):
        return set()
    alive = processes.children(processes.parent_pid(find(site.server).pidfile(site)), ids(layout, site.account)[0])
    return {int(name) for slot in SLOTS for name in names(layout.run(slot)) if name.isdigit()} & alive


def visible(text: str) -> str:
    """Without what a terminal would obey: control characters as they are written in Python, and not longer than it is of use."""
    cut = text[:LONGEST] + ("…" if len(text) > LONGEST else "")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)
