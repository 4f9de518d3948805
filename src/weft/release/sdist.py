"""A source distribution with the same bytes wherever it is made: order, times, owners and modes are fixed."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path, PurePosixPath

from weft.errors import Refused
from weft.release.names import normal as normal


def repack(path: Path, epoch: int) -> None:
    """Rewrite a .tar.gz in place; epoch: the time of every member, seconds since 1970."""
    with tarfile.open(path) as source:
        members = [(member, source.extractfile(member).read() if member.isfile() else b"") for member in source]
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=epoch) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target:
        for member, content in sorted(members, key=lambda each: each[0].name):
            target.addfile(_plain(member, epoch), io.BytesIO(content))


def _plain(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.linkname, plain.mtime = member.type, member.linkname, epoch
    plain.size = member.size if member.isfile() else 0
    plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return plain


def unpack(path: Path, into: Path) -> Path:
    """The one directory that a source distribution holds. Raises Refused for a member that leads out of it.

    Checked here, since tarfile's own filters came only with Python 3.11.4."""
    with tarfile.open(path) as source:
        astray = [member.name for member in source if not _inside(member)]
        if astray:
            raise Refused(f"{path.name} holds {astray[0]!r}, which leads out of it", "mend what the build backend packs")
        source.extractall(into, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return next(each for each in into.iterdir() if each.is_dir())


def _inside(member: tarfile.TarInfo) -> bool:
    """A file, directory or link whose name and target stay below the archive's own directory."""
    named = PurePosixPath(member.name)
    if named.is_absolute() or ".." in named.parts or not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        return False
    depth = len(named.parts) - 1 if member.issym() else 0
    for part in PurePosixPath(member.linkname).parts if member.issym() or member.islnk() else ():
        depth += -1 if part == ".." else 1
        if depth < 1 or part == "/":
            return False
    return True
