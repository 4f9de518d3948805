"""The one directory a release works in, inside the repository's own data, and the note in it that a rerun goes by.

A note is a hint: whether a release really went past its point of no return is asked of the tag (see observe).
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Collection, Sequence

from weft import durable

_NOTE = "note.json"

FORWARDING = "forwarding"
"""What git was bringing the user's branch from and to, while it did: of a killed run, whose git may have ended its work alone."""


@dataclass(frozen=True)
class Note:
    """What was about to be sent: `commit` as `tag` (its own id: tag_id) on `branch`, which was at `base`; staged where.

    vendor: the words of --vendor, () where it was not given.  tag: "" until there is one.
    """

    version: str
    commit: str
    tag: str
    tag_id: str
    branch: str
    base: str
    staged: str = ""
    vendor: Sequence[str] = ()


def create(data: Path) -> Path:
    """A new, empty scratch directory."""
    path = data / f"scratch-{os.urandom(6).hex()}"
    path.mkdir(parents=True)
    return path


def save(path: Path, note: Note) -> None:
    durable.write(path / _NOTE, json.dumps(asdict(note)))


def notes(data: Path) -> dict[Path, Note]:
    """The scratch directories that earlier runs left, with their notes; unreadable ones are left out."""
    found = {}
    for path in sorted(data.glob("scratch-*")):
        try:
            note = Note(**json.loads((path / _NOTE).read_text(encoding="utf-8")))
            found[path] = replace(note, vendor=tuple(note.vendor))
        except (OSError, ValueError, TypeError):
            continue
    return found


def sweep(data: Path, store, keep: Collection[Path | None] = ()) -> None:
    """Remove what earlier runs left: only under the release lock, when none of it can be in use."""
    left = notes(data)
    for path in data.glob("scratch-*"):
        if path not in keep:
            remove(path, store, left.get(path))
    if not keep:
        (data / FORWARDING).unlink(missing_ok=True)


def remove(path: Path, store, note: Note | None = None) -> None:
    """One scratch directory with the staging directory it notes."""
    if note is not None and note.staged:
        store.discard(Path(note.staged))
    shutil.rmtree(path, ignore_errors=True)
