"""inv's tasks for the developer who releases. In a project's tasks.py: `from weft.tasks.release import ns`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from invoke import Collection, task

from weft.errors import Refused
from weft.tasks import shell

_JSON = "One JSON object as the last line of standard output."


@task(help={"version": "The version to release, such as 1.1.4. Default: the one the code declares, if it is new.",
            "bump": "Count up from the last version instead: patch, minor or major.",
            "yes": "Do not ask.", "plan": "Show what would be done, and change nothing.", "json": _JSON})
@shell.command
def release(c, version=None, bump=None, yes=False, plan=False, json=False):
    """
    Test, build, tag and publish this project: inv release --version 1.1.4

    Lists all that stands against it before anything changes; shows the plan and asks. Until branch and tag are
    pushed, a failure leaves nothing behind; after that the same command finishes it.
    """
    from weft.release import pipeline
    from weft.tasks.live import Live
    wish = pipeline.Wish(version, bump)
    project = pipeline.open_project(Path.cwd())
    if plan or c.config.run.dry:
        return _show(pipeline.propose(project, wish, _today()), json)
    live = Live()
    agree = _agreement(yes, json)
    done = pipeline.release(project, wish, _today(), live, agree)
    return _report(done, live.warnings, json)


@task(help={"json": _JSON})
@shell.command
def status(c, json=False):
    """
    Show version, last tag and what the store has: inv status
    """
    from weft.release import pipeline, single
    said = single.status(pipeline.open_project(Path.cwd()))
    if not json:
        for name, value in said.items():
            print(f"{name + ':':<12} {', '.join(value) if isinstance(value, list) else value}")
    return said


@task
@shell.command
def test(c):
    """
    Run the tests here, as a release will run them: inv test
    """
    from weft.release import pipeline, single
    single.test(pipeline.open_project(Path.cwd()), print)


@task(help={"json": _JSON})
@shell.command
def build(c, json=False):
    """
    Build sdist and wheel of the last commit into dist/: inv build
    """
    from weft.release import pipeline, single
    from weft.tasks.live import Live
    paths = single.build_only(pipeline.open_project(Path.cwd()), Live())
    json or print("\n".join(map(str, paths)))
    return {"files": [str(path) for path in paths]}


@task(help={"upgrade": "Ask the index for newer versions; else those of requirements.lock are kept.", "json": _JSON})
@shell.command
def lock(c, upgrade=False, json=False):
    """
    Write requirements.lock, the exact dependencies with hashes: inv lock --upgrade
    """
    from weft.release import pipeline, single
    from weft.tasks.live import Live
    path, count = single.lock_only(pipeline.open_project(Path.cwd()), upgrade, Live())
    json or print(f"{path}: {count} locked; commit it, and releases keep to it")
    return {"file": str(path), "locked": count}


def _today():
    from datetime import datetime
    return datetime.now().date()


def _show(proposal: Any, json: bool) -> dict[str, Any]:
    """The plan, for people on standard output or as JSON."""
    if not json:
        print("\n".join(_described(proposal)))
    return {"app": proposal.frame.app, "version": proposal.frame.version, "changelog": proposal.changelog,
            "digest": proposal.plan.digest(), "plan": proposal.plan.to_json(), "released": proposal.done}


def _described(proposal: Any) -> list[str]:
    frame = proposal.frame
    if proposal.done:
        return [f"{frame.app} {frame.version} is released already; there is nothing to do"]
    entry = ["changelog:", *(f"  {line}" for line in proposal.changelog.splitlines())] if proposal.changelog else []
    return [f"{frame.app}  {proposal.before or 'first'} -> {frame.version}", *entry, "", *proposal.plan.describe()]


def _agreement(yes: bool, json: bool):
    """The question between plan and deed; without a terminal only --yes answers it."""
    def agree(proposal: Any) -> None:
        stream = sys.stderr if json else sys.stdout
        print("\n".join(_described(proposal)), file=stream, flush=True)
        if yes:
            return
        if json or not sys.stdin.isatty():
            raise Refused("there is no terminal to ask on", "add --yes to release, or --plan to look only")
        print(f"Release {proposal.frame.app} {proposal.frame.version}? [y/N] ", end="", file=stream, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Refused("not released", "answer y, or add --yes")
    return agree


def _report(proposal: Any, warnings: list[str], json: bool) -> dict[str, Any]:
    frame, store = proposal.frame, proposal.project.store
    place, following = store.path(frame.app, frame.version), f"fab deploy --version {frame.version}"
    if not json:
        print(f"{frame.app} {frame.version} is {'released already' if proposal.done else 'released'}\n"
              f"lies:  {place}\nnext:  {following}")
    return {"app": frame.app, "version": frame.version, "released": "already" if proposal.done else "now",
            "place": str(place), "id": store.manifest(frame.app, frame.version).id, "next": following, "warnings": warnings}


ns = Collection(release, status, test, build, lock)
