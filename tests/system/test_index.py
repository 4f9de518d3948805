"""weft is its own first user: its artifact index is released by `inv release`, deployed by `fab deploy` from this repository's
own files, and serves its own release to a real pip and a real uv."""

import json
import shutil
import subprocess
import sys
import threading
import time

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.voyage import ROOT, Voyage, finish, tool

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    home = tmp_path_factory.mktemp("index")
    store = home / "artifacts"
    store.mkdir()
    home.chmod(0o755)
    with Fleet(1, shared={"/srv/artifacts": store}) as fleet:
        made = Voyage(home / "operator", fleet)
        made.project = made.home / "weft"
        for name in subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
                                   check=True).stdout.splitlines():
            (made.project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made.project / name)
        config = made.project / "pyproject.toml"
        text = config.read_text().replace('artifacts = "/srv/artifacts"', f'artifacts = "{store}"')
        # Its own tests are what runs this one; a few of them stand for all.
        start = text.index("test = [", text.index("[tool.weft]"))
        config.write_text(text[:start] + 'test = ["python", "-m", "pytest", "-q", "tests/test_values.py"]\n' + text[text.index("\n", start):])
        made.environment(contains='"version": "{version}"', aliases=[h.address for h in fleet.hosts])
        made.git("init", "-q", "-b", "main")
        made.commit("weft")
        yield made


def test_weft_releases_and_deploys_its_own_index(voyage, tmp_path):
    voyage.release("0.1.0")
    # Debian's default site would win for a bare address; an administrator of a host with one site disables it.
    voyage.fleet.hosts[0].run(["a2dissite", "-q", "000-default"])
    voyage.prepare()
    voyage.fab("deploy", "--version", "0.1.0", timeout=300)
    host = voyage.fleet.hosts[0]
    assert voyage.get(host)["version"] == "0.1.0"
    page = voyage.get(host, "/")
    assert "weft" in page and "0.1.0" in page
    simple = voyage.fleet.run(["curl", "-s", "-H", "Host: app.example.org", "-H", "Accept: application/vnd.pypi.simple.v1+json",
                               f"http://{host.address}/simple/weft/"]).stdout
    assert {file["filename"] for file in json.loads(simple)["files"]} == {"weft-0.1.0.tar.gz", "weft-0.1.0-py3-none-any.whl"}


class Client(threading.Thread):
    """Installs over and over, each time anew, from before the deploy until after it. spans: when each began and ended; failed: what went wrong."""

    def __init__(self, voyage, place, command):
        super().__init__(daemon=True)
        self.voyage, self.place, self.command, self.spans, self.failed, self.over = voyage, place, command, [], [], threading.Event()
        self.begun = threading.Event()
        self.start()

    def run(self):
        env = {**self.voyage.env, "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0", "NO_PROXY": "*"}
        last = False
        while not last:
            last, begun, target = self.over.is_set(), time.monotonic(), self.place / str(len(self.spans))
            ended = self.voyage.fleet.run([*self.command, "--target", str(target), "weft==0.1.0"], check=False, timeout=120, cwd=self.voyage.home, env=env)
            self.failed += [ended.stderr] if ended.returncode or not (target / "weft/__init__.py").exists() else []
            self.spans.append((begun, time.monotonic()))
            self.begun.set()

    def end(self):
        """Once more, and no more."""
        self.over.set()
        self.join(240)
        return self


def test_pip_and_uv_install_from_the_index_while_it_is_deployed_anew(voyage, tmp_path):
    """None of them tries a second time what has failed."""
    host = voyage.fleet.hosts[0]
    index = ["--index-url", f"http://{host.address}/simple/", "--no-deps", "-q"]
    pip = [sys.executable, "-m", "pip", "--isolated", "--retries", "0", "install", *index, "--no-cache-dir", "--no-compile", "--disable-pip-version-check",
           "--trusted-host", host.address]
    uv = [tool("uv"), "pip", "install", *index, "--no-cache", "--python", sys.executable]
    load = voyage.load(host, "/health", "--clients", "2", "--rate", "40", "--version-json", "version")
    with (voyage.project / "deploy/production.toml").open("a") as out:
        out.write('[settings.index]\ntitle = "Renewed"\n')
    clients = [Client(voyage, tmp_path / "pip", pip), Client(voyage, tmp_path / "uv", uv)]
    try:
        assert all(each.begun.wait(120) for each in clients)
        start = time.monotonic()
        voyage.fab("deploy", "--version", "0.1.0", timeout=300)
        end = time.monotonic()
    finally:
        for each in clients:
            each.end()
    assert "Renewed" in voyage.get(host, "/")
    for each in clients:
        assert each.failed == [] and any(begun < end and ended > start for begun, ended in each.spans), (each.command, each.spans, each.failed)
    assert finish(load)["failed"] == 0
