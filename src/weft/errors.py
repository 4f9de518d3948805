"""The error family: what happened, what is left behind, what to do next.

The exit code is the same for `inv`, `fab` and the engine on the host; `docs/reference/exit-codes.md`
is written from this table.
"""

from __future__ import annotations

from weft.typing import Any


class WeftError(Exception):
    """Something the user must know; never a bug of weft's.

    message: what happened.  hint: the next move, a command where there is one.
    effect: what is served now, or what changed ("nothing changed").
    """

    code = 1
    name = "error"
    default_effect = ""

    def __init__(self, message: str, hint: str = "", effect: str = "", details: Any = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.effect = effect or self.default_effect
        self.details = details

    def to_json(self) -> dict[str, Any]:
        """The last line of `--json` output; `from_json` is its inverse."""
        said = {"code": self.code, "error": self.name, "message": self.message,
                "effect": self.effect, "next": self.hint}
        if self.details is not None:
            said["details"] = self.details
        return said

    def lines(self) -> list[str]:
        """What a person reads, without colour."""
        out = [self.message]
        if self.effect:
            out.append(f"now:  {self.effect}")
        if self.hint:
            out.append(f"next: {self.hint}")
        return out


class UsageError(WeftError):
    """Your words or your configuration; nothing was contacted."""

    code, name = 2, "usage"
    default_effect = "nothing was contacted, nothing changed"


class Refused(WeftError):
    """A precondition does not hold; nothing changed."""

    code, name = 3, "refused"
    default_effect = "nothing changed"


class FailedUndone(WeftError):
    """It failed and was undone: the old release serves."""

    code, name = 4, "failed-undone"


class NeedsHands(WeftError):
    """A mixed fleet or a failed undo: which host, which step, which command next."""

    code, name = 5, "needs-hands"


class OutcomeUnknown(WeftError):
    """The outcome is not known, or hosts were skipped; says by when it settles itself."""

    code, name = 6, "unknown"


class Interrupted(WeftError):
    """Ctrl-C (130) or SIGTERM (143); says what is served."""

    code, name = 130, "interrupted"


FAMILY = (UsageError, Refused, FailedUndone, NeedsHands, OutcomeUnknown, Interrupted)
_BY_NAME = {kind.name: kind for kind in FAMILY}

EXIT_CODES = {
    0: "done, confirmed, durable",
    1: "a bug in weft: a traceback; please report it",
    2: "your words or your configuration; nothing was contacted",
    3: "refused: a precondition does not hold; nothing changed",
    4: "failed and undone: the old release serves everywhere",
    5: "needs hands: a mixed fleet or a failed undo; the message names host, step and next command",
    6: "outcome unknown or hosts skipped; the message says by when it settles itself",
    130: "interrupted by Ctrl-C; the message says what is served",
    143: "interrupted by SIGTERM; the message says what is served",
}


def from_json(said: dict[str, Any]) -> WeftError:
    """The error that another process (the engine on a host) reported. An unknown kind is a bug: code 1."""
    kind = _BY_NAME.get(str(said.get("error")), WeftError)
    return kind(str(said.get("message", "")), str(said.get("next", "")), str(said.get("effect", "")),
                said.get("details"))
