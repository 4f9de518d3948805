"""`fab trust`: look at the key that a host shows, and keep it in the project's known_hosts."""

from __future__ import annotations

from typing import Any

from weft.openssh.known_hosts import Known, known_as
from weft.record import record
from weft.rollout import hostkeys, ssh
from weft.rollout.inventory import Host
from weft.rollout.access import Access


@record(frozen=True)
class Seen:
    """A key that is not the known one. host: as the inventory names it.  name: as known_hosts does; of a gateway where
    the key is a gateway's.  old: the known key's fingerprint and file, "" for a host that no file knows."""

    host: str
    name: str
    key: Any
    old: str = ""

    def lines(self) -> list[str]:
        """For a person who compares fingerprints."""
        shown = f"{self.host}: {self.name} shows {self.key.get_name()} {self.key.fingerprint}"
        return [shown, f"{self.host}: KNOWN UNTIL NOW: {self.old}"] if self.old else [shown]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.key.get_name(), "fingerprint": self.key.fingerprint, "was": self.old}


def look(host: Host, access: Access) -> Seen | None:
    """The first key on the way to a host that is not the known one; None: all are known.

    Nothing is authenticated at a host whose key is looked at. Raises Refused where it cannot be reached.
    """
    connection, known = ssh.connection(host, access), ssh.known_keys(access)
    try:
        for link in ssh.links(connection):
            seen = _look(link, host, access, known, last=link is connection)
            if seen:
                return seen
    finally:
        for link in ssh.links(connection):
            link.client.close()
    return None


def _look(link: Any, host: Host, access: Access, known: Known, last: bool) -> Seen | None:
    import paramiko
    name = known_as(link.ssh_config, link.host, link.port)
    known.prime(link.client, link.ssh_config, link.host, link.port)
    link.client.set_missing_host_key_policy(hostkeys.Capture())
    try:
        link.open()
    except hostkeys.Capture.Seen as seen:
        known.refuse_revoked(host.name, name, seen.key)
        return Seen(host.name, name, seen.key)
    except paramiko.BadHostKeyException as changed:
        known.refuse_revoked(host.name, name, changed.key)
        path, old = known.find(name)[0]
        return Seen(host.name, name, changed.key, f"{old.get_name()} {old.fingerprint} ({path})")
    except Exception as error:
        if not (last and isinstance(error, paramiko.AuthenticationException)):
            raise ssh.translate(error, host, link, access, known) from None
    return None


def keep(seen: Seen, access: Access) -> None:
    """Write the key to the project's file, in the place of what it had for that host."""
    hostkeys.remember(access.project_keys, seen.name, seen.key)
