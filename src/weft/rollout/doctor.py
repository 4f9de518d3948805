"""`fab doctor`: what is missing for a deploy, here and on every host, each with the command that provides it. Changes nothing."""

from __future__ import annotations

import re
import shutil
from typing import Any, Callable, Iterable, NamedTuple, Sequence

from weft import __version__
from weft.errors import Refused, WeftError
from weft.host.report import columns
from weft.release.sign import known_signers
from weft.rollout import fleetlock, hooks, survey
from weft.rollout.environment import Environment
from weft.rollout.hostrun import HostRun, live_of, serves
from weft.rollout.tables import answers

OK, WARN, FAIL = "ok", "warn", "fail"
HERE = "here"
ROOM = 1 << 30
"""Bytes free on a host's disk below which it is told."""


class Check(NamedTuple):
    """where: HERE or a host's name.  next: the command, "" where nothing is to be done."""

    where: str
    result: str
    what: str
    next: str = ""


def examine(environment: Environment) -> list[Check]:
    """All checks, the operator's side first."""
    runs = survey.ask(environment, HostRun.observe)
    found = [*_store(environment), *_signing(environment), *_secrets(environment), *_hooks(environment, runs)]
    for run in runs:
        found += host(run, environment.access.again)
    locks = {run.host.name: run.state.get("lock") or {} for run in runs if run.state}
    return found + [Check(note.partition(":")[0], WARN, note.partition(": ")[2]) for note in fleetlock.notes(locks)]


def _store(environment: Environment) -> list[Check]:
    def look() -> Check:
        versions = environment.store.versions(environment.app)
        if not versions:
            return Check(HERE, WARN, f"the store {environment.artifacts} has no release of {environment.app} yet", "inv release")
        return Check(HERE, OK, f"the store {environment.artifacts} has {len(versions)} release{'s' if len(versions) > 1 else ''}, the newest is {versions[-1]}")
    return _tried(look)


def _signing(environment: Environment) -> list[Check]:
    """Only a project whose releases are signed needs what checks signatures."""
    def look() -> Check:
        if not known_signers(environment.root):
            return Check(HERE, OK, "releases are not signed here: hosts take every release")
        if not shutil.which("ssh-keygen"):
            return Check(HERE, FAIL, "there is no ssh-keygen, which checks the signatures of releases", "apt-get install -y openssh-client")
        return Check(HERE, OK, "releases are signed, and their signers known")
    return _tried(look)


def _secrets(environment: Environment) -> list[Check]:
    if not environment.secrets.sources:
        return []
    def look() -> Check:
        environment.secrets.fetch()
        return Check(HERE, OK, "every secret of the operator's side is to be had")
    return _tried(look)


def _hooks(environment: Environment, runs: Sequence[HostRun]) -> list[Check]:
    if not environment.hooks.commands:
        return []
    told = [hooks.of_host(environment.hooks.fixed, run, "deploy") for run in runs]
    faults = environment.hooks.absent(told)
    return [Check(HERE, FAIL, each, "install it, or correct the hook") for each in faults] or [Check(HERE, OK, "the programs of all hooks are there")]


def _tried(look: Callable[[], Check]) -> list[Check]:
    try:
        return [look()]
    except WeftError as error:
        return [Check(HERE, FAIL, line, error.hint) for line in error.message.splitlines()]


def host(run: HostRun, again: str = "") -> list[Check]:
    """What one host's answer comes to. Pure."""
    name, state = run.host.name, run.state
    if run.error:
        return [Check(name, FAIL, _without(run.error.message, name), exact(run.error.hint, name, again))]
    found = [Check(name, FAIL, each["message"], exact(each.get("next", ""), name, again)) for each in run.faults]
    if not state.get("set_up"):
        return found or [Check(name, FAIL, "it has not been set up", f"fab setup --as root --limit {name}{again}")]
    if state.get("engine") != __version__:
        found.append(Check(name, WARN, f"its engine is weft {state.get('engine')}, here is {__version__}", f"fab setup --as root --limit {name}{again}"))
    if 0 < state.get("disk_free", ROOM) < ROOM:
        found.append(Check(name, WARN, f"{state['disk_free'] >> 20} MiB are free on its disk", f"ssh {run.host.target} df -h /var/app"))
    said = ", ".join(filter(None, [f"set up, Python {state.get('python')}", state.get("server", "")]))
    well = [] if any(each.result == FAIL for each in found) else [Check(name, OK, said)]
    return [*well, *found, *_serving(name, state, again)]


def _serving(name: str, state: dict[str, Any], again: str) -> list[Check]:
    live, said = live_of(state), state.get("answers") or {}
    if live.get("status") == "pending":
        return [Check(name, WARN, f"{live['version']} is on trial: it goes back by itself unless it is confirmed", f"fab status{again}")]
    if live.get("number") and said.get("release") != live.get("release"):
        return [Check(name, FAIL, f"{serves(state)} is live, but what answers is {answers(state)}", f"fab logs --errors --limit {name}{again}")]
    return [Check(name, OK, f"serves {serves(state)}")]


def exact(hint: str, name: str, again: str) -> str:
    """A hint as a command for this host."""
    said = re.sub(r"^run `(fab [^`]+)` for this host$", rf"\1 --limit {name}{again}", hint)
    return f"{said} --limit {name}{again}" if re.fullmatch(r"fab setup( --as \S+)?", said) else said


def _without(text: str, name: str) -> str:
    return text[len(name) + 2:] if text.startswith(f"{name}: ") else text


def table(checks: Iterable[Check]) -> list[str]:
    """A line each, and below it the command."""
    rows, out = [[each.where, each.result, each.what] for each in checks], []
    for line, each in zip(columns(rows), checks):
        out.append(line)
        if each.next:
            out.append(f"  next: {each.next}")
    return out


def judge(checks: Sequence[Check], details: dict[str, Any]) -> None:
    """Raises Refused where something fails."""
    failed = [each for each in checks if each.result == FAIL]
    if failed:
        raise Refused(f"{len(failed)} of {len(checks)} checks fail", " ; ".join(dict.fromkeys(each.next for each in failed if each.next)),
                      "nothing was changed", details)
