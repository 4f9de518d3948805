"""What a killed engine left running: its children's children may go on writing where the next command works.

Every command that runs as an account (pip, the import check, …) carries a mark in its environment. Under the lock no engine of ours is
alive, so whoever still carries it is an orphan. The server never carries it: it is started without an account."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from weft.host.layout import Layout

MARK = "WEFT_TRANSACTION"
PATIENCE = 5.0
"""Seconds to wait for a killed process to be gone."""


def mark(layout: Layout) -> dict[str, str]:
    return {MARK: str(layout.state)}


def find(layout: Layout) -> list[int]:
    """Pids that carry the mark of this application; those that we may not look into are somebody else's."""
    wanted, found = f"{MARK}={layout.state}".encode(), []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found.append(int(name))
    return [pid for pid in found if pid != os.getpid()]


def end(layout: Layout) -> list[int]:
    """Kill them, and wait until they are gone; again while they have borne children. The pids."""
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while (left := find(layout)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended.update(left)
        time.sleep(0.01)
    return sorted(ended)
