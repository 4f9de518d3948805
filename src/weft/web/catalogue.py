"""What the store holds, as the pages and the package index need it. Reads only, anew for each request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from weft.errors import WeftError
from weft.values import Artifact, Release
from weft.web import wheels

# What a damaged or vanished release raises: ValueError holds bad JSON, RecursionError JSON nested out of reason.
BROKEN = (WeftError, OSError, ValueError, RecursionError)


def normal(name: str) -> str:
    """A project's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Entry:
    """One version in the store: its manifest, or what is wrong with it."""

    app: str
    version: str
    release: Release | None = None
    fault: str = ""

    @property
    def size(self) -> int:
        """Bytes of all its files together."""
        return sum(each.size for each in self.release.artifacts) if self.release else 0


@dataclass(frozen=True)
class Offer:
    """A file that pip may install: the project's own sdist and wheel, or a wheel of its wheelhouse."""

    entry: Entry
    artifact: Artifact

    @property
    def filename(self) -> str:
        return self.artifact.basename

    @property
    def path(self) -> tuple[str, ...]:
        return (self.entry.app, self.entry.version, *self.artifact.name.split("/"))

    @property
    def project(self) -> str:
        return normal(self._parts()[0])

    @property
    def version(self) -> str:
        return self._parts()[1]

    def _parts(self) -> tuple[str, str]:
        """A wheel is name-version-tags.whl, an sdist name-version.tar.gz; the name has no '-' in either."""
        stem = re.sub(r"\.(whl|tar\.gz|zip)$", "", self.filename)
        parts = stem.split("-") if self.filename.endswith(".whl") else stem.rsplit("-", 1)
        return parts[0], parts[1] if len(parts) > 1 else ""


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
        return [self._entry(app, str(version)) for version in reversed(list(self.store.versions(app)))]

    def entry(self, app: str, version: str) -> Entry | None:
        """None for what the store does not list: the names of a request reach the store no other way."""
        if app not in self.apps() or version not in [str(each) for each in self.store.versions(app)]:
            return None
        return self._entry(app, version)

    def _entry(self, app: str, version: str) -> Entry:
        try:
            return Entry(app, version, _texts(self.store.manifest(app, version)))
        except BROKEN as error:
            return Entry(app, version, fault=reason(error))

    def projects(self) -> dict[str, list[Offer]]:
        """What the package index lists, by normalised name, the oldest offer of each file.

        Two releases may hold one file name with different bytes; both are offered, and a lock's hash tells them apart.
        """
        found: dict[str, dict[tuple[str, str], Offer]] = {}
        for offer in self._offers():
            files = found.setdefault(offer.project, {})
            key = (offer.filename, offer.artifact.sha256)
            if key not in files or offer.entry.release.created < files[key].entry.release.created:
                files[key] = offer
        return {name: sorted(files.values(), key=lambda o: (o.filename, o.entry.release.created))
                for name, files in found.items()}

    def _offers(self):
        for app in self.apps():
            for entry in self.entries(app):
                for artifact in entry.release.of_kind("sdist", "wheel", "dependency") if entry.release else ():
                    yield Offer(entry, artifact)

    def core(self, offer: Offer) -> wheels.Core | None:
        """A wheel's core metadata, remembered by the wheel's digest; None for an sdist or a wheel that is damaged."""
        known = self._cores.get(offer.artifact.sha256)
        if known or not offer.filename.endswith(".whl"):
            return known
        try:
            known = self._cores[offer.artifact.sha256] = wheels.core(self.metadata(offer.entry, offer.artifact))
        except BROKEN:
            return None
        return known

    def requires_python(self, offer: Offer) -> str:
        """Which Pythons a file is for, "" for any. An sdist's is its release's wheel's, which was built from it."""
        if offer.artifact.kind == "sdist":
            offer = Offer(offer.entry, offer.entry.release.of_kind("wheel")[0])
        known = self.core(offer)
        return known.requires_python if known else ""

    def metadata(self, entry: Entry, artifact: Artifact) -> bytes:
        """The METADATA inside a wheel. Raises OSError, WeftError or ValueError."""
        with self.open(entry, artifact) as file:
            return wheels.metadata(file)

    def open(self, entry: Entry, artifact: Artifact) -> BinaryIO:
        """The file's bytes, to be closed by the caller. Raises WeftError where the store has lost or changed it."""
        return self.store.open(entry.app, entry.version, artifact)


def reason(error: BaseException) -> str:
    """What a page says of an error of the store."""
    return str(error) if isinstance(error, WeftError) else f"{type(error).__name__}: {error}"


def _texts(release: Release) -> Release:
    """The release, when what the pages print of it is text. Raises ValueError."""
    for name in ("commit", "tag", "created", "changelog"):
        if not isinstance(getattr(release, name), str):
            raise ValueError(f"its manifest's {name} is not text")
    return release
