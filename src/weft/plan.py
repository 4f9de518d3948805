"""Step and Plan as data: described, digested, journalled, sent over the wire.

What was shown is what is applied: whoever applies a plan compares its digest, and its base with the state found.
"""

from __future__ import annotations

import hashlib
import json

from weft.record import asdict, field, record
from weft.typing import Any


@record(frozen=True)
class Step:
    """One action by name. `text` is for people; `commit` marks the point of no return."""

    kind: str
    text: str
    args: dict[str, Any] = field(default_factory=dict)
    commit: bool = False


@record(frozen=True)
class Plan:
    """What will be done to `subject` (a host, a repository), from `base` to `target`."""

    subject: str
    base: str
    target: str
    steps: tuple[Step, ...] = ()

    def digest(self) -> str:
        """Twelve hex digits over everything that will be done."""
        return hashlib.sha256(canonical(self.to_json()).encode()).hexdigest()[:12]

    def describe(self) -> list[str]:
        """Numbered lines; the point of no return is marked."""
        return [f"{n:>2}. {step.text}" + ("   <- point of no return" if step.commit else "")
                for n, step in enumerate(self.steps, 1)]

    def ready(self) -> int | None:
        """The generation that a deploy would activate as it is staged already, by its settings too; None where anything is to be made first."""
        made = {step.kind for step in self.steps} & {"fetch", "tools", "layer", "release", "generation"}
        return next((step.args.get("generation") for step in self.steps if step.kind == "check"), None) if not made else None

    def to_json(self) -> dict[str, Any]:
        return {"subject": self.subject, "base": self.base, "target": self.target,
                "steps": [asdict(step) for step in self.steps]}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Plan:
        return cls(said["subject"], said["base"], said["target"], tuple(Step(**step) for step in said["steps"]))


def canonical(value: Any) -> str:
    """JSON with one spelling, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
