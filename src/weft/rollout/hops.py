"""The hosts that another one is reached through, as OpenSSH reads `ProxyJump` in ~/.ssh/config.

Fabric takes `none` for a host's name, goes through several hops in the other order, and does not come to an end where a pattern names a hop for itself.
"""

from __future__ import annotations

import re
from typing import Any

from weft.errors import Refused
from weft.openssh.config import Configs

_HOP = re.compile(r"(?:ssh://)?(?:(?P<user>[^/]+)@)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:@/\[\]\s]+))(?::(?P<port>\d{1,5}))?/?")


def gateway(configs: Configs, name: str, seen: tuple[str, ...] = ()) -> Any:
    """What a host is reached through: a Fabric Connection, not open, with its own gateway; the text of a ProxyCommand; or False for nothing.

    name: as ~/.ssh/config knows the host.  seen: whom it leads to. The first hop is reached as its own entry says, each other one through the one
    before. A host that a pattern makes a hop for itself is reached without. Raises Refused for a hop that is none, and for hosts that lead to one another.
    """
    said = configs.lookup(name)
    jump = said.get("proxyjump", "none")
    if jump.lower() == "none":
        return said.get("proxycommand") or (not seen and "proxyjump" not in said and configs.gateway) or False
    hops = [_parsed(name, each.strip()) for each in jump.split(",")]
    if hops[-1]["host"] == name:
        return False
    if name in seen:
        raise Refused(f"{seen[0]}: ~/.ssh/config: ProxyJump leads in a circle: {' through '.join((*seen, name))}", "end it: give one of them ProxyJump none")
    link = gateway(configs, hops[0]["host"], (*seen, name))
    for hop in hops:
        link = _connection(configs, hop, link)
    return link


def _connection(configs: Configs, hop: dict[str, Any], link: Any) -> Any:
    from fabric import Connection
    return Connection(hop["host"], user=hop["user"], port=hop["port"], config=configs.own(hop["host"]), gateway=link)


def _parsed(name: str, hop: str) -> dict[str, Any]:
    found = _HOP.fullmatch(hop)
    if not found:
        raise Refused(f"{name}: ~/.ssh/config: {hop!r} is no hop of a ProxyJump", "write [user@]host[:port], several by comma, or none")
    return {"host": found["six"] or found["host"], "user": found["user"], "port": int(found["port"]) if found["port"] else None}
