"""Bring the user's branch to a release's commit, also where an earlier run was killed in the middle of just that.

git that is killed leaves its lock files, and files of the work tree that are gone, cut short or new already. While a merge runs, a mark
beside the scratch directories says from where to where, in which work tree; what lies between the two is then weft's to bring back, and nothing else.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from weft.release import run
from weft.release.scratch import FORWARDING

_PATIENCE = 5.0
"""Seconds for another git to give its lock back: an editor that looks at the status holds the index for a moment."""


def forward(repo: Any, branch: str, base: str, commit: str, merge: tuple[str, ...]) -> None:
    """repo: a git Repository whose HEAD is `branch`, at `base`; merge: git's words. Raises CommandFailed, with the branch where it was."""
    mark, said = repo.data / FORWARDING, f"{base} {commit} {repo.top}"
    halfway = mark.is_file() and mark.read_text(encoding="utf-8") == said
    if halfway:
        _mend(repo, mark, branch, base, commit)
    else:
        _wait(repo, branch)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(said, encoding="utf-8")
    try:
        repo._git(*merge)
    except run.CommandFailed as error:
        if error.code >= 0:
            halfway or mark.unlink()
            raise
        _mend(repo, mark, branch, base, commit)
        repo._git(*merge)
    mark.unlink()


def _locks(repo: Any, branch: str) -> list[Path]:
    """What a fast-forward locks, the index first."""
    names = [f"{name}.lock" for name in ("index", "HEAD", "ORIG_HEAD", f"refs/heads/{branch}")]
    said = repo._git("rev-parse", *[word for name in names for word in ("--git-path", name)])
    return [Path(repo.top, line) for line in said.splitlines()]


def _wait(repo: Any, branch: str) -> list[Path]:
    """Until no other git that is at work here holds a lock; the locks that are left."""
    locks, deadline = _locks(repo, branch), time.monotonic() + _PATIENCE
    while left := [lock for lock in locks if lock.exists()]:
        if not _used(repo.top) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _made(lock: Path) -> int:
    try:
        return lock.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _mend(repo: Any, mark: Path, branch: str, base: str, commit: str) -> None:
    """The release's lock is held, which a git of the killed run would still hold: it has ended, and its locks hold nothing any more."""
    since = mark.stat().st_mtime_ns
    left = [lock for lock in _wait(repo, branch) if _made(lock) >= since]
    if left and _used(repo.top):
        return
    for lock in left:
        lock.unlink(missing_ok=True)
    if _differs(repo, commit) and not _differs(repo, base):
        _bring_back(repo, base, commit)


def _differs(repo: Any, commit: str) -> bool:
    return bool(repo._git("diff-index", "--cached", "--name-only", commit, "--").strip())


def _bring_back(repo: Any, base: str, commit: str) -> None:
    """The old files in the place of those that are gone, or hold the new one's bytes or a part of them."""
    said = repo._git("diff-tree", "-r", "--no-renames", "--name-status", "-z", base, commit).split("\0")
    old = []
    for kind, path in zip(said[0::2], said[1::2]):
        place = repo.top / path
        if not _ours(repo, place, "" if kind == "D" else f"{commit}:{path}"):
            continue
        if kind == "A":
            place.unlink(missing_ok=True)
        else:
            old.append(path)
    if old:
        repo._git("checkout-index", "--force", "--quiet", "--", *old)


def _ours(repo: Any, place: Path, new: str) -> bool:
    """Whether a file is as a merge that was killed may leave it. new: the blob that was being written, "" where it was being removed."""
    if not os.path.lexists(place):
        return True
    if not new or place.is_dir() and not place.is_symlink():
        return False
    text = repo._git("cat-file", "--filters", new).encode("utf-8", "surrogateescape")
    here = os.fsencode(os.readlink(place)) if place.is_symlink() else place.read_bytes()
    return text.startswith(here.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))  # as text comes from a program


def _used(top: Path) -> bool:
    """Whether some git may be at work in this work tree. Where processes cannot be seen, it may."""
    if not Path("/proc/self/comm").is_file():
        return True
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().startswith("git") and Path(os.readlink(process / "cwd")).is_relative_to(top.resolve()):
                return True
        except OSError:
            continue
    return False
