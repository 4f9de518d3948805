"""`fab lock` and `fab unlock`: a freeze, which refuses every rollout until somebody ends it."""

from __future__ import annotations

from typing import Any, Callable

from weft.errors import OutcomeUnknown, Refused, WeftError
from weft.rollout import fleetlock, heartbeat, verdict
from weft.rollout.environment import Environment
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import each
from weft.rollout.show import Silent


def freeze(environment: Environment, why: str) -> list[str]:
    """Freeze all hosts in scope; those that this freeze is not on yet. Their names.

    Raises Refused for a rollout that goes on or another freeze, OutcomeUnknown where some hosts could not be frozen."""
    rollout, found = _look(environment)
    lock, by = rollout.job.lock, environment.request["by"]
    same = {name for name, each in found.items() if each["freeze"] and (each["owner"], each["why"]) == (by, why)}
    errors: list[WeftError] = [run.error for run in rollout.runs if run.error]
    errors += fleetlock.refusals({name: each for name, each in found.items() if name not in same}, environment.access.again)
    if errors:
        raise verdict.refused(errors, rollout.runs)
    lock.why = why
    lock.begin()
    _each(rollout, [run for run in rollout.runs if run.host.name not in same], lambda run: lock.ask(run.host.name, "freeze"))
    return _judge(rollout.runs, "frozen")


def thaw(environment: Environment) -> list[str]:
    """End the freezes of the hosts in scope: the names of those that had one. A rollout's own lock ends by itself.

    Raises Refused where there is no freeze but a rollout, OutcomeUnknown where hosts could not be asked."""
    rollout, found = _look(environment)
    frozen = {name: each for name, each in found.items() if each["freeze"]}
    going = {name: each for name, each in found.items() if not each["freeze"]}
    if going and not frozen:
        raise verdict.refused(fleetlock.refusals(going), rollout.runs)
    runs = [run for run in rollout.runs if run.host.name in frozen]
    _each(rollout, runs, lambda run: {"number": frozen[run.host.name]["number"], "token": frozen[run.host.name]["token"], "act": "release"})
    _judge([run for run in rollout.runs if run.error or run in runs], "free")
    return list(frozen)


def _look(environment: Environment) -> tuple[Any, dict[str, Any]]:
    """All hosts, looked at, and the locks of those that somebody has."""
    rollout = environment.rollout(environment.job("lock"), Silent())
    with rollout.stop.listening():
        each(rollout.runs, HostRun.observe, environment.policy.parallel, rollout.stop)
        found = heartbeat.taken(rollout)
    if rollout.stop:
        raise rollout.stop.cause
    return rollout, found


def _each(rollout: Any, runs: list[HostRun], ask: Callable[[HostRun], dict[str, Any]]) -> None:
    def put(run: HostRun) -> None:
        try:
            run.aside("lock", {"lock": ask(run)})
        except WeftError as error:
            run.error = error
    each(runs, put, rollout.policy.parallel, rollout.stop, heed=False)
    rollout.close()


def _judge(runs: list[HostRun], what: str) -> list[str]:
    """The hosts that are `what` now. Raises what was in the way of the others."""
    failed, done = [run for run in runs if run.error], [run.host.name for run in runs if not run.error]
    if not failed:
        return done
    said = verdict.refused([run.error for run in failed if run.error], [])
    if not done:
        raise said if isinstance(said, Refused) else Refused(said.message, said.hint)
    raise OutcomeUnknown(said.message, "run the same command again", f"{what}: {', '.join(done)}; not known: {', '.join(run.host.name for run in failed)}")
