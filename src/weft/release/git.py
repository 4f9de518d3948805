"""git, by argument vectors. Reads take no locks and write no index; hooks stay out except the user's own pre-push."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Sequence

from weft.release import gitforward, run
from weft.release.scratch import FORWARDING, Note
from weft.release.vcs import Remote, SendHalf, SendRefused, SendUnknown, State, has, lacks

_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
_QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false")
_BRANCH = "weft-release"
_NONE = "0" * 40
_UNFIT = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.lock(/|$)|^[-/@]?$|^-|[./]$")


class Repository:
    """See weft.release.vcs.Repository."""

    name = "git"
    usual = "origin"

    def __init__(self, top: Path):
        self.top = top
        self.data = _common(top) / "weft"

    def _git(self, *words: str, at: Path | None = None, env: dict[str, str] = {}, timeout: float = 60,
             ok: Sequence[int] = (0,)) -> str:
        argv = ["git", "--no-optional-locks", *_QUIET, *words]
        return run.ask(argv, at or self.top, run.environment({"LC_ALL": "C", **env}), timeout, ok)

    def state(self) -> State:
        head, branch, changed, untracked = "", "", [], []
        said = self._git("status", "--porcelain=v2", "-z", "--branch", "--untracked-files=all").split("\0")
        lines = iter(said)
        for line in lines:
            mark, _, rest = line.partition(" ")
            if line.startswith("# branch.oid "):
                head = rest.split(" ", 1)[1]
            elif line.startswith("# branch.head "):
                branch = rest.split(" ", 1)[1]
            elif mark == "?":
                untracked.append(rest)
            elif mark in ("1", "2", "u"):
                changed.append(rest.split(" ", {"1": 7, "2": 8, "u": 9}[mark])[-1])
                mark == "2" and next(lines, None)
        head = "" if head == "(initial)" else head
        return State(head, "" if branch == "(detached)" else branch, self._identity(), tuple(changed), tuple(untracked),
                     self._tags(), stem=head, nested=self._nested())

    def _identity(self) -> str:
        try:
            return self._git("var", "GIT_COMMITTER_IDENT").rsplit(">", 1)[0] + ">"
        except run.CommandFailed:
            return ""

    def _tags(self) -> dict[str, str]:
        said = self._git("for-each-ref", "refs/tags", "--format=%(refname:strip=2) %(objectname) %(*objectname)")
        return {words[0]: words[-1] for words in map(str.split, said.splitlines())}

    def remote(self, name: str, branch: str) -> Remote | None:
        entries = self._entries(rf"^(remote\..*\.(url|pushurl)|url\..*\.pushinsteadof|branch\.{re.escape(branch)}\.(remote|merge))$")
        config = dict(entries)
        if f"remote.{name}.url" not in config:
            return None
        there = _upstream(config, name, branch)
        try:
            addresses = self._pushed_to(name, entries)
            if len(addresses) > 1:
                return Remote(name, there, trouble=((f"{name} pushes to {len(addresses)} addresses, which cannot take branch and tag both or neither",
                                                     f"leave it one: git remote set-url --push {name} {addresses[0]}"),))
            said = self._git("ls-remote", addresses[0], f"refs/heads/{there}", "refs/tags/*")
        except run.CommandFailed as error:
            return Remote(name, there, error=" ".join(error.tail) or str(error))
        refs = dict(reversed(line.split("\t")) for line in said.splitlines())
        tags = {ref[10:].removesuffix("^{}"): commit for ref, commit in sorted(refs.items())
                if ref.startswith("refs/tags/")}
        return Remote(name, there, refs.get(f"refs/heads/{there}", ""), tags)

    def _pushed_to(self, name: str, entries: Sequence[tuple[str, str]]) -> list[str]:
        """The addresses that `git push` writes to: what is there is asked of them, not of a mirror that is fetched from."""
        pushed, fetched = ([value for key, value in entries if key == f"remote.{name}.{kind}"] for kind in ("pushurl", "url"))
        if not pushed and any(key.endswith(".pushinsteadof") for key, _ in entries):
            return self._git("remote", "get-url", "--push", "--all", name).splitlines()
        return pushed or (fetched if len(fetched) > 1 else [name])

    def _entries(self, pattern: str) -> list[tuple[str, str]]:
        """The configuration's keys that match, with their values, what counts last."""
        said = self._git("config", "-z", "--get-regexp", pattern, ok=(0, 1))
        return [(key, value) for key, _, value in (entry.partition("\n") for entry in said.split("\0") if entry)]

    def _nested(self) -> tuple[str, ...]:
        """The submodules."""
        if not (self.top / ".gitmodules").is_file():
            return ()
        listed = self._git("ls-files", "-z", "--stage").split("\0")
        return tuple(line.split("\t", 1)[1] for line in listed if line.startswith("160000 "))

    def tracked(self, paths: Sequence[str]) -> set[str]:
        return set(self._git("ls-files", "-z", "--", *paths).split("\0")) & set(paths) if paths else set()

    def between(self, one: str, other: str) -> tuple[int, int] | None:
        try:
            left, right = self._git("rev-list", "--left-right", "--count", f"{one}...{other}").split()
            return int(left), int(right)
        except run.CommandFailed:
            return None

    def unsent(self, remote: Remote) -> bool:
        try:
            return self._git("rev-list", "--count", f"refs/remotes/{remote.name}/{remote.branch}..HEAD").strip() != "0"
        except run.CommandFailed:
            return False

    def unfit(self, tag: str) -> str:
        return f"git has no tag named {tag!r}" if _UNFIT.search(tag) else ""

    def time(self, commit: str, scratch: Path) -> int:
        return int(self._git("show", "--no-patch", "--format=%ct", commit + "^{commit}", at=scratch))

    def clone(self, scratch: Path, commit: str, tag: str, tag_id: str, remote: Remote | None) -> None:
        """Shares the objects; a branch of its own at `commit`, all tags, no hooks."""
        self._git(*_NO_HOOKS, "clone", "--quiet", "--shared", "--no-checkout", "--template=", str(self.top), str(scratch),
                  at=scratch.parent)
        self._git(*_NO_HOOKS, "checkout", "--quiet", "-B", _BRANCH, commit, at=scratch)
        if tag and not self._git("tag", "--list", tag, at=scratch):
            self._git("update-ref", f"refs/tags/{tag}", tag_id or commit, at=scratch)

    def commit(self, scratch: Path, paths: Sequence[str], message: str) -> str:
        self._git(*_NO_HOOKS, *self._signing(), "commit", "--quiet", "--no-verify", "--cleanup=verbatim", "-m", message,
                  "--", *paths, at=scratch, env=self._author(), timeout=600)
        return self._git("rev-parse", "HEAD", at=scratch).strip()

    def tag(self, scratch: Path, name: str, commit: str, message: str) -> str:
        self._git(*_NO_HOOKS, *self._signing(), "tag", "--annotate", "--cleanup=verbatim", "-m", message, name, commit,
                  at=scratch, env=self._author(), timeout=600)
        if self._signs_tags() and "\n-----BEGIN " not in self._git("cat-file", "tag", name, at=scratch):
            raise run.CommandFailed(["git", "tag", "--sign", name], 1, ["git made the tag, but not the signature that tag.gpgsign asks for: see user.signingkey"])
        return self._git("rev-parse", f"refs/tags/{name}", at=scratch).strip()

    def _signs_tags(self) -> bool:
        """Older versions of git go on without a signature, and end with 0, where ssh-keygen makes none."""
        return self._git("config", "--type=bool", "--get", "tag.gpgsign", ok=(0, 1)).strip() == "true"

    def _author(self) -> dict[str, str]:
        """The scratch clone has none of the repository's own configuration, so who commits is handed over."""
        name, _, address = self._identity().removesuffix(">").rpartition(" <")
        return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", name), ("EMAIL", address))}

    def _signing(self) -> list[str]:
        found = dict(self._entries(r"^(gpg\.|user\.signingkey|(commit|tag)\.gpgsign)"))
        return [word for key, value in found.items() for word in ("-c", f"{key}={value or 'true'}")]

    def export(self, scratch: Path, commit: str, target: Path) -> None:
        """From an index rather than by `git archive`, which would leave out or change files by .gitattributes."""
        index = {"GIT_INDEX_FILE": str(scratch / ".git/weft-index")}
        self._git("read-tree", commit, at=scratch, env=index)
        self._git("checkout-index", "--all", f"--prefix={target}{os.sep}", at=scratch, env=index)

    def ignored(self, scratch: Path, paths: Sequence[str]) -> set[str]:
        """By the repository's own files, not by what this user ignores everywhere."""
        options = ("-c", f"core.excludesFile={os.devnull}", "-c", "core.quotePath=false", "check-ignore", "--no-index", "--")
        return {path for part in _parts(paths) for path in self._git(*options, *part, at=scratch, ok=(0, 1)).splitlines()}

    def send(self, scratch: Path, remote: Remote | None, tag: str, commit: str) -> None:
        """The push goes out from the user's repository, whose credentials, addresses and pre-push hook (LFS) it needs."""
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", str(scratch))
        if remote is None:
            self._git(*_NO_HOOKS, *fetch, f"refs/tags/{tag}:refs/tags/{tag}")
            return
        self._git(*_NO_HOOKS, *fetch, f"refs/tags/{tag}")
        tag_id = self._git("rev-parse", f"refs/tags/{tag}", at=scratch).strip()
        gone_on = remote.head != commit and has(self, remote, commit)
        try:
            self._git("push", "--quiet", "--porcelain", "--atomic", "--no-follow-tags",
                      f"--force-with-lease=refs/tags/{tag}:", remote.name,
                      *([] if gone_on else [f"{commit}:refs/heads/{remote.branch}"]), f"{tag_id}:refs/tags/{tag}", timeout=600)
        except run.CommandFailed as error:
            self._after_failed_push(error, remote, tag, commit)

    def _after_failed_push(self, error: run.CommandFailed, remote: Remote, tag: str, commit: str) -> None:
        """A push that failed may still have arrived: the remote is asked."""
        now = self.remote(remote.name, remote.branch)
        if now is None or now.error:
            raise SendUnknown("\n".join(error.tail))
        said = "\n".join(error.tail)
        if now.tags.get(tag) == commit:
            if lacks(self, now, remote.head or f"{commit}^", [commit]):
                raise SendHalf(f"{now.name} took the tag {tag}, and not {now.branch}: {said}")
        elif tag not in now.tags and now.head != remote.head and has(self, now, commit):
            raise SendHalf(f"{now.name} took {now.branch}, and not the tag {tag}: {said}")
        else:
            raise SendRefused(said)

    def settle(self, remote: str = "") -> None:
        """git writes what it has whole, or not at all."""

    def behind(self, state: State, note: Note) -> bool:
        return (self.data / FORWARDING).is_file() or state.head == note.base and (note.base != note.commit or note.tag not in state.tags)

    def forward(self, scratch: Path, branch: str, base: str, commit: str, tag: str, tag_id: str) -> str:
        try:
            if tag_id and tag not in self._tags():
                self._git("update-ref", f"refs/tags/{tag}", tag_id, _NONE)
            now = self._git("symbolic-ref", "--short", "-q", "HEAD", ok=(0, 1)).strip()
            if now != branch:
                return f"you are on {now or 'no branch'} now; {branch} was left where it is"
            gitforward.forward(self, branch, base, commit, (*_NO_HOOKS, "merge", "--quiet", "--ff-only", "--no-autostash", commit))
            return ""
        except run.CommandFailed as error:
            return " ".join(error.tail) or str(error)


def _common(top: Path) -> Path:
    """The repository's own directory, which all of its work trees share; read as git writes it, without a process."""
    place = top / ".git"
    if place.is_file():
        place = Path(top, place.read_text(encoding="utf-8").strip().removeprefix("gitdir: "))
        shared = place / "commondir"
        if shared.is_file():
            place = Path(place, shared.read_text(encoding="utf-8").strip())
    return place.resolve()


def _parts(paths: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    """As many at once as an argument vector surely takes."""
    return [paths[at:at + size] for at in range(0, len(paths), size)]


def _upstream(config: dict[str, str], remote: str, branch: str) -> str:
    """The branch's name on the remote: the one it follows there, else its own."""
    merge = config.get(f"branch.{branch}.merge", "")
    same = config.get(f"branch.{branch}.remote") == remote and merge.startswith("refs/heads/")
    return merge.removeprefix("refs/heads/") if same else branch
