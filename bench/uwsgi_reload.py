"""uWSGI's two slots and a chain reload, under the same load in one run: `python bench/uwsgi_reload.py [SWITCHES]`, as root or not.

Both serve the same releases, by the vassal and the front that weft writes. The chain's vassal follows a link; to switch, the link moves and
the file that `touch-chain-reload` names is touched. The load is kept and new connections, every fifth quick request a POST of 20 kB, and two
requests of 4 s always in flight.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.host.bench_host import HostUnderPrefix, free_ports
from weft.servers import find, parse_site, uwsgi
from weft.testing.load import Load

RATE = 150
SLOW = 'if environ["PATH_INFO"] == "/slow": __import__("time").sleep(4)\n    environ["wsgi.input"].read()'


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it took too long")
        time.sleep(0.05)


class Chain:
    """One vassal and one front beside the host's, started alone."""

    def __init__(self, host):
        self.site, self.root = parse_site("shop", host.site, str(host.prefix)), host.root
        self.port, door = free_ports(2)
        adapter, self.touched = find("uwsgi"), host.prefix / "touched"
        (self.root / "slots/chain").mkdir()
        (self.root / "run/chain").mkdir()
        os.chown(self.root / "run/chain", (self.root / "run/a").stat().st_uid, -1)
        texts = adapter.files(self.site)
        slot = texts[adapter.vassal(self.site, "a")] + f"touch-chain-reload = {self.touched}\n"
        for was, now in (("slots/a/", "slots/chain/"), ("uwsgi/a.sock", "uwsgi/chain.sock"), ("WEFT_SLOT=a", "WEFT_SLOT=chain"), ("shop-a ", "shop-chain "),
                         ("error-a.", "error-chain."), ("traffic-a,", "traffic-chain,"), ("traffic-a.", "traffic-chain."), (f":{self.site.doors[0]}", f":{door}")):
            slot = slot.replace(was, now)
        front = texts[adapter.vassal(self.site, "front")].replace("live/uwsgi.sock", "run/uwsgi/chain.sock").replace(f":{self.site.port}\n", f":{self.port}\n")
        self.files = [host.prefix / "chain.ini", host.prefix / "chain-front.ini"]
        for path, text in zip(self.files, (slot, front)):
            path.write_text(text)

    def point(self, generation):
        temporary = self.root / "slots/chain/new"
        temporary.symlink_to(f"../../generations/{generation}")
        os.rename(temporary, self.root / "slots/chain/generation")
        self.touched.touch()

    def start(self):
        self.running = [subprocess.Popen([str(uwsgi.CORE), "--ini", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for path in self.files]

    def stop(self):
        for each in self.running:
            each.send_signal(signal.SIGTERM)
            each.wait()


def alone(load, version):
    """Until five hundred answers in a row, quick and slow, are of this version."""
    def others():
        return sum(count for name, count in load.snapshot()["versions"].items() if name != version)
    old = -1
    while old != others():
        old, seen = others(), load.snapshot()["versions"].get(version, 0)
        until(lambda: load.snapshot()["versions"].get(version, 0) > seen + 500)


def measured(name, port, switches):
    """The load over all of the switches: pairs of a version and what switches to it."""
    load = Load(f"http://127.0.0.1:{port}/", clients=8, seconds=3600, rate=RATE, host_header="shop.test", slow=[("/slow", 2)], post=("/", 20_000),
                version_json="version").start()
    until(lambda: load.snapshot()["ok"] > 5 * RATE)  # uWSGI looks for the first time at what is touched
    for version, switch in switches:
        switch()
        alone(load, version)
    report = load.stop()
    overlaps = ", ".join(f"{each.overlap_ms:.0f}" for each in report.changes)
    print(f"| {name} | {len(switches)} | {report.failed} of {report.sent} | {report.mixed} | {overlaps} | {report.p50_ms:.1f} | {report.p99_ms:.0f} | {report.worst_ms:.0f} |", flush=True)
    for bad in report.failures[:5]:
        print(f"  {bad}")


def main(count):
    host = HostUnderPrefix("uwsgi")
    host.site.update(confirm=180, keep=count + 5, health={**host.site["health"], "timeout": 120})
    try:
        host.ok("setup")
        releases = [host.release(f"{number}.0", inside=SLOW) for number in range(1, count + 2)]

        def deploy(release):
            code, last = host.deploy(*release)
            assert code == 0, last
        deploy(releases[0])
        print("| | switches | failed | mixed | both releases answer side by side, ms | p50, ms | p99, ms | worst, ms |\n|---|---|---|---|---|---|---|---|")
        measured("two slots", host.port, [(str(each[0].version), lambda each=each: deploy(each)) for each in releases[1:]])
        chain = Chain(host)
        chain.point(1)
        chain.start()
        try:
            until(lambda: answers(chain.port))
            measured("chain reload", chain.port, [(f"{number}.0", lambda number=number: chain.point(number)) for number in range(2, count + 2)])
        finally:
            chain.stop()
    finally:
        host.close()


def answers(port):
    import urllib.request
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "shop.test"}), timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
