"""Build a second time, elsewhere and with other file times, and compare: the proof that a build can be repeated."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Callable, Sequence

from weft import durable
from weft.errors import Refused
from weft.release import build

Log = Callable[[str], None]
_ANOTHER_TIME = 1_000_000_000
"""The time that all files of the second build's tree get: September 2001, in seconds since 1970."""


def compare(clone: Path, prefix: Path, place: Path, made: Sequence[Path], epoch: int, log: Log) -> None:
    """Build sdist and wheel of a copy of the clone below `place`, and hold them against those that are `made`.

    prefix: the project's place in the clone.

    Raises Refused naming the first file inside that differs; CommandFailed.
    """
    copy, dist, unpacked = (place / name for name in ("a/longer/path/source", "dist", "unpacked"))
    shutil.copytree(clone, copy, symlinks=True)
    for path in (dist, unpacked):
        path.mkdir()
    _touch(copy)
    archive = build.make_sdist(copy / prefix, dist, epoch, log)
    build.make_wheel(archive, unpacked, dist, epoch, log)
    for first in made:
        second = dist / first.name
        if not second.is_file() or durable.sha256(first) != durable.sha256(second):
            raise Refused(f"a second build of the same commit gave another {first.name}{_where(first, second)}",
                          "make the build repeatable, or set verify_reproducible = false in [tool.weft]")


def _touch(tree: Path) -> None:
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            os.utime(Path(folder, name), (_ANOTHER_TIME, _ANOTHER_TIME), follow_symlinks=False)


def _where(first: Path, second: Path) -> str:
    """": it differs in PATH" for the first member that does; "" where that cannot be told."""
    if not second.is_file():
        return f": it is named {', '.join(path.name for path in second.parent.iterdir())}"
    one, other = _members(first), _members(second)
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    names.sort(key=lambda name: name.endswith(".dist-info/RECORD"))
    return f": it differs in {names[0]}" if names else ""


def _members(path: Path) -> dict[str, bytes]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() if member.isfile() else b"" for member in archive}
