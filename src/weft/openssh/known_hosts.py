"""known_hosts files as OpenSSH reads them: names, patterns and hashed names, and keys that are marked as revoked.

paramiko's own reader ends the program at a line with a marker (@cert-authority, @revoked) or a broken key, and knows no patterns.
Imports paramiko late.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterable, NamedTuple

from weft.errors import Refused

USER = Path("~/.ssh/known_hosts")
SYSTEM = Path("/etc/ssh/ssh_known_hosts")


class _Line(NamedTuple):
    names: str
    kind: str
    key: str


def key_name(address: str, port: int) -> str:
    """How known_hosts writes a host: the port is named unless it is 22."""
    return address if port == 22 else f"[{address}]:{port}"


def known_as(said: Any, address: str, port: int) -> str:
    """The name that a host's key is known by: HostKeyAlias where a config gives one (said: a lookup in what `config.read` gives)."""
    return said.get("hostkeyalias") or key_name(address, port)


class Known:
    """The keys of several known_hosts files, read once for all hosts; files that are not there are left out.

    Where two files disagree about a host's key, the first one counts, and in a file a line with its name before one with a pattern. A revoked key is nobody's, whatever
    hosts its line names and whichever file it is in. @cert-authority is left out: paramiko checks no host certificates. Raises Refused for a file that cannot be read.
    """

    def __init__(self, files: Iterable[Path]):
        self.files: list[tuple[Path, list[_Line]]] = []
        self._revoked: dict[str, Path] = {}
        for path in files:
            self._read(path.expanduser())

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}", "it says which hosts are believed, and which keys no more: mend its rights") from None
        lines = []
        for words in map(str.split, text.splitlines()):
            if words and words[0] == "@revoked" and len(words) > 3:
                self._revoked.setdefault(words[3], path)
            elif len(words) > 2 and not words[0].startswith(("#", "@")):
                lines.append(_Line(*words[:3]))
        self.files.append((path, lines))

    def find(self, name: str) -> list[tuple[Path, Any]]:
        """The keys for a host with the file each is from; the one that counts first for every type."""
        found = [(path, _key(line)) for path, lines in self.files for line in _of(lines, name.lower())]
        return [(path, key) for path, key in found if key is not None and not self.revoked(key)]

    def prime(self, client: Any, said: Any, address: str, port: int) -> None:
        """Give a paramiko client the keys of the one host that it will connect to; for the rest as `known_as`."""
        for _path, key in reversed(self.find(known_as(said, address, port))):
            client.get_host_keys().add(key_name(address, port), key.get_name(), key)

    def revoked(self, key: Any) -> Path | None:
        """The file that says that a key must not be believed any more."""
        return self._revoked.get(key.get_base64())

    def refuse_revoked(self, host: str, name: str, key: Any) -> None:
        """Raises Refused for a key that is revoked. host: as the user calls it; name: as known_hosts does."""
        if path := self.revoked(key):
            raise Refused(f"{host}: THE KEY THAT {name} SHOWS IS REVOKED by {path}: {key.get_name()} {key.fingerprint}",
                          "whoever holds that key can pass for the host: do not log in there; give the host a new key (ssh-keygen -A once the old one is away)")


class Reject:
    """Paramiko's policy for a host that no file knows: refuse with the fingerprint. host: as the user calls it; remedy: what to do once the key is found to be the host's own."""

    def __init__(self, known: Known, host: str, remedy: str):
        self.known, self.host, self.remedy = known, host, remedy

    def missing_host_key(self, _client: Any, name: str, key: Any) -> None:
        self.known.refuse_revoked(self.host, name, key)
        raise Refused(f"{self.host}: the host key of {name} is not known yet: {key.get_name()} {key.fingerprint}",
                      f"compare with the host's own (ssh-keygen -lf on it), then: {self.remedy}")


def _key(line: _Line) -> Any:
    """None for what is no key, or of a kind that paramiko has not."""
    from paramiko.hostkeys import HostKeyEntry
    try:
        entry = HostKeyEntry.from_line(" ".join(line))
    except Exception:  # whatever a cryptographic library says of bytes that are no key: a host without one is refused
        return None
    return entry and entry.key


def _of(lines: list[_Line], name: str) -> list[_Line]:
    """Those that are for a host: by its name first, then by patterns (`*`, `?`, and `!` for all but). name: in lower case."""
    named = [line for line in lines if any(names(each, name) for each in line.names.split(","))]
    like = [line for line in lines if line not in named and any(_like(each, name) for each in line.names.split(","))]
    return [line for line in named + like if not any(each.startswith("!") and _like(each[1:], name) for each in line.names.split(","))]


def _like(pattern: str, name: str) -> bool:
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in pattern.lower()), name) is not None


def names(entry: str, name: str) -> bool:
    """Whether an entry is a host's name, in whatever case, or the hash of it (HashKnownHosts)."""
    if not entry.startswith("|1|"):
        return entry.lower() == name.lower()
    from paramiko.hostkeys import HostKeys
    try:
        return bool(HostKeys.hash_host(name.lower(), entry) == entry)
    except (ValueError, AssertionError):  # a salt that is none
        return False
