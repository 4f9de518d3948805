"""A host under a prefix with the light server and a warm engine: a request costs some hundredths of a second."""

import contextlib
import hashlib
import http.client
import io
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from tests.host.bench_host import free_ports
from tests.host.light import PYTHON
from tests.host.zygote import ROOT, Zygote
from weft.host import fingerprint, sealing
from weft.values import Artifact, Release, Version


def artifact(name, kind, payload):
    return Artifact(name, kind, len(payload), hashlib.sha256(payload).hexdigest()), payload


def tool():
    """A wheel that stands for pip's own."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        wheel.writestr(zipfile.ZipInfo("pip/__main__.py", (2026, 1, 1, 0, 0, 0)), "")
    return out.getvalue()


def make_release(version, colour="red", dependency=""):
    """(manifest, bytes by digest)."""
    parts = [artifact(f"shop-{version}-py3-none-any.whl", "wheel", f"shop {version}".encode()), artifact("pip-26.0-py3-none-any.whl", "installer", tool()),
             artifact("shop.ini", "settings", f"[shop]\ncolour = {colour}\n".encode())]
    if dependency:
        parts.append(artifact(f"dep-{dependency}-py3-none-any.whl", "dependency", f"dep {dependency}".encode()))
    release = Release("shop", Version(version), "c" * 40, version, "2026-01-01T00:00:00Z", "3.11", tuple(a for a, _ in parts), callable="shop.app:application")
    return release, {a.sha256: payload for a, payload in parts}


def put(store, release, content):
    """A release as it lies in an artifact store."""
    place = store / "shop" / str(release.version)
    place.mkdir(parents=True)
    for each in release.artifacts:
        (place / each.name).write_bytes(content[each.sha256])
    (place / "manifest.json").write_text(release.text())
    return place


class LightHost:
    """`ask` sends a request, with a fault if wanted; `keep` and `restore` take the disk as it was, which is the server's state too.

    environment: more of it for the engine.  enter: words before its command and the server's, such as nsenter's."""

    def __init__(self, environment=None, enter=()):
        shm = Path("/dev/shm")
        free = shutil.disk_usage(shm).free if shm.is_dir() else 0
        self.base = Path(tempfile.mkdtemp(prefix="weft-light-", dir=shm if free > 32 << 20 else None))
        self.base.chmod(0o755)
        self.prefix, self.tools = self.base / "host", Path(tempfile.mkdtemp(prefix="weft-light-tools-"))
        self.tools.chmod(0o755)
        self.python = self.tools / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        self.port, *doors = free_ports(3)
        account = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.site = {
            "server": "light", "account": account, "python": str(self.python), "hostname": "shop.test", "aliases": [], "port": self.port,
            "doors": doors, "processes": 1, "threads": 1, "longest_request": 10, "variant": "", "settings": {}, "watch": 0, "confirm": 600, "max_errors": 2.0,
            "health": {"path": "/", "contains": '"version": "{version}"', "good": 1, "timeout": 60}}
        self.clean()
        self.zygote = Zygote(environment, enter)
        uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else 0
        self.server = subprocess.Popen([*enter, sys.executable, str(ROOT / "tests/host/light.py"), str(self.prefix / "var/app/shop"), ",".join(map(str, [self.port, *doors])), str(uid)])
        self.note_server()
        self.wait_server()

    @property
    def root(self):
        return self.prefix / "var/app/shop"

    @property
    def state(self):
        return self.prefix / "var/lib/weft/shop"

    @property
    def ini(self):
        return self.prefix / "etc/shop.ini"

    @property
    def drop_ins(self):
        return self.prefix / "etc/shop.d"

    def clean(self):
        shutil.rmtree(self.prefix, ignore_errors=True)
        for name in ("etc", "var/run", "var/log"):
            (self.prefix / name).mkdir(parents=True)
        self.prefix.chmod(0o755)

    def note_server(self):
        (self.prefix / "var/run/light.pid").write_text(str(self.server.pid))

    def wait_server(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                return self.get("/-/restart")
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the light server does not answer")

    def close(self):
        self.zygote.close()
        self.server.kill()
        self.server.wait()
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(self.tools, ignore_errors=True)

    def get(self, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    # -- the disk as it was --------------------------------------------------------------------------------------------------

    def keep(self, name):
        place = self.base / name
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.prefix), str(place)], check=True)

    def has(self, name):
        return (self.base / name).is_dir()

    def restore(self, name):
        os.rename(self.prefix, self.base / "gone")  # the server may be starting a process in it
        subprocess.run(["cp", "-a", str(self.base / name), str(self.prefix)], check=True)
        shutil.rmtree(self.base / "gone", ignore_errors=True)
        self.get("/-/restart")

    # -- the engine -----------------------------------------------------------------------------------------------------------

    def ask(self, verb, blobs=(), fault=None, **words):
        request = {"protocol": 1, "verb": verb, "app": "shop", "by": "sweep@here", "site": self.site, **words}
        return self.zygote.run(["--prefix", str(self.prefix)], request, blobs, **(fault or {}))

    def command(self, *words, fault=None):
        return self.zygote.run(["--prefix", str(self.prefix), *words], **(fault or {}))

    def ok(self, verb, blobs=(), **words):
        done = self.ask(verb, blobs, **words)
        assert done["code"] == 0, done
        return done["last"]["result"]

    def recover(self, **fault):
        return self.command("recover", "--all", "--json", fault=fault)

    def stage(self, release, content, fault=None):
        """What is missing is seen on the disk: the engine's own answer to that is tested elsewhere, and costs a run."""
        missing = [a.sha256 for a in release.artifacts if not (self.root / "cache" / a.sha256).exists()]
        return self.ask("stage", [content[d] for d in missing], fault, release=release.to_json(), base=self.live(),
                        files=[{"sha256": d, "size": len(content[d])} for d in missing])

    def deploy(self, release, content):
        staged = self.stage(release, content)
        assert staged["code"] == 0, staged
        number, base = staged["last"]["result"]["generation"], staged["last"]["result"]["state"]["live"]
        self.ok("activate", generation=number, base=base)
        self.ok("confirm", generation=number)
        return number

    # -- looking, without the engine -------------------------------------------------------------------------------------------

    def records(self):
        found = {}
        for place in (self.root / "generations").glob("*"):
            if (place / "record.json").exists():
                found[int(place.name)] = json.loads((place / "record.json").read_text())
        return found

    def live(self):
        """The number of the generation that is live on disk; None where nothing is set up."""
        try:
            return int(os.path.basename(os.readlink(self.root / "live/generation")))
        except (OSError, ValueError):
            return None

    def faults(self, set_up=False):
        """What is not as it has to be on a host that has recovered, as sentences. set_up: and set-up has run to its end since, which removes
        what a killed one left beside the server's files."""
        found, records = [], self.records()
        live, trial = self.live(), self.state / "trial.json"
        pending = [n for n, r in records.items() if r["status"] == "pending"]
        on_trial = json.loads(trial.read_text())["generation"] if trial.exists() else None
        if pending != [n for n in [on_trial] if n is not None]:
            found.append(f"pending are {pending}, on trial is {on_trial}")
        if live is not None and records.get(live, {}).get("status") not in ("good", "pending"):
            found.append(f"generation {live} is live, its record is {records.get(live)}")
        for folder in ("releases", "layers", "tools"):
            for place in (self.root / folder).glob("*"):
                drift = sealing.drift(place) if (place / "SEAL").exists() else ["no seal"]
                found += [f"{place.name}: {drift}"] if drift else []
        for number, record in records.items():
            settings = self.root / "generations" / str(number) / "settings.ini"
            whole = fingerprint.same(self.state, record["settings"], settings.read_bytes()) if settings.exists() else not record["settings"]
            if not whole or not (self.root / "releases" / record["release"] / "SEAL").exists():
                found.append(f"generation {number} is not whole")
        left = [str(p.relative_to(self.prefix)) for p in self.prefix.rglob(".weft-tmp-*") if ".weft-tmp-light" not in p.name or set_up]
        return found + ([f"{left} is left"] if left else [])


@contextlib.contextmanager
def serving(*releases, keep=""):
    """A host that is set up and has deployed these (versions, or what `make_release` gives), one after the other. keep: the name of its disk as it is then."""
    host = LightHost()
    try:
        host.ok("setup")
        for each in releases:
            host.deploy(*(make_release(each) if isinstance(each, str) else each))
        if keep:
            host.keep(keep)
        yield host
    finally:
        host.close()
