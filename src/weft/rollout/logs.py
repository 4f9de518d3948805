"""`fab logs`: the lines of all hosts as one, by their time."""

from __future__ import annotations

import heapq
import threading
import time
from datetime import datetime
from typing import Any, Callable

from weft.rollout.environment import Environment
from weft.rollout.talk import FOREVER, Talk

HOLD = 0.5
"""Seconds that a line waits for an earlier one of another host."""


class Merge:
    """Gives lines on in the order of their time. follow: as they come, else all at the end. Thread-safe."""

    def __init__(self, follow: bool, give: Callable[[str, dict[str, Any]], None], clock: Callable[[], float] = time.monotonic):
        self.follow, self.give, self.clock = follow, give, clock
        self._waiting: list[tuple[float, int, float, str, dict[str, Any]]] = []
        self._count, self._mutex = 0, threading.Lock()

    def heard(self, host: str, event: dict[str, Any]) -> None:
        """An event of a host; the signs of life that come between the lines move the others on."""
        with self._mutex:
            if event.get("event") == "line":
                self._count += 1
                heapq.heappush(self._waiting, (event["at"], self._count, self.clock(), host, event))
            if self.follow:
                self._move(self.clock() - HOLD)

    def end(self) -> None:
        with self._mutex:
            self._move(float("inf"))

    def _move(self, before: float) -> None:
        while self._waiting and self._waiting[0][2] <= before:
            _at, _count, _when, host, event = heapq.heappop(self._waiting)
            self.give(host, event)


def logs(environment: Environment, lines: int, follow: bool, errors: bool, give: Callable[[str, dict[str, Any]], None]) -> Talk:
    """What came of it, host by host, once `give` has had the lines."""
    merge = Merge(follow, give)
    talk = Talk(environment, environment.hosts.hosts, merge.heard)
    try:
        talk.run("logs", {"lines": lines, "follow": follow, "errors": errors}, FOREVER if follow else 120.0, len(environment.hosts) if follow else 0)
    finally:
        merge.end()
    return talk


def shown(host: str, width: int, event: dict[str, Any]) -> str:
    """One line, in the operator's time."""
    at = datetime.fromtimestamp(event["at"]).isoformat(" ", "milliseconds")
    return f"{host:<{width}}  {at}  {event['log']:<6}  {event['text']}"
