"""What a record says of a generation's settings: a digest that tells equal from different, and no secret.

A record can be read by everybody on the host, and goes to the operator, into plans and the journal. With the plain sha256 of an ini
of which all but a weak password is known, the password could be guessed. So settings with anything of the host's or of a secret
in them get a digest with a key that only root reads; without its key it tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from weft import durable
from weft.host.layout import Layout
from weft.record import field, record

KEY = "settings.key"
SIZE = 32
UNMADE = "keyed:"
"""Of a host that has no key yet: no generation's."""


@record(frozen=True)
class Settings:
    """The rendered ini.  private: whether drop-ins or secrets had a part in it.  secrets: (section, key) of each."""

    text: str = field(repr=False)
    private: bool = False
    secrets: tuple[tuple[str, str], ...] = ()


def digest(layout: Layout, settings: Settings | None, make: bool = False) -> str:
    """For the record; "" without settings. make: whether a host's key may be made where it is needed."""
    if settings is None:
        return ""
    if not settings.private:
        return hashlib.sha256(settings.text.encode()).hexdigest()
    key = _key(layout.state / KEY, make)
    return _keyed(key, settings.text.encode()) if key else UNMADE


def same(state: Path, said: str, payload: bytes) -> bool:
    """Whether a settings file is what the record says. state: the application's on the host.

    One whose key is gone or is another by now is taken for the same: nothing can be told of it any more."""
    if not said.startswith("keyed:"):
        return hashlib.sha256(payload).hexdigest() == said
    key = _key(state / KEY, False)
    return not key or said.split(":")[1] != _name(key) or hmac.compare_digest(said, _keyed(key, payload))


def _keyed(key: bytes, payload: bytes) -> str:
    return f"keyed:{_name(key)}:{hmac.new(key, payload, hashlib.sha256).hexdigest()}"


def _name(key: bytes) -> str:
    return hashlib.sha256(b"name of " + key).hexdigest()[:8]


def _key(path: Path, make: bool) -> bytes:
    """b"" where there is none, and none is to be made. One that a crash has torn is none."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = b""
    if len(found) != SIZE and make:
        found = os.urandom(SIZE)
        durable.write(path, found, 0o600)
    return found if len(found) == SIZE else b""
