"""Releases that nobody can go back from, in a rollout: no automatic way back from one, and none at all that is not asked for in words."""

from __future__ import annotations

from typing import Any, Sequence

from weft.errors import Refused, WeftError
from weft.host.unsafe import FORCE, crossed, why
from weft.rollout.hostrun import HostRun
from weft.rollout.job import Job


def deploying(job: Job) -> bool:
    """Whether what is being deployed is such a release: of it only a host's own undo goes back by itself."""
    return job.verb == "deploy" and bool(job.payload) and not job.payload.release.rollback_safe


def flag(job: Job) -> str:
    """What a command that goes back from this deploy needs besides."""
    return f" {FORCE}" if deploying(job) else ""


def stays(run: HostRun, error: WeftError) -> bool:
    """Whether a host that was switched and fails after that stays on such a release, for a person to see to; its status and what is said are set then."""
    if deploying(run.job):
        error.message += f"; {run.host.name} does not go back by itself, for the release is not rollback_safe"
        run.error, run.status = error, "stuck"
    return run.status == "stuck"


def faults(job: Job, runs: Sequence[HostRun]) -> list[WeftError]:
    """What refuses a rollback, and a deploy of what was served before, unless it was forced."""
    if job.unsafe:
        return []
    groups: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        found = crossed(run.before, _target(run), job.verb == "rollback") if run.plan else []
        if found:
            groups.setdefault(tuple(found), []).append(run.host.name)
    return [Refused(f"{', '.join(names)}: {why(list(versions))}", f"if it does all the same: {job.typed} {FORCE}{job.again}") for versions, names in groups.items()]


def _target(run: HostRun) -> str:
    return run.plan.target.rsplit("-", 1)[0] if run.plan else ""
