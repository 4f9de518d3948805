"""The fake engine's generations: a record of one, and the way back from one on trial."""

from __future__ import annotations

import time
from typing import Any


def record(number: int, release: str, version: str, status: str, by: str, previous: int) -> dict[str, Any]:
    return {"number": number, "release": release, "version": version, "settings": "", "status": status, "by": by,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "previous": previous, "note": ""}


def go_back(state: dict[str, Any], note: str) -> None:
    trial = state["trial"]
    for each in state["generations"]:
        if each["number"] == trial["generation"]:
            each.update(status="bad", note=note)
    state.update(live=trial["previous"], trial=None)
