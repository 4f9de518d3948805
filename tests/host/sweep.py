"""The loop of the crash tests: a fault at call N = 1, 2, 3 … of a verb, until a run survives; after each the host is whole."""

import json
import os
import shutil
import subprocess
import sys

from tests.host.bench_host import SOURCE

ROOT = SOURCE.parent


class Sweep:
    """On a host that serves 1.0, with 1.1 ready to come. bad: what was not as promised, as sentences."""

    def __init__(self, host):
        self.host, self.bad, self.points = host, [], 0
        self.host.site["watch"] = 0
        for version in ("0.9", "1.0"):
            code, last = host.deploy(*host.release(version))
            assert code == 0, last
        self.release, self.content = host.release("1.1")

    def ask(self, verb, at=0, mode="kill", blobs=(), **words):
        """(exit code, last line or {}, calls met). A killed engine has no last line."""
        request = {"protocol": 1, "verb": verb, "app": "shop", "by": "sweep@here", "site": self.host.site, **words}
        count = self.host.prefix / "count"
        count.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-m", "tests.host.failpoints", str(at), mode, str(count), "--prefix", str(self.host.prefix)],
                              input=json.dumps(request).encode() + b"\n" + b"".join(blobs), capture_output=True, cwd=ROOT,
                              env={**os.environ, "PYTHONPATH": f"{SOURCE}:{ROOT}"}, timeout=120)
        lines = done.stdout.splitlines()
        try:
            last = json.loads(lines[-1])
        except (IndexError, ValueError):
            last = {}
        return done.returncode, last, int(count.read_text()) if count.exists() else 0

    def state(self):
        """After recovery, which starts every command."""
        return self.host.ok("observe", release=None)["state"]

    def fault(self, text):
        self.bad.append(text)

    def whole(self, what, allowed):
        """The promises, whatever happened: users get one whole release of those allowed; nothing half is left."""
        host = self.host
        status, body = host.get()
        if status != 200 or body["version"] != body["lazy_version"] or body["version"] not in allowed:
            self.fault(f"{what}: users get {status} {body}")
        state = self.state()
        live = next((g for g in state["generations"] if g["number"] == state["live"]), None)
        if not live or state["answers"].get("release") != live["release"]:
            self.fault(f"{what}: {state['answers']} answers, {live} is live")
        for folder in ("releases", "layers", "tools"):
            for place in (host.root / folder).iterdir():
                if not (place / "SEAL").exists():
                    self.fault(f"{what}: {place.name} is left without a seal")
        left = [p for p in host.root.rglob(".weft-tmp-*")]
        if left:
            self.fault(f"{what}: {left} is left")
        return state

    def stage(self, at=0, mode="kill"):
        wanted = self.host.ok("observe", release=self.release.to_json())["missing"]
        return self.ask("stage", at, mode, [self.content[d] for d in wanted], release=self.release.to_json(), base=2,
                        files=[{"sha256": d, "size": len(self.content[d])} for d in wanted])

    def unstage(self):
        """As if 1.1 had never come."""
        root = self.host.root
        shutil.rmtree(root / "releases" / self.release.id, ignore_errors=True)
        for place in (root / "generations").iterdir():
            if int(place.name) > 2:
                shutil.rmtree(place)
        for digest in self.content:
            if digest != self.release.of_kind("installer")[0].sha256:
                (root / "cache" / digest).unlink(missing_ok=True)

    def each(self, name, mode, run, after, step=1, first=1):
        """run(at) with a fault at `at`, then after(what, code); until a run meets fewer calls than `at`."""
        at = first
        while True:
            code, last, met = run(at)
            what = f"{name} {mode} at {at}"
            self.points += 1
            if code == 1 or "a bug in weft" in json.dumps(last):
                self.fault(f"{what}: {last}")
            after(what, code)
            if met and met < at:
                return
            at += step
