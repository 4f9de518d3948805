"""Write the index of an application anew: what the store has, under a serial above every one that was seen."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Mapping

from weft.errors import NeedsHands, Refused
from weft.index import MARKS, Index, Memory, Sealed, trusted_manifest
from weft.release.sign import Signing

_TRIES = 50
_PAUSE = 0.1


@dataclass(frozen=True)
class Shelf:
    """Where an index is kept and how it is signed. days: until it expires.  memory: the last one this machine believed."""

    store: Any
    app: str
    signing: Signing
    memory: Memory
    days: int


@dataclass(frozen=True)
class Renewed:
    """left: versions of the store that the index does not name, and why."""

    index: Index
    left: Mapping[str, str]


def renew(shelf: Shelf, marks: Mapping[str, Mapping[str, str]] | None = None, mend: bool = False) -> Renewed:
    """Read the store, write the next index. marks: version -> {"yanked" or "bad": why}, to be added.  mend: an index.json that
    is damaged counts as none; what it said is in the store's marks, and in what this machine believed last.

    Two publishers at once take turns: whoever finds another index than the one read begins again. Raises Refused, or
    NeedsHands when there is no end to that.
    """
    for _ in range(_TRIES):
        raw = shelf.store.index(shelf.app)
        before = _before(shelf, b"" if mend and damaged(raw, shelf.app) else raw)
        renewed = _next(shelf, before, marks or {})
        text = renewed.index.text()
        sealed = Sealed(text, shelf.signing.index(text, shelf.app))
        if shelf.store.put_index(shelf.app, raw, sealed.to_bytes()):
            if shelf.signing.signers:
                shelf.memory.keep(sealed)
            return renewed
        time.sleep(_PAUSE)
    raise NeedsHands(f"the index of {shelf.app} in {shelf.store} is always being written by somebody else", "inv index",
                     "the releases are published; hosts that check signatures do not take those that the index does not name")


def damaged(raw: bytes, app: str) -> bool:
    """Whether it is no index of this application's at all. One of a newer weft's format is whole."""
    try:
        return bool(raw) and Sealed.from_bytes(raw).index.app != app
    except Refused as refusal:
        return "is unknown to this weft" not in refusal.message


def _before(shelf: Shelf, raw: bytes) -> list[Index]:
    """The indexes that count: the store's, if its signature is good, and the last one believed here."""
    signers = shelf.signing.signers
    found = Sealed.from_bytes(raw) if raw else None
    if not signers:
        return [found.own(shelf.app)] if found else []
    last = shelf.memory.last(shelf.app, signers)
    known = [last.index] if last else []
    try:
        return known + ([found.verified(shelf.app, signers, found.index.created)] if found else [])
    except Refused as refusal:
        if found.signature and not _revoked(refusal):
            raise Refused(f"{refusal.message}", "somebody changed the store's index.json; when you know who and why, remove it "
                          "and run `inv index`") from None
        return known


def _revoked(refusal: Refused) -> bool:
    """A key that was trusted once: what it said is no longer known, and that is no reason to stop."""
    return "is revoked" in refusal.message or "does not allow" in refusal.message


def _next(shelf: Shelf, before: list[Index], marks: Mapping[str, Mapping[str, str]]) -> Renewed:
    known: dict[str, dict[str, str]] = {}
    for index in sorted(before, key=lambda each: each.serial):
        known.update({version: {**known.get(version, {}), **said} for version, said in index.versions.items()})
    left: dict[str, str] = {}
    for version in shelf.store.versions(shelf.app):
        try:
            known[version] = {**_named(shelf, version, known.get(version)), **_marks(shelf, version), **marks.get(version, {})}
        except Refused as refusal:
            left[version] = refusal.message
    serial = max([index.serial for index in before], default=0) + 1
    now = time.time()
    return Renewed(Index(shelf.app, serial, _stamp(now), _stamp(now + shelf.days * 86400), known), left)


def _named(shelf: Shelf, version: str, known: Mapping[str, str] | None) -> dict[str, str]:
    """The entry of a version. A new one is believed as a host would; a known one that changed stops everything."""
    raw = shelf.store.manifest_bytes(shelf.app, version)
    digest = hashlib.sha256(raw).hexdigest()
    if known and known["manifest"] != digest:
        raise NeedsHands(f"the manifest of {shelf.app} {version} in {shelf.store} is not the one that the index names",
                         "put the right one back; a published version is never replaced", "the index is as it was")
    if not known and shelf.signing.signers:
        release = shelf.store.manifest(shelf.app, version)
        trusted_manifest(raw.decode("utf-8"), shelf.store.signature(shelf.app, version), release.created, f"{shelf.app} {version}",
                         shelf.signing.signers)
    return {**(known or {}), "manifest": digest}


def _marks(shelf: Shelf, version: str) -> dict[str, str]:
    return {word: why for word, why in shelf.store.marks(shelf.app, version).items() if word in MARKS}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def knows(store: Any, app: str, version: str) -> bool:
    """Whether the store's index names this version, there or not."""
    raw = store.index(app)
    return bool(raw) and version in Sealed.from_bytes(raw).index.versions


def names(store: Any, app: str, version: str) -> bool:
    """Whether the store's index names this version with the manifest that is there."""
    raw = store.index(app)
    said = Sealed.from_bytes(raw).index.versions.get(version) if raw else None
    return bool(said) and said["manifest"] == hashlib.sha256(store.manifest_bytes(app, version)).hexdigest()
