"""A real HAProxy in front of two real hosts: each is drained while it is switched, its sessions go to the other, and no request is lost."""

import csv
import os
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop
from tests.system.slow_link import GATEWAY
from tests.system.voyage import finish, wait_for

LACKS = missing() + ([] if os.path.exists("/usr/sbin/haproxy") else ["the package haproxy (apt-get install haproxy)"])
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(LACKS), reason="this machine lacks " + "; ".join(LACKS))]
CONFIG = """
global
    stats socket {socket} mode 600 level admin
    stats socket ipv4@{address}:9999 level admin
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend users
    bind {address}:8080
    default_backend shop
backend shop
    option httpchk
    http-check send meth GET uri / hdr Host app.example.org
    http-check expect status 200
    default-server check inter 200ms rise 1 fall 3
"""
HOOKS = """[hooks.host]
before_switch = ["python", "-m", "weft.haproxy", "drain", "shop/{{host}}", "--socket", "{address}:9999"]
after_switch = ["python", "-m", "weft.haproxy", "ready", "shop/{{host}}", "--socket", "{socket}"]
"""


class Balancer:
    """HAProxy on the operator's network. seen: (server -> (status, sessions so far)) over and over while it is watched."""

    def __init__(self, fleet):
        self.socket, self.seen, self.over = fleet.dir / "lb.sock", [], threading.Event()
        config = fleet.dir / "haproxy.cfg"
        config.write_text(CONFIG.format(socket=self.socket, address=GATEWAY) + "".join(f"    server {h.name} {h.address}:80\n" for h in fleet.hosts))
        self.process = fleet.popen(["/usr/sbin/haproxy", "-db", "-f", str(config)])

    def look(self):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.socket))
            link.sendall(b"show stat\n")
            text = b"".join(iter(lambda: link.recv(1 << 16), b"")).decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return {row["svname"]: (row["status"], int(row["stot"])) for row in rows if row["pxname"] == "shop" and row["svname"] != "BACKEND"}

    def up(self):
        return self.socket.exists() and all(status.startswith("UP") for status, _total in self.look().values())

    def watch(self):
        while not self.over.is_set():
            self.seen.append(self.look())
            time.sleep(0.02)

    def drained(self, name):
        """(sessions that came to the server, to all others) while it was drained."""
        seen = [each for each in self.seen if each[name][0].startswith("DRAIN")]
        assert seen, f"{name} was never drained"
        grown = {each: seen[-1][each][1] - seen[0][each][1] for each in seen[0]}
        return grown.pop(name), sum(grown.values())


def test_a_deploy_behind_a_balancer_drains_each_host_and_loses_nothing(tmp_path):
    with Fleet(2, disk_mb=220) as fleet:
        shop = Shop(tmp_path / "operator", fleet)
        balancer = Balancer(fleet)
        shop.configure(waves=(1, "100%"), more=HOOKS.format(socket=balancer.socket, address=GATEWAY))
        for version in ("1.0", "1.1"):
            shop.publish(version, inside='__import__("time").sleep(0.05)')  # so that there are sessions to wait for
        shop.prepare()
        assert "no other server of shop is up" in shop.fab("deploy", "--version", "1.0", code=4)
        configured = shop.project / "deploy/production.toml"
        configured.write_text(configured.read_text().replace('"drain",', '"drain", "--last",'))
        shop.fab("deploy", "--version", "1.0")
        configured.write_text(configured.read_text().replace('"--last", ', ""))
        wait_for(balancer.up, 20, "HAProxy does not find the hosts up")
        load = shop.load(SimpleNamespace(address=f"{GATEWAY}:8080"), "/", "--clients", "4", "--rate", "60", "--version-json", "version")
        watcher = threading.Thread(target=balancer.watch)
        watcher.start()
        try:
            said = shop.fab("deploy", "--version", "1.1")
        finally:
            balancer.over.set()
            watcher.join()
            report = finish(load)
        assert report["failed"] == 0 and set(report["versions"]) == {"1.0", "1.1"} and report["sent"] > 50, report["failures"]
        for host in fleet.hosts:
            own, others = balancer.drained(host.name)
            assert own == 0 and others > 0, (host.name, own, others)
            assert f"shop/{host.name} at {GATEWAY}:9999: DRAIN, 0 sessions" in said and f"shop/{host.name} at {balancer.socket}: UP" in said
        assert balancer.up() and shop.served() == {"web1": "1.1", "web2": "1.1"}
