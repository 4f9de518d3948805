"""Read everything that a release is decided by; nothing is written."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Mapping, Sequence

from weft.config import load
from weft.errors import UsageError
from weft.release import changelog, indexing, news, pins, scratch, sign, vendor, version
from weft.release.target import targets
from weft.release.vcs import Remote, Repository, State, has, lacks, open_repository
from weft.stores import open_store
from weft.values import Release, Version, app_name

_ROOM = 64 << 20
_TESTS = ("tests", "test", "test_*.py", "*_test.py", "*/tests", "src/*/tests")


@dataclass(frozen=True)
class Project:
    """A project, its repository and its store. prefix: the project's place in the repository, "." for its root."""

    root: Path
    config: load.Layer
    repo: Repository
    store: object

    @property
    def app(self) -> str:
        return self.config["name"]

    @property
    def prefix(self) -> Path:
        return self.root.relative_to(self.repo.top)

    def tag(self, text: str) -> str:
        return self.config["tag"].replace("{version}", text)


@dataclass(frozen=True)
class Seen:
    """What observe saw. unfinished: an earlier run's note whose tag is really there; unfinished_at: its directory.

    nested: the repositories inside packages, whose files a build from here would take along and a release would not.
    lacking: what the remote has not of that run: "tag" or "branch", where its server died between the two, or a
    "merge", where the branch went on without the tag's commit.
    behind: the user's branch is not where that run would bring it.
    begun: the version of a run that left its note but no tag.  newest: the last version that is tagged in the history of
    the commit checked out, "" without one.  news: where the changelog's entry is made of fragments.  requires: what pyproject.toml declares,
    None where only a build can tell.  unpinned: those of them that requirements.lock does not meet.  pinned: the names that it locks.
    shut_out: the Pythons that the release would be for, and the project does not allow.  chosen: version -> what --vendor said to
    the run of it that did not come to its end.
    """

    state: State
    remote: Remote | None
    relation: str
    places: Sequence[version.Place]
    changelog: str
    changelog_text: str
    released: Sequence[Version]
    obstacle: str
    untracked: Sequence[str]
    missing: Sequence[str]
    test: Sequence[str]
    locked: bool
    unrunnable: Sequence[tuple[str, str]] = ()
    unfinished: scratch.Note | None = None
    unfinished_at: Path | None = None
    staged: bool = False
    nested: Sequence[str] = ()
    lacking: str = ""
    behind: bool = False
    begun: str = ""
    signing: tuple[str, str] | None = None
    newest: str = ""
    news: news.News | None = None
    requires: Sequence[str] | None = None
    unpinned: Sequence[str] = ()
    pinned: Sequence[str] = ()
    shut_out: Sequence[str] = ()
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """The wished version in the store: its manifest, None when it is not there, what is wrong with its bytes, and whether the
    application's index names it. burnt: it was here once, the index says."""

    release: Release | None = None
    damage: Sequence[str] = field(default_factory=tuple)
    indexed: bool = True
    burnt: bool = False


def configured(root: Path) -> load.Layer:
    """What the project says of itself. Raises UsageError for a configuration that cannot work."""
    config = load.project(root)
    try:
        app_name(config["name"])
    except UsageError as error:
        raise config.wrong("name", error.message, error.hint) from None
    if bool(config["callable"]) == bool(config["entry"]):
        raise UsageError(f"{config.path}: [tool.weft] needs either callable or entry, "
                         + ("not both" if config["entry"] else "and has neither"),
                         'callable = "package.module:application", or entry = "wsgi/application.wsgi"')
    if config["tag"].count("{version}") != 1 or config["tag"].startswith("-"):
        raise config.wrong("tag", f"{config['tag']!r} must name {{version}} once", 'tag = "v{version}"')
    targets(config)
    try:
        vendor.words(config["vendor"])
    except UsageError as error:
        raise config.wrong("vendor", error.message.removeprefix("vendor: "), error.hint) from None
    return config


def open_project(root: Path) -> Project:
    """Raises UsageError for a configuration that cannot work."""
    config = configured(root)
    return Project(root, config, open_repository(root), open_store(config["artifacts"], root))


def observe(project: Project) -> Seen:
    """Everything but the wished version's place in the store."""
    repo, config = project.repo, project.config
    state = repo.state()
    remote = repo.remote(config["remote"] or repo.usual, state.branch) if state.branch else None
    told = news.find(project.root)
    log = changelog.find(project.root, config["changelog"] or (told.filename if told else ""))
    at, note = _unfinished(project, state, remote)
    return Seen(
        state=state, remote=remote, relation=_relation(repo, state, remote),
        places=version.places(project.root, config["version_file"]),
        changelog=log, changelog_text=_text(project.root / log) if log else "",
        released=project.store.versions(project.app), obstacle=project.store.obstacle(_ROOM),
        untracked=_in_packages(repo.top, state.untracked), nested=[each for each in state.nested if _in_packages(repo.top, [f"{each}/-"])], missing=_missing(project),
        test=tests(project), newest=_newest(repo, state, remote, config["tag"]), news=told,
        **_locking(project),
        unrunnable=_unrunnable(project), unfinished=note, unfinished_at=at, staged=_staged(project, note), lacking=_lacking(repo, remote, note), behind=bool(note and repo.behind(state, note)), begun=_begun(project, note),
        chosen={each.version: each.vendor for each in scratch.notes(project.repo.data).values() if each.vendor},
        signing=sign.fault(sign.signing(project.root, config)))


def published(project: Project, wished: str) -> Published:
    """Reads and digests every file of the version, if the store has it."""
    if wished not in project.store.versions(project.app):
        return Published(burnt=indexing.knows(project.store, project.app, wished))
    return Published(project.store.manifest(project.app, wished), project.store.verify(project.app, wished),
                     indexing.names(project.store, project.app, wished))


def _unfinished(project: Project, state: State, remote: Remote | None) -> tuple[Path | None, scratch.Note | None]:
    """The run that went past its point of no return, be it in part, and did not come to its end; one that has staged its files first."""
    sent = [(path, note) for path, note in scratch.notes(project.repo.data).items() if is_sent(project.repo, state, remote, note)]
    return max(sent, key=lambda each: _staged(project, each[1]), default=(None, None))


def is_sent(repo: Repository, state: State, remote: Remote | None, note: scratch.Note) -> bool:
    """Whether the tag is this run's, or the remote has no such tag and has the run's own commit on its branch."""
    tags = remote.tags if remote else state.tags
    if note.tag in tags or not (note.tag and remote) or note.commit == note.base:
        return tags.get(note.tag) == note.commit
    return has(repo, remote, note.commit)


def _lacking(repo: Repository, remote: Remote | None, note: scratch.Note | None) -> str:
    if note is None or remote is None:
        return ""
    if note.tag not in remote.tags:
        return "tag"
    if lacks(repo, remote, note.base, (note.commit, note.tag_id)):
        return "branch"
    apart = repo.between(note.commit, remote.head)
    return "merge" if apart and all(apart) else ""


def _begun(project: Project, sent: scratch.Note | None) -> str:
    return next((note.version for note in scratch.notes(project.repo.data).values() if note != sent), "")


def _staged(project: Project, note: scratch.Note | None) -> bool:
    return bool(note and note.staged and project.store.staged(Path(note.staged)))


def _relation(repo: Repository, state: State, remote: Remote | None) -> str:
    """How the branch stands to the remote's: none, new, same, ahead, behind, diverged."""
    if remote is None or remote.error:
        return "none"
    if not remote.head:
        return "new"
    if remote.head == state.head:
        return "same"
    apart = repo.between(remote.head, state.head)
    if apart is None:
        return "diverged" if repo.unsent(remote) else "behind"
    if not apart[1]:
        return "behind"
    return "ahead" if not apart[0] else "diverged"


def _newest(repo: Repository, state: State, remote: Remote | None, template: str) -> str:
    """The last version whose tag is in this branch's history: on a maintenance branch 1.0.4, whatever main has reached."""
    from packaging.version import Version as Order
    tags = {**(remote.tags if remote else {}), **state.tags}
    for text, tag in sorted(version.of_tags(tags, template).items(), key=lambda each: Order(each[0]), reverse=True):
        apart = (0, 0) if tags[tag] in (state.head, state.stem) else repo.between(tags[tag], state.head)
        if apart is not None and not apart[0]:
            return text
    return ""


def _locking(project: Project) -> dict[str, Any]:
    """What is said about dependencies: by pyproject.toml, and by the requirements.lock in version control."""
    path = project.root / "requirements.lock"
    locked = path.is_file() and bool(project.repo.tracked([(project.prefix / path.name).as_posix()]))
    requires, text = pins.declared(project.root, project.config["extras"]), _text(path) if locked else ""
    aims = [each.environment for each in targets(project.config)]
    left = [str(each) for aim in aims for each in pins.uncovered(requires or (), aim, pins.parse(text, aim))] if locked else []
    return {"locked": locked, "requires": requires, "unpinned": tuple(dict.fromkeys(left)), "pinned": tuple(pins.parse(text)),
            "shut_out": _shut_out(project)}


def _shut_out(project: Project) -> tuple[str, ...]:
    """The target Pythons that pyproject.toml's own requires-python does not allow, and what that is."""
    said = pins.requires_python(project.root)
    return tuple(f"{each.python}; the project requires Python {said}" for each in targets(project.config) if not each.fits(said))


def _in_packages(top: Path, untracked: Sequence[str]) -> list[str]:
    """The untracked files that a build from this tree could take along: in a package, or Python below src/."""
    def inside(path: str) -> bool:
        folders = [top / folder for folder in PurePosixPath(path).parents][:-1]
        return any((folder / "__init__.py").is_file() for folder in folders) or path.startswith("src/")
    return [path for path in untracked if inside(path)]


def _missing(project: Project) -> list[str]:
    """The files the configuration names that version control does not have."""
    named = [project.config[key] for key in ("entry", "settings") if project.config[key]]
    paths = {name: (project.prefix / name).as_posix() for name in named}
    have = project.repo.tracked(list(paths.values()))
    return [name for name, path in paths.items() if path not in have]


def _unrunnable(project: Project) -> list[tuple[str, str]]:
    """(key, program) for each configured command that cannot be started. A path is relative to the project."""
    vectors = [("test", project.config["test"]), *((name, each) for name, several in hooks(project).items() for each in several)]
    return [(name, argv[0]) for name, argv in vectors if argv and not _runnable(project.root, argv[0])]


def _runnable(root: Path, program: str) -> bool:
    if "/" in program:
        return (root / program).is_file() and os.access(root / program, os.X_OK)
    return program == "python" or bool(shutil.which(program))


def hooks(project: Project) -> dict[str, list[list[str]]]:
    """"hooks.before_test" and so on -> the commands, of those that have any."""
    return {name: value for name, value in project.config.values.items() if name.startswith("hooks.") and value}


def tests(project: Project) -> list[str]:
    """The test command: the configured one, else pytest where it is installed, else unittest; [] when there are no tests."""
    if project.config["test"]:
        return list(project.config["test"])
    if not any(next(project.root.glob(pattern), None) for pattern in _TESTS):
        return []
    return ["python", "-m", "pytest" if importlib.util.find_spec("pytest") else "unittest"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8", "save the changelog as UTF-8") from None
