"""A store that is a directory which all machines can see: `<root>/<app>/<version>/`, manifest.json written last.

Published with one rename of a hidden sibling; a version that is there is never replaced. An operator without weft can
`pip install` the tarball from it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import BinaryIO, Mapping

from weft import durable
from weft.errors import NeedsHands, Refused, UsageError
from weft.values import Artifact, Release, Version, app_name

MANIFEST = "manifest.json"
_BIGGEST_MANIFEST = 4 << 20
_SHOWN = 5


class DirectoryStore:
    """root: an absolute path; it need not be there before the first publication."""

    def __init__(self, root: Path):
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def apps(self) -> list[str]:
        """The applications that have a complete release."""
        return [name for name in _names(self.root) if _is_app(name) and self.versions(name)]

    def versions(self, app: str) -> list[Version]:
        """The complete versions, oldest first by PEP 440."""
        from packaging.version import Version as Order
        place = self.root / app_name(app)
        found = [name for name in _names(place) if _is_version(name) and (place / name / MANIFEST).is_file()]
        return [Version(name) for name in sorted(found, key=Order)]

    def path(self, app: str, version: str) -> Path:
        """Where a release lies, or would lie. Raises UsageError for words that are no application or version."""
        return self.root / app_name(app) / Version(version)

    def manifest(self, app: str, version: str) -> Release:
        """Raises Refused for a version that is not here, naming the newest that are, or whose manifest is not its own."""
        place = self.path(app, version)
        try:
            raw = _read(place / MANIFEST, _BIGGEST_MANIFEST)
        except FileNotFoundError:
            raise self._unknown(app, version) from None
        except OSError as error:
            raise Refused(f"{place / MANIFEST} cannot be read: {error.strerror}") from None
        try:
            release = Release.from_json(json.loads(raw))
        except ValueError as error:
            raise Refused(f"{place / MANIFEST} is not JSON: {error}") from None
        if (release.app, release.version) != (app, version):
            raise Refused(f"{place / MANIFEST} is the manifest of {release.app} {release.version}",
                          "the store was changed by hand; put the release back in its place")
        return release

    def open(self, app: str, version: str, artifact: Artifact) -> BinaryIO:
        """The bytes of one file; links are not followed. The reader compares size and digest.

        Raises Refused when the file is not there or has another size than the manifest says.
        """
        path = self.path(app, version) / artifact.name
        try:
            handle = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}; the manifest names it", "publish a new version") from None
        seen = os.fstat(handle.fileno())
        if not stat.S_ISREG(seen.st_mode) or seen.st_size != artifact.size:
            handle.close()
            raise Refused(f"{path} has {seen.st_size} bytes, the manifest says {artifact.size}", "publish a new version")
        return handle

    def verify(self, app: str, version: str) -> list[str]:
        """Every difference between the manifest and the files; empty when each size and sha256 is right."""
        release, faults = self.manifest(app, version), []
        for artifact in release.artifacts:
            path = self.path(app, version) / artifact.name
            if path.is_symlink() or not path.is_file():
                faults.append(f"{path} is missing")
            elif path.stat().st_size != artifact.size:
                faults.append(f"{path} has {path.stat().st_size} bytes, the manifest says {artifact.size}")
            elif durable.sha256(path) != artifact.sha256:
                faults.append(f"{path} has other bytes than the manifest says")
        return faults

    def obstacle(self, need: int) -> str:
        """Why a release of `need` bytes cannot be published here; "" when it can, as far as can be seen."""
        there = self.root
        while not os.path.lexists(there) and there != there.parent:
            there = there.parent
        if not there.is_dir():
            return f"{there} is not a directory"
        if not os.access(there, os.W_OK | os.X_OK):
            return f"{there} is not writable for you"
        free = shutil.disk_usage(there).free
        return "" if free >= need else f"{there} has {free >> 20} MiB free, {need >> 20} MiB are needed"

    def staging(self, app: str, version: str) -> Path:
        """A new name for `stage`, remembered by the caller before anything is written under it."""
        return self.path(app, version).parent / f".staging-{version}-{secrets.token_hex(6)}"

    def stage(self, place: Path, release: Release, files: Mapping[str, Path]) -> None:
        """Copy the files (artifact name -> where it lies) to the hidden `place`, durably; manifest.json last.

        Read back and compared. Raises Refused when a file has other bytes than its artifact says, OSError for the disk.
        """
        place.mkdir(mode=0o700, parents=True)
        for artifact in release.artifacts:
            target = place / artifact.name
            target.parent.mkdir(mode=0o755, exist_ok=True)
            shutil.copyfile(files[artifact.name], target)
            target.chmod(0o444)
            if durable.sha256(target) != artifact.sha256:
                raise Refused(f"{files[artifact.name]} changed while it was published", "run the same command again")
        durable.sync_tree(place)
        line = json.dumps(release.to_json(), sort_keys=True, ensure_ascii=False) + "\n"
        durable.write(place / MANIFEST, line, 0o444)

    def staged(self, place: Path) -> bool:
        """Whether `stage` came to its end there."""
        return place.is_relative_to(self.root) and (place / MANIFEST).is_file()

    def publish(self, place: Path, app: str, version: str) -> Path:
        """Give a staged release its name, in one rename. Raises NeedsHands when the name is taken by other bytes."""
        final = self.path(app, version)
        place.chmod(0o755)
        try:
            durable.publish(place, final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if not _same(place, final):
                raise NeedsHands(f"{final} is there already, with other bytes; it was not replaced",
                                 "release another version") from None
            self.discard(place)
        return final

    def discard(self, place: Path) -> None:
        """Remove what `stage` left; only ever a hidden staging directory of this store, and the folder it alone was in."""
        if place.name.startswith(".staging-") and place.is_relative_to(self.root):
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):
                place.parent.rmdir()

    def _unknown(self, app: str, version: str) -> Refused:
        known = self.versions(app)
        if not known:
            return Refused(f"{app} has no release in {self.root}",
                           f"applications there: {', '.join(self.apps()) or 'none'}")
        newest = ", ".join(reversed(known[-_SHOWN:]))
        return Refused(f"{app} {version} is not in {self.root}", f"the newest there: {newest}")


def _names(place: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Refused(f"{place} cannot be read: {error.strerror}") from None


def _is_app(name: str) -> bool:
    return _passes(app_name, name)


def _is_version(name: str) -> bool:
    return _passes(Version, name)


def _passes(parse, name: str) -> bool:
    try:
        return bool(parse(name))
    except UsageError:
        return False


def _read(path: Path, biggest: int) -> bytes:
    with open(path, "rb") as handle:
        raw = handle.read(biggest + 1)
    if len(raw) > biggest:
        raise Refused(f"{path} is longer than {biggest} bytes")
    return raw


def _same(one: Path, other: Path) -> bool:
    try:
        return (one / MANIFEST).read_bytes() == (other / MANIFEST).read_bytes()
    except OSError:
        return False
