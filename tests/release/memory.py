"""A place in memory for tests that make and remove many small files."""

import contextlib
import os
import tempfile
from pathlib import Path

MOUNT, _ROOM = "/dev/shm", 4 << 30


@contextlib.contextmanager
def or_else(usual):
    """A directory on a disk in memory, where what a release syncs and removes costs nothing; `usual` where there is none with room, as bytes.

    A killed process leaves the same there: what it wrote is the kernel's. Only a machine that dies would lose more."""
    try:
        disk = os.statvfs(MOUNT)
        fits = disk.f_bavail * disk.f_frsize >= _ROOM and not disk.f_flag & os.ST_NOEXEC and os.access(MOUNT, os.W_OK)
    except OSError:
        fits = False
    if not fits:
        yield usual
        return
    with tempfile.TemporaryDirectory(prefix="weft-kills-", dir=MOUNT, ignore_cleanup_errors=True) as place:
        yield Path(place)
