"""Mercurial, by argument vectors to one command server; hooks stay out except those of the push.

A tag is a line of .hgtags, and so a commit of its own on top of the release commit: both go out in one push. What is
built is the release commit, without that line.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Sequence

from weft.release import hgforward, run
from weft.release.hgserver import Server
from weft.release.scratch import Note
from weft.release.vcs import Remote, SendRefused, SendUnknown, State

_UNKNOWN = "unknown revision"
_TAGS = ".hgtags"
_LINE = "{node}\\n"
_SCRATCH_RC = "[phases]\npublish = False\n[paths]\n"
_EARLY: dict[Path, Server] = {}


def begin(top: Path) -> None:
    """Start the command server of the repository at `top` now: it is ready when the first question comes. Not to have one is
    told by that question."""
    with suppress(run.CommandFailed):
        _EARLY[top] = Server(top, _environment())


def meta(top: Path) -> Path:
    """The directory of the repository's data, which a share has in another repository."""
    shared = top / ".hg/sharedpath"
    return Path(top / ".hg", shared.read_text().strip("\n")) if shared.is_file() else top / ".hg"


class Repository:
    """See weft.release.vcs.Repository."""

    name = "hg"
    usual = "default"

    def __init__(self, top: Path):
        self.top = top
        self.meta = meta(top)
        self.data = self.meta / "weft"
        self._server = _EARLY.pop(top, None)

    def _read(self, *words: str, timeout: float = 60, ok: Sequence[int] = (0,)) -> str:
        if self._server is None or not self._server.open:
            self._server = Server(self.top, _environment())
        return self._server.ask(words, timeout, ok)

    def _hg(self, *words: str, at: Path, timeout: float = 600, ok: Sequence[int] = (0,)) -> str:
        """A command that changes something, in the repository at `at`, by a server that keeps the lock if this process dies."""
        if self._server is not None and not run.HELD <= self._server.held:
            self._server.close()
        return self._read("--cwd", str(at), "-R", ".", *words, timeout=timeout, ok=ok)

    def _quiet(self) -> list[str]:
        """Options that keep every configured hook out."""
        names = [line.partition("=")[0] for line in self._read("config", "hooks", ok=(0, 1)).splitlines()]
        return [word for name in names for word in ("--config", f"{name}=")]

    def state(self) -> State:
        parents = self._read("log", "-r", "parents()", "-T", "{node}\\0{branch}\\0{phase}\\n").splitlines()
        head, branch, phase = parents[-1].split("\0") if parents else ("", self._read("branch").strip(), "")
        changed, untracked = [], []
        for entry in filter(None, self._read("status", "-0", "-mardu").split("\0")):
            (untracked if entry.startswith("? ") else changed).append(entry[2:])
        if len(parents) > 1:
            changed.append("(a merge)")
        trouble = [(f"{head[:12]} is secret, so that it cannot be pushed", "hg phase --draft .")] if phase == "secret" else []
        return State(head, branch, self._identity(), tuple(changed), tuple(untracked), self._tags(), self._stem(head), tuple(trouble), self._nested())

    def _nested(self) -> tuple[str, ...]:
        """The subrepositories."""
        path = self.top / ".hgsub"
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").partition("\n[")[0].splitlines() if path.is_file() else []
        return tuple(line.partition("=")[0].strip() for line in lines if "=" in line and not line.startswith(("#", ";", "[")))

    def _identity(self) -> str:
        said = os.environ.get("HGUSER") or self._read("config", "ui.username", ok=(0, 1)).strip()
        return said or os.environ.get("EMAIL", "")

    def _tags(self) -> dict[str, str]:
        lines = self._read("tags", "-T", "{node} {tag}\\n").splitlines()
        return {name: node for node, _, name in (line.partition(" ") for line in lines) if name != "tip"}

    def _stem(self, head: str) -> str:
        """The commit below one that only writes tags down."""
        files = self._read("log", "-r", head, "-T", "{p1node}\\0{join(files, '\\0')}").split("\0") if head else [""]
        return files[0] if files[1:] == [_TAGS] else head

    def _paths(self) -> dict[str, str]:
        lines = self._read("config", "paths", ok=(0, 1)).splitlines()
        return {name: self._absolute(name, value) for name, _, value in (line.removeprefix("paths.").partition("=") for line in lines)}

    def _absolute(self, name: str, value: str) -> str:
        """A local path as it would be found from the user's repository."""
        local = "://" not in value and not value.startswith(("~", "$", "path:")) and (":" not in name or name.endswith(":pushurl"))
        return os.path.normpath(self.top / value) if local else value

    def remote(self, name: str, branch: str) -> Remote | None:
        if name not in self._paths():
            return None
        branch, where = self.bookmark() or branch, self._pushed_to(name)
        try:
            head = self._lookup(where, branch)
            import tempfile
            with tempfile.TemporaryDirectory(prefix="weft-") as place:
                return Remote(name, branch, head, self._tags_there(where, head, os.path.join(place, "bundle")))
        except run.CommandFailed as error:
            return Remote(name, branch, error=" ".join(error.tail) or str(error))

    def _pushed_to(self, name: str) -> str:
        """What a push writes to: what is there is asked of it, not of a mirror that is pulled from."""
        paths = self._paths()
        return paths.get(f"{name}:pushurl") or (paths.get("default-push") if name == "default" else "") or name

    def bookmark(self) -> str:
        """The active one, also where a pull has moved it away from the working directory, or a killed update has left it; "" without one."""
        mark = hgforward.left(self)
        return self._read("bookmarks", "-T", "{if(active, bookmark)}", ok=(0, 1)).strip() or (mark.bookmark if mark else "")

    def _lookup(self, remote: str, name: str) -> str:
        """What the remote calls by that name: a full id, "" when it knows no such name."""
        try:
            return self._read("identify", "-T", _LINE, "-r", name, remote).strip()
        except run.CommandFailed as error:
            if _UNKNOWN in "".join(error.tail):
                return ""
            raise

    def _tags_there(self, name: str, head: str, bundle: str) -> dict[str, str]:
        """The tags of every head that is public or about to come from there."""
        self._read("incoming", "--quiet", "--bundle", bundle, name, ok=(0, 1))
        have = os.path.exists(bundle)
        where = ["-R", f"bundle:{self.top}+{bundle}"] if have else []
        heads = self._read("log", *where, "-r", "heads(public() or bundle())" if have else "heads(public())", "-T", _LINE).split()
        found: dict[str, str] = {}
        for each in dict.fromkeys([*heads, *filter(None, [head])]):
            found.update(self._written(where, each))
        return found

    def _written(self, where: Sequence[str], commit: str) -> dict[str, str]:
        """.hgtags as a commit has it: its last line about a tag counts, and one of zeros takes it back."""
        lines = self._read("cat", *where, "-r", commit, f"path:{_TAGS}", ok=(0, 1)).splitlines()
        pairs = (line.strip().split(" ", 1) for line in lines if " " in line)
        return {name: node for name, node in {name: node for node, name in pairs}.items() if node.strip("0")}

    def tracked(self, paths: Sequence[str]) -> set[str]:
        return set(self._read("files", "-0", *(f"path:{each}" for each in paths), ok=(0, 1)).split("\0")) & set(paths) if paths else set()

    def between(self, one: str, other: str) -> tuple[int, int] | None:
        try:
            return len(self._only(one, other)), len(self._only(other, one))
        except run.CommandFailed:
            return None

    def _only(self, one: str, other: str) -> list[str]:
        return self._read("log", "-r", f"only({one},{other})", "-T", _LINE).split()

    def unsent(self, remote: Remote) -> bool:
        return bool(self._read("log", "-r", "draft() and ::.", "-T", _LINE))

    def unfit(self, tag: str) -> str:
        bad = tag.isdigit() or tag in ("tip", ".", "null", "") or tag != tag.strip() or any(each in tag for each in ":\0\n\r")
        return f"Mercurial has no tag named {tag!r}" if bad else ""

    def time(self, commit: str, scratch: Path) -> int:
        return int(self._read("log", "-R", str(scratch), "-r", commit, "-T", "{date|hgdate}").split()[0])

    def clone(self, scratch: Path, commit: str, tag: str, tag_id: str, remote: Remote | None) -> None:
        """Hard links; drafts stay drafts, here and there; the paths are the user's, made absolute."""
        quiet = self._quiet()
        self._hg(*quiet, "--config", "phases.publish=False", "clone", "--quiet", "--noupdate", str(self.top), str(scratch),
                 at=self.top)
        paths = "".join(f"{name} = {value}\n" for name, value in self._paths().items())
        (scratch / ".hg/hgrc").write_text(f"%include {self.meta}/hgrc\n%include {self.top}/.hg/hgrc\n{_SCRATCH_RC}{paths}", encoding="utf-8")
        for each in dict.fromkeys(filter(None, [commit, tag_id])):  # the commit that writes the tag down too: it is what is brought forward
            if remote and not self._has(each):
                self._hg(*quiet, "pull", "--quiet", "--rev", each, self._pushed_to(remote.name), at=scratch)
        self._hg(*quiet, "update", "--quiet", "--rev", commit, at=scratch)

    def _has(self, commit: str) -> bool:
        try:
            return bool(self._read("log", "-r", commit, "-T", _LINE))
        except run.CommandFailed:
            return False

    def commit(self, scratch: Path, paths: Sequence[str], message: str) -> str:
        self._hg(*self._quiet(), "commit", "--quiet", "--user", self._identity(), "--message", message,
                 *(f"path:{each}" for each in paths), at=scratch)
        return self._read("log", "-R", str(scratch), "-r", "tip", "-T", "{node}")

    def tag(self, scratch: Path, name: str, commit: str, message: str) -> str:
        """--force, since the user may have other heads; that the name is free has been seen."""
        self._hg(*self._quiet(), "tag", "--quiet", "--force", "--rev", commit, "--user", self._identity(), "--message",
                 f"Added tag {name} for changeset {commit[:12]}\n\n{message}", name, at=scratch)
        self._hg(*self._quiet(), "update", "--quiet", "--rev", commit, at=scratch)
        return self._read("log", "-R", str(scratch), "-r", "tip", "-T", "{node}")

    def export(self, scratch: Path, commit: str, target: Path) -> None:
        self._hg(*self._quiet(), "--config", "ui.archivemeta=False", "archive", "--quiet", "--no-decode", "--type", "files",
                 "--rev", commit, str(target), at=scratch)

    def ignored(self, scratch: Path, paths: Sequence[str]) -> set[str]:
        said = self._hg("debugignore", *(f"path:{path}" for path in paths), at=scratch).splitlines()
        return {path for path in paths if any(line.startswith(f"{path} is ignored") for line in said)}

    def send(self, scratch: Path, remote: Remote | None, tag: str, commit: str) -> None:
        top = self._read("log", "-R", str(scratch), "-r", f"max(children({commit}) and file('path:{_TAGS}'))", "-T", "{node}") or commit
        if remote is None:
            self._take(scratch, top)
            return
        try:
            if self._lookup(self._pushed_to(remote.name), tag) not in ("", commit):
                raise SendRefused(f"{remote.name} has the tag {tag} already, on another commit")
        except run.CommandFailed as error:
            raise SendRefused("\n".join(error.tail)) from None
        self._push(scratch, top, remote, tag, commit)

    def _push(self, scratch: Path, top: str, remote: Remote, tag: str, commit: str) -> None:
        bookmark = ["--bookmark", remote.branch] if remote.head and self.bookmark() == remote.branch else []
        if bookmark:
            self._hg("bookmark", "--quiet", "--force", "--rev", top, remote.branch, at=scratch)
        try:
            self._hg("push", "--quiet", "--rev", top, *bookmark, *([] if remote.head else ["--new-branch"]), self._pushed_to(remote.name), at=scratch)
        except run.CommandFailed as error:
            self._after_failed_push(error, remote, tag, commit)

    def _after_failed_push(self, error: run.CommandFailed, remote: Remote, tag: str, commit: str) -> None:
        """A push that failed may still have arrived: the remote is asked."""
        try:
            self.settle(remote.name)
            there = self._lookup(self._pushed_to(remote.name), tag)
        except run.CommandFailed:
            raise SendUnknown("\n".join(error.tail)) from None
        if there != commit:
            raise SendRefused("\n".join(error.tail))

    def _take(self, scratch: Path, commit: str) -> None:
        """A pull that failed may still have arrived, as a push may."""
        try:
            self._pull(scratch, commit)
        except run.CommandFailed as error:
            try:
                self.settle()
            except run.CommandFailed:
                raise SendUnknown("\n".join(error.tail)) from None
            if not self._has(commit):
                raise

    def _pull(self, scratch: Path, commit: str) -> None:
        """Into the user's repository, in one transaction."""
        self.settle()
        self._hg(*self._quiet(), "pull", "--quiet", "--rev", commit, str(scratch), at=self.top)

    def settle(self, remote: str = "") -> None:
        """The transaction of a Mercurial that was killed is rolled back, also in a remote that is a directory; for one that is at work, this waits."""
        there = self._pushed_to(remote) if remote else ""
        for place in filter(None, (self.top, self._paths().get(there, there))):
            if (meta(Path(place)) / "store/journal").exists():
                self._hg("recover", "--quiet", at=Path(place), ok=(0, 1))  # 1: it came to its end meanwhile

    def parents(self) -> list[str]:
        return self._read("log", "-r", "parents()", "-T", _LINE).split()

    def behind(self, state: State, note: Note) -> bool:
        return hgforward.left(self) is not None or state.head == note.base != (note.tag_id or note.commit)

    def forward(self, scratch: Path, branch: str, base: str, commit: str, tag: str, tag_id: str) -> str:
        try:
            top = tag_id or commit
            self.settle()
            if not self._has(top):
                self._pull(scratch, top)
            now = self.parents()
            if now not in ([top], [base], [commit]):
                return f"you are on {', '.join(each[:12] for each in now) or 'no commit'} now; it was left as it is"
            hgforward.forward(self, now[0], top)
            return ""
        except run.CommandFailed as error:
            return " ".join(error.tail) or str(error)


def _environment() -> dict[str, str]:
    return run.environment({"HGPLAIN": "1", "HGENCODING": "utf-8", "LC_ALL": "C.UTF-8", "HGEDITOR": "false"})
