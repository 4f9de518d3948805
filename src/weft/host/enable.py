"""Take a site out of its server and put it back: the links that enable it, nothing else. What the application has there stays as it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from weft import durable
from weft.errors import NeedsHands, Refused
from weft.host import health, setup, undeploy
from weft.record import replace
from weft.servers import Site, find
from weft.typing import Any


def answer(machine: Any) -> dict[str, Any]:
    """`did`, in sentences; empty where it was so already. Raises Refused for a server that has no such links, and on trial."""
    site = machine.site
    with machine.locked():
        state = machine.state()
        if not state.set_up:
            raise Refused(f"{site.app} has not been set up here", f"run `{machine.layout.setup_command}` for this host")
        if not links(site):
            raise Refused(f"the server {site.server} has no link that enables a site", "`fab undeploy` takes it off", machine.served())
        if machine.request.verb == "disable":
            machine.on_trial(state)
            return {"did": disable(machine)}
        did = setup.site_files(machine.work)
    machine._wait_answers()
    return {"did": did}


def links(site: Site) -> list[str]:
    """Of this application alone: what its server has for all of them stays."""
    adapter = find(site.server)
    others = adapter.links(replace(site, app=f"{site.app}-x", before=None))
    return [path for path in adapter.links(site) if path not in others]


def disable(machine: Any) -> list[str]:
    """Until nobody is answered any more. Raises NeedsHands where the server still answers at the end of `health.timeout`."""
    site, did = machine.site, []
    undeploy.checked(machine.work)
    for path in links(site):
        if os.path.islink(path):
            os.unlink(path)
            durable.fsync_dir(Path(path).parent)
            did.append(f"disabled {path}")
    if not did:
        return []
    did += undeploy.reload(machine.layout, site)
    end = time.monotonic() + site.health.timeout
    while health.ask(site.port, site, 5).release and time.monotonic() < end:
        time.sleep(0.05)
    undeploy.let_go(site)
    if health.ask(site.port, site, 5).release:
        raise NeedsHands("the server still answers for the site", "look whether it was restarted: its links are removed", machine.served())
    return did
