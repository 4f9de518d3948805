"""The database migration of a deploy: on the first canary for all hosts, once all are staged and before any is switched."""

from __future__ import annotations

import shlex
from typing import Any, Mapping, Sequence

from weft.errors import FailedUndone, OutcomeUnknown, Refused, WeftError
from weft.host import migrate
from weft.rollout import budget, verdict
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import each
from weft.values import Release


def command(job: Any) -> list[str]:
    """The environment's, [] for none. A rollback runs none: what a migration did to a database, weft cannot take back."""
    return list(job.site.get("migrate", {}).get("command", ())) if job.verb == "deploy" else []


def done_on(release: Release, words: Sequence[str], states: Mapping[str, Mapping[str, Any]]) -> str:
    """The host that has migrated for this release with this command, to a good end; "" where none is known to. Pure."""
    ids = {release.id, *(release.part(python).id for python in release.pythons)}
    wanted = migrate.digest(words)
    for name, state in states.items():
        for note in state.get("migrated", ()):
            if note.get("release") in ids and note.get("command") == wanted and note.get("result") == migrate.DONE:
                return name
    return ""


def announce(rollout: Any) -> None:
    """With the plans: what would be run, and where."""
    if words := command(rollout.job):
        done = _done(rollout)
        rollout.progress.phase(f"migrated already on {done}" if done else
                               f"once, before the first switch, on {_first(rollout).host.name}: {shlex.join(words)}")


def run(rollout: Any) -> None:
    """Raises Refused where it could not begin, FailedUndone where it failed, OutcomeUnknown where nobody knows; then no host is switched."""
    words = command(rollout.job)
    if not words or _done(rollout):
        return
    first = _first(rollout)
    rollout.progress.phase(f"migrating on {first.host.name}: {shlex.join(words)}")
    each([first], HostRun.migrate, 1, rollout.stop)  # in a thread, so that a Ctrl-C is told meanwhile
    if first.error:
        raise failed(first, rollout.runs)
    if first.migrated:
        rollout.hooked.notes.append(f"the database has been migrated for {rollout.job.payload.release.version}")


def left(runs: Sequence[HostRun]) -> str:
    """What a second Ctrl-C leaves, in words; "" where no migration is at work."""
    at_work = [run.host.name for run in runs if run.migrating]
    return f"; the migration may still be at work on {at_work[0]}, and the database may have changed" if at_work else ""


def failed(first: HostRun, runs: Sequence[HostRun]) -> WeftError:
    """What a migration's failure is to the rollout."""
    error = first.error
    assert error is not None
    kind, effect = OutcomeUnknown, f"no host was switched, but the migration may still be at work on {first.host.name}, and the database may have changed"
    hint = "see what it has come to; then run the same command again, which migrates once more"
    if error.code in (2, 3):
        kind, effect, hint = Refused, "no host was switched", error.hint
    elif isinstance(error, FailedUndone):
        kind, effect, hint = FailedUndone, "no host was switched, but the database may have changed", error.hint
    elif error.code == 1:
        kind, hint = WeftError, error.hint
    return kind(verdict.told([first]), hint, f"{effect}; {verdict.served(runs)}", {"hosts": verdict.hosts(runs)})


def _first(rollout: Any) -> HostRun:
    return budget.ordered(rollout.todo)[0]


def _done(rollout: Any) -> str:
    """Also on hosts out of scope: those are asked where nobody in scope has. One that does not answer is taken for one that has not."""
    job, release = rollout.job, rollout.job.payload.release
    seen = {run.host.name: run.before for run in rollout.runs}
    found = done_on(release, command(job), seen)
    if found or not job.others:
        return found
    others = [HostRun(host, job) for host in job.others]
    each(others, _looked, rollout.policy.parallel, rollout.stop)
    return done_on(release, command(job), {run.host.name: run.state for run in others})


def _looked(run: HostRun) -> None:
    run.look()
    run.close()
