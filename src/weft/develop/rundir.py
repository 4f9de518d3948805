"""The directory of one run: Apache's configuration, logs and sockets, and the rendered settings with their secrets. It ends with the run."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

PREFIX = "weft-develop-"
_LONGEST = 60
"""Characters: the path of a socket below it has 107 at the most."""


@contextmanager
def opened() -> Iterator[Path]:
    """A new one, this user's alone; root's can be passed through by the account that serves. What a killed run has left goes first."""
    above = Path(tempfile.gettempdir())
    above = above if len(str(above)) <= _LONGEST else Path("/tmp")
    sweep(above)
    place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
    lock = os.open(place / ".lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(place / ".lock", place / "lock")  # only now: one that nobody holds yet must not look like a killed run's
        if os.geteuid() == 0:
            place.chmod(0o711)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(lock)


def sweep(above: Path) -> None:
    """Remove the directories of this user's runs that have been killed: nobody holds their lock."""
    for place in above.glob(PREFIX + "*"):
        try:
            seen = place.lstat()
            if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
                continue
            lock = os.open(place / "lock", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
