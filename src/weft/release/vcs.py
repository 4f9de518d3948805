"""What a release needs of a version control system. git.py is one; another is one more file, named in KNOWN.

Reading methods never write, not even an index; the acting ones are at the end. A scratch clone is a directory that the
caller deletes; nothing before `send` can be seen in the user's repository.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Protocol, Sequence

from weft.errors import UsageError

KNOWN = {".git": "weft.release.git"}


@dataclass(frozen=True)
class State:
    """The user's repository. Commits by id; tags by name; paths relative to the repository's root.

    branch: "" when none is checked out.  identity: who commits, "" when that is not known.
    """

    head: str
    branch: str
    identity: str
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remote:
    """The remote as it answers now. branch: its name there; head: "" when it has no such branch; error: why it gave no answer."""

    name: str
    branch: str
    head: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


class SendRefused(Exception):
    """The remote, or a hook, did not take branch and tag; neither was moved."""


class SendUnknown(Exception):
    """The connection broke: whether branch and tag were moved must be asked."""


class Repository(Protocol):
    """top: the root of the working tree.  data: weft's own directory inside the repository's data."""

    name: str
    top: Path
    data: Path

    def state(self) -> State: ...

    def remote(self, name: str, branch: str) -> Remote | None:
        """None when there is no remote of that name."""

    def tracked(self, paths: Sequence[str]) -> set[str]: ...

    def ancestor(self, old: str, new: str) -> bool:
        """Whether `new` contains `old`; False for a commit that is not here."""

    def time(self, commit: str, scratch: Path) -> int:
        """When it was made: seconds since 1970, UTC."""

    def clone(self, scratch: Path, commit: str, tag: str, tag_id: str) -> None:
        """tag: one that is at `commit` already (tag_id: its own id, if known), or "" for a release that begins."""

    def commit(self, scratch: Path, paths: Sequence[str], message: str) -> str: ...

    def tag(self, scratch: Path, name: str, commit: str, message: str) -> str:
        """An annotated tag; its own id."""

    def export(self, scratch: Path, target: Path) -> None:
        """The files of the scratch clone's commit, without version control."""

    def send(self, scratch: Path, remote: Remote | None, tag: str, commit: str) -> None:
        """The point of no return: branch and tag together to the remote; without one, the tag into the user's repository.

        Raises SendRefused or SendUnknown.
        """

    def forward(self, branch: str, base: str, commit: str, tag: str, tag_id: str) -> str:
        """Bring tag and commit to the user's branch if that is possible cleanly; else why not."""


def open_repository(root: Path) -> Repository:
    """The repository that the project lies in. Raises UsageError when it lies in none."""
    for place in (root, *root.parents):
        for marker, module in KNOWN.items():
            if (place / marker).exists():
                return importlib.import_module(module).Repository(place)
    raise UsageError(f"{root} is not under version control", "git init && git add . && git commit -m 'First version'")
