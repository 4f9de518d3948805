"""Pure: where a rollback goes, and from what: the warm slot, what is installed, the host's cache, or only the store."""

from __future__ import annotations


from weft.errors import Refused
from weft.host import decide
from weft.host.state import HostState, Kept
from weft.plan import Plan, Step
from weft.record import record, replace
from weft.typing import Collection, Iterator
from weft.values import Generation, Release

SLOT, INSTALLED, CACHE, STORE = "slot", "installed", "cache", "store"


@record(frozen=True)
class Way:
    """source: one of the four above.  generation: to be served again, None where one has to be made.  release: its id, "" for the store's."""

    source: str
    version: str
    release: str = ""
    generation: Generation | None = None


def way(state: HostState, to: str, force: Collection[str] = ()) -> Way:
    """Back to version `to`, or for "" to the generation recorded as the good one before; never by file time.

    force: with "bad", what went bad here is gone back to all the same. Raises Refused."""
    return _to(state, to, force) if to else _before(state)


def _before(state: HostState) -> Way:
    """Follow `previous` past generations that were bad or have vanished."""
    for each in decide.earlier(state):
        if each.status == "good" and (found := _reach(state, each)):
            return found
    raise Refused("there is no earlier release to go back to", f"it can go back to: {choices(state)}")


def _to(state: HostState, to: str, force: Collection[str]) -> Way:
    live = state.generation(state.live)
    if live and live.version == to:
        raise Refused(f"{to} is served already")
    mine = [g for g in state.generations if g.version == to and (g.status == "good" or g.status == "bad" and "bad" in force)]
    ways = sorted(filter(None, (_reach(state, g) for g in mine)), key=lambda w: (w.source == STORE, w.generation.status == "bad"))  # type: ignore[union-attr]
    if ways and ways[0].source != STORE:
        return ways[0]
    if bad := next((g for g in state.generations if g.version == to and g.status == "bad"), None) if not mine else None:
        raise _went_bad(to, bad.note)
    return _from_kept(state, to, force)


def _from_kept(state: HostState, to: str, force: Collection[str]) -> Way:
    for each in (k for k in state.kept if k.version == to):
        if each.status == "bad" and "bad" not in force:
            raise _went_bad(to, "")
        if each.status in ("good", "bad") and cached(state, each):
            return Way(CACHE, to, each.release)
    return Way(STORE, to)


def _went_bad(to: str, note: str) -> Refused:
    return Refused(f"{to} went bad on this host" + (f": {note}" if note else ""),
                   f"if it was not its fault: fab rollback --to {to} --force-bad")


def _reach(state: HostState, generation: Generation) -> Way | None:
    """How a generation can be served again; None for the placeholder, which is no release."""
    if decide.there(state, generation):
        warm = state.slots.get(state.idle) == generation.number
        return Way(SLOT if warm else INSTALLED, generation.version, generation.release, generation)
    if not generation.number:
        return None
    kept = next((k for k in state.kept if k.release == generation.release), None)
    if kept and cached(state, kept):
        return Way(CACHE, generation.version, generation.release, generation)
    return Way(STORE, generation.version, "", generation)


def cached(state: HostState, kept: Kept) -> bool:
    """Whether all that installing needs is in the host's cache."""
    return bool(kept.files) and set(kept.files) <= state.cached


def _offers(state: HostState) -> Iterator[str]:
    for each in state.generations:
        if each.number != state.live and each.status == "good" and decide.there(state, each) and each.number:
            yield each.version
    for kept in state.kept:
        if kept.status == "good" and cached(state, kept):
            yield kept.version


def choices(state: HostState) -> str:
    """The versions that this host can go back to by itself, newest first."""
    live = state.generation(state.live)
    return ", ".join(v for v in dict.fromkeys(_offers(state)) if not live or v != live.version) or "none"


def not_here(state: HostState, found: Way) -> Refused:
    """For a way that needs the store, where nobody brings it."""
    return Refused(f"there is no good generation of {found.version} to go back to",
                   f"it can go back to: {choices(state)}; `fab rollback --to {found.version}` fetches any published version from the store, "
                   f"and on the host `weft-host install` takes one")


def again(state: HostState, release: Release, found: Way, settings: str, by: str) -> Plan:
    """Install from the cache what was pruned; its own generation is served again where there still is one."""
    first = Step("cached", f"take the files of {release.app} {release.version} from this host's cache", {"files": sorted({a.sha256 for a in release.for_host()})})
    steps = decide.stage(state, release, settings, by).steps
    if found.generation:
        number = found.generation.number
        steps = tuple(replace(s, args={"generation": number}) if s.kind == "check" else s for s in steps if s.kind != "generation")
    return Plan(state.host, str(state.live), release.id, (first, *steps))
