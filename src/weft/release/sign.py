"""The release's signature: with which key, for whom it must be good, and whether it is."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from weft.config.load import Layer
from weft.errors import Refused
from weft.index import trusted_manifest
from weft.signing import INDEX, RELEASE, Signers, sign, verify
from weft.values import Release

ALLOWED, REVOKED = "deploy/allowed_signers", "deploy/revoked_signers"


@dataclass(frozen=True)
class Signing:
    """key: path of the SSH key, "" for a project that does not sign.  signers: whom its hosts will trust, None for no such file."""

    key: str
    signers: Signers | None

    def manifest(self, release: Release) -> str:
        """The signature over `release.text()`, checked as a host will; "" without a key. Raises Refused."""
        if not self.key:
            return ""
        text = release.text()
        signature = sign(text.encode(), self.key, RELEASE)
        if self.signers:
            trusted_manifest(text, signature, release.created, f"{release.app} {release.version}", self.signers)
        return signature

    def index(self, text: str, app: str) -> str:
        """The same for an index."""
        if not self.key:
            return ""
        signature = sign(text.encode(), self.key, INDEX)
        if self.signers:
            verify(text.encode(), signature, INDEX, self.signers, f"the index of {app}")
        return signature


def known_signers(root: Path) -> Signers | None:
    """deploy/allowed_signers of a project, with deploy/revoked_signers where it is."""
    allowed, revoked = root / ALLOWED, root / REVOKED
    return Signers(allowed, revoked if revoked.exists() else None) if allowed.exists() else None


def signing(root: Path, config: Layer) -> Signing:
    """What [tool.weft] and deploy/ say."""
    key = config["signing_key"]
    return Signing(str(Path(root, os.path.expanduser(key))) if key else "", known_signers(root))


def fault(chosen: Signing) -> tuple[str, str] | None:
    """(message, fix) where a signature could not be made or would not be believed, found by making and checking two."""
    if not chosen.key:
        return None if not chosen.signers else (
            f"{ALLOWED} names who signs, but no key signs this release: hosts would refuse it",
            "set signing_key in [tool.weft] to your SSH key")
    trial = f"weft preflight {time.time_ns()}".encode()
    try:
        for namespace in (RELEASE, INDEX):
            signature = sign(trial, chosen.key, namespace)
            if chosen.signers:
                verify(trial, signature, namespace, chosen.signers, f"what {chosen.key} signs")
    except Refused as refusal:
        return refusal.message, refusal.hint
    return None
