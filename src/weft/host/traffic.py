"""What users really got: requests by status from the log that the server writes for weft, and deaths from the process table.

The health path proves little: an application that dies every 200 requests answers it well. So the traffic after a switch is
compared with the traffic before it.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Iterable, NamedTuple, Sequence

from weft.host import processes
from weft.host.layout import Layout
from weft.record import record

BEFORE = 600.0
"""Seconds before the switch that count as "before"."""
_TAIL = 1 << 20
_LEAST = 3
"""Fewer errors than this blame nobody."""
_SURE = 1.645
"""How sure: 95 in 100, one-sided."""
_SETTLES = 5.0
"""Seconds after a reload in which processes come and go."""
_APART = 500
"""Ticks of a hundredth of a second between processes that were not started together."""


@record(frozen=True)
class Seen:
    """Requests that were answered, and those of them with a 5xx."""

    requests: int = 0
    errors: int = 0

    def __str__(self) -> str:
        return f"{self.errors} of {self.requests} requests" + (f" ({100 * self.errors / self.requests:.1f} %)" if self.requests else "")


def fault(before: Seen, after: Seen, max_errors: float) -> str:
    """Why the release is to blame, "" if it is not. max_errors: percent; twice what it was before is borne as well.

    Blamed is a rate that is above what is borne even at the lower end of its confidence interval (Wilson, 95 %)."""
    borne = max(max_errors / 100, 2 * before.errors / before.requests if before.requests else 0.0)
    if after.errors < _LEAST or at_least(after) <= borne:
        return ""
    return f"{after} failed after the switch; before it: {before}" if before.requests else f"{after} failed after the switch"


def at_least(seen: Seen) -> float:
    """The lower end of the rate's confidence interval."""
    n, rate = seen.requests, seen.errors / seen.requests
    spread = _SURE * math.sqrt(rate * (1 - rate) / n + _SURE ** 2 / (4 * n * n))
    return (rate + _SURE ** 2 / (2 * n) - spread) / (1 + _SURE ** 2 / n)


class Logged(NamedTuple):
    """One request. at: seconds since 1970.  group: the processes that answered it.  took: microseconds, None where the site was set up
    before they were logged."""

    at: float
    status: str
    group: str
    took: int | None

    @property
    def failed(self) -> bool:
        return self.status.startswith("5")


def logged(line: bytes) -> Logged | None:
    """A line of the traffic log, as servers/apache.py has it written; None for what is none."""
    words = line.split()
    if len(words) not in (3, 4) or not (words[0].isdigit() and words[1].isdigit()):
        return None
    took = int(words[3][:15]) if len(words) == 4 and words[3].isdigit() else None
    return Logged(int(words[0][:15]) / 1000, words[1].decode(), words[2].decode("utf-8", "replace"), took)


def answered(lines: Iterable[bytes], group: str, since: float) -> list[Logged]:
    """The requests that a slot's group of processes answered since then."""
    return [each for each in map(logged, lines) if each and each.group == group and each.at >= since]


def count(lines: Iterable[bytes], group: str, since: float) -> Seen:
    """How many of them there were, and how many failed."""
    found = answered(lines, group, since)
    return Seen(len(found), sum(each.failed for each in found))


def tails(layout: Layout) -> list[bytes]:
    """The last lines of the traffic log, at most 1 MiB of each of its files; [] without one."""
    out: list[bytes] = []
    for path in (each for log in layout.traffics for each in sorted(log.parent.glob(log.name + "*"))):
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
                size = handle.seek(0, os.SEEK_END)
                handle.seek(max(0, size - _TAIL))
                out += handle.read(_TAIL).split(b"\n")[1 if size > _TAIL else 0:]
        except OSError:
            continue
    return out


class Watcher:
    """Compares what the new slot gives with what the old one gave. Made right after the flip, asked again and again."""

    def __init__(self, layout: Layout, slots: Sequence[str], pidfile: str, uid: int, flipped: float):
        self.layout, self.pidfile, self.uid, self.flipped = layout, pidfile, uid, flipped
        self.new, self.old = slots
        self.quiet = 0.0
        self._begin()
        self.borne = replaced(self.running[self.old])

    def _begin(self) -> None:
        self.parent = processes.parent_pid(self.pidfile)
        self.running = {self.new: self._marked(self.new, "ready"), self.old: self._marked(self.old)}

    def _marked(self, slot: str, *states: str) -> set[int]:
        return {m.pid for m in processes.marks(self.layout, slot, self.parent, self.uid) if not states or m.state in states}

    def requests(self) -> tuple[Seen, Seen]:
        """(before, after)."""
        lines = tails(self.layout)
        return (count(lines, f"{self.layout.app}-{self.old}", self.flipped - BEFORE),
                count(lines, f"{self.layout.app}-{self.new}", self.flipped))

    def deaths(self) -> int:
        """Processes of the new slot that are gone; 0 while, and a little after, somebody reloads the server."""
        if self._reloaded():
            self.quiet = time.monotonic() + _SETTLES
        if time.monotonic() < self.quiet:
            self._begin()
            return 0
        return len(self.running[self.new] - processes.children(self.parent, self.uid))

    def _reloaded(self) -> bool:
        """A reload replaces the processes of both slots; nothing else touches those of the old one during a trial."""
        return processes.parent_pid(self.pidfile) != self.parent or self._marked(self.old) != self.running[self.old]

    def fault(self, max_errors: float) -> str:
        """Why the new release is to blame by now; "" if it is not."""
        died = self.deaths()
        if died > self.borne:
            time.sleep(1)  # a reload may have ended these first
            died = self.deaths()
        if died > self.borne:
            return f"{died} of {len(self.running[self.new])} processes died after the switch" + (
                f"; {self.borne} of the release before had" if self.borne else "")
        return fault(*self.requests(), max_errors)


def replaced(pids: Iterable[int]) -> int:
    """How many of a slot's processes were started later than the others: one before each has died."""
    starts = [tick for tick in map(started, pids) if tick]
    return sum(tick > min(starts) + _APART for tick in starts)


def started(pid: int) -> int:
    """When a process was started, in hundredths of a second since the boot; 0 for one that has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()
        return int(fields[19]) * 100 // os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0
