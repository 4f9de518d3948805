"""The clock that nobody can set, and which boot it counts from. Small, so that what is imported at every request stays so."""

from __future__ import annotations

import time
from pathlib import Path


def boot_id() -> str:
    """Changes with every boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def now() -> float:
    """Seconds since this boot, those of sleep included; nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
