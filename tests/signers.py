"""Release managers with real SSH keys, and what they publish, for tests of what is believed."""

import hashlib
import subprocess
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from weft import signing
from weft.index import Index, Sealed


def stamp(days=0):
    """UTC, so many days from now."""
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Key:
    """A key pair of ssh-keygen's; who: the principal it is allowed for."""

    path: Path
    who: str

    @property
    def public(self):
        return " ".join(self.path.with_suffix(".pub").read_text().split()[:2])

    def allowed(self, options=""):
        """A line of allowed_signers."""
        return " ".join(filter(None, [self.who, options, self.public])) + "\n"

    def sign(self, text, namespace=signing.RELEASE):
        return signing.sign(text.encode(), str(self.path), namespace)


def make_key(folder, who="anna@example.org", kind="ed25519", passphrase=""):
    path = Path(folder) / who.split("@")[0]
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", who, "-f", str(path)], check=True)
    return Key(path, who)


@dataclass
class Publisher:
    """Signs manifests and the index that names them."""

    key: Key
    app: str = "shop"
    serial: int = 1
    versions: dict = field(default_factory=dict)
    created: str = field(default_factory=stamp)
    expires: str = field(default_factory=lambda: stamp(30))

    def index(self, **other):
        """The index as it is now, or one that differs."""
        made = Index(self.app, self.serial, self.created, self.expires, dict(self.versions))
        text = replace(made, **other).text()
        return Sealed(text, self.key.sign(text, signing.INDEX))

    def publish(self, release):
        """Name a release in the next index."""
        self.serial += 1
        self.versions[str(release.version)] = {"manifest": hashlib.sha256(release.text().encode()).hexdigest()}

    def words(self, release, index=None, **other):
        """What a request to a host brings for a release."""
        index = index or self.index()
        return {"manifest": release.text(), "signature": self.key.sign(release.text()), "index": index.text,
                "index_signature": index.signature, **other}
