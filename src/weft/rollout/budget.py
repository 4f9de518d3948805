"""How many hosts may fail, how many must serve well, and in which order hosts are worked on. Pure."""

from __future__ import annotations

from typing import Any, Sequence

from weft.record import record
from weft.rollout.compare import Tolerance
from weft.rollout.hostrun import HostRun, live_of

ALL, WAVE, HALT = "rollback-all", "rollback-wave", "halt"
"""What is done when a budget is spent."""
FAILED = ("failed", "lost", "stuck", "unknown", "overtaken")


@record(frozen=True)
class Policy:
    """sizes: of the waves.  parallel: hosts at once.  max_fail: hosts that may fail after the first wave, a number or a percentage of all.

    min_healthy: how many must serve well, likewise.  on_failure: one of ALL, WAVE and HALT.  soak: seconds that a wave must stay good.
    pause: after which wave the rollout ends for the time being, 0 for none.
    """

    sizes: Sequence[str]
    parallel: int = 32
    max_fail: str = "0"
    min_healthy: str = "0"
    on_failure: str = ALL
    soak: float = 0.0
    compare: Tolerance = Tolerance()
    pause: int = 0

    @property
    def watches(self) -> bool:
        """Whether anything follows the confirmations of a wave."""
        return self.soak > 0 or self.compare.requests > 0


def share(text: str, whole: int) -> int:
    """A number of hosts; a percentage is rounded down, and of none is none, otherwise at least one."""
    if not text.endswith("%"):
        return int(text)
    percent = int(text[:-1])
    return max(1, whole * percent // 100) if percent and whole else 0


def well(run: HostRun) -> bool:
    """Whether a request to the site got a good answer, of the release that is live there, when the host was last heard of."""
    said = run.state.get("answers") or {}
    return run.status not in ("lost", "stuck", "unknown") and 200 <= said.get("status", 0) < 400 \
        and said.get("release", "") == live_of(run.state).get("release", "")


def tripped(runs: Sequence[HostRun], wave: int, policy: Policy, healthy: int) -> str:
    """Why no wave may follow, "" while one may. healthy: how many served well before the first wave; fewer than then is no fault of this rollout."""
    failed = sum(run.status in FAILED for run in runs)
    allowed = 0 if wave == 1 else share(policy.max_fail, len(runs))
    if failed > allowed:
        return f"{failed} of {len(runs)} hosts failed" + (f", {allowed} may" if allowed else "")
    serving, floor = sum(map(well, runs)), min(share(policy.min_healthy, len(runs)), healthy)
    return f"{serving} of {len(runs)} hosts serve well, {floor} must" if serving < floor else ""


def ordered(runs: Sequence[HostRun]) -> list[HostRun]:
    """Those that do not serve well first, where there is least to lose; within each sort, failure domains in turn."""
    sick, good = [run for run in runs if not well(run)], [run for run in runs if well(run)]
    return [*_in_turn(sick), *_in_turn(good)]


def _in_turn(runs: Sequence[HostRun]) -> list[HostRun]:
    """One of each domain, then the next of each, so that a wave is never a whole domain where there are several."""
    seen: dict[str, int] = {}
    turns: list[tuple[int, Any]] = []
    for run in runs:
        turn = seen[run.host.domain] = seen.get(run.host.domain, -1) + 1
        turns.append((turn, run))
    return [run for _turn, run in sorted(turns, key=lambda each: each[0])]
