"""One release of a repository at a time: a flock, which the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator

from weft.errors import Refused


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Raises Refused, naming who holds it and since when."""
    data.mkdir(parents=True, exist_ok=True)
    with open(data / "lock", "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(handle) from None
        handle.truncate(0)
        handle.write(json.dumps({"by": f"{getpass.getuser()}@{socket.gethostname()}", "pid": os.getpid(),
                                 "since": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")}))
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def _taken(handle) -> Refused:
    handle.seek(0)
    try:
        said = json.loads(handle.read())
        who = f"{said['by']}, process {said['pid']}, since {said['since']}"
    except (ValueError, KeyError):
        who = "it has just begun"
    return Refused(f"another release of this repository is running: {who}", "wait for it, then run the same command again")
