"""What a rollout has begun and not brought to its end, as the hosts themselves say it: no file could be lost, or lie."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from weft.errors import Refused
from weft.host.report import columns
from weft.record import replace
from weft.rollout import survey
from weft.rollout.hostrun import live_of, serves
from weft.rollout.inventory import Inventory


class Begun(NamedTuple):
    """serving: hosts that serve it.  ready: those that have it staged.  out: those that have not, where the others were ready before the
    first was switched; they were out of its scope."""

    version: str
    serving: Sequence[str]
    ready: Sequence[str]
    out: Sequence[str]

    def said(self) -> str:
        """For people."""
        return f"{self.version}: served on {', '.join(self.serving) or 'no host'}, staged on {', '.join(self.ready)}" + (
            f"; not on {', '.join(self.out)}, which stay as they are" if self.out else "")


def staged(state: Mapping[str, Any]) -> str:
    """The version that was staged here after what is served was, "" for none."""
    live = state.get("live") or 0
    return next((each["version"] for each in state.get("generations", ()) if each["status"] == "staged" and each["number"] > live), "")


def begun(states: Mapping[str, Mapping[str, Any]], unserved: bool = False, again: str = "") -> Begun:
    """The one version that is on its way. unserved: also one that no host serves yet.

    Raises Refused, with a table, for none, several, or one that went bad on a host."""
    versions = sorted({staged(state) for state in states.values()} - {""})
    if len(versions) != 1:
        what = f"{len(versions)} versions are staged, {' and '.join(versions)}: which is meant?" if versions else "no rollout was begun that could go on"
        raise Refused("\n".join([what, *table(states)]), f"name it: fab deploy --version {versions[-1] if versions else 'X'}{again}")
    version, = versions
    bad = [name for name, state in states.items() for each in state["generations"][:1] if (each["version"], each["status"]) == (version, "bad")]
    if bad:
        raise Refused("\n".join([f"{version} went bad on {', '.join(bad)}", *table(states)]), f"mend it and release it; all the same: fab deploy --version {version}{again}")
    serving = [name for name, state in states.items() if live_of(dict(state)).get("version") == version]
    ready = [name for name, state in states.items() if name not in serving and staged(state) == version]
    if not serving and not unserved:
        raise Refused("\n".join([f"no host serves {version} yet", *table(states)]), f"fab resume{again} begins with the canary")
    # all hosts in scope are staged before the first is switched
    return Begun(version, serving, ready, [name for name in states if name not in {*serving, *ready}] if serving else [])


def table(states: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What each host serves and has staged."""
    return columns([["host", "serves", "staged"], *([name, serves(dict(state)), staged(state) or "-"] for name, state in states.items())])


def found(environment: Any, unserved: bool, skip: bool = False) -> tuple[Any, Begun]:
    """The environment with the hosts that it is about, and what was begun there. Raises Refused, or as `fab status` does for hosts that do not answer."""
    states, errors = survey.look(environment)
    if not (skip and states):
        survey.check(states, errors)
    said = begun(states, unserved, environment.access.again)
    if said.out:
        hosts = Inventory(tuple(host for host in environment.hosts if host.name not in said.out))
        environment = replace(environment, hosts=hosts, others=(*environment.others, *(host for host in environment.hosts if host.name in said.out)))
    return environment, said
