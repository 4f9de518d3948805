"""TLS on the real Apache: who comes by HTTPS and HTTP/2 loses nothing in a switch either; and what is refused before Apache would end by it."""

import json
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.host.bench_host import HostUnderPrefix, free_ports
from tests.servers.test_behaviour import until
from weft.servers import parse_site
from weft.servers.express import Express
from weft.servers.tls import Tls, lacks

PAGES = '__import__("time").sleep(2) if environ["PATH_INFO"] == "/slow" else None'


def certificate(folder, name="site"):
    """A self-signed certificate of shop.test and its key, as files."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", pem, "-days", "30", "-subj", "/CN=shop.test",
                    "-addext", "subjectAltName=DNS:shop.test"], check=True, capture_output=True)
    return pem, key


class Secure(HostUnderPrefix):
    def __init__(self, *words, **said):
        super().__init__(*words)
        pem, key = certificate(self.files)
        self.secure, = free_ports(1)
        self.site["tls"] = {"certificate": str(pem), "key": str(key), "port": self.secure, "http2": True, "redirect": True, **said}

    def curl(self, *words, path="/", port=0, plain=False):
        """(status, protocol, where it leads, body) as a user gets them."""
        url = f"http{'' if plain else 's'}://shop.test:{port or (self.port if plain else self.secure)}{path}"
        done = subprocess.run(["curl", "-s", "--cacert", self.site["tls"]["certificate"], "--resolve", f"shop.test:{self.secure}:127.0.0.1", "--resolve",
                               f"shop.test:{self.port}:127.0.0.1", "-w", "\n%{http_code} %{http_version} %{redirect_url}", *words, url],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        body, _, last = done.stdout.rpartition("\n")
        status, protocol, leads = last.split(" ")
        return int(status), protocol, leads, body


@pytest.fixture(scope="module")
def host():
    here = Secure()
    try:
        here.ok("setup")
        code, last = here.deploy(*here.release("1.0", inside=PAGES))
        assert code == 0, last
        yield here
    finally:
        here.close()


@pytest.mark.slow
def test_https_and_http2_serve_and_plain_http_leads_there(host):
    assert host.curl("--http2")[:2] == (200, "2") and host.curl("--http1.1")[:2] == (200, "1.1")
    assert json.loads(host.curl()[3])["version"] == "1.0"
    assert host.curl(path="/a%20b?c=d", plain=True)[::2] == (301, f"https://shop.test:{host.secure}/a%20b?c=d")
    assert host.ok("observe")["state"]["answers"]["status"] == 200, "weft's own question on loopback stays plain"
    traffic = Path(host.prefix, "var/lib/weft/shop/traffic")
    until(lambda: len(re.findall(r" 200 shop-[ab] ", traffic.read_text())) >= 3)
    assert " 301 " not in traffic.read_text(), "those who are sent away are none of a slot's requests, which the watch counts"


class Batches(threading.Thread):
    """One batch of requests after another, on fresh connections each, until it is ended: (began, ended, what was asked, what came) of each."""

    def __init__(self, url, *words):
        super().__init__(daemon=True)
        self.argv, self.done, self.enough = ["h2load", *words, url], [], threading.Event()

    def run(self):
        while not self.enough.is_set():
            began = time.monotonic()
            said = subprocess.run(self.argv, capture_output=True, text=True, timeout=300).stdout
            counts = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
            answers = re.search(r"status codes: (\d+) 2xx", said)
            protocol = re.search(r"Application protocol: (\S+)", said)
            self.done.append((began, time.monotonic(), protocol and protocol[1], counts and [int(each) for each in counts.groups()], answers and int(answers[1])))

    def end(self):
        self.enough.set()
        self.join(300)
        return self.done


@pytest.mark.slow
def test_a_switch_under_load_by_https_and_http2_loses_nothing(host):
    """Requests of HTTP/2 share a connection; slow ones are in flight all the time."""
    url, to = f"https://shop.test:{host.secure}", f"--connect-to=127.0.0.1:{host.secure}"
    many = [to, "-c", "3", "-m", "4", "--rps", "12", "-n", "90"]
    loads = [Batches(f"{url}/", *many), Batches(f"{url}/", "--h1", *many), Batches(f"{url}/slow", "-c", "2", "-m", "1", "-n", "4", to)]
    for load in loads:
        load.start()
    try:
        until(lambda: all(load.done for load in loads))
        began = time.monotonic()
        code, last = host.deploy(*host.release("2.0", inside=PAGES))
        ended = time.monotonic()
        assert code == 0, last
        until(lambda: all(load.done[-1][0] > ended for load in loads))
    finally:
        told = [load.end() for load in loads]
    for batches, protocol in zip(told, ("h2", "http/1.1", "h2")):
        assert {each[2] for each in batches} == {protocol}
        assert [each for each in batches if not each[3] or each[3][1:] != [each[3][0], 0, 0, 0] or each[4] != each[3][0]] == []
        assert any(first < ended and began < last for first, last, *_ in batches), "no batch met the switch"
    assert json.loads(host.curl()[3])["version"] == "2.0"


@pytest.mark.slow
def test_the_operators_own_directives_are_taken_in_checked_and_never_touched(host):
    own = Path(host.prefix, "etc/httpd/weft/shop.conf")
    (host.files / "static").mkdir()
    (host.files / "static/a.txt").write_text("from a file")
    good = (f"Alias /static {host.files}/static\n<Directory {host.files}/static>\n    Require all granted\n</Directory>\n"
            "<Location /private>\n    Require all denied\n</Location>\n")
    own.parent.mkdir()
    own.write_text(good)
    site = Path(host.prefix, "etc/httpd/sites/shop.conf")
    fault, = host.ok("observe")["faults"]
    assert str(site) in fault["message"] and "setup" in fault["next"], "that the file is new is told"
    assert host.ok("setup")["did"][0] == f"wrote {site}"
    assert host.curl("--http2", path="/static/a.txt")[::3] == (200, "from a file") and host.curl(path="/private")[0] == 403 and host.curl()[0] == 200
    code, last = host.deploy(*host.release("2.1", inside=PAGES))
    assert code == 0 and host.curl(path="/static/a.txt")[3] == "from a file", last

    own.write_text(good + "Heade set X-Frame-Options DENY\n")
    running, approved = (host.prefix / "var/run/httpd.pid").read_text(), site.read_text()
    code, last, _ = host.call("setup")
    error = last["error"]
    assert code == 3 and f"Syntax error on line 8 of {own}: Invalid command 'Heade'" in error["message"], last
    assert error["next"].startswith(f"correct {own}, with which the server would not start again; then run `") and "setup" in error["next"]
    assert error["effect"] == "what weft wrote has been taken back; a server that runs goes on with what it has read before"
    assert site.read_text() == approved and own.read_text().endswith("DENY\n") and host.curl()[0] == 200
    assert (host.prefix / "var/run/httpd.pid").read_text() == running
    own.write_text(good)
    assert host.ok("observe")["faults"] == []


@pytest.mark.slow
def test_a_key_of_another_certificate_is_refused_before_apache_would_end_by_it(host):
    """`-t` finds it good."""
    key, other = Path(host.site["tls"]["key"]), certificate(host.files, "other")[1]
    kept = key.read_text()
    key.write_text(other.read_text())
    try:
        fault, = host.ok("observe")["faults"]
        assert fault["message"] == f"the key {key} is not that of the certificate {host.site['tls']['certificate']}: Apache would end when it is reloaded"
        host.site["processes"] = 3
        code, last, _ = host.call("setup")
        assert code == 3 and last["error"]["message"] == fault["message"] and host.curl()[0] == 200, last
        site = parse_site("shop", host.site, str(host.prefix))
        assert subprocess.run(Express().check(site), capture_output=True).returncode == 0
    finally:
        key.write_text(kept)
        host.site["processes"] = 2


@pytest.mark.slow
def test_undeploy_keeps_the_operators_file_unless_purge(host):
    own = Path(host.prefix, "etc/httpd/weft/shop.conf")
    assert f"{own}, the operator's own directives" in host.ok("undeploy")["kept"] and own.exists()
    host.ok("setup")
    assert host.curl(path="/static/a.txt")[0] == 200
    assert f"removed {own}" in host.ok("undeploy", purge=True)["did"] and not own.exists()


@pytest.fixture
def pair(tmp_path):
    return certificate(tmp_path)


ALL = ["ssl", "http2"]


def test_what_fits_lacks_nothing(pair):
    assert lacks(Tls(*map(str, pair)), ALL, "event", "a2enmod {}") == []


@pytest.mark.parametrize("enabled, mpm, http2, says", [
    ([], "event", True, ("TLS needs Apache's modules ssl and http2", "a2enmod ssl http2")),
    (["ssl"], "event", True, ("TLS needs Apache's module http2", "a2enmod http2")),
    (["http2"], "event", False, ("TLS needs Apache's module ssl", "a2enmod ssl")),
    (ALL, "prefork", True, ("Apache runs mpm_prefork, which cannot serve HTTP/2",
                            "a2dismod mpm_prefork && a2enmod mpm_event && apache2ctl restart, or set `http2 = false` in [tls] of deploy/NAME.toml")),
])
def test_what_apache_lacks_is_named_with_its_command(pair, enabled, mpm, http2, says):
    assert lacks(Tls(*map(str, pair), http2=http2), enabled, mpm, "a2enmod {}") == [says]


def test_prefork_without_http2_lacks_nothing(pair):
    assert lacks(Tls(*map(str, pair), http2=False), ["ssl"], "prefork", "a2enmod {}") == []


def test_files_that_are_not_there_or_not_usable_are_named(pair, tmp_path):
    pem, key = map(str, pair)
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True, capture_output=True)
    (tmp_path / "no.pem").write_text("no certificate")

    def said(*words):
        return lacks(Tls(*map(str, words)), ALL, "event", "a2enmod {}")[0]
    assert said("/no/shop.pem", key) == ("/no/shop.pem, which [tls] names, is not on this host", "put the right files there, or correct [tls] in deploy/NAME.toml")
    assert said("/no/shop.pem", "/no/shop.key")[0] == "/no/shop.pem and /no/shop.key, which [tls] names, are not on this host"
    assert said(pem, locked)[0].startswith(f"OpenSSL does not take {pem} with {locked}, and no passphrase is asked for: ")
    assert said(tmp_path / "no.pem", key)[0].startswith(f"OpenSSL does not take {tmp_path}/no.pem with {key}, ")
