"""What a host remembers of a release beside its installed files: its manifest with the proof of it, and whether it is pinned.

So a release that was pruned can be installed again from the cache, with no store and no network, and no more trust than before.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from weft import durable
from weft.durable import read_json
from weft.errors import Refused, WeftError
from weft.host.layout import Layout
from weft.host.observe import names
from weft.host.state import Kept
from weft.host.trust import Proof
from weft.typing import Any
from weft.values import Artifact, Generation, Release


def folder(layout: Layout) -> Path:
    return layout.state / "manifests"


def _path(layout: Layout, release: str) -> Path:
    return folder(layout) / f"{release}.json"


def keep(layout: Layout, release: Release, proof: Proof) -> None:
    """Once it is believed: the manifest as it was signed, or as it came. release: the part of it that this host takes."""
    said = {"release": release.to_json(), "manifest": proof.manifest, "signature": proof.signature}
    before = read_json(_path(layout, release.id))
    if {key: before.get(key) for key in said} == json.loads(json.dumps(said)):
        return
    _write(layout, release.id, {**said, **{key: before[key] for key in ("status", "at", "generation") if key in before}})


def _write(layout: Layout, release: str, said: dict[str, Any]) -> None:
    folder(layout).mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write(_path(layout, release), json.dumps(said, sort_keys=True), 0o600)


def note(layout: Layout, release: str, last: Generation) -> None:
    """What its last generation here came to, before that generation's own record is pruned."""
    said = read_json(_path(layout, release))
    now = {**said, "status": last.status, "at": last.at, "generation": last.number}
    if said and said != now:
        _write(layout, release, now)


def load(layout: Layout, release: str) -> tuple[Release, Proof]:
    """Raises Refused where it is not there or is not what was kept."""
    said = read_json(_path(layout, release))
    try:
        text = str(said["manifest"])
        whole = Release.from_json(json.loads(text) if text else said["release"])
        for found in (whole, *(whole.part(python) for python in whole.pythons)):
            if found.id == release:
                return found, Proof(text, str(said["signature"]))
    except (KeyError, ValueError, WeftError):
        pass
    raise Refused(f"the host's own copy of the manifest of {release} cannot be read", "deploy that version from the store")


def cached(layout: Layout, artifact: Artifact) -> Path:
    """Its verified bytes. They are hashed again: what is installed is what the manifest says, at every time."""
    path = layout.cache / artifact.sha256
    if not path.is_file() or durable.sha256(path) != artifact.sha256:
        path.unlink(missing_ok=True)
        raise Refused(f"{artifact.name} in the host's cache was damaged; it has been dropped", "run the same command again")
    return path


def listing(layout: Layout) -> tuple[Kept, ...]:
    """All that can be read, the last one first: by the number of its generation, for the clock may have been set meanwhile."""
    found = []
    for name in names(folder(layout)):
        try:
            release, _proof = load(layout, name[:-len(".json")])
        except Refused:
            continue
        said = read_json(folder(layout) / name)
        found.append(Kept(release.id, str(release.version), str(said.get("status", "")), str(said.get("at", "")), release.layer,
                          tuple(a.sha256 for a in release.for_host()), tuple(a.sha256 for a in release.of_kind("installer")),
                          _number(said.get("generation")), release.rollback_safe))
    return tuple(sorted(found, key=lambda kept: (kept.generation, kept.at, kept.release), reverse=True))


def _number(said: Any) -> int:
    return said if isinstance(said, int) else 0  # noted by a weft that kept no number


def pins(layout: Layout) -> dict[str, dict[str, str]]:
    """Version -> who pinned it and when."""
    said = read_json(layout.state / "pins.json")
    return {str(version): dict(each) for version, each in said.items() if isinstance(each, dict)}


def pin(layout: Layout, version: str, by: str) -> None:
    _pins(layout, {**pins(layout), version: {"by": by, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}})


def unpin(layout: Layout, version: str) -> None:
    _pins(layout, {name: each for name, each in pins(layout).items() if name != version})


def _pins(layout: Layout, said: dict[str, dict[str, str]]) -> None:
    durable.write(layout.state / "pins.json", json.dumps(said, sort_keys=True), 0o600)
