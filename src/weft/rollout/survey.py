"""Ask all hosts how they are: `fab status`, `fab history` and `fab verify`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable

from weft.errors import OutcomeUnknown, WeftError
from weft.rollout import heartbeat, verdict
from weft.rollout.environment import Environment
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import Stop, each


def look(environment: Environment) -> tuple[dict[str, dict[str, Any]], list[WeftError]]:
    """The states of the hosts that answer, in the inventory's order, and the errors of those that do not."""
    runs = ask(environment, HostRun.observe)
    locks = {run.host.name: run.state["lock"] for run in runs if run.state.get("lock")}
    if any(lock["live"] for lock in locks.values()):  # a rollout that has ended has told one host, which may be out of scope
        found = heartbeat.taken(SimpleNamespace(runs=runs, job=environment.job("status"), policy=environment.policy, stop=Stop()))
        for name, lock in locks.items():
            lock["live"] = name in found
    return {run.host.name: run.state for run in runs if run.state}, [run.error for run in runs if run.error]


def audit(environment: Environment) -> tuple[dict[str, dict[str, list[str]]], list[WeftError]]:
    """What is not as it was sealed, by host and tree; the errors of the hosts that do not answer."""
    runs = ask(environment, HostRun.verify)
    return {run.host.name: run.drift for run in runs if not run.error}, [run.error for run in runs if run.error]


def ask(environment: Environment, question: Callable[[HostRun], None]) -> list[HostRun]:
    """One question to all hosts, and what each came to."""
    runs = [HostRun(host, environment.job("status")) for host in environment.hosts]
    stop = Stop()
    with stop.listening():
        each(runs, question, environment.policy.parallel, stop)
        each(runs, HostRun.close, environment.policy.parallel, stop)
    if stop:
        raise stop.cause
    return runs


def check(states: dict[str, Any], errors: list[WeftError]) -> None:
    """Raises for hosts that could not be asked: as they refused if none answered, else OutcomeUnknown naming them."""
    if errors and not states:
        raise verdict.refused(errors, [])
    if errors:
        said = verdict.refused(errors, [])
        raise OutcomeUnknown(said.message, said.hint, f"what {len(errors)} of {len(errors) + len(states)} hosts serve is "
                             "not known", {"hosts": states})
