"""A small application for fleets of many hosts: its releases are written straight into a store, so that the tests' time goes into their deploys."""

import hashlib
import json
import re
import subprocess

from tests.host.bench_host import pip_wheel, wheel
from tests.system.voyage import Voyage, tool
from weft.stores import open_store
from weft.values import Artifact, Release, Version

#: Unwell on a host where somebody says so, for that version alone; well wherever it is imported before.
SICK = '("503 Unwell" if __import__("os").path.exists(f"/etc/sick-{VERSION}") else "200 OK")'


class Shop(Voyage):
    """`configure` writes its environment, `publish` a release; `fab` as ever."""

    def __init__(self, home, fleet):
        super().__init__(home, fleet)
        self.project = self.home / "shop"
        (self.project / "deploy").mkdir(parents=True)
        (self.project / "pyproject.toml").write_text('[tool.weft]\nname = "shop"\ncallable = "shop.app:application"\nartifacts = "artifacts"\n')
        (self.project / "fabfile.py").write_text("from weft.tasks.deploy import ns\n")
        self.store, self.made = open_store("artifacts", self.project), self.home / "made"
        self.made.mkdir()

    def configure(self, waves=(1, "50%", "100%"), confirm=60, more=""):
        hosts, cut = json.dumps([host.name for host in self.fleet.hosts]), json.dumps(list(waves))
        (self.project / "deploy/production.toml").write_text(
            f'hosts = {hosts}\nuser = "deploy"\nidentity = "{self.fleet.key}"\nconnect_timeout = 5\n[site]\nhostname = "app.example.org"\n'
            f"[workers]\nprocesses = 1\nthreads = 2\nlongest_request = 5\n[rollout]\nwaves = {cut}\nwatch = 0.3\nconfirm = {confirm}\n"
            f"[health]\ncontains = '\"version\": \"{{version}}\"'\ngood = 1\ntimeout = 20\n{more}")

    def publish(self, version, **app):
        """A release of the application; `app` as `wheel` takes it."""
        ini = self.made / "shop.ini"
        ini.write_text("[shop]\ncolour = red\n")
        files = {path.name: path for path in (wheel(self.made, version, status=SICK, **app), pip_wheel(self.made), ini)}
        kinds = {path: "wheel" if path.startswith("shop-") else "installer" if path.endswith(".whl") else "settings" for path in files}
        artifacts = tuple(Artifact(name, kinds[name], path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files.items())
        release = Release("shop", Version(version), "c" * 40, version, "2026-01-01T00:00:00Z", ("3.11",), artifacts, callable="shop.app:application")
        place = self.store.staging("shop", version)
        self.store.stage(place, release, files)
        self.store.publish(place, "shop", version)

    def start(self, *words):
        """fab as a process on the operator's network, with its lines as they come; whoever starts it reads it to its end."""
        return self.fleet.popen([tool("fab"), *words], cwd=self.project, env={**self.env, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def served(self):
        """What each host really answers, by name; one command asks them all."""
        urls = [f"http://{host.address}/" for host in self.fleet.hosts]
        said = self.fleet.run(["curl", "-s", "-m", "10", "-H", "Host: app.example.org", "-w", "\n--end--\n", *urls], check=False, timeout=180).stdout
        return {host.name: _version(answer) for host, answer in zip(self.fleet.hosts, said.split("\n--end--\n"))}


def _version(answer):
    try:
        return json.loads(answer)["version"]
    except ValueError:
        return answer.strip()


def until(process, pattern, most=400):
    """Read a command's lines up to the first that the pattern is found in; all that was read. Fails where it ends without one."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return "".join(lines)
        assert len(lines) < most, "".join(lines)
    raise AssertionError(f"no {pattern!r} in:\n{''.join(lines)}")
