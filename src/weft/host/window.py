"""How a host has been of late: what its health path says, and what users got in the seconds before. A look; it changes nothing.

A rollout asks for it while a wave soaks, and compares a canary by it with hosts that serve the release before.
"""

from __future__ import annotations

import time
from collections import Counter

from weft.errors import Refused
from weft.host import health
from weft.host.layout import Layout
from weft.servers import SLOTS, Site
from weft.typing import Any, Iterable

LONGEST = 86400.0
STEPS = 4
"""Classes of durations in each doubling: two hosts' counts can be added, and a percentile is right to a fifth."""


def parse(value: Any) -> float:
    """Seconds back from now; 0 where nobody asked. Raises Refused."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LONGEST:
        raise Refused(f"window is not a number of seconds, above 0 and up to {LONGEST:.0f}")
    return float(value)


def duration(milliseconds: float) -> int:
    """The class of a duration; all below a millisecond are 0."""
    import math
    return max(0, math.ceil(STEPS * math.log2(milliseconds))) if milliseconds > 1 else 0


def took(lines: Iterable[bytes], group: str, since: float) -> dict[str, int]:
    """How many requests of a slot's group took how long, by class."""
    from weft.host import traffic
    return {str(each): number for each, number in Counter(duration(line.took / 1000) for line in traffic.answered(lines, group, since)
                                                          if line.took is not None).items()}


def seen(layout: Layout, site: Site, slot: str, release: str, seconds: float) -> dict[str, Any]:
    """`window` of the protocol, of the slot that is live: what stands against it, and what its users got."""
    from weft.host import traffic
    said = health.fault(health.ask(site.port, site, 5), release, site.health)
    if slot not in SLOTS:
        return {"health": said, "traffic": "", "requests": 0, "errors": 0, "took": {}}
    lines, flipped = traffic.tails(layout), layout.live.lstat().st_mtime
    since, group = max(time.time() - seconds, flipped), f"{layout.app}-{slot}"
    other = f"{layout.app}-{SLOTS[1] if slot == SLOTS[0] else SLOTS[0]}"
    after = traffic.count(lines, group, since)
    blame = traffic.fault(traffic.count(lines, other, flipped - traffic.BEFORE), after, site.max_errors)
    return {"health": said, "traffic": blame, "requests": after.requests, "errors": after.errors, "took": took(lines, group, since)}


def asked(request: Any, state: Any) -> dict[str, Any]:
    """`window` of an answer, where the request asks for it and something is live."""
    live = state.generation(state.live)
    return {"window": seen(request.layout, request.site, state.slot, live.release, request.window)} if request.window and live else {}
