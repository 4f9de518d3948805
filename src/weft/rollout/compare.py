"""The canary beside hosts that still serve the release before, in the same seconds: what its users got, and how long it took them."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from weft.host import traffic
from weft.host.window import STEPS
from weft.record import field, record
from weft.rollout.hostrun import HostRun, live_of, serves
from weft.rollout.looks import look


@record(frozen=True)
class Tolerance:
    """requests: that each side needs at the least, 0: nothing is compared.  errors: percentage points more that may fail.
    latency: percent that the slowest twentieth may be slower."""

    requests: int = 0
    errors: float = 1.0
    latency: float = 50.0


@record(frozen=True)
class Figures:
    """Of one side. took: requests by class of duration, as weft.host.window has them."""

    requests: int = 0
    errors: int = 0
    took: Mapping[int, int] = field(default_factory=dict)

    @property
    def seen(self) -> traffic.Seen:
        return traffic.Seen(self.requests, self.errors)

    @property
    def slow(self) -> float:
        """Milliseconds that 95 of 100 requests stayed below; 0 where nothing is known."""
        left = sum(self.took.values()) * 0.95
        for step, number in sorted(self.took.items()):
            left -= number
            if left <= 0:
                return float(2 ** (step / STEPS))
        return 0.0


def figures(windows: Iterable[Mapping[str, Any]]) -> Figures:
    """Several hosts' together."""
    requests = errors = 0
    took: dict[int, int] = {}
    for each in windows:
        requests, errors = requests + each["requests"], errors + each["errors"]
        for step, number in each["took"].items():
            took[int(step)] = took.get(int(step), 0) + number
    return Figures(requests, errors, took)


def worse(new: Figures, old: Figures, tolerance: Tolerance) -> str:
    """Why the canary is worse, with both figures; "" where it is not, or nobody can be sure."""
    if min(new.requests, old.requests) < tolerance.requests:
        return ""
    if traffic.at_least(new.seen) > old.errors / old.requests + tolerance.errors / 100:
        return f"{new.seen} failed, of the others in the same time {old.seen}"
    known = min(sum(new.took.values()), sum(old.took.values())) >= tolerance.requests
    if known and new.slow > old.slow * (1 + tolerance.latency / 100):
        return f"95 of 100 requests took up to {new.slow:.0f} ms, of the others in the same time up to {old.slow:.0f} ms"
    return ""


def told(new: Figures, old: Figures, tolerance: Tolerance) -> str:
    """For people, where it is not worse."""
    if min(new.requests, old.requests) < tolerance.requests:
        return f"too few requests to compare: {new.requests} of the canary, {old.requests} of the others, {tolerance.requests} each are needed"
    return f"the canary is no worse: {new.seen} failed, of the others {old.seen}" + (
        f"; up to {new.slow:.0f} ms, of the others {old.slow:.0f} ms" if new.took and old.took else "; how long they took is not logged (fab setup)")


def canary(rollout: Any, runs: Sequence[HostRun], seconds: float) -> str:
    """Looks at both sides at once, and says what it sees. Why the canary is worse, "" where nothing is against it."""
    others = [run for run in rollout.runs if run.status == "staged" and live_of(run.state).get("number")]
    if not others:
        rollout.progress.phase("nothing to compare the canary with: no other host serves a release")
        return ""
    said = look(rollout, [*runs, *others], max(1.0, seconds))

    def side(hosts: Sequence[HostRun]) -> Figures:
        return figures(each["window"] for run in hosts if isinstance(each := said.get(run.host.name), dict))
    new, old, tolerance = side(runs), side(others), rollout.policy.compare
    why = worse(new, old, tolerance)
    if not why:
        rollout.progress.phase(told(new, old, tolerance))
    return f"worse than {serves(others[0].state)}: {why}" if why else ""
