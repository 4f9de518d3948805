"""What every store checks, and says, in the same words."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Sequence
from urllib.parse import urlsplit

from weft.errors import Refused, UsageError
from weft.record import record
from weft.values import Release, Version, app_name

MANIFEST, SIGNATURE, INDEX = "manifest.json", "manifest.json.sig", "index.json"
LISTING = "listing.json"
BIGGEST_MANIFEST = 4 << 20
BIGGEST_SIGNATURE = 16 << 10
BIGGEST_DOCUMENT = 16 << 20
BIGGEST_PAGE = 64 << 20
GRACE = 24 * 3600.0
MARKS = ("yanked", "bad")
_SHOWN = 5
_DOCUMENT = re.compile(r"(?:[a-z0-9][a-z0-9_-]*/)?[a-z0-9][a-z0-9-]*(?:\.[a-z0-9]+)+", re.ASCII)
_SECRETS = re.compile(r"SECRET|TOKEN|PASSWORD|PASSPHRASE")


@record(frozen=True)
class Words:
    """How a store's work reads in a plan: "STAGE STORE, read back" and "STORE/APP/VERSION, by PUBLISH".

    {version} in them stands for the version. The defaults are true of every store.
    """

    stage: str = "bring the files, where no reader finds them yet, to"
    publish: str = "one act that never replaces"

    def staged(self, store: str) -> str:
        """The plan's line for `stage`."""
        return f"{self.stage} {store}, read back"

    def published(self, path: str, version: str) -> str:
        """The plan's line for `publish`; path: where the release lies then."""
        return f"{path}, by {self.publish.replace('{version}', version)}"


def words_of(store: Any) -> Words:
    """What the store says, or the defaults for one that says nothing."""
    return getattr(store, "words", Words())


def parsed(raw: bytes, where: Any, app: str, version: str) -> Release:
    """The manifest in `raw`, of that application and version and no other. Raises Refused naming `where`."""
    try:
        release = Release.from_json(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where} is not JSON: {error}") from None
    if (release.app, release.version) != (app, version):
        raise Refused(f"{where} is the manifest of {release.app} {release.version}",
                      "the store was changed by hand; put the release back in its place")
    return release


def bounded(stream: Any, most: int, where: Any) -> bytes:
    """All of a small stream. Raises Refused when it goes on after `most` bytes."""
    blocks, left = [], most + 1
    while left > 0 and (block := stream.read(min(left, 1 << 20))):
        blocks.append(block)
        left -= len(block)
    if left <= 0:
        raise Refused(f"{where} is longer than {most} bytes")
    return b"".join(blocks)


def ordered(names: Sequence[str]) -> list[Version]:
    """Those of the names that are versions, oldest first by PEP 440."""
    from packaging.version import Version as Order
    return [Version(name) for name in sorted(filter(is_version, names), key=Order)]


def unknown(store: Any, app: str, version: str) -> Refused:
    """The refusal of a version that is not there, with what is."""
    known = store.versions(app)
    if not known:
        return Refused(f"{app} has no release in {store}",
                       f"applications there: {', '.join(store.apps()) or 'none'}")
    return Refused(f"{app} {version} is not in {store}", f"the newest there: {', '.join(reversed(known[-_SHOWN:]))}")


def is_app(name: str) -> bool:
    return _passes(app_name, name)


def is_version(name: str) -> bool:
    return _passes(Version, name)


def _passes(parse: Any, name: str) -> bool:
    try:
        return bool(parse(name))
    except UsageError:
        return False


def document_name(name: str) -> str:
    """A document of the store, such as index.json or shop/index.json. Raises UsageError."""
    if not _DOCUMENT.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a store's document", "such as index.json or shop/index.json")
    return name


def mark_word(word: str) -> str:
    """What a mark says. Raises UsageError for an unknown one."""
    if word not in MARKS:
        raise UsageError(f"{word!r} is not a mark", f"known: {', '.join(MARKS)}")
    return word


def public(url: str) -> str:
    """A store's address as it may be shown: without user's password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")
    user = host[0].partition(":")[0]
    return f"{parts.scheme}://{f'{user}@' if user else ''}{host[2]}{parts.path.rstrip('/')}"


def scrubbed(text: str) -> str:
    """An error's words without what the environment keeps secret, on one line."""
    for name, value in os.environ.items():
        if _SECRETS.search(name) and len(value) >= 6:
            text = text.replace(value, "***")
    text = re.sub(r"(\w+://)[^/@\s]+:[^/@\s]*@", r"\1***@", text)
    return re.sub(r"((?:Signature|Credential|Security-Token)=)[^&\s]+", r"\1***", " ".join(text.split()))
