"""What wheels take of the disk once they are unpacked, from their own lists: before anything is begun with them."""

from __future__ import annotations

import os
from pathlib import Path

from weft.typing import Iterable

_BLOCK = 4096
_BESIDE = 100
"""Files of a virtualenv, a generation and the journals."""


def unpacked(wheels: Iterable[Path]) -> tuple[int, int]:
    """(bytes, files) of them with their byte code. What is no wheel takes nothing: pip says what is wrong with it."""
    size, files = 0, _BESIDE
    for path in wheels:
        for name, length in _listed(path):
            copies = 2 if name.endswith(".py") else 1
            size += copies * -(-length // _BLOCK) * _BLOCK
            files += copies
    return size, files


def _listed(path: Path) -> list[tuple[str, int]]:
    """Name and size of each file, and of the directories that they make."""
    import struct
    import zipfile
    try:
        with zipfile.ZipFile(path) as wheel:
            found = [(each.filename, each.file_size) for each in wheel.infolist()]
    except (OSError, ValueError, EOFError, NotImplementedError, struct.error, zipfile.BadZipFile):
        return []
    folders = {os.path.dirname(name) for name, _length in found}
    return found + [(folder + each, 0) for folder in folders for each in ("/", "/__pycache__/")]


def bytes_free(place: Path) -> int:
    """Of the disk there, for who is not root."""
    said = os.statvfs(place)
    return said.f_bavail * said.f_frsize


def files_free(place: Path) -> int:
    """Inodes that are free there; -1 where the file system makes them as it needs them."""
    said = os.statvfs(place)
    return said.f_favail if said.f_files else -1
