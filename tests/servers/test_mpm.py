"""What a switch promises, on each of Apache's processing modules: event is the one that the other tests run on."""

import http.client
import json

import pytest

from tests.servers.test_tls import certificate
from weft import durable
from weft.testing.private_host import PYTHON, free_ports
from weft.testing.server_life import Life, until

pytestmark = pytest.mark.slow
START = ("import runpy, sys; sys.path.insert(0, sys.argv[1]); from weft.servers import express; express.MPM = sys.argv[2]; "
         "sys.argv = [sys.argv[1], *sys.argv[3:]]; runpy.run_path(sys.argv[0], run_name='__main__')")


class On(Life):
    """The engine as it is, with another module for the private Apache."""

    def __init__(self, tools, mpm):
        super().__init__(tools, "express")
        self.mpm = mpm

    def argv(self):
        return [PYTHON, "-I", "-c", START, str(self.engine), self.mpm, "--prefix", str(self.prefix)]


@pytest.fixture(params=["worker", "prefork"])
def host(request, tmp_path_factory):
    here = On(tmp_path_factory.getbasetemp() / "kept-tools", request.param)
    try:
        pem, key = certificate(here.files)
        here.secure, = free_ports(1)
        here.site["tls"] = {"certificate": str(pem), "key": str(key), "port": here.secure, "http2": request.param != "prefork", "redirect": False}
        yield here
    finally:
        here.close()


def test_a_switch_under_load_loses_and_mixes_nothing(host):
    """Half of the clients keep their connections, and slow requests are in flight."""
    host.ok("setup")
    host.first("1.0")
    assert f"(mpm_{host.mpm}), mod_wsgi " in host.ok("observe")["state"]["server"]
    load = host.load()
    try:
        until(lambda: load.snapshot()["versions"].get("1.0", 0) > 20)
        host.good("2.0")
        seen = load.snapshot()["versions"].get("2.0", 0)
        until(lambda: load.snapshot()["versions"].get("2.0", 0) > seen + 20)
    finally:
        report = load.stop()
    assert (report.failed, report.mixed) == (0, 0) and set(report.versions) == {"1.0", "2.0"}, report.to_text()
    kept = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
    seen = []
    for target in ("slots/a", "slots/b"):
        durable.link(host.root / "live", target)
        kept.request("GET", "/", headers={"Host": "shop.test"})
        seen.append(json.loads(kept.getresponse().read())["version"])
    assert sorted(seen) == ["1.0", "2.0"]
    kept.close()


def test_http2_is_refused_on_prefork_alone(host):
    host.site["tls"]["http2"] = True
    code, last, _ = host.call("setup")
    if host.mpm == "prefork":
        assert code == 3 and last["error"]["message"] == "Apache runs mpm_prefork, which cannot serve HTTP/2", last
    else:
        assert code == 0, last
