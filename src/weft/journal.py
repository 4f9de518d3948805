"""A write-ahead journal: one durable line a transition. It is a hint for people and for recovery, never the truth:
what a host serves is decided by what is on disk, so a torn or lost journal costs nothing but its history."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

from weft.durable import fsync_dir
from weft.plan import canonical
from weft.typing import Any, Callable


class Journal:
    """Append-only JSON lines at `path`. clock gives seconds since the epoch."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        self.path = path
        self.clock = clock

    def append(self, event: str, **fields: Any) -> None:
        """Durable before it returns; the line of a crash in the middle is ignored by `read`."""
        line = canonical({"at": round(self.clock(), 3), "event": event, **fields}) + "\n"
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size and os.pread(fd, 1, size - 1) != b"\n"
            payload = (("\n" if torn else "") + line).encode()
            if os.write(fd, payload) != len(payload):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(fd)
        except OSError as error:
            error.filename = error.filename or str(self.path)
            raise
        finally:
            os.close(fd)
        if not size:  # its name must survive too
            fsync_dir(self.path.parent)

    def read(self, most: int = 500) -> list[dict[str, Any]]:
        """The last `most` whole lines, oldest first; torn lines are passed over."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        out = []
        for line in lines[-most:]:
            try:
                out.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
        return [each for each in out if isinstance(each, dict)]
