"""The ways back, from the nearest to the farthest: `python bench/rollback.py [ROUNDS]`.

A real engine, as the zipapp that hosts have, a private Apache under a prefix, and three small releases. A time counts from when the host gets the order (the engine's process is
started) until the site answers a user from the release that was gone back to. CPU is of the
commands that this took, to their ends. Exits with 1 where the slot's median is over a second.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / each) for each in ("src", ".")]

from tests.host.bench_host import PYTHON, HostUnderPrefix, missing  # noqa: E402
from weft.rollout import zipapp  # noqa: E402

WAYS = {"slot": "the other slot, still warm", "typed": "the same by `weft-host rollback APP --yes`", "installed": "an installed release",
        "cache": "the host's cache", "store": "the store: looked at, sent, installed, switched to"}


class Host(HostUnderPrefix):
    def argv(self):
        return [PYTHON, "-I", str(zipapp.build()), "--prefix", str(self.prefix)]


class Bench:
    """Three releases, of which the slots hold two."""

    def __init__(self):
        self.host = Host()
        self.host.site.update(watch=0.1, confirm=60)
        self.host.ok("setup")
        self.releases = {}
        for version in ("1.0", "1.1", "1.2"):
            self.releases[version] = self.host.release(version)
            code, last = self.host.deploy(*self.releases[version])
            assert code == 0, last

    def state(self):
        return self.host.ok("observe", release=None)["state"]

    def versions(self, state):
        """(live, the other slot's, the third)."""
        by_number = {g["number"]: g["version"] for g in state["generations"]}
        live = by_number[state["live"]]
        other = by_number[state["slots"]["b" if state["slot"] == "a" else "a"]]
        return live, other, next(each for each in self.releases if each not in (live, other))

    def until(self, version, began):
        """Seconds until a user gets it."""
        while time.monotonic() - began < 120:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.host.port}/", timeout=30) as answer:
                if answer.headers["X-Weft-Release"].startswith(f"{version}-"):
                    return time.monotonic() - began
            time.sleep(0.002)
        raise SystemExit(f"{version} did not answer")

    def back(self, way):
        """(seconds until a user gets it, seconds of CPU of the commands) of one way back, which is then confirmed."""
        state = self.state()
        _live, other, third = self.versions(state)
        to = other if way in ("slot", "typed") else third
        self.forget(way, to)
        if way == "typed":
            return self.typed(to)
        assert self.host.ok("observe", rollback={"to": to})["from"] == way
        began, used = time.monotonic(), cpu()
        if way == "store":
            code, last, _ = self.host.stage(*self.releases[to])
            assert code == 0, last
            process = self.host.start("activate", generation=last["result"]["generation"], base=state["live"])
        else:
            process = self.host.start("rollback", to=to, base=state["live"])
        seconds = self.until(to, began)
        output = process.stdout.read() + process.stderr.read()
        assert process.wait(120) == 0, output
        used = cpu() - used
        self.host.ok("confirm", generation=self.state()["live"])
        return seconds, used

    def typed(self, to):
        began, used = time.monotonic(), cpu()
        process = subprocess.Popen([*self.host.argv(), "rollback", "shop", "--to", to, "--yes"], stdout=subprocess.DEVNULL)
        seconds = self.until(to, began)
        assert process.wait(120) == 0
        return seconds, cpu() - used

    def forget(self, way, version):
        """Take from the host what a farther way must not find."""
        release = self.releases[version][0]
        if way in ("cache", "store"):
            shutil.rmtree(self.host.root / "releases" / release.id)
        if way == "store":
            (self.host.root / "cache" / release.of_kind("wheel")[0].sha256).unlink()


def cpu():
    """Seconds that this process's ended children, and theirs, have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    if missing():
        raise SystemExit(missing())
    rounds, times = int(sys.argv[1]) if len(sys.argv) > 1 else 9, {way: [] for way in WAYS}
    bench = Bench()
    try:
        for _ in range(rounds):
            for way in WAYS:
                times[way].append(bench.back(way))
                print(f"{way}: {times[way][-1][0]:.2f} s", file=sys.stderr, flush=True)
    finally:
        bench.host.close()
    first, of_slot = map(statistics.median, zip(*times["slot"]))
    print(f"{rounds} rounds, load {os.getloadavg()[0]:.1f}\n")
    print("| from | median s | fastest, slowest s | times the slot's | CPU s | times the slot's |\n|---|---|---|---|---|---|")
    for way, found in times.items():
        walls, used = zip(*found)
        middle, busy = statistics.median(walls), statistics.median(used)
        print(f"| {WAYS[way]} | {middle:.2f} | {min(walls):.2f}, {max(walls):.2f} | {middle / first:.1f} | {busy:.2f} | {busy / of_slot:.1f} |")
    return 1 if first > 1 else 0


if __name__ == "__main__":
    sys.exit(main())
