"""inv's tasks for the developer who releases. In a project's tasks.py: `from weft.tasks.release import ns`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from invoke import Collection, task

from weft.errors import Refused
from weft.tasks import chain, develop, shell

_JSON = "One JSON object as the last line of standard output."


@task(help={"version": "The version to release, such as 1.1.4. Default: the one the code declares, if it is new.",
            "bump": "Count up from the last version instead: patch, minor or major.",
            "channel": "prod releases only what requirements.lock in the repository pins. Default: as configured.",
            "vendor": "The dependencies whose wheels lie in the store: all, none or NAME,...; the others are locked by hash and fetched "
                      "when they are deployed. Default: as configured.",
            "yes": "Do not ask.", "plan": "Show what would be done, and change nothing.",
            "resume": "Go on with the release that was pushed and did not come to its end.",
            "abort": "Remove what a release left that was not pushed.",
            "quiet": "Of the commands' output show the failing lines only.", "json": _JSON})
@shell.command
def release(c, version=None, bump=None, channel=None, vendor=None, yes=False, plan=False, resume=False, abort=False, quiet=False, json=False):
    """
    Test, build, tag and publish this project: inv release --version 1.1.4

    Lists all that stands against it before anything changes; shows the plan and asks. Until branch and tag are
    pushed, a failure leaves nothing behind; after that the same command finishes it.
    """
    from weft.release import vcs
    vcs.expect(Path.cwd(), acting=not (plan or c.config.run.dry or abort))
    from weft.release import pipeline
    from weft.tasks.live import Live
    wish = pipeline.Wish(version, bump, resume, channel, None if vendor is None else vendor.split(","))
    project = pipeline.open_project(Path.cwd())
    if abort:
        return _abort(project, json, version or bump or resume or plan)
    if plan or c.config.run.dry:
        return _show(pipeline.propose(project, wish, _today()), json)
    live = Live(quiet=quiet)
    agree = _agreement(yes, json)
    done = pipeline.release(project, wish, _today(), live, agree)
    return _report(done, live.warnings, json)


@task(help={"json": _JSON})
@shell.command
def status(c, json=False):
    """
    Show version, last tag and what the store has: inv status
    """
    from weft.release import vcs
    vcs.expect(Path.cwd(), acting=False)
    from weft.release import pipeline, single
    said = single.status(pipeline.open_project(Path.cwd()))
    if not json:
        print("\n".join(f"{name.replace('_', ' ') + ':':<12} {_told(value)}" for name, value in said.items()))
    return said


def _told(value: Any) -> str:
    """A value of `inv status` for people."""
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return (str(value).replace("\n", "\n" + " " * 13)) or "none"


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


@task(optional=["upgrade"], help={"upgrade": "Ask the index for newer versions: of all, or of NAME,... only; else those of "
                                              "requirements.lock are kept.", "json": _JSON})
@shell.command
def lock(c, upgrade=None, json=False):
    """
    Write requirements.lock, the exact dependencies with hashes: inv lock --upgrade
    """
    from weft.release import pipeline, single
    from weft.tasks.live import Live
    names = [name.strip() for name in upgrade.split(",")] if isinstance(upgrade, str) else bool(upgrade)
    path, count = single.lock_only(pipeline.open_project(Path.cwd()), names, Live())
    json or print(f"{path}: {count} locked; commit it, and releases keep to it")
    return {"file": str(path), "locked": count}


def _abort(project: Any, json: bool, more: Any) -> dict[str, Any]:
    from weft.errors import UsageError
    from weft.release import unfinished
    if more:
        raise UsageError("--abort takes no other words", "inv release --abort")
    versions = unfinished.abort(project)
    if not json:
        names = ", ".join(filter(None, versions)) or "a release that had just begun"
        print(f"{names}: what it left is removed; nothing of it was pushed or published" if versions else "there is nothing to abort")
    return {"app": project.app, "aborted": versions}


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


ns = Collection(release, status, test, build, lock, chain.verify, chain.yank, chain.index, *develop.TASKS)
