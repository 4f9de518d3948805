"""Read everything that a release is decided by; nothing is written."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Sequence

from weft.config import load
from weft.errors import UsageError
from weft.release import changelog, scratch, version
from weft.release.vcs import Remote, Repository, State, open_repository
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
    """What observe saw. unfinished: an earlier run's note whose tag is really there; unfinished_at: its directory."""

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
    unfinished: scratch.Note | None = None
    unfinished_at: Path | None = None
    staged: bool = False


@dataclass(frozen=True)
class Published:
    """The wished version in the store: its manifest, None when it is not there, and what is wrong with its bytes."""

    release: Release | None = None
    damage: Sequence[str] = field(default_factory=tuple)


def open_project(root: Path) -> Project:
    """Raises UsageError for a configuration that cannot work."""
    config = load.project(root)
    try:
        app_name(config["name"])
    except UsageError as error:
        raise config.wrong("name", error.message, error.hint) from None
    if bool(config["callable"]) == bool(config["entry"]):
        raise UsageError(f"{root / 'pyproject.toml'}: [tool.weft] needs either callable or entry, "
                         + ("not both" if config["entry"] else "and has neither"),
                         'callable = "package.module:application", or entry = "wsgi/application.wsgi"')
    if config["tag"].count("{version}") != 1 or config["tag"].startswith("-"):
        raise config.wrong("tag", f"{config['tag']!r} must name {{version}} once", 'tag = "v{version}"')
    return Project(root, config, open_repository(root), open_store(config["artifacts"], root))


def observe(project: Project) -> Seen:
    """Everything but the wished version's place in the store."""
    repo, config = project.repo, project.config
    state = repo.state()
    remote = repo.remote(config["remote"], state.branch) if state.branch else None
    log = changelog.find(project.root, config["changelog"])
    at, note = _unfinished(project, state, remote)
    return Seen(
        state=state, remote=remote, relation=_relation(repo, state, remote),
        places=version.places(project.root, config["version_file"]),
        changelog=log, changelog_text=_text(project.root / log) if log else "",
        released=project.store.versions(project.app), obstacle=project.store.obstacle(_ROOM),
        untracked=_in_packages(repo.top, state.untracked), missing=_missing(project),
        test=tests(project), locked=(project.root / "requirements.lock").is_file(),
        unfinished=note, unfinished_at=at, staged=_staged(project, note))


def published(project: Project, wished: str) -> Published:
    """Reads and digests every file of the version, if the store has it."""
    if wished not in project.store.versions(project.app):
        return Published()
    return Published(project.store.manifest(project.app, wished), project.store.verify(project.app, wished))


def _unfinished(project: Project, state: State, remote: Remote | None) -> tuple[Path | None, scratch.Note | None]:
    """The run that went past its point of no return and did not come to its end; one that has staged its files first."""
    tags = remote.tags if remote else state.tags
    sent = [(path, note) for path, note in scratch.notes(project.repo.data).items() if tags.get(note.tag) == note.commit]
    return max(sent, key=lambda each: _staged(project, each[1]), default=(None, None))


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
    if repo.ancestor(remote.head, state.head):
        return "ahead"
    known = repo.ancestor(remote.head, remote.head)
    return "behind" if not known or repo.ancestor(state.head, remote.head) else "diverged"


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
