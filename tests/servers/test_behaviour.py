"""weft's own servers keep their promises: the suite on each, under a prefix."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from weft.host import health
from weft.adapters import known
from weft.servers import find
from weft.testing.private_host import PYTHON
from weft.testing.server_behaviour import ServerBehaviour, site_of
from weft.testing.server_life import until

pytestmark = pytest.mark.slow


class TestExpress(ServerBehaviour):
    server = find("express")


class TestPassenger(ServerBehaviour):
    server = find("passenger")


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


class TestExpressWithPyPIsModWsgi(ServerBehaviour):
    """The system's Apache with PyPI's mod_wsgi in place of Debian's, built for the same Python; both are on this machine."""

    server = find("express")
    home = Path(tempfile.gettempdir()) / f"weft-test-mod-wsgi-{os.getuid()}"

    @classmethod
    def prepare(cls, prefix):
        if not (cls.home / "made").exists():
            subprocess.run([PYTHON, "-m", "venv", "--clear", cls.home], check=True)
            subprocess.run([cls.home / "bin/pip", "install", "-q", "mod_wsgi==6.1.*"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            (cls.home / "made").touch()
        (prefix / "opt").mkdir()
        (prefix / "opt/apache").symlink_to(cls.home)

    @pytest.fixture
    def note(self, host):
        """The table in the reference is that of the server as it mostly is."""
        assert re.search(r"Apache 2\.4\.\d+ \(mpm_event\), mod_wsgi 6\.1\.\d+ for Python 3\.11 in .*opt/apache/", self.server.about(site_of(host)))
        return lambda promise, **said: None


def test_every_server_is_here_but_the_one_of_the_system():
    assert {each.server.name for each in ServerBehaviour.__subclasses__()} == {*known()} - {"mod_wsgi"}
