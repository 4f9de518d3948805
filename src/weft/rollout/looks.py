"""Looks at several hosts at once while a rollout stands still: how each has been for so many seconds."""

from __future__ import annotations

from typing import Any, Sequence

from weft.errors import WeftError
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import each


def look(rollout: Any, runs: Sequence[HostRun], seconds: float) -> dict[str, dict[str, Any] | WeftError]:
    """By host what it answers, or why it does not; the states are kept. Those that a Ctrl-C kept from being asked are missing."""
    found: dict[str, dict[str, Any] | WeftError] = {}

    def one(run: HostRun) -> None:
        try:
            said = run.aside("observe", {"release": None, "window": seconds}, 30.0)
        except WeftError as error:
            run.close()  # the next look, or the way back, has a fresh connection
            found[run.host.name] = error
        else:
            run.state = said["state"]
            found[run.host.name] = said
    each(runs, one, rollout.policy.parallel, rollout.stop)
    return found
