"""What is known of a host as lines of text. Pure; fab's tables use some of it too."""

from __future__ import annotations

import time

from weft.host import wayback
from weft.host.state import HostState
from weft.servers.before import RELEASE as BEFORE
from weft.typing import Any, Collection, Mapping, Sequence
from weft.values import Generation, when


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned with two spaces between; the first row is the heading."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def served(state: HostState) -> str:
    """What users get, in a few words."""
    live = state.generation(state.live)
    if not state.set_up or live is None:
        return "nothing: not set up"
    return name(state, live) + (f" (generation {live.number}, {live.status})" if live.number else "")


def name(state: HostState, generation: Generation) -> str:
    """A generation as people call it."""
    if generation.release == BEFORE:
        return f"the site before weft ({state.adopted})"
    return generation.version if generation.number else "the placeholder: nothing was deployed yet"


def status(state: HostState, seconds_left: float) -> list[str]:
    """seconds_left: until a trial goes back by itself."""
    live, said = state.generation(state.live), state.answers
    rows = [["serves", served(state)]]
    if live and live.number:
        rows.append(["since", f"{when(live.at)}, by {live.by}"])
    rows.append(["answers", str(said.get("version") or said.get("error") or f"status {said.get('status')}")])
    if state.trial:
        held = " if its rollout is not heard of" if state.trial.get("held") else ""
        rows.append(["on trial", f"goes back by itself in {seconds_left:.0f} s{held}, unless: weft-host confirm {state.app}"])
    rows += [["frozen" if state.lock["freeze"] else "locked", locked(state.lock)]] if state.lock.get("live") else []
    rows += [["installed", ", ".join(f"{g.version} (generation {g.number}, not served yet)" for g in ready(state))]] if ready(state) else []
    rows.append(["can go back to", wayback.choices(state)])
    rows += [["pinned", pinned(state.pins)]] if state.pins else []
    rows += [["changed by hand", each] for each in state.drift]
    return [f"{state.app} on {state.host} (weft {state.engine})", *(f"  {line}" for line in columns(rows))]


def locked(lock: Mapping[str, Any]) -> str:
    """Who rolls out, or has frozen the fleet."""
    heard = "" if lock["freeze"] else f", last heard of {lock['age']:.0f} s ago"
    return f"by {lock['owner']} since {when(lock['since'])}: {lock['why']}{heard}"


def ready(state: HostState) -> list[Generation]:
    """What was installed for the release that is served now and can be switched to, the newest first."""
    return [g for g in state.generations if g.status == "staged" and g.previous == (state.live or 0) and g.release in state.sealed]


def pinned(pins: Mapping[str, Mapping[str, str]]) -> str:
    """Who keeps which versions here."""
    return ", ".join(f"{version} (by {said.get('by', '?')}, {when(said.get('at', ''))})" for version, said in sorted(pins.items()))


def history(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was done here, newest first."""
    rows = [["when", "what", "version", "generation", "came to", "by"]]
    for each in reversed(lines):
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(each.get("at", 0))))
        rows.append([at, str(each.get("event", "")), str(each.get("version", "")), str(each.get("generation", "")),
                     str(each.get("result", "")).split("\n")[0][:100], str(each.get("by", ""))])
    return columns(rows)


def drift(trees: Mapping[str, Sequence[str]], most: int = 20) -> list[str]:
    """How much is as it was installed, and what differs, at the most `most` files a part."""
    changed = {tree: files for tree, files in trees.items() if files}
    out = [f"{len(trees) - len(changed)} of {len(trees)} parts are as they were installed"]
    for tree, files in changed.items():
        out += [f"  {tree}: {each}" for each in files[:most]]
        out += [f"  {tree}: and {len(files) - most} more"] if len(files) > most else []
    return out


def mend(parts: Collection[str]) -> str:
    """The next move for parts that are not as they were installed."""
    sealed = [part for part in parts if part.split("/")[0] in ("releases", "layers", "tools")]
    others = set(parts) - set(sealed)
    return "; ".join([*(["deploy another version, then release and deploy this one under a new number"] if sealed else []),
                      *(["see who did that, and put owner, mode and text back"] if others else []),
                      *(["`fab setup` writes what is in the site's files and the engine again"] if others & {"site", "engine"} else [])])
