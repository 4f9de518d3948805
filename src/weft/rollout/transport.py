"""How the operator reaches a host: one `Channel` a host, whatever lies under it.

`open(host, access)` gives a channel; `channel.exec(request, files, on_event)` runs one phase and returns the engine's
result. Two kinds exist: ssh (rollout/ssh.py) and local (rollout/local.py, a process here, without root).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weft.config.load import Layer
from weft.errors import UsageError
from weft.openssh import known_hosts
from weft.rollout.access import ENGINE, Access, Channel
from weft.rollout.inventory import Host
from weft.rollout.site import interpreter


def access(env: Layer, root: Path, config: Any = None, again: str = "") -> Access:
    """What an environment says about reaching its hosts. Raises UsageError with file and line."""
    identity = env["identity"]
    if identity and not (root / Path(identity).expanduser()).is_file():
        raise env.wrong("identity", f"there is no file {identity}")
    if env["transport"] == "local" and not env["prefix"]:
        raise UsageError(f'{env.path}: transport = "local" needs a prefix', 'add, for example: prefix = ".weft/local"')
    if env["transport"] != "local" and env["prefix"]:
        raise env.wrong("prefix", 'only transport = "local" has a prefix', "remove it")
    return Access(
        kind=env["transport"], python=interpreter(env["python"]), user=env["user"],
        identity=str(root / Path(identity).expanduser()) if identity else "",
        known_hosts=(root / Path(env["known_hosts"]).expanduser(), known_hosts.USER, known_hosts.SYSTEM),
        connect_timeout=(config.connect_kwargs.get("timeout") if config is not None else 0) or env["connect_timeout"],
        prefix=root / env["prefix"] if env["prefix"] else None,
        command=ENGINE, config=config, again=again)


def open(host: Host, access: Access) -> Channel:
    """A channel to a host, connected. Raises Refused, naming the host and the reason; nothing changed then."""
    if access.kind == "local":
        from weft.rollout.local import LocalChannel
        return LocalChannel(host, access)
    from weft.rollout.ssh import SSHChannel
    return SSHChannel(host, access)
