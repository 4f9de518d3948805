"""The behaviour suite on a whole host, with the system's own Apache: what test_servers.py runs *on* a test host, as root. It must run nowhere else."""

import os
import shutil
import tempfile
from pathlib import Path

from weft.host.audit import ENGINE
from weft.rollout import zipapp
from weft.servers import find
from weft.testing.private_host import PYTHON, free_ports
from weft.testing.server_behaviour import ServerBehaviour, site_of
from weft.testing.server_life import Life

HERE = os.environ.get("WEFT_WHOLE_HOST", "")
"""The directory with pip's wheel, which only the test host has; without it nothing is collected."""


class WholeHost(Life):
    """`/` is its prefix, each application has an account of its own, and nothing is ended or removed but by the engine."""

    def __init__(self, tools, server, app="shop", beside=None):
        assert HERE, "this is for a test host"
        self.app, self.prefix, self.files, self.tools = app, Path("/"), Path("/srv/made"), tools
        self.files.mkdir(exist_ok=True)
        self.engine = self.files / "weft-host"
        kept = Path(tempfile.gettempdir()) / f"weft-test-pip-{os.getuid()}"
        if not kept.exists():
            shutil.copytree(HERE, kept)
            shutil.copy(zipapp.build(), self.engine)
        self.port, *doors = free_ports(3)
        self.site = {
            "server": server, "account": app, "python": PYTHON, "hostname": "shop.test", "aliases": [], "port": self.port, "doors": doors,
            "processes": 2, "threads": 4, "longest_request": 10, "variant": "TEST", "settings": {}, "watch": 0.1, "max_errors": 1.0, "confirm": 180,
            "health": {"path": "/", "contains": '"version": "{version}"', "good": 2, "timeout": 120}}

    def start(self, verb, blobs=(), **words):
        """Set-up comes with its engine, as over SSH; all else goes through the one that it has installed."""
        self.command = [PYTHON, "-I", str(self.engine), "--setup"] if verb == "setup" else [str(ENGINE)]
        return super().start(verb, blobs, **words)

    def argv(self):
        return self.command

    def pidfiles(self):
        return [Path(find(self.site["server"]).pidfile(site_of(self)))]

    def left(self):
        found = [p for top in ("etc", "var", "run", "usr/local") for p in Path("/", top).rglob("*") if p.name == self.app or p.name.startswith((f"{self.app}.", f"{self.app}-"))]
        return sorted(str(p) for p in found if p.parent != Path("/var/lib/weft"))

    def close(self):
        """The host goes as a whole."""


if HERE:
    class TestModWsgi(ServerBehaviour):
        server = find("mod_wsgi")
        life = WholeHost
