"""Which host keys are trusted, and the two refusals: a key that is not known, and one that has changed.

The project's file comes first, then the user's, then the system's. Where two files disagree about a host's key, the
first one counts: the project decides for everybody who deploys it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weft.errors import Refused
from weft.openssh.known_hosts import Known, names as is_of


class Capture:
    """Paramiko's policy for looking at a key: it ends the connection before anything is authenticated."""

    class Seen(Exception):
        """Carries the key."""

    def missing_host_key(self, _client: Any, _name: str, key: Any) -> None:
        seen = self.Seen()
        seen.key = key
        raise seen


def changed(host: str, name: str, key: Any, known: Known, again: str = "") -> Refused:
    """The refusal for a key that is not the known one: somebody in between, or a host made anew. Raises it for one that is revoked."""
    known.refuse_revoked(host, name, key)
    path, old = known.find(name)[0]
    return Refused(
        f"{host}: THE HOST KEY OF {name} HAS CHANGED: it shows {key.get_name()} {key.fingerprint}, but {path} has "
        f"{old.get_name()} {old.fingerprint}",
        f"somebody may stand between you and the host; only if you know that it was made anew: "
        f"fab trust --host {host}{again}")


def remember(path: Path, name: str, key: Any) -> None:
    """Write a host's key to a known_hosts file in the place of all others it has there; other lines stay as they are."""
    from weft import durable
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [text for text in (_without(line, name) for line in lines) if text is not None]
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, "\n".join([*kept, f"{name} {key.get_name()} {key.get_base64()}"]) + "\n", 0o644)


def _without(line: str, name: str) -> str | None:
    """The line without that host; None if nothing is left of it."""
    if not line.strip() or line.lstrip().startswith(("#", "@")):
        return line
    names, *rest = line.split(maxsplit=1)  # a tab parts them as well
    kept = [each for each in names.split(",") if not is_of(each, name)]
    return " ".join([",".join(kept), *rest]) if kept else None
