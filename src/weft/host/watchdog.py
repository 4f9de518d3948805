"""The process beside a trial while there is nothing to do but to wait: small, since each switch starts one and nearly all are confirmed.

It reads, and decides one thing: that its trial was confirmed, and it can end. Of all else it knows nothing, and starts the whole engine, until that has ended well.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

WHOLE = "WEFT_WATCHDOG_WHOLE"
"""In the environment of an engine that is to do the watchdog's work, whatever it finds."""
PAUSE = 1.0
HELD = 45.0
"""Seconds that one waits beside a trial that is held (ADR 18): the fleet's lock, which has just been heard of, is alive for longer. After that the whole
engine looks at the lock."""


def wanted(words: list[str]) -> bool:
    """Whether these are a watchdog's words, and the waiting has not been done."""
    return "--watchdog" in words[-3:-2] and WHOLE not in os.environ


def main(words: list[str] | None = None) -> int:
    """The exit code: 0 once the trial is over."""
    words = sys.argv[1:] if words is None else words
    prefix, app, number = words[1] if words[0] == "--prefix" else "", words[-2], int(words[-1])
    state = f"{prefix}/var/lib/weft/{app}"
    if confirmed(state, number):
        return 0
    while _engine(words) and os.path.isdir(state):  # a disk that is full or broken now may not be so later
        time.sleep(PAUSE)
    return 0


def confirmed(state: str, number: int) -> bool:
    """Once the trial that is about to begin has ended, or is one that others must judge: whether it was confirmed."""
    while not (begun := _read(f"{state}/trial.json").get("generation") == number) and not _idle(f"{state}/lock"):
        time.sleep(0.2)
    since = 0.0
    while said := _read(f"{state}/trial.json"):
        since = since or (_now() if said.get("held") else 0.0)
        if (left := _left(said, number, since)) <= 0:
            break
        time.sleep(min(left + 0.05, PAUSE))
    return begun and not os.path.lexists(f"{state}/trial.json") and _read(f"{state}/last.json").get("generation") == number


def _left(trial: dict[str, object], number: int, since: float) -> float:
    """Seconds until a trial of this boot is over, or has been held for long; 0 for any other. since: when, on the boot clock, it was first seen held."""
    deadline = since + HELD if trial.get("held") else trial.get("deadline")
    if trial.get("generation") != number or not isinstance(deadline, float) or trial.get("boot") != _boot():
        return 0.0
    return deadline - _now()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _engine(words: list[str]) -> int:
    """Its exit code; another than 0 where it could not be started."""
    try:
        return os.spawnve(os.P_WAIT, sys.executable, [sys.executable, "-IS", sys.argv[0], *words], {**os.environ, WHOLE: "1"})
    except OSError:
        return 1


def _read(path: str) -> dict[str, object]:
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _idle(lock: str) -> bool:
    """Whether nobody holds the host's lock; as `lock.idle` has it, without the engine that it imports."""
    try:
        with open(lock, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return True
