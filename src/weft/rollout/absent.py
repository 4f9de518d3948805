"""Hosts that no connection comes to: a rollout that was told so goes on without them, names them, and ends with 6."""

from __future__ import annotations

from typing import Any, Sequence

from weft.errors import OutcomeUnknown, WeftError
from weft.rollout import verdict
from weft.rollout.access import Unreachable
from weft.rollout.hostrun import HostRun
from weft.rollout.job import Job

OPTION = "--skip-unreachable"


def away(run: HostRun) -> bool:
    """Whether nothing but the way to the host is in the way."""
    return isinstance(run.error, Unreachable)


def leave_out(job: Job, runs: list[HostRun]) -> list[HostRun]:
    """Takes the hosts out of `runs` that are away, if the job says so and any other is left; those. Otherwise their errors, which
    refuse the rollout, name the option."""
    gone = [run for run in runs if away(run)]
    if job.skip and len(gone) < len(runs):
        runs[:] = [run for run in runs if run not in gone]
        for run in gone:
            run.status = "skipped"
        return gone
    for run in gone if len(gone) < len(runs) and job.verb in ("deploy", "rollback") else []:
        run.error.hint += "" if OPTION in run.error.hint else f"; {OPTION} goes on without it, and ends with 6"
    return []


def told(error: WeftError, gone: Sequence[HostRun]) -> WeftError:
    """An error of the others, with those that were left out."""
    if gone:
        error.message = "\n".join([error.message, *(f"left out: {run.error.message}" for run in gone)])
        if isinstance(error.details, dict) and "hosts" in error.details:
            error.details["hosts"].update(verdict.hosts(gone))
    return error


def judge(job: Job, runs: Sequence[HostRun], gone: Sequence[HostRun], said: dict[str, Any], plan_only: bool = False) -> dict[str, Any]:
    """The result where none was left out. Raises OutcomeUnknown, with it, where all went well with the others."""
    if not gone:
        return said
    details = {**said, "hosts": {**said["hosts"], **verdict.hosts(gone)}}
    served = f"{verdict.served(runs)}; not known on {', '.join(run.host.name for run in gone)}"
    hint = "the same command again" if plan_only else verdict.onward(job, gone)
    paused = [f"{said['paused']['text']}; {said['paused']['next']}"] if "paused" in said else []
    raise OutcomeUnknown("\n".join([*paused, *(f"left out: {run.error.message}" for run in gone)]), f"when {'it is' if len(gone) == 1 else 'they are'} up again: {hint}",
                         f"nothing changed; {served}" if plan_only else served, details)
