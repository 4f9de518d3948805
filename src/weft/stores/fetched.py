"""Files of a store that is not on this machine: fetched once, compared, and read from a temporary directory.

So a file is never handed out in part or unchecked, and a deploy to many hosts asks the store once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO, Callable

from weft.errors import Refused
from weft.values import Artifact

_BLOCK = 1 << 20


class Fetched:
    """room: bytes that are kept at the most, beside the file asked for. The directory goes with the process."""

    def __init__(self, room: int = 2 << 30):
        self.room, self._lock = room, threading.Lock()
        self._place: tempfile.TemporaryDirectory[str] | None = None

    def open(self, artifact: Artifact, source: Callable[[], BinaryIO], where: Any) -> BinaryIO:
        """The file's right bytes. Raises Refused when the store has others."""
        with self._lock:
            path = self._path(artifact)
            if not path.is_file():
                fault = self._fetch(artifact, source, where, path)
                if fault:
                    raise Refused(fault, "restore the file, or publish a new version")
                self._tidy(path)
            return path.open("rb")

    def fault(self, artifact: Artifact, source: Callable[[], BinaryIO], where: Any) -> str:
        """What is wrong with the file in the store, asked anew; "" when nothing is."""
        with self._lock:
            path = self._path(artifact)
            found = self._fetch(artifact, source, where, path)
            if found:
                path.unlink(missing_ok=True)
            self._tidy(path)
            return found

    def _path(self, artifact: Artifact) -> Path:
        if self._place is None:
            self._place = tempfile.TemporaryDirectory(prefix="weft-")
        return Path(self._place.name, artifact.sha256)

    def _fetch(self, artifact: Artifact, source: Callable[[], BinaryIO], where: Any, path: Path) -> str:
        part = path.with_suffix(".part")
        try:
            with source() as stream, part.open("wb") as out:
                size, digest = _copy(stream, out, artifact.size)
        except FileNotFoundError:
            return f"{where} is missing"
        if size > artifact.size:
            return f"{where} has more than the {artifact.size} bytes that the manifest says"
        if size < artifact.size:
            return f"{where} has {size} bytes, the manifest says {artifact.size}"
        if digest != artifact.sha256:
            return f"{where} has other bytes than the manifest says"
        os.replace(part, path)
        return ""

    def _tidy(self, keep: Path) -> None:
        """Forget the oldest files until the rest has room."""
        files = sorted((each.stat().st_mtime_ns, each.stat().st_size, each) for each in keep.parent.iterdir())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total > self.room and path != keep:
                path.unlink()
                total -= size


def _copy(stream: BinaryIO, out: BinaryIO, most: int) -> tuple[int, str]:
    """Bytes and digest; stops at the first byte too many."""
    size, digest = 0, hashlib.sha256()
    while size <= most and (block := stream.read(min(_BLOCK, most + 1 - size))):
        size += len(block)
        digest.update(block)
        out.write(block)
    return size, digest.hexdigest()
