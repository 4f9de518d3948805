"""The confirmation of what is on trial: for good, or held, which proves that the host can be reached and leaves it on trial for as long as the
fleet's lock is alive (ADR 18)."""

from __future__ import annotations

import time

from weft.errors import FailedUndone, OutcomeUnknown, Refused, WeftError
from weft.host import health, trial
from weft.host.prune import prune
from weft.host.state import HostState
from weft.typing import Any


def answer(machine: Any) -> dict[str, Any]:
    """`warnings` and `state`; held: `deadline`, too. Raises Refused for what was never served, FailedUndone for what has gone back, OutcomeUnknown for
    what is not well now."""
    start, number = time.monotonic(), machine.request.generation
    with machine.locked():
        state = machine.state()
        generation = state.generation(number)
        if not generation or state.live != number:
            raise _not_served(machine, number, generation)
        _well(machine, state, generation)
        if not state.trial:  # recovery has left no pending one without its trial: it was confirmed before
            return {"warnings": [], "state": state.to_json()}
        if trial.seconds_left(state.trial) <= 0:
            trial.settle(machine.layout)
            raise FailedUndone(f"generation {number} was not confirmed in time: it went back by itself", "look with `fab status`", machine.served())
        if machine.request.hold:
            return _held(machine)
        warnings = trial.confirm(machine.layout)
        machine.journal.append("confirmed", generation=number)
        machine.history("confirm", generation, "good", start)
        warnings += prune(machine.layout, machine.state(), machine.site.keep)
        return {"warnings": warnings, "state": machine.state().to_json()}


def _held(machine: Any) -> dict[str, Any]:
    lock = machine.request.lock
    trial.hold(machine.layout, lock.number, lock.token)
    machine.journal.append("held", generation=machine.request.generation, lock=lock.number)
    state = machine.state()
    return {"warnings": [], "deadline": round(trial.seconds_left(state.trial)), "state": state.to_json()}


def _well(machine: Any, state: HostState, generation: Any) -> None:
    """Raises OutcomeUnknown where the site does not answer as it must: it stays on trial."""
    site = machine.site
    said = health.fault(health.ask(site.port, site), generation.release, site.health)
    if said:
        left = f"; it goes back by itself in {trial.seconds_left(state.trial):.0f} s" if state.trial else ""
        raise OutcomeUnknown(f"not confirmed: GET {site.health.path}: {said}", "" if left else "look with `fab status`", machine.served() + left)


def _not_served(machine: Any, number: int | None, generation: Any) -> WeftError:
    unheard = generation and generation.note == trial.UNHEARD
    if not generation or generation.status == "staged" and not unheard:
        return Refused(f"generation {number} is not served: there is nothing to confirm", "look with `fab status`", machine.served())
    why = "it went back by itself" if generation.status == "bad" or unheard else "another one has taken its place"
    return FailedUndone(f"generation {number} is not served any more: {why}", "look with `fab status`", machine.served())
