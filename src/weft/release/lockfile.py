"""One release of a repository at a time: a flock, which the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator, TextIO

from weft.errors import Refused
from weft.release import run


_PATIENCE = 20.0
"""Seconds for what a killed release had started (its push) to come to an end."""


_OPENED: dict[Path, TextIO] = {}


def opened(data: Path) -> TextIO:
    """The lock's file, not taken yet. What is started from now on inherits it, and with it the lock that is taken later."""
    if data not in _OPENED:
        data.mkdir(parents=True, exist_ok=True)
        _OPENED[data] = open(data / "lock", "a+", encoding="utf-8")
        run.HELD.add(_OPENED[data].fileno())
    return _OPENED[data]


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Raises Refused, naming who holds it and since when."""
    handle = opened(data)
    del _OPENED[data]  # it is this one's now
    try:
        _take(handle)
        handle.truncate(0)
        handle.write(json.dumps({"by": f"{getpass.getuser()}@{socket.gethostname()}", "pid": os.getpid(),
                                 "since": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")}))
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        run.HELD.discard(handle.fileno())
        handle.close()


def _take(handle) -> None:
    """At once, or after what a dead holder had started has ended. One that has not said yet who it is will, or is dead."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(handle)
            if holder and _alive(holder) or time.monotonic() > deadline:
                raise _taken(holder) from None
            time.sleep(0.05)


def _holder(handle) -> dict[str, Any]:
    handle.seek(0)
    try:
        said = json.loads(handle.read())
        return said if {"by", "pid", "since"} <= set(said) else {}
    except (ValueError, TypeError):
        return {}


def _alive(holder: dict[str, Any]) -> bool:
    """Whether the holder runs, as far as this machine can tell."""
    if not str(holder.get("by", "@" + socket.gethostname())).endswith("@" + socket.gethostname()):
        return True
    try:
        os.kill(int(holder.get("pid", os.getpid())), 0)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def _taken(holder: dict[str, Any]) -> Refused:
    who = f"{holder['by']}, process {holder['pid']}, since {holder['since']}" if holder else "it has just begun"
    gone = "" if _alive(holder) else "; it was killed, and what it had started still runs"
    return Refused(f"another release of this repository is running: {who}{gone}", "wait for it, then run the same command again")
