"""The application's processes, from /proc and from the markers that the entry leaves. Only children of the server's
parent, or of its children, that run as the application's account are ever signalled: never by a name, for names are cut short."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from weft.host.layout import Layout
from weft.record import record
from weft.typing import Iterable


_DEPTH = 3
"""Generations: Debian's Emperor has a master of its own, and each of its vassals has one too."""


@record(frozen=True)
class Mark:
    """What one process said of itself: state starting, ready or failed (with the traceback in text)."""

    pid: int
    state: str
    generation: int
    text: str = ""


@record(frozen=True)
class Known:
    """A process by its number and when it was started, in the kernel's ticks: no later one is both."""

    pid: int
    tick: int

    def runs(self) -> bool:
        return _tick(self.pid) == self.tick

    def kill(self) -> None:
        if self.runs():
            os.kill(self.pid, signal.SIGKILL)


def known(pids: Iterable[int]) -> set[Known]:
    """Those of them that run."""
    return {Known(pid, tick) for pid, tick in ((pid, _tick(pid)) for pid in pids) if tick}


def orphans(served: Iterable[Known], pidfile: str) -> list[Known]:
    """Those that still run, but not below the server's parent process any more."""
    parent = parent_pid(pidfile)
    return [each for each in served if each.runs() and not _below(each.pid, parent)]


def _tick(pid: int) -> int:
    """0 for one that has gone."""
    try:
        fields = _stat(pid)
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return 0


def parent_pid(pidfile: str) -> int:
    """The server's parent process; 0 if it does not run."""
    try:
        pid = int(Path(pidfile).read_text())
    except (OSError, ValueError):
        return 0
    return pid if os.path.isdir(f"/proc/{pid}") else 0


def children(parent: int, uid: int) -> set[int]:
    """Pids of the living processes below `parent` that run as `uid`: its children, and those that its children keep for it."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit() and parent and _is_child(int(name), parent, uid):
            found.add(int(name))
    return found


def _is_child(pid: int, parent: int, uid: int) -> bool:
    try:
        if os.stat(f"/proc/{pid}").st_uid != uid or _stat(pid)[0] in (b"Z", b"X"):
            return False
    except (OSError, IndexError):
        return False
    return _below(pid, parent)


def _below(pid: int, parent: int) -> bool:
    try:
        for _ in range(_DEPTH):
            pid = int(_stat(pid)[1])
            if pid in (parent, 0, 1):
                return pid == parent
    except (OSError, IndexError, ValueError):
        pass
    return False


def _stat(pid: int) -> list[bytes]:
    """State, parent and the rest of what the kernel says of a process."""
    return Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()


def marks(layout: Layout, slot: str, parent: int, uid: int) -> list[Mark]:
    """The marks of living processes of a slot; what else lies there is removed. The files are the application's:
    they are read as claims, without following links, and bounded."""
    try:
        names = os.listdir(layout.run(slot))
    except FileNotFoundError:
        return []
    # Only now: a process that comes up in between must not lose the mark that it has just left.
    alive, found = children(parent, uid), []
    for name in names:
        path = layout.run(slot) / name
        if name.isdigit() and int(name) in alive:
            mark = read(path, int(name))
            if mark:
                found.append(mark)
        elif not name.endswith(".tmp"):
            path.unlink(missing_ok=True)
    return sorted(found, key=lambda m: m.pid)


def read(path: Path, pid: int) -> Mark | None:
    """The mark in a file that the application's account has written; None for what is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            said = json.loads(os.read(fd, 1 << 16))
        finally:
            os.close(fd)
        return Mark(pid, str(said["state"]), int(said["generation"]), str(said.get("text", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def terminate(pids: set[int], parent: int, uid: int, seconds: float, by: int = signal.SIGTERM) -> set[int]:
    """A signal, once each, and wait until they have ended their requests and gone; those still there after `seconds`.

    The pids are checked again right before, so that a number used anew is never signalled."""
    for pid in pids & children(parent, uid):
        try:
            os.kill(pid, by)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + seconds
    left = pids & children(parent, uid)
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = pids & children(parent, uid)
    return left
