"""inv's tasks about releases that are out: check one, take one back, renew the index. weft.tasks.release has them in its collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import task

from weft.errors import UsageError
from weft.tasks import shell

if TYPE_CHECKING:  # `inv --list` needs no versions
    from weft.values import Version

_JSON = "One JSON object as the last line of standard output."


def _named(version: Any, name: str) -> Version:
    """Raises UsageError for no version, before anything is looked at."""
    if not isinstance(version, str):
        raise UsageError("which version?", f"inv {name} --version 1.1.4")
    from weft.values import Version
    return Version(version)


def _project() -> Any:
    from weft.release import pipeline
    return pipeline.open_project(Path.cwd())


@task(help={"version": "The version to check, as it was released.", "json": _JSON})
@shell.command
def verify(c, version=None, json=False):
    """
    Compare a released version with its manifest, signature, tag and the index: inv verify --version 1.1.4
    """
    from weft.release import chain
    said = chain.check(_project(), _named(version, "verify"))
    if not json:
        print(f"{said['app']} {version}: {said['files']} files, tag {said['tag']} = {said['commit'][:12]}, "
              + (f"signed by {said['signed']}" if said["signed"] else "not signed"))
        print("\n".join(f"{mark}: {why}" for mark, why in said["marks"].items()) or "nothing stands against it")
    return said


@task(help={"version": "The version to take back.", "why": "The reason, which operators are shown.", "json": _JSON})
@shell.command
def yank(c, version=None, why="", json=False):
    """
    Take a version back: it is marked, never deleted, and deployed with --force-yanked only: inv yank --version 1.1.4 --why "…"
    """
    from weft.release import chain
    name = _named(version, "yank")
    renewed = chain.take_back(_project(), name, why)
    marked = renewed.index.versions.get(name, {})
    if not json:
        print(f"{renewed.index.app} {name} is yanked: {marked.get('yanked', why)}\nindex: serial {renewed.index.serial}")
    return _said(renewed)


@task(help={"json": _JSON})
@shell.command
def index(c, json=False):
    """
    Mend what the store shows beside its releases: listing.json and the package index simple/ of all applications, and, under
    the next serial, index.json of this one: inv index
    """
    from weft.release import repair
    done = repair.repair(_project())
    left = {**{f"{done.renewed.index.app} {version}": reason for version, reason in done.renewed.left.items()}, **done.left}
    if not json:
        index = done.renewed.index
        print(f"{index.app}: serial {index.serial}, {len(index.versions)} versions, good until {index.expires}\n"
              f"simple/: {done.projects} projects")
        print(*(f"{app}: {said}" for app, said in done.others.items()), *(f"left out: {name}: {reason}" for name, reason in left.items()),
              sep="\n", end="\n" if done.others or left else "")
    return {**_said(done.renewed), "projects": done.projects, "others": dict(done.others), "left_out": left}


def _said(renewed: Any) -> dict[str, Any]:
    index = renewed.index
    return {"app": index.app, "serial": index.serial, "expires": index.expires, "versions": dict(index.versions),
            "left_out": dict(renewed.left)}
