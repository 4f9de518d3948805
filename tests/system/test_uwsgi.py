"""Debian's own Emperor on a real host: refused as it comes, then set up as weft says, and an application's life on it."""

import json
import os

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop
from tests.system.voyage import finish

LACKS = missing() + ([] if os.path.exists("/etc/uwsgi-emperor/emperor.ini") and os.path.exists("/usr/lib/uwsgi/plugins/python311_plugin.so") else
                     ["the packages uwsgi-emperor and uwsgi-plugin-python3 (apt-get install uwsgi-emperor uwsgi-plugin-python3)"])
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(LACKS), reason="this machine lacks " + "; ".join(LACKS))]


def test_an_application_under_debians_emperor(tmp_path):
    with Fleet(1, disk_mb=220) as fleet:
        host, shop = fleet.hosts[0], Shop(tmp_path / "operator", fleet)
        shop.configure(waves=("100%",))
        configured = shop.project / "deploy/production.toml"
        configured.write_text('server = "uwsgi"\npython = "3.11"\n' + configured.read_text())
        for version in ("1.0", "1.1"):
            shop.publish(version)
        shop.fab("trust", "--yes")
        refused = shop.fab("setup", "--as", "root", code=3)
        assert "gives up root" in refused and "does not say emperor-stats-server" in refused and "does not say pidfile" in refused
        for command in (each.strip() for each in refused.partition("next: ")[2].splitlines()[0].split(" ; ")):
            host.run(["sh", "-c", command.partition("then: ")[2] or command])
        shop.fab("setup", "--as", "root")
        plugins = "/usr/lib/uwsgi/plugins"
        host.run(["mv", f"{plugins}/python311_plugin.so", f"{plugins}/python312_plugin.so"])
        lacks = shop.fab("doctor", code=3)
        assert f"uWSGI 2.0.21-debian has the plugins python312 in {plugins}, /usr/bin/python3.11 needs python311" in lacks and "install -y uwsgi-plugin-python3" in lacks
        host.run(["mv", f"{plugins}/python312_plugin.so", f"{plugins}/python311_plugin.so"])
        well = "set up, Python 3.11, uWSGI 2.0.21-debian, plugins python311 in /usr/lib/uwsgi/plugins"
        assert well in shop.fab("doctor")
        assert [each["what"] for each in json.loads(shop.fab("doctor", "--json"))["checks"] if each["what"].startswith("set up")] == [well]
        shop.fab("deploy", "--version", "1.0")
        load = shop.load(host, "/", "--clients", "4", "--rate", "60", "--version-json", "version")
        try:
            shop.fab("deploy", "--version", "1.1")
        finally:
            report = finish(load)
        assert (report["failed"], report["mixed"]) == (0, 0) and set(report["versions"]) == {"1.0", "1.1"}, report["failures"]
        owners = {line.split()[0] for line in host.run(["ps", "-eo", "user:32,args"]).stdout.splitlines() if "shop-" in line and ".ini" in line}
        assert owners == {"shop"}
        assert "spawned uWSGI worker" in shop.fab("logs", "--lines", "1000")
        shop.fab("disable")
        assert shop.served() == {"web1": ""} and "the site is disabled on this host" in shop.fab("deploy", "--version", "1.0", code=3)
        shop.fab("enable")
        assert shop.served() == {"web1": "1.1"}
        shop.fab("undeploy", "--yes", "--purge")
        assert "shop" not in host.run(["ls", "/etc/uwsgi-emperor/vassals", "/etc/uwsgi-emperor/weft", "/var/app"]).stdout
