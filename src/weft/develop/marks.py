"""What the application's processes say of themselves, and what is to be done about it: the wish is that all of them serve the last generation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Container, Mapping

from weft.develop.server import CUT
from weft.host import processes
from weft.host.layout import Layout
from weft.host.processes import Mark

PATIENCE = CUT + 1.0
"""Seconds to end by itself. A process that hangs in its import does not heed a signal that can be heeded."""


@dataclass(frozen=True)
class Seen:
    """alive: of processes of this Apache.  gone: of such that have ended since the last look."""

    alive: tuple[Mark, ...] = ()
    gone: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Orders:
    """end, kill: pids.  died: a process has ended in the middle of its import, by itself.  news: what has come of the import in those that nobody was told of."""

    end: frozenset[int] = frozenset()
    kill: frozenset[int] = frozenset()
    died: bool = False
    news: tuple[Mark, ...] = ()


def look(layout: Layout, parent: int, uid: int) -> Seen:
    """parent: Apache's pid.  uid: of the account that serves. What is gone is told once."""
    names = [name for name in os.listdir(layout.run("a")) if name.isdigit()]
    living = processes.children(parent, uid)  # only now: one that comes up in between must not count as gone
    alive, gone = [], []
    for name in names:
        mark = processes.read(layout.run("a") / name, int(name))
        if int(name) not in living:
            (layout.run("a") / name).unlink(missing_ok=True)
        if mark:
            (alive if mark.pid in living else gone).append(mark)
    return Seen(tuple(alive), tuple(gone))


def decide(seen: Seen, generation: int, asked: Mapping[int, float], told: Container[int], now: float) -> Orders:
    """asked: pid -> when it was asked to end.  told: pids.  now: on the same clock, in seconds."""
    return Orders(
        frozenset(mark.pid for mark in seen.alive if mark.generation < generation and mark.pid not in asked),
        frozenset(mark.pid for mark in seen.alive if now - asked.get(mark.pid, now) > PATIENCE),
        any(mark.state == "starting" and mark.generation == generation and mark.pid not in asked for mark in seen.gone),
        tuple(mark for mark in seen.alive if mark.generation == generation and mark.state != "starting" and mark.pid not in told))
