"""What this host believes: its own allowed signers, which only set-up writes, against what a request brings.

Where the host has none, it takes what its operator sends, as it did before there were signatures.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from weft import durable
from weft.errors import Refused, UsageError, WeftError
from weft.host.layout import Layout
from weft.host.state import Fault
from weft.index import MARKS, Memory, Sealed, against, expired, old, trusted_manifest
from weft.record import record
from weft.signing import Signers
from weft.typing import Any
from weft.values import Release, Version

LARGEST = 256 << 10
KEYS = {"manifest", "signature", "index", "index_signature", "version", "force"}
"""What `observe` and `stage` may bring beside the unsigned `release`."""


@record(frozen=True)
class Proof:
    """manifest: its exact text, "" where the request came with a plain `release`.  force: marks of the index to overlook."""

    manifest: str = ""
    signature: str = ""
    index: Sealed | None = None
    force: tuple[str, ...] = ()


def proof(said: dict[str, Any]) -> tuple[Release | None, Proof]:
    """The release of a request and what is to prove it. Raises Refused."""
    texts = {key: said.get(key, "") or "" for key in ("manifest", "signature", "index", "index_signature", "version")}
    if not all(isinstance(each, str) for each in texts.values()):
        raise Refused("manifest, index and their signatures are texts")
    force = said.get("force") or []
    if not isinstance(force, list) or not all(each in MARKS for each in force):
        raise Refused(f"force is not a list out of: {', '.join(MARKS)}")
    if texts["manifest"] and said.get("release") is not None:
        raise Refused("the request names its release twice, as release and as manifest")
    brought = said.get("release") if not texts["manifest"] else _loaded(texts["manifest"])
    release = Release.from_json(brought) if brought is not None else None
    if release and texts["version"] and release.version != _version(texts["version"]):
        raise Refused(f"the manifest is of {release.app} {release.version}, asked for was {texts['version']}")
    index = Sealed(texts["index"], texts["index_signature"]) if texts["index"] else None
    return release, Proof(texts["manifest"], texts["signature"], index, tuple(force))


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refused("the manifest is not JSON") from None


def _version(text: str) -> str:
    try:
        return Version(text)
    except UsageError as error:
        raise Refused(error.message, error.hint) from None


def signers(layout: Layout) -> Signers | None:
    """None: this host has not been given any. Raises Refused where others than root could have written them."""
    allowed, revoked = layout.allowed_signers, layout.revoked_signers
    if not os.path.lexists(allowed):
        return None
    for path in (allowed, revoked):
        if os.path.lexists(path):
            _only_roots(path)
    return Signers(allowed, revoked if revoked.exists() else None)


def _only_roots(path: Path) -> None:
    for each in (path, path.parent):
        seen = os.lstat(each)
        if each.is_symlink() or seen.st_uid not in (0, os.geteuid()) or seen.st_mode & 0o022:
            raise Refused(f"{each} could have been written by others than root; it says whom this host trusts",
                          f"look at it, then: chown root:root {each} && chmod go-w {each}")


def check(layout: Layout, release: Release | None, brought: Proof) -> list[Fault]:
    """Why this host does not believe that the release is what its signers published; empty when it does."""
    try:
        known = signers(layout)
        if known is None or release is None:
            return []
        return _check(layout, release, brought, known)
    except WeftError as error:
        return [Fault(error.message, error.hint)]


def _check(layout: Layout, release: Release, brought: Proof, known: Signers) -> list[Fault]:
    name = f"{release.app} {release.version}"
    trusted_manifest(brought.manifest, brought.signature, release.created, name, known)
    if brought.index is None:
        raise Refused(f"{name} came without the index of {release.app}", "`inv index` makes it; this host trusts no release that it does not name")
    index = brought.index.verified(release.app, known)
    last = Memory(layout.index_serial).last(release.app, known)
    found = old(brought.index, last) or [*expired(index, _now()), *against(index, release.version, brought.manifest.encode(), brought.force)]
    return [Fault(message, hint) for message, hint in found]


def check_kept(layout: Layout, release: Release, kept: Proof, force: tuple[str, ...]) -> list[Fault]:
    """Why this host does not believe a release any more that it had believed and kept. No store is asked: its signature must still count,
    and the last index that was believed must have nothing against it."""
    try:
        known = signers(layout)
        if known is None:
            return []
        trusted_manifest(kept.manifest, kept.signature, release.created, f"{release.app} {release.version}", known)
        last = Memory(layout.index_serial).last(release.app, known)
        found = against(last.index, release.version, kept.manifest.encode(), force) if last else []
        return [Fault(message, hint) for message, hint in found]
    except WeftError as error:
        return [Fault(error.message, error.hint)]


def remember(layout: Layout, brought: Proof) -> None:
    """After `check` found nothing: from here on no older index is believed."""
    if brought.index and layout.allowed_signers.exists():
        Memory(layout.index_serial).keep(brought.index)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def install(layout: Layout, allowed: Any, revoked: Any) -> list[str]:
    """Whom this host trusts from here on, in sentences. Only set-up gets here; without `allowed` all stays as it is."""
    if not allowed:
        return []
    if not isinstance(allowed, str) or len(allowed) > LARGEST or not _lines(allowed):
        raise Refused("deploy/allowed_signers names no key", "one line a key: name@example.org ssh-ed25519 AAAA…")
    import base64
    try:
        blob = base64.b64decode(revoked or "", validate=True)
    except (ValueError, TypeError):
        raise Refused("revoked_signers is not base64") from None
    folder = layout.allowed_signers.parent
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    did = _kept(layout.revoked_signers, blob, "who is revoked") if blob or layout.revoked_signers.exists() else []
    return did + _kept(layout.allowed_signers, allowed.encode(), f"{len(_lines(allowed))} allowed signers")


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _kept(path: Path, content: bytes, what: str) -> list[str]:
    if path.exists() and path.read_bytes() == content:
        return []
    durable.write(path, content, 0o644, (0, 0) if os.geteuid() == 0 else None)
    return [f"wrote {path} ({what})"]
