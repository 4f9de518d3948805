"""A pause between two waves. The rollout ends, nothing waits on anybody's machine: which hosts serve the release, and which have it
staged, is on the hosts, and `fab promote` asks them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from weft.errors import OutcomeUnknown, Refused, UsageError, WeftError
from weft.rollout import budget, fleetlock, heartbeat, unsafe, verdict
from weft.rollout.hostrun import HostRun, live_of
from weft.rollout.inventory import Host, waves
from weft.rollout.job import Job
from weft.rollout.pool import each
from weft.rollout.show import Silent

CANARY = "canary"


class Paused(NamedTuple):
    """After which wave of how many; by: who asked for it from elsewhere, "" where it was meant from the beginning."""

    after: int
    of: int
    by: str = ""


def wave(text: str) -> int:
    """After which wave a text means, 0 for none. Raises UsageError."""
    if text in ("", CANARY):
        return 1 if text else 0
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{text!r} is no wave to pause after", 'give its number, "canary" for the first, or 0 for no pause')
    return int(text)


def rest(job: Job, runs: Sequence[HostRun], sizes: Sequence[str]) -> tuple[list[tuple[int, tuple[Host, ...]]], int]:
    """The waves that are left, each with its number, and how many there are. What goes on counts the hosts that are there already."""
    todo = budget.ordered([run for run in runs if run.status != "current"])
    there = [run for run in runs if run.status == "current"] if job.on else []
    cut = waves([run.host for run in [*there, *todo]], sizes)
    left, done = {run.host for run in todo}, len(cut)
    numbered = [(n, tuple(host for host in hosts if host in left)) for n, hosts in enumerate(cut, 1)]
    return [(n, hosts) for n, hosts in numbered if hosts], done


def due(job: Job, runs: Sequence[HostRun], after: int, of: int, meant: int) -> Paused | None:
    """Whether to stand still after a wave: because it was meant, or because somebody asks. runs: of the wave. Never after the last."""
    locks = [run.state.get("lock") or {} for run in runs]
    by = next((lock["pause"] for lock in locks if (lock.get("number"), lock.get("token")) == (job.lock.number, job.lock.token) and lock.get("pause")), "")
    return Paused(after, of, by) if after < of and job.verb == "deploy" and (by or after == meant) else None


def told(job: Job, runs: Sequence[HostRun], paused: Paused) -> dict[str, Any]:
    """For `--json`, with the words for people in it."""
    version = str(job.payload.release.version) if job.payload else ""
    serving = [run for run in runs if live_of(run.state).get("version") == version]
    text = f"paused after wave {paused.after} of {paused.of}" + (f", as {paused.by} asked" if paused.by else "") \
        + f": {len(serving)} of {len(runs)} hosts serve {version}"
    back = ",".join(run.host.name for run in runs if run.status == "switched")
    return {**paused._asdict(), "text": text, "next": f"to go on: fab promote{job.again}; to go back: fab rollback{unsafe.flag(job)}{job.again} --limit {back}"}


def clean(runs: Sequence[HostRun]) -> bool:
    """Whether nothing has failed on the way to a pause."""
    return all(run.status in ("current", "switched", "staged") for run in runs)


def ask(environment: Any) -> dict[str, Any]:
    """Ask the rollout that goes on to pause after its wave; its lock. Raises Refused where there is none, OutcomeUnknown where no host took the word."""
    rollout = environment.rollout(environment.job("pause"), Silent())
    with rollout.stop.listening():
        rollout.each(rollout.runs, HostRun.observe)
        found = {name: lock for name, lock in heartbeat.taken(rollout).items() if not lock["freeze"]}
    if rollout.stop:
        raise rollout.stop.cause
    lock = max(found.values(), key=lambda lock: (lock["number"], lock["token"]), default=None)
    if lock is None or lock["why"].startswith("rollback"):
        rollout.close()
        raise _none(rollout.runs, lock)
    wish = {"number": lock["number"], "token": lock["token"], "act": "pause", "why": environment.request["by"]}
    each(rollout.runs, lambda run: _put(run, wish), rollout.policy.parallel, rollout.stop, heed=False)
    rollout.close()
    failed = [run.error for run in rollout.runs if run.error]
    if failed:
        said = verdict.refused(failed, [])
        raise OutcomeUnknown(said.message, "run the same command again", "it pauses only after a wave of hosts that have heard it")
    return dict(lock)


def _none(runs: Sequence[HostRun], lock: Any) -> WeftError:
    failed = [run.error for run in runs if run.error]
    if lock:
        return Refused(fleetlock.refusals({"a rollback": lock})[0].message, "a rollback does not pause; Ctrl-C ends it after the hosts in flight")
    return verdict.refused(failed, runs) if failed else Refused("no rollout goes on that could pause", "fab status")


def _put(run: HostRun, wish: dict[str, Any]) -> None:
    run.error = None
    try:
        run.aside("lock", {"lock": wish})
    except WeftError as error:
        run.error = error
