"""weft's own servers keep their promises: the suite on each, under a prefix."""

import os
import subprocess

import pytest

from weft.host import health
from weft.servers import KNOWN, find
from weft.testing.server_behaviour import ServerBehaviour, site_of
from weft.testing.server_life import until

pytestmark = pytest.mark.slow


class TestExpress(ServerBehaviour):
    server = find("express")


class TestUwsgi(ServerBehaviour):
    server = find("uwsgi")

    def while_disabled(self, host):
        """What uWSGI's Emperor starts a slot by also runs alone, as the how-to says."""
        site = site_of(host)
        slot = os.path.basename(os.readlink(f"{site.root}/live"))
        alone = subprocess.Popen(["uwsgi_python3", "--ini", self.server.vassal(site, slot)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: alone.poll() is not None or health.ask(site.doors["ab".index(slot)], site, 5).release)
            assert alone.poll() is None and health.ask(site.doors["ab".index(slot)], site, 5).release.startswith("1.0-")
        finally:
            alone.terminate()
            alone.wait()


def test_every_server_is_here_but_the_one_of_the_system():
    assert {each.server.name for each in ServerBehaviour.__subclasses__()} == {*KNOWN} - {"mod_wsgi"}
