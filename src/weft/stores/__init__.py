"""Where releases are published and found: one file a kind of store.

A store is published to with `staging` (a name), `stage` (everything is there, nothing is visible), `publish` (one atomic
act that never replaces); read with `versions`, `manifest`, `open`. `weft.testing.store_suite` holds every store to that.

A kind of store is a module here, a filesystem of fsspec's where that is installed, or anybody's entry point in the group `weft.stores`: its name is the scheme, and it is
called with the address and the project's directory. docs/how-to/add-a-store.md shows one.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, BinaryIO, Mapping, Protocol
from urllib.parse import unquote, urlsplit

from weft.errors import Refused, UsageError
from weft.stores.common import Words, public
from weft.values import Artifact, Release, Version

GROUP = "weft.stores"
BUILT_IN = {"file": "weft.stores", "http": "weft.stores.http", "https": "weft.stores.http",
            "memory": "weft.stores.filesystem", "s3": "weft.stores.filesystem", "sftp": "weft.stores.sftp"}


class Store(Protocol):
    """str() is its address, without secrets; so are all its errors. Names are checked before anything is asked:
    UsageError. What is in the way (network, rights, damage) is Refused, or OSError for a local disk."""

    grace: float
    words: Words
    """How staging and publishing read in a release's plan; a store may go without, `common.Words()` then speaks for it."""

    def apps(self) -> list[str]:
        """The applications that have a complete release, sorted."""

    def versions(self, app: str) -> list[Version]:
        """The complete versions, oldest first by PEP 440; [] for an application that is not there."""

    def path(self, app: str, version: str) -> Any:
        """Where a release lies, or would lie; for people."""

    def manifest(self, app: str, version: str) -> Release:
        """Raises Refused for a version that is not there, naming the newest that are, and for another's manifest."""

    def manifest_bytes(self, app: str, version: str) -> bytes:
        """The manifest as it was written, which is what a signature is over. Raises as `manifest` does."""

    def signature(self, app: str, version: str) -> str:
        """The manifest's signature, "" where the release is not signed."""

    def open(self, app: str, version: str, artifact: Artifact) -> BinaryIO:
        """One file, to be closed by the caller. Raises Refused when it is not there or has another size."""

    def verify(self, app: str, version: str) -> list[str]:
        """Every difference between the manifest and the files, read anew: size and sha256."""

    def obstacle(self, need: int) -> str:
        """Why a release of `need` bytes cannot be published here, as far as looking tells; "" when it can."""

    def staging(self, app: str, version: str) -> Path:
        """A new name for `stage`; `Path(str(it))` is remembered by the caller before anything is written under it."""

    def stage(self, place: Path, release: Release, files: Mapping[str, Path], signature: str = "") -> None:
        """Put the files (artifact name -> where it lies), the signature and, last, manifest.json there; compare."""

    def staged(self, place: Path) -> bool:
        """Whether `stage` came to its end there, so that `publish` can go on."""

    def publish(self, place: Path, app: str, version: str) -> Any:
        """Make it the release; returns `path`. Done already with the same manifest: the same. Other bytes: NeedsHands."""

    def discard(self, place: Path) -> None:
        """Remove what `stage` left; never a release."""

    def sweep(self, app: str, grace: float | None = None) -> list[str]:
        """Remove what killed publishers left more than `grace` seconds ago, default: `self.grace`; `publish` does it too.

        What was removed."""

    def get(self, name: str) -> bytes | None:
        """A document of the store, such as listing.json or shop/index.json; None when there is none."""

    def put_if(self, name: str, content: bytes, expected: bytes | None) -> bool:
        """Write a document if it still has the `expected` content (None: is not there). False: read again."""

    def index(self, app: str) -> bytes:
        """The application's index.json, b"" where there is none."""

    def put_index(self, app: str, old: bytes, new: bytes) -> bool:
        """Put `new` in the place of the index `old` (b"": of none). False, and nothing changed, where another is there now."""

    def mark(self, app: str, version: str, word: str, text: str) -> bool:
        """Add a mark such as `yanked` or `bad` to a release; False when it has that mark already."""

    def marks(self, app: str, version: str) -> dict[str, str]:
        """The marks of a release: word -> text."""

    def marked(self, app: str) -> dict[str, dict[str, str]]:
        """The marks of all releases of an application: version -> word -> text."""

    def folder(self, app: str, version: str) -> str:
        """Where a release's files lie below the store's root, for readers over http. Raises Refused for one that is not there."""

    def page(self, name: str) -> bytes | None:
        """A page of the package index, such as simple/shop/index.html; None when there is none."""

    def pages(self, folder: str = "") -> list[str]:
        """What lies in simple/, or in simple/FOLDER: names, folders with a '/' at the end."""

    def show(self, name: str, content: bytes | None) -> None:
        """Give a page this content, whole, whatever it had; None removes it."""

    def described(self, app: str, version: str, wheel: Artifact, mend: bool = False) -> bytes | None:
        """The .metadata beside a wheel, which `stage` puts there; None without one. mend: make it anew."""


def open_store(url: str, root: Path) -> Any:
    """The store that `[tool.weft] artifacts` names. root: the project's directory, for relative paths.

    Nothing is contacted. Raises UsageError for a kind of store that is not known, Refused for a package that is missing.
    """
    if not url.strip():
        raise UsageError("the artifact store has no name", f"set artifacts in [tool.weft]; known: {_known()}")
    if "://" not in url:
        return _directory(Path(os.path.abspath(root / url)))
    parts = urlsplit(url)
    if parts.password is not None:
        raise UsageError(f"artifact store {public(url)!r}: its address holds a password",
                         "keep it where the tools of that kind look: ~/.netrc, ~/.aws, ssh-agent")
    if parts.query or parts.fragment:
        raise UsageError(f"artifact store {public(url)!r}: an address has no '?' and no '#'", "remove what follows it")
    return _kind(parts.scheme, url)(url, root)


def _kind(scheme: str, url: str) -> Any:
    if scheme in BUILT_IN:
        return importlib.import_module(BUILT_IN[scheme]).open_url
    found = _others().get(scheme)
    if found is None:
        from weft.stores import filesystem
        if filesystem.known(scheme):
            return filesystem.open_url
        raise UsageError(f"artifact store {public(url)!r}: unknown kind {scheme!r}", f"known: {_known()}")
    try:
        return found.load()
    except Exception as error:  # somebody else's package: whatever it raises, it is not there for us
        raise Refused(f"the store {scheme}:// comes from {found.value}, which cannot be loaded: {error}",
                      "mend or reinstall that package") from None


def _others() -> dict[str, Any]:
    from importlib.metadata import entry_points
    return {each.name: each for each in entry_points(group=GROUP)}


def _known() -> str:
    return ", ".join(["a directory", *(f"{name}://" for name in sorted({*BUILT_IN, *_others()}))])


def open_url(url: str, root: Path) -> Any:
    """file:///absolute/path."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UsageError(f"artifact store {url!r} names a host; a file:// address has none",
                         "write file:///absolute/path")
    return _directory(Path(unquote(parts.path)))


def _directory(root: Path) -> Any:
    from weft.stores.directory import DirectoryStore
    return DirectoryStore(root)
