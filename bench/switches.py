"""Switches under load, beside `apachectl graceful` and touching the entry: `python bench/switches.py [--switches N] [--requests M]`.

A real engine and a private Apache under a prefix, and a paced load with slow requests, uploads, streamed downloads and kept connections
(switch_load.py). Most switches go to the warm slot; every 50th is the deploy of a new release. Then the same application and the same load
on an Apache set up as mod_wsgi's documentation has it, whose releases change by a link and a graceful restart, and by a link and a touch.
The exit code is 1 if weft lost or mixed a request, or a switch failed.
"""

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / each) for each in ("src", ".")]

from tests.host.bench_host import HostUnderPrefix, free_ports, missing  # noqa: E402
from weft.servers import express, parse_site  # noqa: E402

NEW_EVERY = 50
PEER_SHARE = 40
PEER_PAUSE = 5.0
SHOP = (HERE / "switch_shop.py").read_text()


class Load:
    """switch_load.py as a process; `counts` follow a second behind."""

    def __init__(self, port, rate, slow):
        self.result = Path(tempfile.mkdtemp(prefix="weft-bench-")) / "result"
        self.counts = {"sent": 0, "failed": 0, "mixed": 0}
        self.process = subprocess.Popen([sys.executable, str(HERE / "switch_load.py"), str(port), str(rate), str(slow), str(self.result)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.began = time.monotonic()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stdout:
            self.counts = json.loads(line)

    def wait(self, sent):
        """Until so many requests have been answered, well or badly."""
        while self.counts["sent"] < sent:
            if self.process.poll() is not None:
                raise SystemExit(f"the load ended with {self.process.returncode}")
            time.sleep(0.02)

    def stop(self):
        """Everything that it has seen, after the requests in flight have ended."""
        seconds = time.monotonic() - self.began
        self.process.stdin.close()
        code = self.process.wait()
        if code:
            raise SystemExit(f"the load ended with {code}")
        with self.result.open("rb") as handle:
            said = pickle.load(handle)  # our own child's
        shutil.rmtree(self.result.parent)
        return {**said, "seconds": seconds}


class Weft:
    """The engine's own switches: warm ones between two releases, and now and then a new release."""

    name = "weft"

    def __init__(self, host, slow):
        self.host, self.faults, self.number = host, [], 0
        host.site.update(processes=2, threads=20, longest_request=int(slow) + 10, watch=0.1, confirm=60,
                         health={"path": "/", "contains": "{version}", "good": 3, "timeout": 30})
        host.ok("setup")
        for _ in range(2):
            code, last = host.deploy(*self.release())
            assert code == 0, last
        self.two = ["1.2", "1.1"]
        self.port = host.port

    def release(self):
        self.number += 1
        version = f"1.{self.number}"
        return self.host.release(version, more={"shop/app.py": SHOP, "shop/data.txt": version, "shop/late.py": f'VERSION = "{version}"\n'}.items())

    def switch(self, new):
        """(kind, began, ended, ms until the site answered from the new release). A switch that fails is noted."""
        began = time.monotonic()
        try:
            took = self._deploy() if new else self._back()
        except AssertionError as error:
            self.faults.append(str(error))
            state = self.host.ok("observe", release=None)["state"]
            served = next(g["version"] for g in state["generations"] if g["number"] == state["live"])
            self.two.sort(key=lambda version: version != served)
            return "failed", began, time.monotonic(), 0.0
        return "new" if new else "warm", began, time.monotonic(), took

    def _base(self):
        return int(os.path.basename(os.readlink(self.host.root / "current")))

    def _back(self):
        result = self.host.ok("rollback", to=self.two[1], base=self._base())
        self.host.ok("confirm", generation=result["generation"])
        self.two.reverse()
        return result["switch_ms"]

    def _deploy(self):
        release, content = self.release()
        code, last, base = self.host.stage(release, content)
        assert code == 0, last
        number = last["result"]["generation"]
        result = self.host.ok("activate", generation=number, base=base)
        self.host.ok("confirm", generation=number)
        self.two = [str(release.version), self.two[0]]
        return result["switch_ms"]


class Peer:
    """A private Apache as mod_wsgi's documentation has it, its releases behind a `current` link."""

    def __init__(self, name, releases):
        self.name, self.releases, self.faults = name, releases, []
        self.prefix = Path(tempfile.mkdtemp(prefix="weft-bench-peer-"))
        self.prefix.chmod(0o755)
        self.port, *doors = free_ports(3)
        said = {"server": "express", "account": "nobody" if os.geteuid() == 0 else "me", "python": "/usr/bin/python3", "hostname": "shop.test",
                "aliases": [], "port": self.port, "doors": doors, "processes": 2, "threads": 20, "longest_request": 30, "variant": "",
                "settings": {}, "watch": 0.1, "max_errors": 1.0, "confirm": 30, "health": {"path": "/", "contains": "", "good": 1, "timeout": 30}}
        self.site = parse_site("shop", said, str(self.prefix))
        self._write()
        subprocess.run(express.server.start(self.site), check=True)
        self._until(self.releases[0][0])

    def _write(self):
        root = self.prefix / "app"
        for folder in (root, self.prefix / "var/run", self.prefix / "var/log", self.prefix / "etc/httpd/sites"):
            folder.mkdir(parents=True)
        self.entry, self.current = root / "shop.wsgi", root / "current"
        self.entry.write_text("from shop.app import application\n")
        self.current.symlink_to(self.releases[0][1])
        conf = next(text for path, text in express.server.files(self.site).items() if path.endswith("httpd.conf"))
        (self.prefix / "etc/httpd/httpd.conf").write_text(conf)
        (self.prefix / "etc/httpd/sites/shop.conf").write_text(f"""\
Listen {self.port}
WSGIDaemonProcess shop processes=2 threads=20 python-home={self.current}/venv
WSGIProcessGroup shop
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {self.entry}
<Directory "{root}">
    Require all granted
</Directory>
""")

    def switch(self, new):
        began = time.monotonic()
        self.releases.reverse()
        version, place = self.releases[0]
        fresh = self.current.with_name("fresh")
        fresh.symlink_to(place)
        fresh.rename(self.current)
        if self.name == "graceful":
            subprocess.run(express.server.reload(self.site), check=True)
        else:
            self.entry.touch()
        took = self._until(version) - began
        return "warm", began, time.monotonic(), took * 1000

    def _until(self, version):
        """When the first answer of a version came."""
        import urllib.request
        for _ in range(6000):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=30) as answer:
                    if answer.headers["X-Version"] == version:
                        return time.monotonic()
            except OSError:
                pass
            time.sleep(0.005)
        raise SystemExit(f"{self.name}: {version} did not answer")

    def close(self):
        HostUnderPrefix.close(self)


def run(one, switches, requests, rate, slow, pause=0.0):
    """Switch `switches` times, spread over the requests; (switches, what the load has seen)."""
    load, done, told = Load(one.port, rate, slow), [], time.monotonic()
    for number in range(switches):
        load.wait(max(rate, (number + 0.5) * requests / switches))
        done.append(one.switch(number % NEW_EVERY == min(NEW_EVERY, switches) // 2))
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{time.monotonic() - load.began:6.0f} s  {one.name}: {number + 1} switches, {len(one.faults)} failed; requests {load.counts}", flush=True)
        time.sleep(pause)
    load.wait(requests)
    return done, load.stop()


def share(ordered, part):
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def latencies(done, seen):
    """(outside, during): sorted milliseconds of the quick requests that were not, or were, in flight in a switch."""
    starts, outside, during = [began for _, began, _, _ in done], [], []
    ends = [ended for _, _, ended, _ in done]
    for kind, began, ended in seen["answers"]:
        if kind == "quick":
            for a, b in zip(began, ended):
                at = bisect_right(starts, b) - 1
                (during if at >= 0 and ends[at] >= a else outside).append((b - a) * 1000)
    return sorted(outside), sorted(during)


def figures(one, done, seen):
    """name -> text, in the order of the table."""
    outside, during = latencies(done, seen)
    ms = sorted(took for kind, _, _, took in done if kind != "failed")
    warm = sorted(ended - began for kind, began, ended, _ in done if kind == "warm")
    new = sorted(ended - began for kind, began, ended, _ in done if kind == "new")
    number = {kind: sum(len(began) for k, began, _ in seen["answers"] if k == kind) for kind in ("slow", "upload", "download")}
    lost = {kind: sum(k == kind for _, k, _, _ in seen["bad"]) for kind in number}
    return {
        "switches, of them new releases": f"{len(done)}, {len(new)}", "switches failed": len(one.faults),
        "requests": f"{seen['sent']:,}", "failed": seen["failed"] + seen["unfinished"], "mixed": seen["mixed"],
        **{f"{kind}s, failed": f"{number[kind]}, {lost[kind]}" for kind in number},
        "kept connections asked again": seen["again"],
        "p50, p99 outside of switches, ms": f"{share(outside, .5):.1f}, {share(outside, .99):.1f}",
        "p50, p99 during switches, ms": f"{share(during, .5):.1f}, {share(during, .99):.1f}",
        "added p99, ms": f"{share(during, .99) - share(outside, .99):.1f}",
        "worst outside, during, ms": f"{share(outside, 1):.0f}, {share(during, 1):.0f}",
        "until the new one answers: median, p99, max, ms": f"{share(ms, .5):.1f}, {share(ms, .99):.1f}, {share(ms, 1):.1f}",
        "the whole command, warm: median, max, s": f"{share(warm, .5):.2f}, {share(warm, 1):.2f}",
        "the whole deploy of a new one: median, max, s": f"{share(new, .5):.2f}, {share(new, 1):.2f}" if new else "",
        "requests a second": f"{seen['sent'] / seen['seconds']:.0f}", "CPU of the load a request, ms": f"{1000 * seen['cpu'] / seen['sent']:.2f}",
        "minutes": f"{seen['seconds'] / 60:.1f}"}


def table(columns):
    """Markdown: a row a figure, a column for each that was measured."""
    rows = list(next(iter(columns.values())))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join(lines + [f"| {row} | " + " | ".join(str(column[row]) for column in columns.values()) + " |" for row in rows])


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    words.add_argument("--switches", type=int, default=1000)
    words.add_argument("--requests", type=int, default=1_000_000)
    words.add_argument("--rate", type=float, default=550.0, help="quick requests a second")
    words.add_argument("--slow", type=float, default=20.0, help="seconds of a slow request")
    words.add_argument("--alone", action="store_true", help="weft only, without the other two")
    said = words.parse_args()
    if missing():
        raise SystemExit(missing())
    columns, host = {}, HostUnderPrefix()
    try:
        weft = Weft(host, said.slow)
        done, seen = run(weft, said.switches, said.requests, said.rate, said.slow)
        columns["weft"] = figures(weft, done, seen)
        troubles = [*weft.faults, *map(str, seen["bad"][:50]), *map(str, seen["two"][:50])]
        sound = len(done) == said.switches and not (weft.faults or seen["bad"] or seen["two"] or seen["unfinished"])
        installed = [(version, next((host.root / "releases").glob(f"{version}-*"))) for version in weft.two]
        for name in () if said.alone else ("graceful", "touch"):
            peer = Peer(name, list(installed))
            try:
                count = max(3, said.switches // PEER_SHARE)
                columns[name] = figures(peer, *run(peer, count, 1, said.rate, said.slow, PEER_PAUSE))
            finally:
                peer.close()
    finally:
        host.close()
    print(table(columns), *troubles, sep="\n")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
