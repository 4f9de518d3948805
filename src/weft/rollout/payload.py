"""The bytes of a release on their way from the store to the hosts."""

from __future__ import annotations

from typing import Any, BinaryIO, Iterable, Iterator

from weft.errors import Refused
from weft.values import Artifact, Release


class Payload:
    """A release in its store. Nothing is sent before every file of it, the sdist too, has been compared."""

    def __init__(self, store: Any, app: str, version: str):
        self.store, self.release = store, store.manifest(app, version)

    def verify(self) -> None:
        """Raises Refused listing every file that differs from the manifest."""
        faults = self.store.verify(self.release.app, self.release.version)
        if faults:
            raise Refused("\n".join([f"{self.release.app} {self.release.version} is not what was released:", *faults]),
                          "put the right files back, or release a new version; nobody should install these")

    def announce(self, missing: Iterable[str]) -> list[dict[str, Any]]:
        """The `files` of a stage request, for the digests that a host has not."""
        return [{"sha256": artifact.sha256, "size": artifact.size} for artifact in self._wanted(missing)]

    def streams(self, missing: Iterable[str]) -> Iterator[BinaryIO]:
        """The files in the announced order, each opened when its turn comes."""
        for artifact in self._wanted(missing):
            yield self.store.open(self.release.app, self.release.version, artifact)

    def _wanted(self, missing: Iterable[str]) -> list[Artifact]:
        missing = set(missing)
        first: dict[str, Artifact] = {}
        for artifact in self.release.for_host():
            if artifact.sha256 in missing:
                first.setdefault(artifact.sha256, artifact)
        return list(first.values())


def release_of(payload: Payload | None) -> Release | None:
    return payload.release if payload else None
