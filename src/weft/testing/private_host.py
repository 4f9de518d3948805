"""A real host under a prefix: the engine as a process of its own, a private server, small real wheels of an application."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

import weft
from weft.values import Artifact, Release, Version

SOURCE = Path(weft.__file__).parents[1]
PYTHON = "/usr/bin/python3"
APP = '''
import json, os
from shop import VERSION
{top}
def application(environ, start_response):
    from shop import lazy
    {inside}
    body = json.dumps({{"version": {version}, "lazy_version": lazy.VERSION, "settings": os.environ.get("SHOP_SHOP_COLOUR"),
                       "release": os.environ["WEFT_RELEASE"]}}).encode()
    start_response({status}, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
'''


def pip_wheel(folder):
    """pip's own wheel, from the package index once a machine."""
    keep = Path(tempfile.gettempdir()) / f"weft-test-pip-{os.getuid()}"
    if not list(keep.glob("pip-*.whl")):
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(keep), "pip"], check=True,
                       stderr=subprocess.DEVNULL)
    found = next(keep.glob("pip-*.whl"))
    return Path(shutil.copy(found, folder))


def wheel(folder, version, top="", inside="", status='"200 OK"', says="VERSION", requires="", more=()):
    """A wheel of the application `shop`, written directly: the engine's tests need many. more: (path, text) of files beside or instead."""
    files = {
        "shop/__init__.py": f'VERSION = "{version}"\n', "shop/lazy.py": f'VERSION = "{version}"\n',
        "shop/app.py": APP.format(top=top, inside=inside, status=status, version=says),
        f"shop-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: shop\nVersion: {version}\n"
                                               + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"shop-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files.update(more)
    record = "".join(f"{name},,\n" for name in [*files, f"shop-{version}.dist-info/RECORD"])
    path = Path(folder) / f"shop-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as out:
        for name, text in {**files, f"shop-{version}.dist-info/RECORD": record}.items():
            out.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return path


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class HostUnderPrefix:
    """`call` sends one request; `deploy` runs the whole sequence and raises Said for an error."""

    def __init__(self, server="express", app="shop", beside=None):
        """beside: a host that another application is on already."""
        self.app, self.prefix = app, beside.prefix if beside else Path(tempfile.mkdtemp(prefix="weft-host-test-"))
        self.prefix.chmod(0o755)
        self.files = self.prefix / "made"
        self.files.mkdir(exist_ok=True)
        self.port, *doors = free_ports(3)
        self.site = {
            "server": server, "account": "nobody" if os.geteuid() == 0 else "me", "python": PYTHON,
            "hostname": "shop.test", "aliases": [], "port": self.port, "doors": doors,
            "processes": 2, "threads": 4, "longest_request": 10, "variant": "TEST", "settings": {}, "watch": 0.1, "max_errors": 1.0, "confirm": 30,
            "health": {"path": "/", "contains": '"version": "{version}"', "good": 2, "timeout": 10}}

    @property
    def root(self):
        return self.prefix / "var/app" / self.app

    def release(self, version, settings="[shop]\ncolour = red\n", **app):
        """(manifest, bytes by digest)."""
        ini = self.files / "shop.ini"
        ini.write_text(settings)
        artifacts, content = [], {}
        for path, kind in ((wheel(self.files, version, **app), "wheel"), (pip_wheel(self.files), "installer"), (ini, "settings")):
            payload = path.read_bytes()
            digest = hashlib.sha256(payload).hexdigest()
            content[digest] = payload
            artifacts.append(Artifact(path.name, kind, len(payload), digest))
        return Release(self.app, Version(version), "c" * 40, version, "2026-01-01T00:00:00Z", "3.11", tuple(artifacts),
                       callable="shop.app:application"), content

    def argv(self):
        return [sys.executable, "-m", "weft.host", "--prefix", str(self.prefix)]

    def start(self, verb, blobs=(), **words):
        """The engine's process, its request written."""
        request = {"protocol": 1, "verb": verb, "app": self.app, "by": "tester@here", "site": self.site, **words}
        process = subprocess.Popen(self.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "PYTHONPATH": str(SOURCE)})
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n" + b"".join(blobs))
            process.stdin.close()
        except BrokenPipeError:
            pass
        return process

    def call(self, verb, blobs=(), **words):
        """(exit code, last line, events)."""
        process = self.start(verb, blobs, **words)
        output, errors = process.stdout.read(), process.stderr.read()
        code = process.wait(120)
        assert not errors, errors.decode()
        lines = [json.loads(line) for line in output.splitlines()]
        return code, lines[-1] if lines else {}, lines[:-1]

    def ok(self, verb, blobs=(), **words):
        code, last, _events = self.call(verb, blobs, **words)
        assert code == 0, last
        return last["result"]

    def stage(self, release, content):
        seen = self.ok("observe", release=release.to_json())
        assert seen["faults"] == []
        base, wanted = seen["state"]["live"], seen["missing"]
        code, last, _ = self.call("stage", [content[d] for d in wanted], release=release.to_json(), base=base,
                                  files=[{"sha256": d, "size": len(content[d])} for d in wanted])
        return code, last, base

    def deploy(self, release, content, confirm=True):
        """(exit code, last line) of the first verb that failed, or of confirm."""
        code, last, base = self.stage(release, content)
        if code:
            return code, last
        number = last["result"]["generation"]
        code, last, _ = self.call("activate", generation=number, base=base)
        if code or not confirm:
            return code, last
        return self.call("confirm", generation=number)[:2]

    def get(self, path="/"):
        """The site's answer as a user gets it: (status, JSON body)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": "shop.test"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def version(self):
        status, body = self.get()
        return body["version"] if status == 200 else status

    def wait_version(self, version, seconds=15):
        end = time.monotonic() + seconds
        while self.version() != version and time.monotonic() < end:
            time.sleep(0.1)
        return self.version()

    def tree(self):
        """Everything below the application's directory but what is only kept to be fast."""
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*")
                      if p.relative_to(self.root).parts[0] not in ("cache", "tools", "run"))

    def close(self):
        """End the private server at once, a parent before its children so that it starts no new ones; by pid."""
        ended = []
        for pidfile in (self.prefix / "var/run").glob("*.pid"):
            ended += end(int(pidfile.read_text()))
        while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in ended):
            time.sleep(0.01)
        shutil.rmtree(self.prefix, ignore_errors=True)


def end(parent):
    """The pids that were signalled: a process, and all that come from it."""
    children = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and parent_of(p) == parent]
    try:
        os.kill(parent, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return [parent, *(pid for child in children for pid in end(child))]


def parent_of(process):
    """The parent's pid, 0 for a process that has gone."""
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0
