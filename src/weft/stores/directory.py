"""A store that is a directory which all machines can see: `<root>/<app>/<version>/`, manifest.json written last.

Published with one rename of a hidden sibling; a version that is there is never replaced. An operator without weft can
`pip install` the tarball from it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from pathlib import Path
from typing import BinaryIO, Mapping

from weft import durable
from weft.errors import NeedsHands, Refused
from weft.stores import common, listing
from weft.stores.folder import Folder
from weft.stores.shown import SIMPLE, Shown, descriptions
from weft.stores.space import Documents
from weft.values import Artifact, Release, Version, app_name

MANIFEST, SIGNATURE = common.MANIFEST, common.SIGNATURE
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT)
"""How rename says that a name is taken; ENOENT: NFS asked twice, and the first time it was done."""
_STAGING, _TRASH = ".staging-", ".trash-"


class DirectoryStore(Documents, Shown):
    """root: an absolute path; it need not be there before the first publication."""

    grace = common.GRACE
    words = common.Words("copy to a hidden directory of", "one rename")

    def __init__(self, root: Path):
        self.root, self.space = root, Folder(root)

    def __str__(self) -> str:
        return str(self.root)

    def apps(self) -> list[str]:
        """The applications that have a complete release."""
        return [name for name in _names(self.root) if common.is_app(name) and self.versions(name)]

    def versions(self, app: str) -> list[Version]:
        """The complete versions, oldest first by PEP 440."""
        place = self.root / app_name(app)
        return common.ordered([name for name in _names(place) if (place / name / MANIFEST).is_file()])

    def path(self, app: str, version: str) -> Path:
        """Where a release lies, or would lie. Raises UsageError for words that are no application or version."""
        return self.root / app_name(app) / Version(version)

    def manifest(self, app: str, version: str) -> Release:
        """Raises Refused for a version that is not here, naming the newest that are, or whose manifest is not its own."""
        return common.parsed(self.manifest_bytes(app, version), self.path(app, version) / MANIFEST, app, version)

    def manifest_bytes(self, app: str, version: str) -> bytes:
        """The manifest as it was written, which is what a signature is over. Raises as `manifest` does."""
        path = self.path(app, version) / MANIFEST
        try:
            return _read(path, common.BIGGEST_MANIFEST)
        except FileNotFoundError:
            raise common.unknown(self, app, version) from None
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}") from None

    def signature(self, app: str, version: str) -> str:
        """The manifest's signature as ssh-keygen wrote it, "" where the release is not signed."""
        place = self.path(app, version)
        if not (place / MANIFEST).is_file():
            raise common.unknown(self, app, version)
        return _small(place / SIGNATURE, common.BIGGEST_SIGNATURE).decode("ascii", "replace")

    def open(self, app: str, version: str, artifact: Artifact) -> BinaryIO:
        """The bytes of one file; links are not followed. The reader compares size and digest.

        Raises Refused when the file is not there or has another size than the manifest says.
        """
        path = self.path(app, version) / artifact.name
        try:
            handle = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
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
        return self.path(app, version).parent / f"{_STAGING}{version}-{os.urandom(6).hex()}"

    def stage(self, place: Path, release: Release, files: Mapping[str, Path], signature: str = "") -> None:
        """Copy the files (artifact name -> where it lies) to the hidden `place`, durably; manifest.json last.

        signature: of `release.text()`, which is what manifest.json holds; "" for a release that is not signed.
        Read back and compared. Raises Refused when a file has other bytes than its artifact says, OSError for the disk.
        """
        self.space.made(place.parent)
        place.mkdir(mode=0o700)
        for artifact in release.artifacts:
            target = place / artifact.name
            if target.parent != place:
                target.parent.mkdir(exist_ok=True)
                target.parent.chmod(0o755)  # whatever the umask
            shutil.copyfile(files[artifact.name], target)
            target.chmod(0o444)
            if durable.sha256(target) != artifact.sha256:
                raise Refused(f"{files[artifact.name]} changed while it was published", "run the same command again")
        for name, content in descriptions(release, files).items():
            (place / name).write_bytes(content)
            (place / name).chmod(0o444)
        durable.sync_tree(place)
        if signature:
            durable.write(place / SIGNATURE, signature, 0o444)
        durable.write(place / MANIFEST, release.text(), 0o444)

    def staged(self, place: Path) -> bool:
        """Whether `stage` came to its end there."""
        return place.is_relative_to(self.root) and (place / MANIFEST).is_file()

    def publish(self, place: Path, app: str, version: str) -> Path:
        """Give a staged release its name, in one rename. Raises NeedsHands when the name is taken by other bytes."""
        final, mine = self.path(app, version), _manifest(place)
        if mine is None:
            raise Refused(f"nothing complete is staged in {place}", "run the same command again")
        with contextlib.suppress(FileNotFoundError):
            place.chmod(0o755)
        try:
            durable.publish(place, final)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            there = _manifest(final)
            if there is None and error.errno == errno.ENOENT:
                raise
            if there != mine:
                raise NeedsHands(f"{final} is there already, with other bytes; it was not replaced",
                                 "release another version") from None
            self.discard(place)
        listing.keep(self, app)
        self.sweep(app)
        return final

    def sweep(self, app: str, grace: float | None = None) -> list[str]:
        """Remove what killed publishers left more than `grace` (default: a day of) seconds ago; what was removed.

        Each is renamed first: its publisher, if it lives after all, then fails instead of publishing half of it.
        """
        place, removed = self.root / app_name(app), []
        grace = self.grace if grace is None else grace
        for name in _names(place):
            path = place / name
            if name.startswith((_STAGING, _TRASH)) and _age(path) >= grace:
                trash = path if name.startswith(_TRASH) else place / f"{_TRASH}{os.urandom(6).hex()}"
                with contextlib.suppress(OSError):  # NFS may have done it, and say that it is not there
                    os.rename(path, trash)
                with contextlib.suppress(OSError):
                    shutil.rmtree(trash)
                    removed.append(str(path))
        return removed + _strays(self.root, place, grace)

    def folder(self, app: str, version: str) -> str:
        """Where a release lies below the root, for readers over http."""
        return self.path(app, version).relative_to(self.root).as_posix()

    def discard(self, place: Path) -> None:
        """Remove what `stage` left; only ever a hidden staging directory of this store, and the folder it alone was in."""
        if place.name.startswith(_STAGING) and place.is_relative_to(self.root):
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):
                place.parent.rmdir()


def _strays(root: Path, place: Path, grace: float) -> list[str]:
    """Remove the temporary files of documents whose writer was killed; what was removed."""
    removed = []
    for folder in (root, place, *root.glob(".*.d"), *place.glob(".*.d"), root / SIMPLE, *(root / SIMPLE).glob("*/")):
        for path in folder.glob(".weft-tmp-*"):
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime >= grace:
                    path.unlink()
                    removed.append(str(path))
    return removed


def _names(place: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Refused(f"{place} cannot be read: {error.strerror}") from None


def _read(path: Path, biggest: int) -> bytes:
    with open(path, "rb") as handle:
        raw = handle.read(biggest + 1)
    if len(raw) > biggest:
        raise Refused(f"{path} is longer than {biggest} bytes")
    return raw


def _small(path: Path, biggest: int) -> bytes:
    """A file that need not be there: b"" without it."""
    try:
        return _read(path, biggest)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _manifest(place: Path) -> bytes | None:
    try:
        return (place / MANIFEST).read_bytes()
    except OSError:
        return None


def _age(path: Path) -> float:
    """Seconds since anything was put into a directory; 0 for one that is gone."""
    try:
        return time.time() - max(path.stat().st_mtime, *(each.stat().st_mtime for each in path.iterdir()), 0.0)
    except OSError:
        return 0.0
