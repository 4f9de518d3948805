"""A release where it lies in an artifact store: a directory that this machine can see, or an address of a web server.

What is read here is believed by nobody: it goes through a request, whose checks are those of what fab sends.
"""

from __future__ import annotations

import http.client
import json
import os
import stat
import urllib.error
import urllib.request
from urllib.parse import urljoin, urlsplit

from weft.errors import Refused, UsageError
from weft.index import Sealed
from weft.typing import Any, BinaryIO, Collection, Iterator, Sequence
from weft.values import Artifact, Release, Version

MANIFEST, SIGNATURE, INDEX = "manifest.json", "manifest.json.sig", "index.json"
_MOST_MANIFEST, _MOST_SIGNATURE, _MOST_INDEX = 4 << 20, 16 << 10, 16 << 20
_SECONDS = 20.0


class Source:
    """place: as it was typed. version: "" for the one that lies there. Raises Refused where no release is there."""

    def __init__(self, place: str, app: str, version: str = ""):
        self.wanted_version = str(Version(version)) if version else ""
        self.folder, found = _find(_folder(place), app, self.wanted_version)
        try:
            self.manifest = found.decode("utf-8")
            self.release = Release.from_json(json.loads(self.manifest))
        except ValueError:
            raise Refused(f"{self.folder}/{MANIFEST} is not JSON") from None
        if self.release.app != app:
            raise Refused(f"{self.folder} is a release of {self.release.app}, not of {app}")
        if self.wanted_version and self.release.version != self.wanted_version:
            raise Refused(f"{self.folder} is {app} {self.release.version}, asked for was {self.wanted_version}")

    def wish(self) -> dict[str, Any]:
        """The release as a request names it, with all that is to prove it."""
        signature = (read(self.folder, SIGNATURE, _MOST_SIGNATURE) or b"").decode("ascii", "replace")
        if not signature:
            return {"release": json.loads(self.manifest)}
        raw = read(self.folder.rpartition("/")[0], INDEX, _MOST_INDEX)
        sealed = Sealed.from_bytes(raw) if raw else None
        index = {"index": sealed.text, "index_signature": sealed.signature} if sealed else {}
        return {"manifest": self.manifest, "signature": signature, "version": str(self.release.version), **index}

    def wanted(self, missing: Collection[str]) -> list[Artifact]:
        """The files for these digests, each once. Raises Refused for those that do not lie in the store."""
        first: dict[str, Artifact] = {}
        for artifact in self.release.for_host():
            if artifact.sha256 in missing:
                first.setdefault(artifact.sha256, artifact)
        absent = [a.name for a in self.release.unvendored if a.sha256 in first]
        if absent:
            raise Refused(f"{', '.join(absent)}: the release names it, and does not have it in the store",
                          '`fab deploy` fetches such files; or release it with vendor = "all"')
        return list(first.values())

    def stream(self, artifacts: Sequence[Artifact]) -> Stream:
        """Their bytes one after the other, each opened when its turn comes."""
        return Stream(opened(self.folder, each) for each in artifacts)


class Stream:
    """Files as one stream of bytes."""

    def __init__(self, files: Iterator[BinaryIO]):
        self._files, self._now = files, next(files, None)

    def read1(self, most: int) -> bytes:
        """Up to `most` bytes, b"" at the end of the last file."""
        while self._now is not None:
            try:
                block = self._now.read(most)
            except (OSError, http.client.HTTPException) as error:
                raise Refused(f"a file of the release could not be read: {error}", "run the same command again") from None
            if block:
                return block
            self._now.close()
            self._now = next(self._files, None)
        return b""


def _folder(place: str) -> str:
    """Without a last slash or the manifest's name; a directory's whole path. Raises UsageError for other kinds of address."""
    kind = urlsplit(place).scheme
    if "://" in place and kind not in ("https", "http", "file"):
        raise UsageError(f"{place} is no release that a host can read", "a directory, file://, https:// or http://; from other stores: fab deploy")
    if "@" in urlsplit(place).netloc:
        raise UsageError("an address with a password in it is seen by everybody on this machine", "a directory, or an address without one")
    place = place.removeprefix("file://").rstrip("/")
    place = place[:-len(MANIFEST) - 1] if place.endswith(f"/{MANIFEST}") else "." if place == MANIFEST else place
    return place if "://" in place else os.path.abspath(place)


def _find(place: str, app: str, version: str) -> tuple[str, bytes]:
    """The release's folder and manifest: the place itself, or with a version below the application's or the store's."""
    tried = [place, *([f"{place}/{version}", f"{place}/{app}/{version}"] if version else [])]
    for each in tried:
        found = read(each, MANIFEST, _MOST_MANIFEST)
        if found is not None:
            return each, found
    raise Refused(f"there is no release in {place}", f"give the directory that holds its {MANIFEST}" + ("" if version else ", or --version V"))


def read(folder: str, name: str, most: int) -> bytes | None:
    """A file's bytes, None where there is none. Raises Refused where it cannot be read or is larger."""
    try:
        with _open(f"{folder}/{name}") as handle:
            raw = handle.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{folder}/{name} cannot be read: {getattr(error, 'reason', None) or getattr(error, 'strerror', None) or error}") from None
    if len(raw) > most:
        raise Refused(f"{folder}/{name} is longer than {most} bytes")
    return raw


def opened(folder: str, artifact: Artifact) -> BinaryIO:
    """The bytes of one file, whose digest the reader compares. Raises Refused."""
    try:
        return _open(f"{folder}/{artifact.name}")
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{folder}/{artifact.name}: {getattr(error, 'strerror', None) or error}; the manifest names it", "see that the store is whole") from None


def _open(path: str) -> BinaryIO:
    """Links are not followed, and only plain files are read; certificates are checked. Raises OSError."""
    if "://" in path:
        try:
            return urllib.request.build_opener(_SameHost()).open(path, timeout=_SECONDS)  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(error.code, "not there", path) from None
            raise
    handle = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError(0, "not a plain file", path)
    return handle


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to the same scheme, host and port."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            raise Refused(f"{req.full_url} leads to another host, {new.scheme}://{new.hostname}, which was not followed", "name that host, if it is the right one")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
