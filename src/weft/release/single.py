"""Single steps of a release: status, test, build and lock alone."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from weft import durable
from weft.errors import FailedUndone, Refused
from weft.plan import Step
from weft.release import build, changelog, lock, lockfile, observe, run, scratch, steps, version
from weft.release.observe import Project
from weft.simple.static import marks_of
from weft.stores.common import ordered


def status(project: Project) -> dict[str, Any]:
    """What is where; reads only."""
    seen = observe.observe(project)
    tags = version.of_tags(seen.state.tags, project.config["tag"])
    newest = version.newest(tags)
    return {"app": project.app, "version": seen.places[0].text or "the tag" if seen.places else "not declared",
            "branch": seen.state.branch, "commit": seen.state.head[:12],
            "changed": list(seen.state.changed), "changelog": _changelog(seen),
            "last_tag": tags.get(newest, ""), "remote": _remote(seen), "store": str(project.store),
            "released": [str(each) for each in reversed(seen.released)][:5], "taken_back": _taken_back(project),
            "unfinished": _unfinished(seen)}


def _taken_back(project: Project) -> list[str]:
    """The versions with a mark against them and why, newest first; of those that the index remembers too."""
    marks = marks_of(project.store, project.app)
    return [f"{version} ({word}: {marks[version][word]})" for version in reversed(ordered(list(marks))) for word in sorted(marks[version], reverse=True)]


def _changelog(seen: observe.Seen) -> str:
    """The newest section's heading."""
    newest = next(iter(changelog.sections(seen.changelog_text)), None)
    return f"{seen.changelog}: {newest.label}{newest.rest}".rstrip() if newest else seen.changelog


def _unfinished(seen: observe.Seen) -> str:
    if seen.unfinished:
        return f"{seen.unfinished.version} is pushed{f', without its {seen.lacking}' if seen.lacking else ''}: inv release --resume"
    return f"{seen.begun} was not pushed: inv release --abort" if seen.begun else ""


def _remote(seen: observe.Seen) -> str:
    if seen.remote is None:
        return "none"
    return f"{seen.remote.name}, no answer: {seen.remote.error}" if seen.remote.error else f"{seen.remote.name}, {seen.relation}"


def test(project: Project, log: Callable[[str], None]) -> None:
    """The tests in the working tree, as it is. Raises FailedUndone."""
    argv = observe.tests(project)
    if not argv:
        raise Refused("there are no tests", 'write tests/, or set test = ["command", "argument"] in [tool.weft]')
    try:
        steps.test(project.root, argv, log)
    except run.CommandFailed as error:
        raise FailedUndone(str(error), "mend what the tests show", "nothing changed") from None


def build_only(project: Project, report: Any) -> list[Path]:
    """sdist and wheel of the commit checked out, in dist/."""
    with _clone(project) as work:
        _built(work, report, 2)
        out = project.root / "dist"
        out.mkdir(exist_ok=True)
        return [_copied(path, out) for path in sorted(work.dist.iterdir())]


def _copied(path: Path, out: Path) -> Path:
    durable.write(out / path.name, path.read_bytes())
    return out / path.name


def lock_only(project: Project, upgrade: bool | Sequence[str], report: Any) -> tuple[Path, int]:
    """requirements.lock beside pyproject.toml, for what the commit checked out requires; how many are locked.

    upgrade: the names to ask the index for again, or True for all.
    """
    path = project.root / "requirements.lock"
    pinned = path.read_text(encoding="utf-8") if path.is_file() else ""
    with _clone(project) as work:
        wheel = _built(work, report, 3)
        with _told(report, 3, 3, "lock"):
            found = lock.locked(steps.requirements(project, wheel), pinned, report.log, lock.Rules(upgrade=upgrade))
    for said in found.yanked.values():
        report.warn(f"locked, but its index has yanked it: {said}")
    if found.text != pinned:
        durable.write(path, found.text)
    return path, len(found.names)


def _built(work: steps.Work, report: Any, of: int) -> Path:
    with _told(report, 1, of, "sdist"):
        archive = build.make_sdist(work.source, work.dist, work.epoch, report.log)
    with _told(report, 2, of, "wheel"):
        return build.make_wheel(archive, work.place / "unpacked", work.dist, work.epoch, report.log)


@contextmanager
def _clone(project: Project) -> Iterator[steps.Work]:
    """A clone of the commit checked out, gone afterwards."""
    with lockfile.held(project.repo.data):
        head = project.repo.state().head
        if not head:
            raise Refused("the repository has no commit", "commit the project first")
        work = steps.Work(project, None, lambda line: None, lambda text: None)
        try:
            steps.RUN["scratch"](work, commit=head, tag="", tag_id="", branch="", base=head)
            yield work
        finally:
            if work.place:
                scratch.remove(work.place, project.store)


@contextmanager
def _told(report: Any, number: int, of: int, kind: str) -> Iterator[None]:
    report.begin(number, of, Step(kind, kind))
    try:
        yield
    except run.CommandFailed as error:
        report.end(False, error.tail)
        raise FailedUndone(f"{kind}: {error}", "mend what it shows, commit, and run the same command again",
                           "nothing changed", {"output": error.tail}) from None
    except BaseException as error:
        report.end(False, getattr(error, "tail", ()))
        raise
    report.end(True, ())
