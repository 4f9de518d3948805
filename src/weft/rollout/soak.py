"""After a wave its hosts must stay good for a while, however long it is: a host that turns bad is taken back from here, and counts as failed.
"""

from __future__ import annotations

import time
from typing import Any, Sequence

from weft.errors import FailedUndone, WeftError
from weft.rollout import compare, unsafe
from weft.rollout.hostrun import HostRun, serves
from weft.rollout.looks import look

EVERY = 5.0
"""Seconds between two looks at the hosts of a wave."""
TWICE = 2
"""So many looks in a row must find a health path unwell, or nobody at all; what users got is sure at once."""


class Watched:
    """What the looks at one host have come to. Pure. row: how many in a row have found something."""

    def __init__(self) -> None:
        self.row = 0

    def heard(self, generation: int, said: dict[str, Any] | WeftError) -> str:
        """Why the host has turned bad, "" while it has not. generation: what it was given.  said: the answer to a look, or why there was none."""
        sure = False
        if isinstance(said, WeftError):
            found = f"could not be looked at: {said.message}"
        elif said["state"]["live"] != generation:
            found, sure = f"{serves(said['state'])} (generation {said['state']['live']}) is served, which this rollout did not bring", True
        else:
            found, sure = said["window"]["traffic"] or said["window"]["health"], bool(said["window"]["traffic"])
        self.row = self.row + 1 if found else 0
        return found if found and (sure or self.row >= TWICE) else ""


def needed(rollout: Any) -> bool:
    """Whether anything follows the confirmations of a wave."""
    return bool(rollout.job.watched)


def after(rollout: Any, wave: Sequence[HostRun], first: bool) -> None:
    """Soak and, after the first wave, compare. Those that turned bad are taken back, and have failed."""
    if not needed(rollout):
        return
    start, good = time.monotonic(), [run for run in wave if run.status == "switched"]
    if good and rollout.policy.soak > 0:
        rollout.progress.phase(f"watching {', '.join(run.host.name for run in good)} for {rollout.policy.soak:g} s")
        good = soaked(rollout, good, start)
    if first and good and rollout.policy.compare.requests and not rollout.stop:
        why = compare.canary(rollout, good, time.monotonic() - start)
        fail(rollout, {run.host.name: why for run in good if why})


def soaked(rollout: Any, runs: Sequence[HostRun], start: float) -> list[HostRun]:
    """Looks at the hosts until the time is up, or a person ends it. Those that stayed good."""
    watched, end, going = {run.host.name: Watched() for run in runs}, start + rollout.policy.soak, list(runs)
    while going and not rollout.stop and (time.monotonic() < end or any(watched[run.host.name].row for run in going)):
        _wait(rollout.stop, min(EVERY, max(0.2, end - time.monotonic())))
        said = look(rollout, going, max(1.0, time.monotonic() - start))
        bad = {run.host.name: why for run in going if run.host.name in said
               and (why := watched[run.host.name].heard(run.generation, said[run.host.name]))}
        fail(rollout, {name: f"{why} ({time.monotonic() - start:.0f} s after the wave)" for name, why in bad.items()})
        going = [run for run in going if run.host.name not in bad]
    return going


def fail(rollout: Any, bad: dict[str, str]) -> None:
    """Those hosts have failed after all, for that reason, and are taken back at once, as any host that fails goes back by itself; not from a release
    that nobody can go back from."""
    runs = [run for run in rollout.runs if run.host.name in bad]
    for run in runs:
        error = FailedUndone(f"{run.host.name}: {bad[run.host.name]}", "mend the release")
        if not unsafe.stays(run, error):
            run.error, run.status = error, "lost"
        run.event(run.host.name, {"event": "error", "text": error.message})
    rollout.each([run for run in runs if run.status == "lost"], rollout.hooked.back, heed=False)


def _wait(stop: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not stop and (rest := end - time.monotonic()) > 0:
        time.sleep(min(rest, 0.2))
