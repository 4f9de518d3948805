"""The host's one lock an application: a flock, which cannot stick, with a note of who holds it."""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path
from typing import Any

from weft.errors import Refused


def idle(lock: Path) -> bool:
    """Whether nobody holds the lock now."""
    try:
        with lock.open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def take(handle: Any, deadline: float) -> None:
    """Wait for it until `deadline` on the monotonic clock. Raises Refused naming who holds it, doing what, since when."""
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                said = _read_lock(handle)
                raise Refused(f"locked by {said.get('by', 'somebody')} ({said.get('verb', '?')}) since {said.get('since', '?')}",
                              "wait until it is done, then run the command again") from None
            time.sleep(0.05)


def _read_lock(handle: Any) -> dict[str, Any]:
    try:
        handle.seek(0)
        said = json.loads(handle.read())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
