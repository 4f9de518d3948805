"""A store on anything that has names and create-only: S3, SFTP, memory, and what others add.

    <app>/1.1.4~<when>-<token>/   the files and manifest.json, under a name of their own for each publisher
    <app>/1.1.4~release.json      which of them is the release: created once, never replaced, the commit point
    <app>/1.1.4~yanked.json       marks

What no `~release.json` names is not there for readers; when it is old, `sweep` removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import BinaryIO, Mapping

from weft import durable
from weft.errors import NeedsHands, Refused, WeftError
from weft.stores import common, listing, space
from weft.stores.fetched import Fetched
from weft.stores.shown import Shown, descriptions
from weft.values import Artifact, Release, Version, app_name

_COMMIT = "~release.json"
_STAGED = re.compile(r"(?P<version>[^~]+)~(?P<when>[0-9a-f]{8,12})-[0-9a-f]{12}", re.ASCII)

UPLOAD = "upload under a name that no reader looks for to"
WORDS = common.Words(UPLOAD, "creating {version}~release.json, which is never replaced")


class KeyedStore(space.Documents, Shown):
    """shown: the address without secrets.  words: the space's own, where it says how it creates."""

    grace = common.GRACE

    def __init__(self, place: space.Space, shown: str):
        self.space, self.shown = place, shown
        self.words = getattr(place, "words", WORDS)
        self._fetched = Fetched()

    def __str__(self) -> str:
        return self.shown

    def apps(self) -> list[str]:
        """The applications that have a release."""
        names = (name.rstrip("/") for name in self.space.names("") if name.endswith("/"))
        return [name for name in sorted(names) if common.is_app(name) and self.versions(name)]

    def versions(self, app: str) -> list[Version]:
        """The published versions, oldest first by PEP 440. One listing."""
        return common.ordered([name.removesuffix(_COMMIT) for name in self.space.names(app_name(app)) if name.endswith(_COMMIT)])

    def path(self, app: str, version: str) -> str:
        """Where a release lies, or would lie, for people."""
        return f"{self.shown}/{app_name(app)}/{Version(version)}"

    def folder(self, app: str, version: str) -> str:
        """The folder of a release's files. Raises Refused for a version that is not here, naming the newest that are."""
        self.path(app, version)
        found = self._published(app, version)
        if not found:
            raise common.unknown(self, app, version)
        return found

    def manifest(self, app: str, version: str) -> Release:
        """Raises Refused for a version that is not here, or whose manifest is not its own."""
        return common.parsed(self.manifest_bytes(app, version), f"{self.path(app, version)}/{common.MANIFEST}", app, version)

    def manifest_bytes(self, app: str, version: str) -> bytes:
        """The manifest as it was written, which is what a signature is over. Raises as `manifest` does."""
        raw = self._raw(self.folder(app, version))
        if raw is None:
            raise Refused(f"{self.path(app, version)}/{common.MANIFEST} is missing")
        return raw

    def signature(self, app: str, version: str) -> str:
        """The manifest's signature as ssh-keygen wrote it, "" where the release is not signed."""
        name = f"{self.folder(app, version)}/{common.SIGNATURE}"
        try:
            return space.read(self.space, name, common.BIGGEST_SIGNATURE, f"{self.shown}/{name}").decode("ascii", "replace")
        except FileNotFoundError:
            return ""

    def open(self, app: str, version: str, artifact: Artifact) -> BinaryIO:
        """The bytes of one file, compared with size and digest. Raises Refused for others."""
        folder = self.folder(app, version)
        return self._fetched.open(artifact, lambda: self.space.open(f"{folder}/{artifact.name}", artifact.size),
                                  f"{self.path(app, version)}/{artifact.name}")

    def verify(self, app: str, version: str) -> list[str]:
        """Every difference between the manifest and the files; reads them all."""
        folder = self.folder(app, version)
        return self._faults(folder, self.manifest(app, version), self.path(app, version))

    def _faults(self, folder: str, release: Release, where: str) -> list[str]:
        found = (self._fetched.fault(each, lambda each=each: self.space.open(f"{folder}/{each.name}", each.size),
                                     f"{where}/{each.name}") for each in release.artifacts)
        return [fault for fault in found if fault]

    def obstacle(self, need: int) -> str:
        """Why nothing can be published here, as far as looking tells; `stage` finds the rest before it uploads."""
        try:
            self.space.names("")
        except Refused as error:
            return error.message
        return ""

    def staging(self, app: str, version: str) -> Path:
        """A new name for `stage`, remembered by the caller before anything is written under it."""
        return Path(app_name(app), f"{Version(version)}~{int(time.time()):08x}-{os.urandom(6).hex()}")

    def stage(self, place: Path, release: Release, files: Mapping[str, Path], signature: str = "") -> None:
        """Upload the files (artifact name -> where it lies), the signature and, last, manifest.json; read back and compare.

        Raises Refused when a file has other bytes than its artifact says, or when this store replaces what is there.
        """
        folder = place.as_posix()
        self._try(release.app)
        for artifact in release.artifacts:
            if durable.sha256(files[artifact.name]) != artifact.sha256:
                raise Refused(f"{files[artifact.name]} changed while it was published", "run the same command again")
            with files[artifact.name].open("rb") as source:
                self.space.upload(f"{folder}/{artifact.name}", source)
        for name, content in descriptions(release, files).items():
            self.space.replace(f"{folder}/{name}", content)
        faults = self._faults(folder, release, f"{self.shown}/{folder}")
        if faults:
            raise Refused("\n".join(["what was uploaded came back changed:", *faults]), "run the same command again")
        texts = {common.SIGNATURE: signature, common.MANIFEST: release.text()} if signature else {common.MANIFEST: release.text()}
        for name, text in texts.items():
            if not space.first(self.space, f"{folder}/{name}", text.encode()):
                raise Refused(f"{self.shown}/{folder}/{name} is there already", "run the same command again")

    def _try(self, app: str) -> None:
        """Whether this server keeps the promise of create-only: many S3 look-alikes replace, and say that all is well."""
        name = space.temp(f"{app}/create-only")
        try:
            kept = self.space.create(name, b"first") and not self.space.create(name, b"second")
            if not kept or space.read(self.space, name, 16, name) != b"first":
                raise Refused(f"{self.shown} replaces a file that is there, although it was told not to",
                              "use a server that honours create-only writes (S3: If-None-Match), or a shared directory")
        finally:
            self.space.delete(name)

    def staged(self, place: Path) -> bool:
        """Whether `stage` came to its end there, not so long ago that a sweep may be near."""
        match = _STAGED.fullmatch(place.name)
        if not match or len(place.parts) != 2 or self._age(match["when"]) > common.GRACE / 2:
            return False
        return self._raw(place.as_posix()) is not None

    def publish(self, place: Path, app: str, version: str) -> str:
        """Make a staged release the release, by one create-only write. Raises NeedsHands when the version has other bytes."""
        final, folder = self.path(app, version), place.as_posix()
        there = self._published(app, version)
        if there != folder:
            if not there and not self.staged(place):
                raise Refused(f"nothing complete is staged in {self.shown}/{folder}", "run the same command again")
            if there or not space.first(self.space, f"{app}/{version}{_COMMIT}", json.dumps({"folder": folder}).encode()):
                self._compare(place, self._published(app, version), final)
        listing.keep(self, app)
        self.sweep(app)
        return final

    def _compare(self, place: Path, there: str, final: str) -> None:
        mine = self._raw(place.as_posix())
        if mine is None or mine != self._raw(there):
            raise NeedsHands(f"{final} is there already, with other bytes; it was not replaced", "release another version")
        self.discard(place)

    def discard(self, place: Path) -> None:
        """Remove what `stage` left; never a release, nor anything else. Never raises: out of reach now, it is swept later."""
        match = _STAGED.fullmatch(place.name)
        if not match or len(place.parts) != 2 or not common.is_version(match["version"]):
            return
        with contextlib.suppress(WeftError):
            if self._published(app_name(place.parts[0]), match["version"]) != place.as_posix():
                self.space.drop(place.as_posix())

    def sweep(self, app: str, grace: float | None = None) -> list[str]:
        """Remove what killed publishers left more than `grace` (default: a day of) seconds ago; what was removed."""
        removed, grace = [], self.grace if grace is None else grace
        for name in self.space.names(app_name(app)):
            match = _STAGED.fullmatch(name.rstrip("/"))
            if name.endswith("/") and match and common.is_version(match["version"]) and self._age(match["when"]) >= grace \
                    and self._published(app, match["version"]) != f"{app}/{name.rstrip('/')}":
                self.space.drop(f"{app}/{name.rstrip('/')}")
                removed.append(f"{self.shown}/{app}/{name.rstrip('/')}")
        return removed

    def _age(self, when: str) -> float:
        return time.time() - int(when, 16)

    def _published(self, app: str, version: str) -> str:
        """The folder that the commit names; "" when the version is not published."""
        name = f"{app}/{version}{_COMMIT}"
        try:
            folder = json.loads(space.read(self.space, name, common.BIGGEST_MANIFEST, f"{self.shown}/{name}"))["folder"]
        except FileNotFoundError:
            return ""
        except (ValueError, KeyError, TypeError):
            raise Refused(f"{self.shown}/{name} is not what weft wrote", "the store was changed by hand") from None
        app_and_name = str(folder).split("/")
        match = _STAGED.fullmatch(app_and_name[-1])
        if len(app_and_name) != 2 or app_and_name[0] != app or not match or match["version"] != version:
            raise Refused(f"{self.shown}/{name} names a folder of something else", "the store was changed by hand")
        return folder

    def _raw(self, folder: str) -> bytes | None:
        try:
            return space.read(self.space, f"{folder}/{common.MANIFEST}", common.BIGGEST_MANIFEST, folder)
        except FileNotFoundError:
            return None
