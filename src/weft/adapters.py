"""Which servers there are, without importing one: a module of `weft.servers` each, and those of other packages.

Another package's adapter is one module that its entry point in the group `weft.servers` names; the engine takes the module with it to the hosts
(`weft.rollout.zipapp`), where it lies beside weft's own.
"""

from __future__ import annotations

import importlib.util
import os
import re

from weft.errors import Refused
from weft.typing import Any

GROUP = "weft.servers"
SHARED = frozenset({"apache", "before", "entry", "passenger_entry", "tls"})
"""Modules of `weft.servers` that are no server: what several share, and the entry that is shipped as data."""
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def has(name: Any) -> bool:
    """Whether a server's module is here. Engines ask this at each start, which a list of all of them would make a tenth longer."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and name not in SHARED and importlib.util.find_spec(f"weft.servers.{name}") is not None


def known() -> tuple[str, ...]:
    """The servers whose module is here, sorted: weft's own and, in an engine, those of others that it was packed with."""
    import pkgutil
    here = os.path.join(os.path.dirname(__file__), "servers")
    return tuple(sorted(name for _finder, name, package in pkgutil.iter_modules([here]) if not package and name not in SHARED))


def others() -> dict[str, Any]:
    """The entry points of other packages by their server's name; what weft has itself is not replaced. For the operator's side only."""
    from importlib.metadata import entry_points
    return {each.name: each for each in entry_points(group=GROUP) if each.name not in known()}


def module_of(point: Any) -> str:
    """The file of another package's adapter. Raises Refused for one that can't travel: it must be a module of its own whose attribute is `server`."""
    try:
        spec = importlib.util.find_spec(point.module) if point.attr == "server" else None
    except (ImportError, AttributeError, ValueError):  # the last two: a value that is no name of a module
        spec = None
    if not _NAME.fullmatch(point.name) or point.name in SHARED or not spec or not (spec.origin or "").endswith(".py"):
        raise Refused(f"the server {point.name!r} comes from {point.value}, which is no module with an attribute `server` that can be taken to hosts",
                      "mend or remove that package; docs/how-to/add-a-server.md shows one")
    return str(spec.origin)
