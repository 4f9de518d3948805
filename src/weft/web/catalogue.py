"""What the store holds, as the pages and the package index need it. Reads only, anew for each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO, Iterator, Mapping

from weft.errors import WeftError
from weft.simple import offers as offers_
from weft.simple.offers import Offer
from weft.simple.static import marks_of
from weft.stores import wheels
from weft.values import Artifact, Release

# What a damaged or vanished release raises: ValueError holds bad JSON, RecursionError JSON nested out of reason.
BROKEN = (WeftError, OSError, ValueError, RecursionError)


@dataclass(frozen=True)
class Entry:
    """One version in the store: its manifest, or what is wrong with it. marks: "yanked" or "bad" -> why."""

    app: str
    version: str
    release: Release | None = None
    fault: str = ""
    marks: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def size(self) -> int:
        """Bytes of all its files together."""
        return sum(each.size for each in self.release.artifacts) if self.release else 0


class Catalogue:
    """A store seen through its manifests. A release that cannot be read is an Entry with a fault, never an exception."""

    def __init__(self, store: Any):
        self.store = store
        self._cores: dict[str, wheels.Core] = {}

    def apps(self) -> list[str]:
        """Raises OSError or WeftError where the store itself cannot be read."""
        return sorted(str(each) for each in self.store.apps())

    def entries(self, app: str) -> list[Entry]:
        """Newest first."""
        marks = self._marks(app)
        return [self._entry(app, str(version), marks) for version in reversed(list(self.store.versions(app)))]

    def entry(self, app: str, version: str) -> Entry | None:
        """None for what the store does not list: the names of a request reach the store no other way."""
        if app not in self.apps() or version not in [str(each) for each in self.store.versions(app)]:
            return None
        return self._entry(app, version, self._marks(app))

    def _marks(self, app: str) -> Mapping[str, Mapping[str, str]]:
        return marks_of(self.store, app)

    def _entry(self, app: str, version: str, marks: Mapping[str, Mapping[str, str]]) -> Entry:
        try:
            return Entry(app, version, _texts(self.store.manifest(app, version)), marks=marks.get(version, {}))
        except BROKEN as error:
            return Entry(app, version, fault=reason(error), marks=marks.get(version, {}))

    def listed(self) -> Listed:
        """What the package index lists now."""
        return Listed(self, [entry for app in self.apps() for entry in self.entries(app)])

    def core(self, entry: Entry, artifact: Artifact) -> wheels.Core | None:
        """A wheel's core metadata, remembered by the wheel's digest; None for an sdist or a wheel that is damaged."""
        known = self._cores.get(artifact.sha256)
        if known or not artifact.name.endswith(".whl"):
            return known
        try:
            known = self._cores[artifact.sha256] = wheels.core(self.metadata(entry, artifact))
        except BROKEN:
            return None
        return known

    def metadata(self, entry: Entry, artifact: Artifact) -> bytes:
        """The METADATA inside a wheel. Raises OSError, WeftError or ValueError."""
        with self.open(entry, artifact) as file:
            return wheels.metadata(file)

    def open(self, entry: Entry, artifact: Artifact) -> BinaryIO:
        """The file's bytes, to be closed by the caller. Raises WeftError where the store has lost or changed it."""
        return self.store.open(entry.app, entry.version, artifact)


class Listed:
    """The offers of a catalogue's entries by project, and what their page says of them."""

    def __init__(self, catalogue: Catalogue, entries: list[Entry]):
        self._catalogue = catalogue
        self._entries = {(entry.app, entry.version): entry for entry in entries if entry.release}
        self._marks = {(entry.app, entry.version): entry.marks for entry in entries}
        self.projects = offers_.projects(self._offers())

    def _offers(self) -> Iterator[Offer]:
        for (app, version), entry in self._entries.items():
            yield from offers_.of(entry.release, f"{app}/{version}")

    def core(self, offer: Offer) -> wheels.Core | None:
        return self._catalogue.core(self._entries[offer.app, offer.release], offer.artifact)

    def requires_python(self, offer: Offer) -> str:
        """An sdist's is its release's wheel's, which was built from it."""
        entry = self._entries[offer.app, offer.release]
        known = self._catalogue.core(entry, entry.release.of_kind("wheel")[0] if offer.artifact.kind == "sdist" else offer.artifact)
        return known.requires_python if known else ""

    def yanked(self, offer: Offer) -> str | None:
        return offers_.reason(offer, self._marks.get((offer.app, offer.release), {}))


def reason(error: BaseException) -> str:
    """What a page says of an error of the store."""
    return str(error) if isinstance(error, WeftError) else f"{type(error).__name__}: {error}"


def _texts(release: Release) -> Release:
    """The release, when what the pages print of it is text. Raises ValueError."""
    for name in ("commit", "tag", "created", "changelog"):
        if not isinstance(getattr(release, name), str):
            raise ValueError(f"its manifest's {name} is not text")
    return release
