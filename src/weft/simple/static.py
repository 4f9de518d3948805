"""The static package index of a store: simple/, which pip and uv read from file:// or any web server, with no weft running.

It is made of what the store has. Two publishers at once make it at once: who has written looks again whether the store still
has what the pages say, so the last one to write is right. A publisher who was killed in between has left a sign in
simple/.building/, and the next one then compares every page. What was read of the manifests is kept in simple/releases.json.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping

from weft.errors import NeedsHands, WeftError
from weft.index import MARKS, Sealed
from weft.simple import offers as offers_
from weft.simple import pages
from weft.simple.offers import Offer
from weft.stores import wheels
from weft.stores.shown import SIMPLE
from weft.values import Artifact, Release

BUSY = ".building"
KNOWN = f"{SIMPLE}/releases.json"
_FORMAT = 1
_TRIES = 50
_GRACE = 24 * 3600
_BROKEN = (WeftError, OSError, ValueError, RecursionError)


@dataclass(frozen=True)
class Built:
    """projects: how many the index lists.  left: "shop 1.0" -> why it is not offered."""

    projects: int
    left: Mapping[str, str]


@dataclass
class State:
    """What the pages are made of. releases: application -> version -> its offers.  cores: a wheel's path -> its core metadata."""

    releases: dict[str, dict[str, list[Offer]]] = field(default_factory=dict)
    marks: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    cores: dict[str, wheels.Core] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def offers(self) -> Iterator[Offer]:
        return (offer for versions in self.releases.values() for found in versions.values() for offer in found)

    def touched(self, before: State) -> set[str]:
        """The projects whose pages may differ from those of an earlier state."""
        apps = {*self.releases, *before.releases}
        changed = {(app, version) for app in apps for version in {*self.releases.get(app, {}), *before.releases.get(app, {})}
                   if self._said(app, version) != before._said(app, version)}
        return {offer.project for state in (self, before) for app, version in changed for offer in state.releases.get(app, {}).get(version, ())}

    def _said(self, app: str, version: str) -> Any:
        return self.releases.get(app, {}).get(version), self.marks.get(app, {}).get(version)


def build(store: Any, anew: bool = False) -> Built:
    """Bring simple/ up to date. anew: believe nothing but the manifests, mend every page and every wheel's .metadata.

    Raises Refused or OSError where the store cannot be written, NeedsHands when it never stands still.
    """
    sign = f"{SIMPLE}/{BUSY}/{int(time.time()):08x}-{os.urandom(6).hex()}"
    store.show(sign, f"{os.getpid()} {socket.gethostname()}\n".encode())
    others = [name for name in store.pages(BUSY) if not sign.endswith(name)]
    built = _settled(store, anew, whole=anew or bool(others))
    for name in [each for each in others if _old(each) or _dead(store.page(f"{SIMPLE}/{BUSY}/{each}") or b"")]:
        store.show(f"{SIMPLE}/{BUSY}/{name}", None)
    store.show(sign, None)
    return built


def _settled(store: Any, anew: bool, whole: bool) -> Built:
    for _ in range(_TRIES):
        before = State() if anew else _remembered(store)
        state = _observe(store, before)
        if _written(store, state, before, whole, anew) and _seen(store) == _shape(state):
            return Built(len(offers_.projects(state.offers())), state.left)
    raise NeedsHands(f"the package index of {store} is always being written by somebody else", "inv index",
                     "the releases are there; pip may not see the newest yet")


def missing(store: Any, release: Release) -> list[str]:
    """The release's own files that the package index does not offer with these bytes."""
    own = [offer for offer in offers_.of(release, "") if offer.artifact.kind != "dependency"]
    listed = {each for name in {offer.project for offer in own} for each in _listed(store, name)}
    return [offer.filename for offer in own if (offer.filename, offer.artifact.sha256) not in listed]


def _listed(store: Any, project: str) -> list[tuple[str, str]]:
    try:
        said = json.loads(store.page(f"{SIMPLE}/{project}/index.json") or "{}")
        return [(each["filename"], each["hashes"]["sha256"]) for each in said.get("files", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _old(name: str) -> bool:
    try:
        return time.time() - int(name.partition("-")[0], 16) > _GRACE
    except ValueError:
        return True


def _dead(said: bytes) -> bool:
    """Whether the publisher who left this sign was a process of this machine that has ended."""
    pid, _, host = said.decode("utf-8", "replace").strip().partition(" ")
    return host == socket.gethostname() and pid.isdecimal() and not os.path.exists(f"/proc/{pid}") and os.path.exists("/proc/self")


def marks_of(store: Any, app: str) -> dict[str, dict[str, str]]:
    """All marks of an application: version -> word -> why; those in the store, and those that only its index.json has."""
    try:
        raw = store.index(app)
        index = Sealed.from_bytes(raw).own(app).versions if raw else {}
    except _BROKEN:
        index = {}
    found = {version: {word: said[word] for word in MARKS if word in said} for version, said in index.items()}
    for version, said in store.marked(app).items():
        found.setdefault(version, {}).update(said)
    return {version: said for version, said in found.items() if said}


def _seen(store: Any) -> Any:
    """What is there, without reading any release."""
    return {app: (sorted(map(str, store.versions(app))), marks_of(store, app)) for app in store.apps()}


def _shape(state: State) -> Any:
    left = [name.split(" ") for name in state.left]
    return {app: (sorted([*versions, *(version for name, version in left if name == app)]), state.marks[app])
            for app, versions in state.releases.items()}


def _observe(store: Any, before: State) -> State:
    state = State(cores=dict(before.cores))
    for app, (versions, marks) in _seen(store).items():
        state.marks[app], state.releases[app] = marks, {}
        for version in versions:
            try:
                state.releases[app][version] = before.releases.get(app, {}).get(version) or _offers(store, app, version)
            except _BROKEN as error:
                state.left[f"{app} {version}"] = str(error)
    return state


def _offers(store: Any, app: str, version: str) -> list[Offer]:
    return offers_.of(store.manifest(app, version), store.folder(app, version))


def _written(store: Any, state: State, before: State, whole: bool, anew: bool) -> bool:
    """Write the pages that differ; whether all of them are there as they were written."""
    projects, facts = offers_.projects(state.offers()), _Facts(store, state, anew)
    touched = {*projects, *_there(store)} if whole else state.touched(before)
    wanted: dict[str, bytes | None] = {}
    for name in sorted(touched):
        found = projects.get(name)
        wanted[f"{SIMPLE}/{name}/index.json"] = pages.project_json(name, found, facts) if found else None
        wanted[f"{SIMPLE}/{name}/index.html"] = pages.project_html(name, found, facts) if found else None
    wanted[f"{SIMPLE}/index.json"], wanted[f"{SIMPLE}/index.html"] = pages.projects_json(list(projects)), pages.projects_html(list(projects))
    changed = [name for name, content in wanted.items() if store.page(name) != content]
    for name in changed:
        store.show(name, wanted[name])
    if changed or touched:
        store.show(KNOWN, _text(state))
    return all(store.page(name) == wanted[name] for name in changed)


def _there(store: Any) -> list[str]:
    return [name.rstrip("/") for name in store.pages() if name.endswith("/") and not name.startswith(".")]


class _Facts:
    """Read out of the store where it is not known yet."""

    def __init__(self, store: Any, state: State, mend: bool):
        self.store, self.state, self.mend = store, state, mend
        self._wheels = {(offer.app, offer.release): offer for offer in state.offers() if offer.artifact.kind == "wheel"}

    def core(self, offer: Offer) -> wheels.Core | None:
        if offer.path not in self.state.cores and offer.filename.endswith(".whl"):
            raw = self.store.described(offer.app, offer.release, offer.artifact, self.mend)
            if raw is None:
                return None
            self.state.cores[offer.path] = wheels.core(raw)
        return self.state.cores.get(offer.path)

    def requires_python(self, offer: Offer) -> str:
        """An sdist's is its release's wheel's, which was built from it."""
        wheel = self._wheels.get((offer.app, offer.release)) if offer.artifact.kind == "sdist" else offer
        known = self.core(wheel) if wheel else None
        return known.requires_python if known else ""

    def yanked(self, offer: Offer) -> str | None:
        return offers_.reason(offer, self.state.marks.get(offer.app, {}).get(offer.release, {}))


def _text(state: State) -> bytes:
    releases = {app: {version: [{"created": each.created, "folder": each.folder, **vars(each.artifact)} for each in found]
                      for version, found in versions.items()} for app, versions in state.releases.items()}
    cores = {path: [core.sha256, core.requires_python] for path, core in state.cores.items()}
    return (json.dumps({"format": _FORMAT, "releases": releases, "marks": state.marks, "cores": cores}, sort_keys=True) + "\n").encode()


def _remembered(store: Any) -> State:
    """What the last one knew; nothing where that is not there or not understood."""
    try:
        said = json.loads(store.page(KNOWN) or b"{}")
        if said.get("format") != _FORMAT:
            return State()
        releases = {app: {version: [_offer(app, version, each) for each in found] for version, found in versions.items()}
                    for app, versions in said["releases"].items()}
        return State(releases, said["marks"], {path: wheels.Core(*core) for path, core in said["cores"].items()})
    except (*_BROKEN, KeyError, TypeError, AttributeError):
        return State()


def _offer(app: str, version: str, said: Mapping[str, Any]) -> Offer:
    return Offer(app, version, said["created"], said["folder"], Artifact(said["name"], said["kind"], said["size"], said["sha256"]))
