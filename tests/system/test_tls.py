"""HTTPS, HTTP/2 and an operator's own directives on Debian's Apache: refused while something lacks, then served; a switch under such a load."""

import re
import subprocess
import threading

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
TLS = '[tls]\ncertificate = "/etc/ssl/shop.pem"\nkey = "/etc/ssl/private/shop.key"\n'
OWN = "/etc/apache2/weft/shop.conf"


class Load(threading.Thread):
    """Batches of HTTP/2, one after another, from the fleet's own network; what came of each."""

    def __init__(self, fleet, address):
        super().__init__(daemon=True)
        self.fleet, self.address, self.batches, self.enough = fleet, address, [], threading.Event()

    def run(self):
        while not self.enough.is_set():
            said = self.fleet.run(["h2load", "-n", "120", "-c", "3", "-m", "4", "--rps", "20", f"--connect-to={self.address}:443", "https://app.example.org/"],
                                  check=False, timeout=300).stdout
            self.batches.append((re.findall(r"Application protocol: (\S+)", said), re.findall(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said),
                                 re.findall(r"status codes: (\d+) 2xx", said)))


def test_https_on_debians_apache(tmp_path):
    pem, key = tmp_path / "shop.pem", tmp_path / "shop.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem, "-days", "30",
                    "-subj", "/CN=app.example.org"], check=True, capture_output=True)
    with Fleet(1, disk_mb=220) as fleet:
        host, shop = fleet.hosts[0], Shop(tmp_path / "operator", fleet)
        shop.configure(waves=("100%",))
        configured = shop.project / "deploy/production.toml"
        configured.write_text(configured.read_text() + TLS)
        for version in ("1.0", "1.1"):
            shop.publish(version)
        shop.fab("trust", "--yes")
        lacks = shop.fab("setup", "--as", "root", code=3)
        assert "TLS needs Apache's modules ssl and http2" in lacks and "a2enmod ssl http2" in lacks
        host.run(["a2enmod", "-q", "ssl", "http2"])
        lacks = shop.fab("setup", "--as", "root", code=3)
        assert "/etc/ssl/shop.pem and /etc/ssl/private/shop.key, which [tls] names, are not on this host" in lacks
        for path, file in {"/etc/ssl/shop.pem": pem, "/etc/ssl/private/shop.key": key}.items():
            host.run(["tee", path], input=file.read_text())
        host.run(["chmod", "600", "/etc/ssl/private/shop.key"])
        shop.fab("setup", "--as", "root")
        shop.fab("deploy", "--version", "1.0")
        shop.fab("doctor")
        load = Load(fleet, host.address)
        load.start()
        try:
            shop.fab("deploy", "--version", "1.1")
        finally:
            load.enough.set()
            load.join(300)
        assert load.batches and all(each == (["h2"], [("120", "0", "0", "0")], ["120"]) for each in load.batches), load.batches
        host.run(["mkdir", "-p", "/etc/apache2/weft"])
        host.run(["tee", OWN], input="Header always set Strict-Transport-Security max-age=300\n")
        shop.fab("doctor", code=3)
        refused = shop.fab("setup", "--as", "root", code=3)
        assert f"Syntax error on line 1 of {OWN}: Invalid command 'Header'" in refused and f"correct {OWN}, with which the server would not start again; then run `fab setup" in refused
        assert "serves 1.1" in shop.fab("doctor", code=3)
        host.run(["a2enmod", "-q", "headers"])
        shop.fab("setup", "--as", "root")
        asked = fleet.run(["curl", "-sik", "--http2", "--connect-to", f"::{host.address}:", "https://app.example.org/"]).stdout
        assert asked.startswith("HTTP/2 200") and "strict-transport-security: max-age=300" in asked
        leads = fleet.run(["curl", "-si", "--connect-to", f"::{host.address}:", "http://app.example.org/a?b=c"]).stdout
        assert leads.startswith("HTTP/1.1 301") and "Location: https://app.example.org/a?b=c" in leads
        kept = shop.fab("undeploy", "--yes")
        assert f"{OWN}, the operator's own directives" in kept and host.run(["cat", OWN]).stdout.startswith("Header")
