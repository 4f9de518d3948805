"""weft is its own first user: its artifact index is released by `inv release`, deployed by `fab deploy` from this repository's
own files, and serves its own release to a real pip."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.voyage import ROOT, Voyage, finish

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


def test_pip_installs_from_the_index_while_it_is_deployed_anew(voyage, tmp_path):
    host = voyage.fleet.hosts[0]
    load = voyage.load(host, "/health", "--clients", "2", "--rate", "40", "--version-json", "version")
    with (voyage.project / "deploy/production.toml").open("a") as out:
        out.write('[settings.index]\ntitle = "Renewed"\n')
    deploy = voyage.fleet.popen([sys.executable, "-m", "fabric", "deploy", "--version", "0.1.0"], cwd=voyage.project, env=voyage.env,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while deploy.poll() is None:
        done = voyage.fleet.run([sys.executable, "-m", "pip", "--isolated", "download", "-q", "--no-deps", "--no-cache-dir",
                                 "--disable-pip-version-check", "-d", str(tmp_path), "--index-url", f"http://{host.address}/simple/",
                                 "--trusted-host", host.address, "weft==0.1.0"], check=False, env={**voyage.env, "PIP_CONFIG_FILE": "/dev/null"})
        assert done.returncode == 0, done.stderr
    assert deploy.returncode == 0, deploy.stdout.read()
    assert "Renewed" in voyage.get(host, "/")
    assert finish(load)["failed"] == 0
