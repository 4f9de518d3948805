"""HostState: what observe saw on one host."""

from __future__ import annotations


from weft.record import field, record
from weft.typing import Any
from weft.values import Generation


@record(frozen=True)
class Fault:
    """Why a deploy would be refused, and the next move."""

    message: str
    next: str = ""


@record(frozen=True)
class Kept:
    """A release whose manifest the host has kept. status, at, generation: of its last generation that was pruned.
    files: what installing needs."""

    release: str
    version: str
    status: str
    at: str
    layer: str = ""
    files: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    generation: int = 0
    rollback_safe: bool = True


@record(frozen=True)
class HostState:
    """live: the number of the generation that is served, None before set-up.  slots: which generation each slot holds.
    answers: what the public site really says.  drift: what somebody else changed.  disk_free in bytes; files_free: inodes, -1 for no limit.
    adopted: the file of the site that was here before weft, which generation 0 is then; "" without one.  lock: the fleet's.
    migrated: the migrations that were run here, the newest first."""

    app: str
    host: str
    engine: str
    set_up: bool
    live: int | None
    slot: str
    slots: dict[str, int]
    answers: dict[str, Any]
    generations: tuple[Generation, ...]
    drift: tuple[str, ...] = ()
    disk_free: int = 0
    files_free: int = -1
    adopted: str = ""
    python: str = ""
    cached: frozenset[str] = frozenset()
    sealed: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    trial: dict[str, Any] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()
    pins: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: dict[str, Any] = field(default_factory=dict)
    migrated: tuple[dict[str, str], ...] = ()

    @property
    def idle(self) -> str:
        """The slot that no user is served from."""
        return "b" if self.slot == "a" else "a"

    def generation(self, number: int | None) -> Generation | None:
        return next((g for g in self.generations if g.number == number), None)

    def to_json(self) -> dict[str, Any]:
        """As docs/reference/engine-protocol.md has it."""
        return {
            "app": self.app, "host": self.host, "engine": self.engine, "set_up": self.set_up, "live": self.live,
            "slot": self.slot, "slots": self.slots, "answers": self.answers,
            "generations": [g.to_json() for g in self.generations], "drift": list(self.drift), "adopted": self.adopted,
            "disk_free": self.disk_free, "python": self.python, "pins": self.pins, "lock": self.lock, "migrated": list(self.migrated),
            "unsafe": [each.release for each in self.kept if not each.rollback_safe],
        }
