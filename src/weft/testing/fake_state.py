"""The fake engine's generations: a record of one, and the way back from one on trial."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from weft.host import boot, fleetlock


def record(number: int, release: str, version: str, status: str, by: str, previous: int) -> dict[str, Any]:
    return {"number": number, "release": release, "version": version, "settings": "", "status": status, "by": by,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "previous": previous, "note": ""}


def over(trial: dict[str, Any] | None, place: Path, stale: float) -> bool:
    """Whether there is one that nobody has confirmed in time; one that is held has as long as its lock is alive."""
    if trial and trial.get("held"):
        return fleetlock.lives_until(place, *trial["held"], stale) <= boot.now()
    return bool(trial) and time.time() > trial["deadline"]


def go_back(state: dict[str, Any], note: str, status: str = "bad") -> None:
    trial = state["trial"]
    for each in state["generations"]:
        if each["number"] == trial["generation"]:
            each.update(status=status, note=note)
    state.update(live=trial["previous"], trial=None)
