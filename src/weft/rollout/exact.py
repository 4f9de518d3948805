"""A rollout that carries out the plans that somebody has looked at, and no others."""

from __future__ import annotations

from typing import Sequence

from weft.errors import Refused, WeftError
from weft.rollout.hostrun import HostRun
from weft.rollout.job import Job


def faults(job: Job, runs: Sequence[HostRun]) -> list[WeftError]:
    """Hosts with a plan now that is none of those. Where nothing is to be done there is no plan, and nothing wrong."""
    others = [run for run in runs if run.plan and run.plan.digest() not in job.exactly] if job.exactly else []
    if not others:
        return []
    now = ", ".join(f"{run.host.name} {run.plan.digest()}" for run in others if run.plan)
    return [Refused(f"not the plan that was named: {now}", f"see what has changed: {job.typed} --plan{job.again}")]
