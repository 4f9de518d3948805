"""Confirmations that are held: each host stays on trial until the last wave is well, and all are confirmed for good at once. Until then a fleet whose
operator is killed goes back by itself, whole (ADR 18).
"""

from __future__ import annotations

from typing import Any, Sequence

from weft.rollout import budget
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import each


def begin(rollout: Any, hosts: int) -> bool:
    """Whether the confirmations of so many hosts are held. That of one host ends all there is; those of a release that nobody goes back from are never."""
    holds = rollout.job.holds and hosts > 1
    for run in rollout.runs:
        run.hold = holds
    return holds


def end(rollout: Any) -> None:
    """Whatever the rollout has come to, the hosts that stay on what they were given are confirmed for good now, and each ends the fleet's lock with it.
    One that has gone back meanwhile, or is away, has failed as it would have in its wave."""
    runs = _held(rollout.runs)
    if not runs:
        return
    rollout.progress.phase(f"confirming for good: {', '.join(run.host.name for run in runs)}")
    rollout.job.lock.closing = not rollout.job.hooks.commands
    each(runs, rollout.hooked.keep, len(runs), rollout.stop, heed=False)
    rollout.job.lock.closing = False
    if rollout.stop or all(run.status == "switched" for run in runs):
        return
    if rollout.wave and (why := budget.tripped(rollout.runs, rollout.wave.number, rollout.policy, rollout.wave.healthy)):
        return rollout.back(rollout.wave.runs, why)
    rollout.each([run for run in runs if run.status == "lost"], rollout.hooked.back, heed=False)


def left(runs: Sequence[HostRun]) -> None:
    """Whoever leaves at once leaves them to go back by themselves."""
    for run in _held(runs):
        run.status = "switching"


def _held(runs: Sequence[HostRun]) -> list[HostRun]:
    return [run for run in runs if run.held and run.status == "switched"]
