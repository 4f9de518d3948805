"""Passenger in Debian's own Apache on a real host, beside an application of mod_wsgi: an application's life, and no trace of it."""

import os

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop
from tests.system.voyage import finish, wait_for

LACKS = missing() + ([] if os.path.exists("/usr/lib/apache2/modules/mod_passenger.so") else
                     ["the package libapache2-mod-passenger (apt-get install libapache2-mod-passenger)"])
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(LACKS), reason="this machine lacks " + "; ".join(LACKS))]
HEALTHY = 'if environ["PATH_INFO"] == "/slow": __import__("time").sleep(3)'
BROKEN = "import os\nif not os.environ.get('WEFT_CHECK_GENERATION'): raise KeyError('only where it is served')"


def idle(host):
    """Pids of slot a."""
    return [line.split()[0] for line in host.run(["ps", "-eo", "pid,args", "-ww"]).stdout.splitlines() if "/slots/a/" in line and "wsgi-loader" in line]


def test_an_application_under_passenger(tmp_path):
    # systemd gives Apache a /tmp of its own, where Passenger is asked.
    with Fleet(1, disk_mb=220, systemd=True) as fleet:
        host, shop = fleet.hosts[0], Shop(tmp_path / "operator", fleet)
        shop.configure(waves=("100%",))
        configured = shop.project / "deploy/production.toml"
        configured.write_text('server = "passenger"\npython = "3.11"\n' + configured.read_text())
        for version in ("1.0", "1.1"):
            shop.publish(version, inside=HEALTHY)
        shop.publish("1.2", top=BROKEN)
        shop.fab("trust", "--yes")
        assert "mod_passenger is not enabled" in (refused := shop.fab("setup", "--as", "root", code=3)) and "a2enmod passenger" in refused
        host.run(["a2enmod", "-q", "passenger"])
        shop.fab("setup", "--as", "root")
        shop.fab("deploy", "--version", "1.0")
        load = shop.load(host, "/", "--clients", "4", "--rate", "60", "--version-json", "version")
        try:
            shop.fab("deploy", "--version", "1.1")
            assert "only where it is served" in shop.fab("deploy", "--version", "1.2", code=4)
            shop.fab("rollback", "--to", "1.0")
        finally:
            report = finish(load)
        assert (report["failed"], report["mixed"]) == (0, 0) and set(report["versions"]) == {"1.0", "1.1"}, report["failures"]
        host.kill()
        host.start()
        wait_for(lambda: shop.served() == {"web1": "1.0"}, 120, "nothing is served after a reboot")
        owners = {line.split()[0] for line in host.run(["ps", "-eo", "user:32,args"]).stdout.splitlines() if "wsgi-loader.py" in line}
        assert owners == {"shop"}
        wait_for(lambda: idle(host), 60, "Apache does not start the idle slot with itself")
        host.run(["kill", *idle(host)])  # Passenger starts others when the slot is asked for something
        shop.fab("rollback", "--to", "1.1")
        assert "slot a starts" in shop.fab("logs", "--lines", "1000")
        shop.fab("disable")
        assert "Debian" in host.run(["curl", "-s", "-H", "Host: app.example.org", "http://127.0.0.1/"]).stdout  # its own site has the same port
        assert "the site is disabled on this host" in shop.fab("deploy", "--version", "1.0", code=3)
        shop.fab("enable")
        wait_for(lambda: shop.served() == {"web1": "1.1"}, 60, "it is not served again")  # Apache's old children answer until they go
        host.run(["sh", "-c", "mkdir /var/lib/weft/other && sed 's/\"passenger\"/\"mod_wsgi\"/' /var/lib/weft/shop/site.json > /var/lib/weft/other/site.json"])
        shop.fab("undeploy", "--yes", "--purge")
        assert "weft.conf" in host.run(["ls", "/etc/apache2/conf-enabled"]).stdout, "what an application of mod_wsgi needs stays"
        left = host.run(["sh", "-c", "ls /etc/apache2/*-available /etc/apache2/*-enabled /var/app; ps -eo args"]).stdout
        assert "shop" not in left and "passenger-weft" not in left and "wsgi-loader" not in left, left
