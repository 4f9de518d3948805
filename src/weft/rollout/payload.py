"""The bytes of a release on their way from the store to the hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Iterable, Iterator

from weft.errors import Refused
from weft.index import Sealed
from weft.rollout import outside
from weft.rollout.belief import Belief
from weft.rollout.secrets import Secrets
from weft.values import Artifact, Release


class Payload:
    """A release in its store, with the wheels that it names and the store has not. Nothing is sent before every file of it,
    the sdist too, has been compared.

    belief: asked at once; raises Refused for a release that nobody should install.  secrets: of the environment; fetched at once.
    """

    def __init__(self, store: Any, app: str, version: str, belief: Belief | None = None, secrets: Secrets | None = None):
        self.store, self.release = store, store.manifest(app, version)
        self.signature = store.signature(app, version)
        self._outside: dict[str, Path] = {}
        self.force = belief.force if belief else ()
        self.manifest = store.manifest_bytes(app, version).decode("utf-8") if self.signature or belief else ""
        raw = store.index(app)
        self.index = Sealed.from_bytes(raw) if raw else None
        if belief:
            belief.check(self.release, self.manifest, self.signature, self.index)
        self.secrets = secrets or Secrets()
        self.secrets.fetch()

    def wish(self) -> dict[str, Any]:
        """The release as a request names it: with all that proves it, or, where it is not signed, as it always was."""
        if not self.signature:
            return {"release": self.release.to_json(), **self.secrets.wish()}
        index = {"index": self.index.text, "index_signature": self.index.signature} if self.index else {}
        force = {"force": list(self.force)} if self.force else {}
        return {"manifest": self.manifest, "signature": self.signature, "version": self.release.version, **index, **force, **self.secrets.wish()}

    def verify(self) -> None:
        """Raises Refused listing every file that differs from the manifest."""
        faults = self.store.verify(self.release.app, self.release.version)
        if faults:
            raise Refused("\n".join([f"{self.release.app} {self.release.version} is not what was released:", *faults]),
                          "put the right files back, or release a new version; nobody should install these")

    def lacking(self, missing: Iterable[str]) -> list[Artifact]:
        """What of these digests does not lie in the store, and is not on this machine yet."""
        outside = {a.sha256 for a in self.release.unvendored}
        return [a for a in self._wanted(missing) if a.sha256 in outside and a.sha256 not in self._outside]

    def bring(self, missing: Iterable[str]) -> None:
        """Fetch what of these digests does not lie in the store. Raises Refused for what is not to be had."""
        self._outside.update(outside.fetched(self.lacking(missing), self.release))

    def announce(self, missing: Iterable[str]) -> list[dict[str, Any]]:
        """The `files` of a stage request, for the digests that a host has not."""
        return [{"sha256": artifact.sha256, "size": artifact.size} for artifact in self._wanted(missing)]

    def streams(self, missing: Iterable[str]) -> Iterator[BinaryIO]:
        """The files in the announced order, each opened when its turn comes."""
        for artifact in self._wanted(missing):
            near = self._outside.get(artifact.sha256)
            yield near.open("rb") if near else self.store.open(self.release.app, self.release.version, artifact)

    def _wanted(self, missing: Iterable[str]) -> list[Artifact]:
        missing = set(missing)
        first: dict[str, Artifact] = {}
        for artifact in self.release.for_host():
            if artifact.sha256 in missing:
                first.setdefault(artifact.sha256, artifact)
        return list(first.values())
