"""A store that is only read, over https or http: any web server in front of a directory or a bucket that weft publishes to.

What there is, `listing.json` in the root says, which every publication keeps. Certificates are verified; a redirect to
another host is refused; nothing is read beyond the size that it may have, or for ever. Passwords: ~/.netrc.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import netrc
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO, Mapping
from urllib.parse import quote, urljoin, urlsplit

from weft.errors import Refused, UsageError
from weft.stores import common, listing
from weft.stores.fetched import Fetched
from weft.stores.shown import page_name
from weft.values import Artifact, Release, Version, app_name

_SECONDS = 20.0
_SLOWEST = 20_000


def open_url(url: str, root: Path) -> HttpStore:
    if not urlsplit(url).hostname:
        raise UsageError(f"artifact store {common.public(url)!r} names no host", "write https://host/path")
    return HttpStore(url)


class HttpStore:
    """url: without user and password.  opened: how a request is sent; seconds to wait for any answer."""

    def __init__(self, url: str, seconds: float = _SECONDS):
        self.url, self.seconds = common.public(url), seconds
        self._fetched = Fetched()
        self._opener = urllib.request.build_opener(_SameHost())

    def __str__(self) -> str:
        return self.url

    def apps(self) -> list[str]:
        """The applications that have a release."""
        return sorted(app for app, found in self._listing().items() if found)

    def versions(self, app: str) -> list[Version]:
        """The published versions, oldest first by PEP 440."""
        return common.ordered(list(self._listing().get(app_name(app), {})))

    def path(self, app: str, version: str) -> str:
        """Where a release lies, for people."""
        return f"{self.url}/{app_name(app)}/{Version(version)}"

    def folder(self, app: str, version: str) -> str:
        """The folder of a release's files. Raises Refused for a version that is not here, naming the newest that are."""
        self.path(app, version)
        found = self._listing().get(app, {}).get(version)
        if not found:
            raise common.unknown(self, app, version)
        return found

    def manifest(self, app: str, version: str) -> Release:
        """Raises Refused for a version that is not here, or whose manifest is not its own."""
        return common.parsed(self.manifest_bytes(app, version), f"{self.path(app, version)}/{common.MANIFEST}", app, version)

    def manifest_bytes(self, app: str, version: str) -> bytes:
        """The manifest as it was written, which is what a signature is over. Raises as `manifest` does."""
        found = self._read(f"{self.folder(app, version)}/{common.MANIFEST}", common.BIGGEST_MANIFEST)
        if found is None:
            raise Refused(f"{self.path(app, version)}/{common.MANIFEST} is missing")
        return found

    def signature(self, app: str, version: str) -> str:
        """The manifest's signature as ssh-keygen wrote it, "" where the release is not signed."""
        found = self._read(f"{self.folder(app, version)}/{common.SIGNATURE}", common.BIGGEST_SIGNATURE)
        return (found or b"").decode("ascii", "replace")

    def open(self, app: str, version: str, artifact: Artifact) -> BinaryIO:
        """The bytes of one file, compared with size and digest. Raises Refused for others."""
        name = f"{self.folder(app, version)}/{artifact.name}"
        return self._fetched.open(artifact, lambda: self._stream(name, artifact.size), f"{self.url}/{name}")

    def verify(self, app: str, version: str) -> list[str]:
        """Every difference between the manifest and the files; reads them all."""
        folder = self.folder(app, version)
        found = (self._fetched.fault(each, lambda each=each: self._stream(f"{folder}/{each.name}", each.size),
                                     f"{self.url}/{folder}/{each.name}")
                 for each in self.manifest(app, version).artifacts)
        return [fault for fault in found if fault]

    def get(self, name: str) -> bytes | None:
        """A document of the store; None when there is none."""
        return self._read(common.document_name(name), common.BIGGEST_DOCUMENT)

    def index(self, app: str) -> bytes:
        """The application's index.json, b"" where there is none."""
        return self.get(f"{app_name(app)}/{common.INDEX}") or b""

    def marks(self, app: str, version: str) -> dict[str, str]:
        """The marks that a reader over http can see: the index has them too, signed."""
        self.path(app, version)
        found = {word: self._read(f"{app}/{version}~{word}.json", common.BIGGEST_MANIFEST) for word in common.MARKS}
        return {word: raw.decode(errors="replace") for word, raw in found.items() if raw is not None}

    def marked(self, app: str) -> dict[str, dict[str, str]]:
        """All marks of an application's releases; each is asked for, since over http nothing can be listed."""
        return {version: marks for version in self.versions(app) if (marks := self.marks(app, version))}

    def page(self, name: str) -> bytes | None:
        """A page of the package index; None when there is none."""
        return self._read(page_name(name), common.BIGGEST_PAGE)

    def described(self, app: str, version: str, wheel: Artifact, mend: bool = False) -> bytes | None:
        """The .metadata beside a wheel; None where there is none."""
        return self._read(f"{self.folder(app, version)}/{wheel.name}.metadata", common.BIGGEST_MANIFEST)

    def pages(self, folder: str = "") -> list[str]:
        raise self._read_only()

    def show(self, name: str, content: bytes | None) -> None:
        raise self._read_only()

    def obstacle(self, need: int) -> str:
        """Why nothing can be published here."""
        return f"{self.url} is read-only"

    def put_if(self, name: str, content: bytes, expected: bytes | None) -> bool:
        raise self._read_only()

    def put_index(self, app: str, old: bytes, new: bytes) -> bool:
        raise self._read_only()

    def mark(self, app: str, version: str, word: str, text: str) -> bool:
        raise self._read_only()

    def staging(self, app: str, version: str) -> Path:
        raise self._read_only()

    def stage(self, place: Path, release: Release, files: Mapping[str, Path], signature: str = "") -> None:
        raise self._read_only()

    def publish(self, place: Path, app: str, version: str) -> str:
        raise self._read_only()

    def sweep(self, app: str, grace: float | None = None) -> list[str]:
        raise self._read_only()

    def staged(self, place: Path) -> bool:
        return False

    def discard(self, place: Path) -> None:
        """Nothing can have been staged."""

    def _read_only(self) -> Refused:
        return Refused(f"{self.url} is read-only: a store over http is for deploying from",
                       "set artifacts in [tool.weft] to the directory, s3:// or sftp:// address behind it")

    def _listing(self) -> listing.Listing:
        raw = self._read(common.LISTING, common.BIGGEST_DOCUMENT)
        if raw is None:
            raise Refused(f"{self.url}/{common.LISTING} is not there", "is this the address of a store that weft publishes to?")
        return listing.parse(raw, f"{self.url}/{common.LISTING}")

    def _read(self, name: str, most: int) -> bytes | None:
        try:
            with self._stream(name, most) as stream:
                return common.bounded(stream, most, f"{self.url}/{name}")
        except FileNotFoundError:
            return None

    def _stream(self, name: str, most: int) -> Any:
        """An answer being read. Raises FileNotFoundError for 404, Refused for everything else that is no file."""
        url = f"{self.url}/{quote(name)}"
        try:
            request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "weft", **_login(url)})
            return _Answer(self._opener.open(request, timeout=self.seconds), url, self.seconds + most / _SLOWEST)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise FileNotFoundError(url) from None
            raise Refused(f"{url}: the server answers {error.code} {error.reason}", "check the address and your rights there") from None
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(url, error) from None


class _Answer:
    """A body with an end: at the latest when `seconds` are over."""

    def __init__(self, raw: Any, url: str, seconds: float):
        self.raw, self.url, self.end = raw, url, time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        if time.monotonic() > self.end:
            raise Refused(f"{self.url}: the server sends too slowly", "try again later")
        try:
            return self.raw.read1(size)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _unreachable(self.url, error) from None

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.raw.close()


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to the same scheme, host and port."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            raise Refused(f"{req.full_url} leads to another host, {new.scheme}://{new.hostname}, which was not followed",
                          "name that host in artifacts, if it is the right one")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _unreachable(url: str, error: Exception) -> Refused:
    reason = getattr(error, "reason", None) or error
    return Refused(f"{url}: {common.scrubbed(str(reason)) or type(error).__name__}", "is the server up, and its certificate right?")


def _login(url: str) -> dict[str, str]:
    """Basic authentication from ~/.netrc, only over https or to this machine."""
    parts = urlsplit(url)
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        found = netrc.netrc().hosts.get(parts.hostname or "")
        if found and (parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1")):
            said = base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()
            return {"Authorization": f"Basic {said}"}
    return {}
