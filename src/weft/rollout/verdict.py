"""What a rollout has come to: which hosts serve what, which error that is, and the next move. Pure."""

from __future__ import annotations

from typing import Any, Iterable, Sequence

from weft.errors import (FailedUndone, Interrupted, NeedsHands, OutcomeUnknown, Refused, WeftError)
from weft.rollout import unsafe
from weft.rollout.fleetlock import barred
from weft.rollout.hostrun import HostRun, serves
from weft.rollout.job import Job


def planned(runs: Sequence[HostRun]) -> dict[str, Any]:
    """The result of `--plan`."""
    return {"hosts": {run.host.name: {**_host(run), "plan": run.plan.to_json() if run.plan else None,
                                      "digest": run.plan.digest() if run.plan else ""} for run in runs}}


def judge(job: Job, runs: Sequence[HostRun], trouble: WeftError | None = None) -> dict[str, Any]:
    """The result when every host serves what was wanted; otherwise raises what the exit code comes from. trouble: what all hosts together failed at."""
    failed = [run for run in runs if run.status not in ("current", "switched")]
    if not failed and trouble:
        back = _backward(job, [run for run in runs if run.status == "switched"])
        return _raise(NeedsHands(told([run for run in runs if run.error]), f"to go back: {back}", served(runs), {"hosts": hosts(runs)}))
    if not failed:
        return {"hosts": hosts(runs)}
    errors = [run for run in failed if run.error]
    message = told(errors) or "the rollout did not come to its end"
    stuck = [run for run in failed if run.status == "stuck"]
    unknown = [run for run in failed if run.status == "unknown"]
    switched = [run for run in runs if run.status == "switched"]
    details = {"hosts": hosts(runs)}
    if stuck:
        return _raise(NeedsHands(message, _hands(job, stuck), served(runs), details))
    if kept_out := [run for run in errors if barred(run.error)]:
        _out(kept_out, message, runs, details)
    if switched:
        return _raise(NeedsHands(message, _mixed(job, failed, switched), served(runs), details))
    if unknown:
        return _raise(OutcomeUnknown(message, f"fab status{_limit(unknown)}", served(runs) + _settles(unknown), details))
    return _raise(FailedUndone(message, _hint(errors), served(runs), details))


def _out(kept_out: Sequence[HostRun], message: str, runs: Sequence[HostRun], details: dict[str, Any]) -> None:
    """Somebody else has the fleet's lock. Raises Refused where this rollout has switched nothing, else what is known; returns where all it had
    switched is as before."""
    if not any(run.switch_ms for run in runs):
        raise Refused(message, _hint(kept_out), f"no host was switched; {served(runs)}", details)
    if any(run.status == "overtaken" for run in kept_out):
        lock = barred(kept_out[0].error)
        raise OutcomeUnknown(message, "fab status", f"{served(runs)}; what is served next is up to {lock['owner']} ({lock['why']})", details)


def _raise(error: WeftError) -> dict[str, Any]:
    raise error


def interrupted(job: Job, runs: Sequence[HostRun], besides: str = "") -> Interrupted:
    """For Ctrl-C: what is served now, and how to go on or back. besides: what else was left undone."""
    flying = [run for run in runs if run.status in ("switching", "lost")]
    done = [run for run in runs if run.status == "switched"]
    left = [run for run in runs if run.status not in ("switched", "current")]
    hints = [f"to go on: {_forward(job, left)}"] if left else []
    hints += [f"to go back: {_backward(job, done)}"] if done else []
    effect = served(runs)
    if flying:
        effect += f"; {_names(flying)} not confirmed: back by itself within {_deadline(flying)} s"
    effect += besides
    return Interrupted("interrupted" + ("" if done or flying else " before anything was switched"), "; ".join(hints),
                       effect, {"hosts": hosts(runs)})


def refused(faults: Sequence[WeftError], runs: Sequence[HostRun]) -> WeftError:
    """One error for all that was found before the first change."""
    bug = next((each for each in faults if each.code == 1), None)
    kind = WeftError if bug else Refused
    message = "\n".join(dict.fromkeys(each.message for each in faults))
    return kind(message, _hint_of(faults), f"nothing changed; {served(runs)}" if any(run.state for run in runs) else
                "nothing changed", {"hosts": hosts(runs)})


def faults(runs: Sequence[HostRun]) -> list[WeftError]:
    """What the hosts themselves say is in the way."""
    return [Refused(f"{run.host.name}: {each['message']}", each.get("next", "")) for run in runs for each in run.faults]


def uneven(job: Job, runs: Sequence[HostRun]) -> list[WeftError]:
    """A rollback without a version takes every host to its own release before; those may differ."""
    targets = {run.host.name: run.plan.target.rsplit("-", 1)[0] for run in runs if run.plan}
    if job.verb != "rollback" or job.to or len(set(targets.values())) < 2:
        return []
    return [Refused("the hosts would go back to different releases: "
                    + ", ".join(f"{name} to {version}" for name, version in targets.items()),
                    f"name one: fab rollback --to {targets[next(iter(targets))]}{job.again}; or use --limit")]


def not_staged(job: Job, runs: Sequence[HostRun]) -> WeftError:
    """A host is not ready, so none was switched. Refused where nothing but refusals is the reason."""
    failed = [run for run in runs if run.status == "failed"]
    kind = Refused if all(run.error.code in (2, 3) for run in failed) else FailedUndone
    if any(run.error.code == 1 for run in failed):
        kind = WeftError
    return kind(told(failed), _hint(failed), f"no host was switched; {served(runs)}",
                {"hosts": hosts(runs)})


def served(runs: Iterable[HostRun]) -> str:
    """ "1.1.3 is served everywhere", or which hosts serve which."""
    by_version: dict[str, list[str]] = {}
    for run in runs:
        said = "unknown" if run.status == "unknown" else serves(run.state)
        if (run.state.get("answers") or {}).get("status") == 0 and run.state.get("set_up"):
            said = f"nothing ({said} is live, but the site does not answer)"
        by_version.setdefault(said, []).append(run.host.name)
    if len(by_version) == 1 and "unknown" not in by_version:
        (version, names), = by_version.items()
        verb = "serve" if version == "nothing yet" else "is served"
        where = "everywhere" if len(names) > 1 else f"on {names[0]}"
        return f"no release is served {where}" if version == "nothing yet" else f"{version} {verb} {where}"
    return "; ".join(f"{version} on {', '.join(names)}" for version, names in by_version.items())


def told(runs: Iterable[HostRun]) -> str:
    """The failing hosts' messages with their own last lines; hosts that say the same are told of together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        lines = run.error.details if isinstance(run.error.details, list) else []
        message = run.error.message.removeprefix(f"{run.host.name}: ")
        groups.setdefault((message, *lines[-20:]), []).append(run.host.name)
    return "\n".join("\n".join([f"{', '.join(names)}: {said[0]}", *(f"    {line}" for line in said[1:])])
                     for said, names in groups.items())


def hosts(runs: Iterable[HostRun]) -> dict[str, Any]:
    """For `--json`: a host's outcome by its name."""
    return {run.host.name: _host(run) for run in runs}


def _host(run: HostRun) -> dict[str, Any]:
    said = {"status": run.status or "untouched", "serves": serves(run.state), "generation": run.state.get("live"),
            "was": serves(run.before), "seconds": round(run.seconds, 2)}
    if run.switch_ms:
        said["switch_ms"] = run.switch_ms
    if run.error:
        said["error"] = run.error.to_json()
    return said


def onward(job: Job, left: Sequence[HostRun]) -> str:
    """The command that brings what was wanted to hosts that were left out."""
    return f"fab deploy --version {job.payload.release.version}{_limit(left)}" if job.verb == "deploy" else _forward(job, left)


def _forward(job: Job, left: Sequence[HostRun]) -> str:
    if job.verb == "deploy":
        return f"fab deploy --version {job.payload.release.version}{job.again}"
    return "fab rollback" + (f" --to {job.to}" if job.to else "") + _limit(left)


def _backward(job: Job, done: Sequence[HostRun]) -> str:
    # a second rollback would go one release further back, so the way back from a rollback is a deploy
    return f"fab {'rollback' + unsafe.flag(job) if job.verb == 'deploy' else 'deploy --version ' + serves(done[0].before)}{_limit(done)}"


def _limit(runs: Sequence[HostRun]) -> str:
    return f"{runs[0].job.again} --limit {','.join(run.host.name for run in runs)}"


def _names(runs: Sequence[HostRun]) -> str:
    return ", ".join(run.host.name for run in runs)


def _deadline(runs: Sequence[HostRun]) -> int:
    return round(max(run.patience for run in runs))


def _settles(unknown: Sequence[HostRun]) -> str:
    return f"; {_names(unknown)} goes back by itself within {_deadline(unknown)} s unless it was confirmed"


def _hands(job: Job, stuck: Sequence[HostRun]) -> str:
    return f"look at {_names(stuck)}: fab status{_limit(stuck)}; then: fab rollback{unsafe.flag(job)}{_limit(stuck)}"


def _mixed(job: Job, failed: Sequence[HostRun], switched: Sequence[HostRun]) -> str:
    return f"to go on: {_forward(job, failed)}; to go back: {_backward(job, switched)}"


def _hint(runs: Sequence[HostRun]) -> str:
    return _hint_of([run.error for run in runs])


def _hint_of(errors: Sequence[WeftError]) -> str:
    """The next moves of several errors: the same one once, those that differ in --host merged, each on its line."""
    merged: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        before, mark, rest = error.hint.partition("--host ")
        name, space, after = rest.partition(" ")
        merged.setdefault((before + mark, space + after), []).append(name)
    hints = [before + ",".join(dict.fromkeys(filter(None, names))) + after for (before, after), names in merged.items()]
    return "\n      ".join(filter(None, hints))
