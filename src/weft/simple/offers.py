"""What a package index lists: the files of releases that pip may install, by project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Iterable, Mapping, Protocol

from weft.stores.wheels import Core
from weft.values import Artifact, Release

KINDS = ("sdist", "wheel", "dependency")


def normal(name: str) -> str:
    """A project's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Offer:
    """A file that pip may install: the project's own sdist and wheel, or a wheel of its wheelhouse.

    app, release: of which application and version it is.  created: when that was released.  folder: where that lies below the root.
    """

    app: str
    release: str
    created: str
    folder: str
    artifact: Artifact

    @property
    def filename(self) -> str:
        return self.artifact.basename

    @property
    def path(self) -> str:
        """Below the root."""
        return f"{self.folder}/{self.artifact.name}"

    @property
    def project(self) -> str:
        return normal(self._parts()[0])

    @property
    def version(self) -> str:
        return self._parts()[1]

    @property
    def uploaded(self) -> str:
        """PEP 700's spelling of the release's time; "" if the manifest's cannot be read."""
        try:
            moment = datetime.fromisoformat(self.created)
            utc = moment.astimezone(timezone.utc) if moment.tzinfo else moment
        except (ValueError, OverflowError):
            return ""
        return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _parts(self) -> tuple[str, str]:
        """A wheel is name-version-tags.whl, an sdist name-version.tar.gz; the name has no '-' in either."""
        stem = re.sub(r"\.(whl|tar\.gz|zip)$", "", self.filename)
        parts = stem.split("-") if self.filename.endswith(".whl") else stem.rsplit("-", 1)
        return parts[0], parts[1] if len(parts) > 1 else ""


class Facts(Protocol):
    """What a page says of an offer beside its name and bytes."""

    def core(self, offer: Offer) -> Core | None:
        """A wheel's core metadata, where PATH.metadata serves it; None for anything else."""

    def requires_python(self, offer: Offer) -> str:
        """Which Pythons a file is for, "" for any."""

    def yanked(self, offer: Offer) -> str | None:
        """Why its release was taken back; None where it was not."""


def of(release: Release, folder: str) -> list[Offer]:
    """The offers of one release."""
    return [Offer(release.app, release.version, release.created, folder, each) for each in release.of_kind(*KINDS)]


def projects(offers: Iterable[Offer]) -> dict[str, list[Offer]]:
    """By normalised name, the oldest offer of each file; the release's own before a copy in somebody's wheelhouse.

    Two releases may hold one file name with different bytes; both are offered, and a lock's hash tells them apart.
    """
    found: dict[str, dict[tuple[str, str], Offer]] = {}
    for offer in offers:
        files = found.setdefault(offer.project, {})
        key = (offer.filename, offer.artifact.sha256)
        if key not in files or _rank(offer) < _rank(files[key]):
            files[key] = offer
    return {name: sorted(files.values(), key=lambda each: (each.filename, each.created, each.path))
            for name, files in sorted(found.items())}


def _rank(offer: Offer) -> tuple[bool, str, str]:
    return offer.artifact.kind == "dependency", offer.created, offer.path


def reason(offer: Offer, marks: Mapping[str, str]) -> str | None:
    """Why pip and uv should pass a file over: its own release is yanked, or marked bad. None: they need not.

    marks: of that release, mark -> why.  A copy in the wheelhouse of a release that was taken back is good for others.
    """
    if offer.artifact.kind == "dependency":
        return None
    return marks["yanked"] if "yanked" in marks else f"marked bad: {marks['bad']}" if "bad" in marks else None
