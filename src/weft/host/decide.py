"""Pure: what was seen and what is wanted in, a plan or a refusal out."""

from __future__ import annotations


from weft.errors import Refused
from weft.host.state import Fault, HostState
from weft.plan import Plan, Step
from weft.servers.before import RELEASE as BEFORE
from weft.typing import Iterator, Sequence
from weft.values import Artifact, Generation, Release

# Room that stays free after a deploy, in bytes: an unpacked wheel takes about four times its size with byte code.
HEADROOM = 50 << 20
UNPACKED = 5
INODES = 500
"""Inodes below which nothing is begun: receiving and unpacking the installer takes as many."""
KEEP = 5
"""Good releases that stay installed, at the least; as many older ones stay in the cache."""


def own_part(state: HostState, release: Release) -> Release:
    """What this host takes of a release: the part for its Python; all of it where it is for none, which `deploy_faults` says."""
    return release.part(state.python) if state.python in release.pythons else release


def deploy_faults(state: HostState, release: Release) -> list[Fault]:
    """Why this release can't come to this host."""
    found = []
    if state.python and state.python not in release.pythons:
        wanted = sorted({*release.pythons, state.python}, key=lambda each: int(each[2:]))
        words = f'"{state.python}"' if len(release.pythons) == 1 else "[" + ", ".join(f'"{each}"' for each in wanted) + "]"
        found.append(Fault(f"{release.app} {release.version} was built for Python {_listed(release.pythons)}, "
                           f"the host's is {state.python}",
                           f"release it with [tool.weft] python = {words}"))
    new = [a for a in release.for_host() if a.sha256 not in state.cached]
    room = sum(a.size for a in new) * UNPACKED + HEADROOM
    if state.disk_free < room:
        found.append(Fault(f"the disk has {state.disk_free >> 20} MB free, {room >> 20} MB are needed",
                           "make room on the host, or prune old files"))
    if 0 <= state.files_free < INODES:
        found.append(_too_few(state, INODES))
    if not release.of_kind("installer") and (release.of_kind("wheel") or release.dependencies):
        found.append(Fault(f"the release {release.version} carries no installer (pip's wheel)", "release it again with this weft"))
    return found


def _too_few(state: HostState, files: int) -> Fault:
    return Fault(f"the disk has {state.files_free} inodes free, {files} are needed", "remove files on the host: `df -i` counts them")


def unpacks(state: HostState, release: Release) -> list[Artifact]:
    """The wheels that installing it would unpack."""
    if release.id in state.sealed:
        return []
    return [*release.of_kind("wheel"), *(release.dependencies if release.layer not in state.layers else ())]


def room_faults(state: HostState, size: int, files: int) -> list[Fault]:
    """Why what its wheels hold does not fit. size in bytes."""
    found = []
    if state.disk_free < size + HEADROOM:
        found.append(Fault(f"the disk has {state.disk_free >> 20} MB free, {size + HEADROOM >> 20} MB are needed for what the wheels unpack to",
                           "make room on the host, or prune old files"))
    if 0 <= state.files_free < files:
        found.append(_too_few(state, files))
    return found


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def received(files: list[str]) -> str:
    return f"receive {len(files)} file{'s' if len(files) != 1 else ''}"


def fetch(state: HostState, wanted: list[str]) -> Plan:
    """Take what the operator sends into the cache."""
    step = Step("fetch", received(wanted), {"wanted": wanted})
    return Plan(state.host, str(state.live), "cache", (step,))


def stage(state: HostState, release: Release, settings: str, by: str) -> Plan:
    """Everything up to a generation that could be served; nothing that users see. settings: its digest."""
    ready = reusable(state, release, settings)
    number = ready.number if ready else next_number(state)
    steps = []
    missing = [a.sha256 for a in release.for_host() if a.sha256 not in state.cached]
    if missing:
        steps.append(Step("fetch", received(missing), {"wanted": missing}))
    if release.id not in state.sealed:
        steps.append(Step("tools", "unpack the installer", {}))
        if release.layer not in state.layers and release.dependencies:
            steps.append(Step("layer", _dependencies(release), {"layer": release.layer}))
        steps.append(Step("release", f"install {release.app} {release.version}", {"release": release.id}))
    if not ready:
        record = Generation(number, release.id, str(release.version), settings, "staged", by, previous=state.live or 0)
        steps.append(Step("generation", f"render the settings of generation {number}", {"record": record.to_json()}))
    steps.append(Step("check", "import the application as its own account", {"generation": number}))
    return Plan(state.host, str(state.live), release.id, tuple(steps))


def _dependencies(release: Release) -> str:
    number = len(release.dependencies)
    return f"install {number} dependenc{'ies' if number != 1 else 'y'}"


def activate(state: HostState, generation: Generation) -> Plan:
    """Warm and check in the idle slot, flip, watch. Everything before the commit is invisible to users."""
    slot, steps = state.idle, []
    if generation.release == BEFORE:
        return _activate_before(state)
    warm = state.slots.get(slot) == generation.number
    if not warm:
        steps.append(Step("point", f"point slot {slot} at generation {generation.number}",
                          {"slot": slot, "generation": generation.number}))
        steps.append(Step("restart", f"start slot {slot} anew and wait until it is ready",
                          {"slot": slot, "generation": generation.number}))
    else:
        steps.append(Step("ready", f"slot {slot} still holds generation {generation.number}",
                          {"slot": slot, "generation": generation.number}))
    steps.append(Step("door", f"ask health at the door of slot {slot}", {"slot": slot, "release": generation.release}))
    steps.append(Step("flip", f"switch to slot {slot}", {"slot": slot, "generation": generation.number}, commit=True))
    steps.append(Step("watch", "watch the answers of the site", {"release": generation.release}))
    return Plan(state.host, str(state.live), generation.release, tuple(steps))


def _activate_before(state: HostState) -> Plan:
    """Let the site that was here before weft answer again: it has run all the time."""
    return Plan(state.host, str(state.live), BEFORE, (
        Step("door", f"ask the site in {state.adopted} at its door", {"slot": BEFORE, "release": BEFORE}),
        Step("flip", f"switch to the site in {state.adopted}", {"slot": BEFORE, "generation": 0}, commit=True),
        Step("watch", "watch the answers of the site", {"release": BEFORE})))


def next_number(state: HostState) -> int:
    return max([g.number for g in state.generations], default=0) + 1


def reusable(state: HostState, release: Release, settings: str) -> Generation | None:
    """A generation that is just what is wanted, with the live one as its way back: a deploy after a rollback."""
    return next((g for g in state.generations if (g.release, g.settings, g.previous) == (release.id, settings, state.live)
                 and g.status in ("staged", "good") and g.number != state.live), None)


def nothing_to_do(state: HostState, release: Release, settings: str) -> bool:
    """Whether the host serves just this already: release, settings and status."""
    live = state.generation(state.live)
    return bool(live and live.release == release.id and live.settings == settings and live.status == "good"
                and state.answers.get("release") == release.id)


def there_already(state: HostState, to: str) -> bool:
    """Whether the host serves the version that a rollback wants: in a fleet that went back halfway, nothing to do."""
    live = state.generation(state.live)
    return bool(to and live and live.version == to and live.status == "good")


def earlier(state: HostState) -> Iterator[Generation]:
    """What was served before the live generation, by the records, the last one first."""
    live = state.generation(state.live)
    seen, at = {state.live}, live
    while at and at.previous not in seen:
        seen.add(at.previous)
        at = state.generation(at.previous)
        if at:
            yield at


def there(state: HostState, generation: Generation) -> bool:
    """Whether a generation can be served again as it lies here; the placeholder is no release."""
    if generation.release == BEFORE:
        return bool(state.adopted)
    return bool(generation.number and generation.release in state.sealed)


def _way_back(state: HostState) -> list[Generation]:
    return [g for g in earlier(state) if g.status == "good" and there(state, g)][:1]


def stale(state: HostState, base: int | None) -> None:
    """Raises Refused where the host no longer is what the plan was made for."""
    if base != state.live:
        raise Refused(f"generation {state.live} serves, the plan was made for {base}: somebody else was faster",
                      "look with `fab status`, then run the command again")


def unfit(state: HostState, generation: Generation) -> None:
    """Raises Refused for a generation that is no candidate: it serves already, which a trial of it could not go back from, or is no release."""
    if generation.number == state.live:
        raise Refused(f"generation {generation.number} is served already")
    if not there(state, generation):
        raise Refused(f"generation {generation.number} has no release that is installed here", "stage it first")


def prunable(state: HostState, keep: int = KEEP) -> tuple[list[int], list[str], list[str]]:
    """Generations and releases that may go, and the releases that stay: never what a slot holds, what is pinned, the way back, or
    the `keep` newest good releases, each with its newest good generation."""
    held = set(state.slots.values()) | {state.live, 0, state.trial.get("generation"), state.trial.get("previous")}
    live = state.generation(state.live)
    if live:
        held.add(live.previous)
    held |= {g.number for g in _way_back(state)}
    newest: dict[str, int] = {}
    for each in state.generations:
        if each.status == "good" and each.number:
            newest.setdefault(each.release, each.number)
    held |= set(list(newest.values())[:keep])
    held |= {g.number for g in state.generations if g.version in state.pins}
    old = [g for g in state.generations if g.number not in held and g.number < (state.live or 0)]
    kept = {g.release for g in state.generations if g not in old} | {"placeholder"}
    return [g.number for g in old], [name for name in state.sealed if name not in kept], sorted(kept)


def forgettable(state: HostState, keep: int = KEEP) -> list[str]:
    """Of the manifests that are kept, those of releases that are neither installed, nor pinned, nor among the `keep` newest good or
    bad ones that were pruned."""
    here = state.sealed | {g.release for g in state.generations}
    left: list[str] = []
    for status in ("good", "bad"):
        left += [k.release for k in state.kept if k.status == status and k.release not in here][:keep]
    return [k.release for k in state.kept if k.release not in here and k.release not in left and k.version not in state.pins]
