"""The hosts of an environment, what `--limit` leaves of them, and the waves they are worked on in. Pure."""

from __future__ import annotations

import difflib
import fnmatch
import re
from typing import Any, Iterable, Sequence

from weft.config.load import Layer
from weft.errors import UsageError
from weft.record import record

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*(?:%[A-Za-z0-9]+)?", re.ASCII)



@record(frozen=True)
class Host:
    """One server. port 0 and user "" leave the choice to ~/.ssh/config, then to SSH's defaults."""

    name: str
    address: str = ""
    port: int = 0
    user: str = ""
    groups: tuple[str, ...] = ()
    domain: str = ""

    @property
    def target(self) -> str:
        """What SSH is asked to connect to: an address, or an alias of ~/.ssh/config."""
        return self.address or self.name


@record(frozen=True)
class Inventory:
    """The hosts in the order of the environment's file; never empty."""

    hosts: tuple[Host, ...]

    def __iter__(self) -> Any:
        return iter(self.hosts)

    def __len__(self) -> int:
        return len(self.hosts)

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.hosts]

    @property
    def groups(self) -> list[str]:
        return sorted({group for host in self.hosts for group in host.groups})

    def limit(self, words: str | Iterable[str]) -> Inventory:
        """The hosts that a word means: a name, a group or a glob over both; words by comma or as a list.

        No words: all hosts. Raises UsageError for a word that means nothing, with the known ones.
        """
        meant = self._meant(words, "--limit")
        return self if meant is None else Inventory(tuple(host for host in self.hosts if host in meant))

    def exclude(self, words: str | Iterable[str]) -> Inventory:
        """All but the hosts that a word means, as for `limit`. No words: all hosts. Raises UsageError, also where none is left."""
        meant = self._meant(words, "--exclude")
        left = self.hosts if meant is None else tuple(host for host in self.hosts if host not in meant)
        if not left:
            raise UsageError("--exclude leaves no host", f"hosts: {', '.join(self.names)}")
        return Inventory(left)

    def _meant(self, words: str | Iterable[str], option: str) -> set[Host] | None:
        parts = words.split(",") if isinstance(words, str) else list(words)
        return None if parts in ([], [""]) else {host for word in parts for host in self._of(word.strip(), option)}

    def _of(self, word: str, option: str) -> list[Host]:
        found = [host for host in self.hosts if word == host.name or word in host.groups]
        if not found and set(word) & set("*?["):
            found = [host for host in self.hosts if any(fnmatch.fnmatchcase(name, word) for name in (host.name, *host.groups))]
        if not found:
            known = [*self.names, *self.groups]
            raise UsageError(f"{option}: no host or group {word!r}{_guess(word, known)}",
                             f"known hosts: {', '.join(self.names)}"
                             + (f"; groups: {', '.join(self.groups)}" if self.groups else ""))
        return found


def inventory(env: Layer) -> Inventory:
    """The hosts that `hosts` and `[[host]]` of an environment name.

    Raises UsageError, with file and line, for no host, a name given twice, or a name or address that SSH could take
    for an option. With transport = "local" and no host named there is one, `localhost`.
    """
    hosts = [_host(env, "hosts", {"name": name}) for name in env["hosts"]]
    hosts += [_host(env, "host", each) for each in env["host"]]
    if not hosts and env["transport"] == "local":
        hosts = [Host("localhost")]
    if not hosts:
        raise UsageError(f"{env.path}: no host is named", 'add, for example: hosts = ["web1.example.org"]')
    names = [host.name for host in hosts]
    for name in names:
        if names.count(name) > 1:
            raise env.wrong("host" if env["host"] else "hosts", f"{name!r} is named {names.count(name)} times",
                            "name each host once")
    return Inventory(tuple(hosts))


def _host(env: Layer, key: str, given: dict[str, Any]) -> Host:
    name, address = given.get("name", ""), given.get("address", "")
    if not _NAME.fullmatch(name):
        raise env.wrong(key, f"{name!r} is not a host name", "use letters, digits, '.', '-' and '_'")
    if address and not _ADDRESS.fullmatch(address):
        raise env.wrong(key, f"{address!r} (of {name}) is not an address", "use a name, an IPv4 or an IPv6 address")
    if given.get("port", 0) > 65535:
        raise env.wrong(key, f"port {given['port']} (of {name}) is above 65535")
    for group in given.get("groups", ()):
        if not _NAME.fullmatch(group):
            raise env.wrong(key, f"{group!r} (of {name}) is not a group name", "use letters, digits, '.', '-' and '_'")
    return Host(name, address, given.get("port", 0), given.get("user", ""), tuple(given.get("groups", ())), given.get("domain", ""))


def waves(hosts: Sequence[Host], sizes: Sequence[str]) -> list[tuple[Host, ...]]:
    """Cut hosts into waves. Each size says how far the rollout has come by the end of its wave.

    A plain number is that many hosts more; a percentage is of all hosts, rounded down, and at least one host more.
    What the sizes leave over is one last wave, so every host is in exactly one; the first wave is the canary.
    """
    out: list[tuple[Host, ...]] = []
    done = 0
    for size in sizes:
        if done >= len(hosts):
            break
        upto = len(hosts) * int(size[:-1]) // 100 if size.endswith("%") else done + int(size)
        upto = max(upto, done + 1)
        out.append(tuple(hosts[done:upto]))
        done += len(out[-1])
    if done < len(hosts):
        out.append(tuple(hosts[done:]))
    return out


def _guess(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
