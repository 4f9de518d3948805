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
from weft.release.scratch import Note

KNOWN = {".git": "weft.release.git", ".hg": "weft.release.hg"}


@dataclass(frozen=True)
class Words:
    """The commands that mend a fault, as this system's users type them; {branch}, {remote}, {tag} and {path} are filled in."""

    switch: str
    keep: str
    add: str
    add_path: str
    identity: str
    ask: str
    pull: str
    merge: str
    catch_up: str
    unite: str
    nested: str


WORDS = {
    "git": Words(switch="git switch {branch}", keep="commit or stash it", add="git add it, name it in .gitignore, or move it away",
                 add_path="git add {path}, and commit it",
                 identity="git config user.name 'Your Name'; git config user.email you@example.org", ask="git ls-remote {remote}",
                 pull="git pull --ff-only {remote} {branch}", merge="git pull --rebase {remote} {branch}",
                 catch_up="git pull --ff-only", unite="git fetch {remote} --tags && git merge {tag} && git push {remote} {branch}", nested="submodule"),
    "hg": Words(switch="hg update {branch}", keep="commit or shelve it", add="hg add it, name it in .hgignore, or move it away",
                add_path="hg add {path}, and commit it", identity="write username = Your Name <you@example.org> under [ui] in ~/.hgrc",
                ask="hg identify {remote}", pull="hg pull --update {remote}", merge="hg pull {remote} && hg merge && hg commit",
                catch_up="hg update", unite="hg pull {remote} && hg merge {tag} && hg commit && hg push {remote}", nested="subrepository")}


@dataclass(frozen=True)
class State:
    """The user's repository. Commits by id; tags by name; paths relative to the repository's root.

    branch: "" when none is checked out.  identity: who commits, "" when that is not known.  stem: head, or the commit
    below it where head only writes a tag down.  trouble: (what stands against a release, its fix), the system's own.
    nested: the places of other repositories inside it, whose files are not this one's.
    """

    head: str
    branch: str
    identity: str
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    stem: str = ""
    trouble: tuple[tuple[str, str], ...] = ()
    nested: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remote:
    """The remote that is pushed to, as it answers now. branch: its name there; head: "" when it has no such branch; error: why it
    gave no answer.  trouble: as a State has it."""

    name: str
    branch: str
    head: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    trouble: tuple[tuple[str, str], ...] = ()


class SendRefused(Exception):
    """The remote, or a hook, did not take branch and tag; neither was moved."""


class SendHalf(SendRefused):
    """The remote took one of the two: a server that died between them, or one that does not keep both together."""


class SendUnknown(Exception):
    """The connection broke: whether branch and tag were moved must be asked."""


def lacks(repo: "Repository", remote: Remote, base: str, ours: Sequence[str]) -> bool:
    """Whether the remote's branch is still where it was before the release, whose commits are `ours`; one that went on is not."""
    if remote.head in ours:
        return False
    apart = repo.between(remote.head, base) if remote.head else (0, 0)
    return apart is not None and not apart[0]


def has(repo: "Repository", remote: Remote, commit: str) -> bool:
    """Whether the remote's branch surely has that commit; one with commits that are not here does not surely."""
    apart = (0, 0) if remote.head == commit else repo.between(commit, remote.head) if remote.head else None
    return apart is not None and not apart[0]


class Repository(Protocol):
    """top: the root of the working tree.  data: weft's own directory inside the repository's data.

    usual: the remote's name where the configuration gives none.
    """

    name: str
    usual: str
    top: Path
    data: Path

    def state(self) -> State: ...

    def remote(self, name: str, branch: str) -> Remote | None:
        """None when there is no remote of that name."""

    def tracked(self, paths: Sequence[str]) -> set[str]: ...

    def between(self, one: str, other: str) -> tuple[int, int] | None:
        """How many commits only the one has, and only the other; None when a commit is not here."""

    def unsent(self, remote: Remote) -> bool:
        """Whether the commit checked out has something that the remote had not when it was last fetched from."""

    def unfit(self, tag: str) -> str:
        """Why no tag can have this name; "" when it can."""

    def time(self, commit: str, scratch: Path) -> int:
        """When it was made: seconds since 1970, UTC."""

    def clone(self, scratch: Path, commit: str, tag: str, tag_id: str, remote: Remote | None) -> None:
        """tag: one that is at `commit` already (tag_id: its own id, if known), or "" for a release that begins.

        A commit that is not here any more is fetched from the remote.
        """

    def commit(self, scratch: Path, paths: Sequence[str], message: str) -> str: ...

    def tag(self, scratch: Path, name: str, commit: str, message: str) -> str:
        """A tag with a message; its own id. The files of the clone are those of `commit` afterwards."""

    def export(self, scratch: Path, commit: str, target: Path) -> None:
        """The files of a commit of the scratch clone, without version control."""

    def ignored(self, scratch: Path, paths: Sequence[str]) -> set[str]:
        """Those of these paths, relative to the repository's root, that its ignore files name."""

    def send(self, scratch: Path, remote: Remote | None, tag: str, commit: str) -> None:
        """The point of no return: branch and tag together to the remote, or what it lacks of them; without one, the tag into
        the user's repository.

        Raises SendRefused, SendHalf or SendUnknown.
        """

    def settle(self, remote: str = "") -> None:
        """What a program that was killed has left half-written in the user's repository, and in that remote where it is a directory of this
        machine, is rolled back, so that nothing is decided by it.

        Raises CommandFailed.
        """

    def behind(self, state: State, note: Note) -> bool:
        """Whether the user's branch is still to be brought to the release of `note`, or an earlier run was killed while it did that."""

    def forward(self, scratch: Path, branch: str, base: str, commit: str, tag: str, tag_id: str) -> str:
        """Bring tag and commit to the user's branch if that is possible cleanly; else why not."""


def open_repository(root: Path) -> Repository:
    """The repository that the project lies in. Raises UsageError when it lies in none."""
    for place in (root, *root.parents):
        for marker, module in KNOWN.items():
            if (place / marker).exists():
                return importlib.import_module(module).Repository(place)
    raise UsageError(f"{root} is not under version control", "git init && git add . && git commit -m 'First version'")


def expect(start: Path, acting: bool) -> None:
    """Called before anything else is imported or read: what takes a moment to start, starts beside it.

    acting: a release's lock may be opened where there is one, for a process to inherit that will do the work. None is made:
    the command's words are not read yet.
    """
    found = next(((marker, place) for place in (start, *start.parents) for marker in KNOWN if (place / marker).exists()), None)
    if found and found[0] == ".hg":
        from weft.release import hg, lockfile
        data = hg.meta(found[1]) / "weft"
        if acting and (data / "lock").exists():
            lockfile.opened(data)
        hg.begin(found[1])
