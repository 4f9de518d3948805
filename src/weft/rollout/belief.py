"""What the operator believes of a store, before any host is asked: the same questions that the hosts will put."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

from weft.errors import Refused
from weft.index import Memory, Sealed, against, expired, old, remembered, trusted_manifest
from weft.record import record
from weft.release.sign import REVOKED, known_signers
from weft.signing import Signers
from weft.values import Release


@record(frozen=True)
class Belief:
    """signers: deploy/allowed_signers, None for a project whose releases are not signed.  memory: the last index believed here.

    force: marks ("yanked", "bad") to overlook, here and on the hosts.  accept_expired: take an expired index here; a host with
    signers of its own does not.
    """

    signers: Signers | None
    memory: Memory
    force: tuple[str, ...] = ()
    accept_expired: bool = False

    def check(self, release: Release, manifest: str, signature: str, index: Sealed | None) -> None:
        """Raises Refused with everything that stands against it, and remembers the index otherwise."""
        if self.signers is None:
            found = against(index.own(release.app), release.version, manifest.encode(), self.force) if index else []
            _refuse([each for each in found if release.version in index.index.versions] if index else [])
            return
        name = f"{release.app} {release.version}"
        trusted_manifest(manifest, signature, release.created, name, self.signers)
        if index is None:
            raise Refused(f"there is no index of {release.app} in the store", "`inv index`, by somebody who may sign, writes it")
        said = index.verified(release.app, self.signers)
        late = [] if self.accept_expired else expired(said, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        _refuse(old(index, self.memory.last(release.app, self.signers))
                or [*((message, f"{hint}; or --accept-expired, if you know from elsewhere that it is the newest") for message, hint in late),
                    *against(said, release.version, manifest.encode(), self.force)])
        self.memory.keep(index)


def _refuse(found: list[tuple[str, str]]) -> None:
    if found:
        raise Refused("\n".join(message for message, _ in found), " ; ".join(dict.fromkeys(hint for _, hint in found)))


def belief(root: Path, store: Any, app: str, force: tuple[str, ...] = (), accept_expired: bool = False) -> Belief:
    """Of the project at `root` about a store."""
    return Belief(known_signers(root), remembered(str(store), app), force, accept_expired)


def for_setup(root: Path) -> dict[str, str]:
    """What `fab setup` tells a host of whom to trust; {} for a project without deploy/allowed_signers."""
    signers = known_signers(root)
    if not signers:
        return {}
    revoked = (root / REVOKED).read_bytes() if signers.revoked else b""
    try:
        return {"allowed_signers": signers.allowed.read_text(encoding="utf-8"), "revoked_signers": base64.b64encode(revoked).decode()}
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{signers.allowed} cannot be read: {error}") from None
