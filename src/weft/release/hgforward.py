"""Bring the user's working directory to a release's commit, also where an earlier run was killed in the middle of just that.

An update writes the files, takes its own mark away, and only then writes down the commit that they are of: killed before that, Mercurial leaves
new files on the old commit, as if the user had changed them. While an update runs, a mark beside the scratch directories says from where
to where, and which bookmark comes along; what lies between the two is then weft's to bring back, and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.release import run
from weft.release.scratch import FORWARDING


@dataclass(frozen=True)
class Mark:
    """The working directory `place` goes from `base` to `top`. bookmark: the active one, which an update alone leaves behind; "" without one."""

    place: str
    base: str
    top: str
    bookmark: str


def left(repo: Any) -> Mark | None:
    """What a killed run was about to do in this working directory; one that shares the repository is another."""
    try:
        mark = Mark(*(repo.data / FORWARDING).read_text(encoding="utf-8", errors="surrogateescape").split("\n"))
    except (OSError, TypeError):
        return None
    return mark if mark.place == str(repo.top) else None


def forward(repo: Any, now: str, top: str) -> None:
    """repo: a Mercurial Repository whose working directory is at `now`. Raises CommandFailed, with the working directory where it was."""
    mark, path = left(repo), repo.data / FORWARDING
    halfway = mark is not None and mark.top == top and now in (mark.base, top)
    if not halfway:
        if now == top:
            return
        mark = Mark(str(repo.top), now, top, repo.bookmark())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join((mark.place, mark.base, mark.top, mark.bookmark)), encoding="utf-8", errors="surrogateescape")
    try:
        _update(repo, mark, halfway)
    except run.CommandFailed as error:
        if error.code >= 0:
            halfway or path.unlink()
            raise
        repo.settle()
        _update(repo, mark, True)
    path.unlink()


def _update(repo: Any, mark: Mark, halfway: bool) -> None:
    """Only a clean working directory, or one that is clean again without what an update of ours left half-way."""
    if repo.parents() != [mark.top]:
        if halfway:
            _bring_back(repo, mark)
        repo._hg(*repo._quiet(), "update", "--quiet", "--check", "--rev", mark.top, at=repo.top)
    if mark.bookmark and _at(repo, mark.bookmark) in (mark.base, mark.top):
        repo._hg(*repo._quiet(), "bookmark", "--quiet", "--force", "--rev", mark.top, mark.bookmark, at=repo.top)
        repo._hg(*repo._quiet(), "update", "--quiet", mark.bookmark, at=repo.top)


def _at(repo: Any, bookmark: str) -> str:
    lines = repo._read("bookmarks", "-T", "{node} {bookmark}\\n", ok=(0, 1)).splitlines()
    return next((node for node, _, name in (line.partition(" ") for line in lines) if name == bookmark), "")


def _bring_back(repo: Any, mark: Mark) -> None:
    """The old files in the place of those that are gone, or hold the new one's bytes or the beginning of them."""
    between = _status(repo, "-mar", "--rev", mark.base, "--rev", mark.top)
    same = [f"path:{path}" for path, kind in between.items() if kind != "A"]
    here = _status(repo, "-md", *same) if same else {}
    for path in (path for path, kind in between.items() if kind == "A" and os.path.lexists(repo.top / path)):
        if _ours(repo, repo.top / path, path, mark.top):
            (repo.top / path).unlink()
    old = [path for path in here if _ours(repo, repo.top / path, path, mark.top if between.get(path) == "M" else "")]
    if old:
        repo._hg(*repo._quiet(), "revert", "--quiet", "--no-backup", "--rev", mark.base, *(f"path:{path}" for path in old), at=repo.top)


def _status(repo: Any, *words: str) -> dict[str, str]:
    """path -> its letter."""
    return {entry[2:]: entry[0] for entry in repo._read("status", "-0", *words).split("\0") if entry}


def _ours(repo: Any, place: Path, path: str, new: str) -> bool:
    """Whether a file is as an update that was killed may leave it. new: the commit whose file was being written, "" where it was being removed."""
    if not os.path.lexists(place):
        return True
    if not new or place.is_dir() and not place.is_symlink():
        return False
    here = os.fsencode(os.readlink(place)) if place.is_symlink() else place.read_bytes()
    return os.fsencode(repo._read("cat", "--decode", "--rev", new, f"path:{path}")).startswith(here)
