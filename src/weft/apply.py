"""Run a plan, and undo what it did when a step fails. Steps create, only the commit replaces, so undo is removal."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import Any, Callable, Mapping, Protocol

from weft.errors import FailedUndone, NeedsHands, OutcomeUnknown, WeftError
from weft.plan import Plan, Step


class Action(Protocol):
    """What a step's kind means on this side. Both get the step's args."""

    def do(self, **args: Any) -> Any: ...

    def undo(self, **args: Any) -> None: ...


Tell = Callable[[dict[str, Any]], None]


def run(plan: Plan, actions: Mapping[str, Action], journal: Any, tell: Tell, served: Callable[[], str],
        clean: Callable[[BaseException], None] = lambda error: None) -> dict[str, Any]:
    """Apply every step in order; the results by kind.

    On a failure the steps done so far are undone, last first, and the error says so: FailedUndone when all of that
    worked, NeedsHands when it did not. An error of another kind than weft's keeps its traceback as the cause.
    served() tells what is served, for the message.  clean(error) takes out of an error what nobody is to read, before it is noted.
    """
    done: list[Step] = []
    results: dict[str, Any] = {}
    journal.append("plan", digest=plan.digest(), subject=plan.subject, base=plan.base, target=plan.target)
    for number, step in enumerate(plan.steps, 1):
        said = {"event": "step", "n": number, "of": len(plan.steps), "kind": step.kind, "text": step.text}
        tell({**said, "state": "start"})
        start = time.monotonic()
        done.append(step)
        try:
            journal.append("begin", digest=plan.digest(), step=step.kind)
            results[step.kind] = actions[step.kind].do(**step.args)
            journal.append("done", digest=plan.digest(), step=step.kind)
        except BaseException as error:
            tell({**said, "state": "failed", "seconds": round(time.monotonic() - start, 3)})
            clean(error)
            raise _undone(plan, done, actions, journal, error, served, clean) from error
        tell({**said, "state": "done", "seconds": round(time.monotonic() - start, 3)})
    _note(journal, "end", digest=plan.digest())
    return results


def _note(journal: Any, event: str, **fields: Any) -> None:
    """A line that nothing waits for: where it cannot be written, what was done is done all the same."""
    with contextlib.suppress(OSError):
        journal.append(event, **fields)


def _undone(plan: Plan, done: list[Step], actions: Mapping[str, Action], journal: Any, error: BaseException,
            served: Callable[[], str], clean: Callable[[BaseException], None]) -> BaseException:
    """Undo, then the error to raise. The failing step is undone too: it may have got halfway."""
    for step in reversed(done):
        try:
            actions[step.kind].undo(**step.args)
        except Exception as second:
            clean(second)
            _note(journal, "undo-failed", digest=plan.digest(), step=step.kind, why=str(second))
            if isinstance(second, OSError) and second.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):  # a disk that takes no writes: recovery, which starts every command, undoes the rest
                return OutcomeUnknown(f"{_said(error)}\nand undoing '{step.text}' could not be finished: {second}",
                                      "mend the disk, then run the same command again: it undoes the rest by itself", served())
            return NeedsHands(f"{_said(error)}\nand undoing '{step.text}' failed: {second}",
                              "look at the host, then run `sudo weft-host recover` on it", served())
    _note(journal, "undone", digest=plan.digest(), why=_said(error))
    if isinstance(error, WeftError):
        return FailedUndone(error.message, error.hint, served(), error.details)
    if isinstance(error, OSError):
        cause = "make room on the host" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "correct the cause"
        return FailedUndone(f"{done[-1].text}: {error}", f"{cause}, then run the same command again", served())
    return error


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, WeftError) else f"{type(error).__name__}: {error}"
