"""What a transport needs to know, and what it gives: an Access, and a Channel to one host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, Mapping, Protocol

from weft.errors import Refused
from weft.openssh import known_hosts
from weft.record import field, record
from weft.rollout import zipapp
from weft.rollout.inventory import Host
from weft.rollout.wire import Event

SUDO = "sudo -n "
ENGINE = f"{SUDO}/usr/local/sbin/weft-host"


class Unreachable(Refused):
    """No connection comes about, or it broke off before anything was asked: the host is away, or the way to it is. A key that is not the
    host's, and a login that is refused, are no such thing."""


@record(frozen=True)
class Access:
    """What is the same for all hosts of an environment when they are reached.

    known_hosts: files in the order they count.  connect_timeout: seconds.  prefix: only for local.  command: what runs
    the engine over SSH.  config: a Fabric Config, for `fab -S`, `-i` and `-t`, or None for the usual files.  engine:
    gives the zipapp for `fab setup` and for local.  again: what a command in a hint must repeat, such as " --env staging".
    silence: seconds without a sign of life after which a connection counts as lost.
    pythons: of the hosts that have another.
    """

    kind: str = "ssh"
    python: str = "/usr/bin/python3"
    user: str = ""
    identity: str = ""
    known_hosts: tuple[Path, ...] = (known_hosts.USER, known_hosts.SYSTEM)
    connect_timeout: int = 10
    prefix: Path | None = None
    command: str = ENGINE
    config: Any = None
    engine: Callable[[], Path] = zipapp.build
    again: str = ""
    silence: float = 20.0
    pythons: Mapping[str, str] = field(default_factory=dict)

    def python_of(self, host: Host) -> str:
        return self.pythons.get(host.name, self.python)

    @property
    def project_keys(self) -> Path:
        """The known_hosts file that `fab trust` writes."""
        return self.known_hosts[0]


class Login(Protocol):
    """That it came about is all that it is for."""

    def close(self) -> None:
        """End it; never raises."""


class Channel(Protocol):
    """A way to one host. `user` is the account at the other end."""

    host: Host
    user: str

    def exec(self, request: dict[str, Any], files: Iterable[BinaryIO] = (), on_event: Event | None = None,
             limit: float = 900.0) -> dict[str, Any]:
        """Run one request and return its result; files are sent behind it and closed. limit: seconds for all of it.

        Raises the engine's own error; Refused where the host is not reached or runs no engine, so that nothing has
        changed there; OutcomeUnknown where the connection was lost, or the time was up, before the last line.
        """

    def again(self) -> Login:
        """Another login to the same host, all new from the connection on. Whatever it raises, the host was not reached so; opening it says why."""

    def hang_up(self) -> None:
        """From another thread: nobody listens to what is under way any more, and the engine ends it; never raises."""

    def close(self) -> None:
        """End the connection; never raises."""
