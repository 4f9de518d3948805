"""Tables as lines of text: plans, the summary of a rollout, status and history. Pure."""

from __future__ import annotations

from typing import Any, Iterable, Sequence

from weft.host import report
from weft.host.report import columns
from weft.rollout import fleetlock
from weft.rollout.hostrun import HostRun, live_of, serves
from weft.values import when

OUTCOMES = {"current": "nothing to do", "switched": "done", "failed": "failed, undone", "reverted": "taken back",
            "stuck": "NEEDS HANDS", "overtaken": "taken over", "unknown": "not reached", "lost": "not confirmed", "switching": "not confirmed",
            "skipped": "out of reach", "staged": "not switched", "planned": "not switched", "": "not begun"}


def plan_lines(runs: Iterable[HostRun]) -> list[str]:
    """Every host's plan with its digest; hosts whose steps are the same are shown together."""
    groups: dict[tuple[str, ...], list[HostRun]] = {}
    for run in runs:
        key = (serves(run.before), ", from the store" if run.plan and run.source == "store" else "", *(run.plan.describe() if run.plan else ()))
        groups.setdefault(key, []).append(run)
    out = []
    for (before, whence, *steps), alike in groups.items():
        names = ", ".join(run.host.name for run in alike)
        if steps:
            out.append(f"{names}: {before} -> {_version(alike[0].plan.target)}{whence} (plan "
                       f"{', '.join(run.plan.digest() for run in alike)})")
            out += [f"  {step}" for step in steps]
            out += [f"  {line}" for line in alike[0].job.payload.secrets.shown()] if alike[0].fetches else []
            out += [f"  {run.host.name} keeps what is pinned there: {', '.join(sorted(run.before['pins']))}" for run in alike if run.before.get("pins")]
        else:
            out.append(f"{names}: {before}, nothing to do")
    return out


def _version(target: str) -> str:
    return target.rsplit("-", 1)[0]


def summary(runs: Sequence[HostRun]) -> list[str]:
    """One line a host at the end."""
    rows = [["host", "result", "was", "serves", "switch", "time"]]
    for run in runs:
        rows.append([run.host.name, OUTCOMES[run.status], serves(run.before),
                     "?" if run.status in ("unknown", "lost", "switching") else serves(run.state),
                     f"{run.switch_ms:.0f} ms" if run.switch_ms else "", f"{run.seconds:.1f} s"])
    return columns(rows)


def status(states: dict[str, dict[str, Any]]) -> list[str]:
    """Per host what is live, what really answers, since when, by whom, and what somebody changed by hand."""
    rows = [["host", "version", "answers", "status", "since", "by", "python"]]
    notes = []
    for name, state in states.items():
        live = live_of(state)
        rows.append([name, serves(state), answers(state), live.get("status", ""), when(live.get("at", "")),
                     live.get("by", ""), state.get("python", "")])
        notes += [f"{name}: {each}" for each in state.get("drift", ())]
        notes += [f"{name}: pinned: {report.pinned(state['pins'])}"] if state.get("pins") else []
        said = state.get("answers", {})
        if state.get("set_up") and live.get("number") and said.get("release") != live.get("release"):
            notes.append(f"{name}: what answers is not what is live: {answers(state)}")
    trial = [name for name, state in states.items() if live_of(state).get("status") == "pending"]
    notes += [f"{', '.join(trial)}: on trial: back by itself unless the rollout that switched it confirms it"] if trial else []
    return columns(rows) + notes + fleetlock.notes({name: state.get("lock") or {} for name, state in states.items()})


def answers(state: dict[str, Any]) -> str:
    """What a request to the site really got."""
    said = state.get("answers") or {}
    if said.get("status") == 200:
        return said.get("version") or "200, no release named"
    return f"{said['status']} {said.get('version', '')}".strip() if said.get("status") else said.get("error", "nothing")


def drift(hosts: dict[str, dict[str, list[str]]], most: int = 20) -> list[str]:
    """Per host how much is as it was installed, and what differs, at the most `most` files a part."""
    out = []
    for name, parts in hosts.items():
        first, *rest = report.drift(parts, most)
        out += [f"{name}: {first}", *rest]
    return out


def history(states: dict[str, dict[str, Any]]) -> list[str]:
    """What each host has served, newest first."""
    rows = [["host", "generation", "version", "status", "since", "by", "note"]]
    for name, state in states.items():
        for each in state.get("generations", ()):
            if each["number"]:
                mark = "*" if each["number"] == state.get("live") else ""
                rows.append([name, f"{each['number']}{mark}", each["version"], each["status"], when(each["at"]),
                             each["by"], each["note"]])
    return columns(rows)
