"""The index of an application's releases: which manifests there are, and which of them were taken back.

It is signed, its serial only grows and it expires: who serves an old copy, or mixes two, is found out. In the store it is one
file, index.json, which holds the text and the signature over exactly that text, so that the two can never be read apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from weft import durable
from weft.errors import Refused, UsageError
from weft.record import asdict, field, record
from weft.signing import INDEX, RELEASE, Signed, Signers, verify
from weft.typing import Any, Collection, Mapping
from weft.values import Version, app_name

MARKS = ("yanked", "bad")
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_SHA = "[0-9a-f]{64}"


@record(frozen=True)
class Index:
    """created, expires: UTC, ISO 8601.  versions: version -> {"manifest": its sha256, and where it has them "yanked" and "bad": why}."""

    app: str
    serial: int
    created: str
    expires: str
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    format: int = 1

    def __post_init__(self) -> None:
        app_name(self.app)
        if not isinstance(self.serial, int) or isinstance(self.serial, bool) or self.serial < 1:
            raise Refused("the index's serial is not a number above 0")
        if not all(isinstance(each, str) and re.fullmatch(_TIME, each) for each in (self.created, self.expires)):
            raise Refused("the index does not say when it was created and expires")
        if not isinstance(self.versions, dict) or not all(_entry(said) for said in self.versions.values()):
            raise Refused("the index's versions are malformed")
        for version in self.versions:
            Version(version)

    def text(self) -> str:
        """What is signed."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Index:
        """Raises Refused for anything that is not an index."""
        try:
            said = json.loads(text)
            if isinstance(said, dict) and said.get("format", 1) != 1:
                raise Refused(f"index format {said['format']!r} is unknown to this weft, which reads format 1", "upgrade weft")
            return cls(**said)
        except (ValueError, TypeError):
            raise Refused("the index is malformed") from None
        except UsageError as error:
            raise Refused(f"the index is not valid: {error.message}") from None


def _entry(said: Any) -> bool:
    return isinstance(said, dict) and bool(re.fullmatch(_SHA, str(said.get("manifest")))) and not set(said) - {"manifest", *MARKS} \
        and all(isinstance(each, str) for each in said.values())


@record(frozen=True)
class Sealed:
    """An index's text with the signature over it ("" without one), as index.json holds and requests carry them."""

    text: str
    signature: str = ""

    @property
    def index(self) -> Index:
        return Index.from_text(self.text)

    def verified(self, app: str, signers: Signers, at: str = "") -> Index:
        """The index, when an allowed signer signed it and it is this application's. Raises Refused."""
        verify(self.text.encode(), self.signature, INDEX, signers, f"the index of {app}", at)
        return self.own(app)

    def own(self, app: str) -> Index:
        if self.index.app != app:
            raise Refused(f"the index is of {self.index.app}, not of {app}")
        return self.index

    def to_bytes(self) -> bytes:
        return (json.dumps({"text": self.text, "signature": self.signature}, ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Sealed:
        """Raises Refused."""
        try:
            said = json.loads(raw)
            sealed = cls(**said)
        except (ValueError, TypeError):
            raise Refused("index.json is malformed", "`inv index` writes it anew") from None
        if not isinstance(sealed.text, str) or not isinstance(sealed.signature, str):
            raise Refused("index.json is malformed", "`inv index` writes it anew")
        return sealed


class Memory:
    """The last index that was believed, whole. One that its signers would no longer be believed for is forgotten: so a key
    that was stolen and revoked cannot have pushed the serial out of everybody's reach."""

    def __init__(self, path: Path):
        self.path = path

    def last(self, app: str, signers: Signers) -> Sealed | None:
        """Raises Refused for a memory that cannot be read: without it an old index would pass for a new one."""
        try:
            said = json.loads(self.path.read_text(encoding="utf-8"))
            sealed = Sealed(said["text"], said["signature"])
            created = sealed.index.created
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, Refused):
            raise Refused(f"{self.path}, the last index seen, cannot be read", f"remove {self.path} if you know why") from None
        try:
            sealed.verified(app, signers, created)
        except Refused:
            return None
        return sealed

    def keep(self, sealed: Sealed) -> None:
        said = {"serial": sealed.index.serial, "text": sealed.text, "signature": sealed.signature}
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        if not self.path.exists() or self.path.read_text(encoding="utf-8") != text:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.write(self.path, text, 0o600)


def remembered(store: str, app: str) -> Memory:
    """This user's memory of an application's index in a store, of publishers and operators alike."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return Memory(state / "weft" / f"{app}-{hashlib.sha256(store.encode()).hexdigest()[:12]}-index-serial")


def old(sealed: Sealed, last: Sealed | None) -> list[tuple[str, str]]:
    """(message, next move) where an index is older than the last one seen, or another with the same serial."""
    new, seen = sealed.index, last.index if last else None
    hint = "somebody serves an old or another copy of the store; if that copy is the right one, `inv index` publishes a newer index"
    if seen and new.serial < seen.serial:
        return [(f"the index of {new.app} is older than one seen before: serial {new.serial}, seen {seen.serial} (rollback)", hint)]
    if last and seen and new.serial == seen.serial and sealed.text != last.text:
        return [(f"there are two different indexes of {new.app} with serial {new.serial} (mix)", hint)]
    return []


def expired(index: Index, now: str) -> list[tuple[str, str]]:
    """(message, next move) where an index is past its time. now: UTC, ISO 8601."""
    if now < index.expires:
        return []
    return [(f"the index of {index.app} expired at {index.expires}: what it says may have been overtaken since (freeze)",
             "`inv index`, by somebody who may sign, renews it")]


def against(index: Index, version: str, manifest: bytes, force: Collection[str] = ()) -> list[tuple[str, str]]:
    """(message, next move) for all that the index has against this manifest of a version. force: marks to overlook."""
    said, name = index.versions.get(version), f"{index.app} {version}"
    if said is None:
        return [(f"{name} is not in the index (serial {index.serial})", "`inv index` lists what the store has")]
    if said["manifest"] != hashlib.sha256(manifest).hexdigest():
        return [(f"the manifest of {name} is not the one that the index names", "compare the store with the one it was published to")]
    return [(f"{name} {'was' if mark == 'yanked' else 'is marked'} {mark}: {said[mark]}", f"--force-{mark} deploys it all the same")
            for mark in MARKS if mark in said and mark not in force]


def trusted_manifest(text: str, signature: str, created: str, name: str, signers: Signers) -> Signed:
    """The manifest's own signature, by a key that was valid when the release was made: a key that has come to its end since
    takes nothing back, because the index, signed by one that is valid now, names the manifest. Raises Refused."""
    return verify(text.encode(), signature, RELEASE, signers, f"the manifest of {name}", created)
