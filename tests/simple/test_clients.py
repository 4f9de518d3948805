"""Real pip and real uv install from the static index: from file://, from a plain web server, from a bucket; no weft runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simple.shelves import Shelf
from tests.stores import servers
from weft.simple import static
from weft.stores import open_store
from weft.stores.directory import DirectoryStore
from weft.stores.folder import Folder
from weft.stores.keyed import KeyedStore

UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def run(*argv):
    """(exit code, output), with a configuration of nobody's, so that only the index asked for is asked."""
    clean = {key: value for key, value in os.environ.items() if not key.lower().startswith(("pip_", "uv_", "python", "http_", "https_"))}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120,
                          env={**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_PROXY": "*", "UV_NO_CONFIG": "1"})
    return done.returncode, done.stdout + done.stderr


def pip(index, target, *wanted):
    return run(sys.executable, "-m", "pip", "install", "--no-cache-dir", "-v", "--index-url", index, "--target", str(target), *wanted)


def uv(index, target, *wanted):
    return run(UV, "pip", "install", "--no-cache", "-v", "--index-url", index, "--python", sys.executable, "--target", str(target), *wanted)


CLIENTS = [pip, pytest.param(uv, marks=pytest.mark.skipif(UV is None, reason="uv (pip: uv)"))]


def stock(store, folder):
    """hello 1.0 and 1.1, of which 1.1 was taken back."""
    shelf = Shelf(store, folder)
    shelf.publish("hello", "1.0", [("Dep.Lib", "1.0")], "dep-lib")
    shelf.publish("hello", "1.1", [("Dep.Lib", "1.0")], "dep-lib")
    store.mark("hello", "1.1", "yanked", "loses orders")
    static.build(store)


@pytest.fixture(scope="module", params=["file", "http", "http of the keyed layout"])
def index(request, tmp_path_factory):
    """The address of simple/ in a store that nobody writes any more."""
    place = tmp_path_factory.mktemp("shared")
    store = KeyedStore(Folder(place), str(place)) if "keyed" in request.param else DirectoryStore(place)
    stock(store, tmp_path_factory.mktemp("made"))
    if request.param == "file":
        yield f"file://{place}/simple"
        return
    with servers.web(place) as server:
        yield f"{server.url}/simple/"


def got(target):
    return sorted(path.name for path in target.iterdir() if path.suffix == ".py"), (target / "hello.py").read_text()


@pytest.mark.parametrize("client", CLIENTS)
def test_the_newest_that_was_not_taken_back_is_installed_with_its_dependency(client, index, tmp_path):
    code, out = client(index, tmp_path / "got", "hello")
    assert code == 0, out
    assert got(tmp_path / "got") == (["Dep.Lib.py", "hello.py"], "__version__ = '1.0'\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_who_names_the_version_gets_it_and_the_reason(client, index, tmp_path):
    code, out = client(index, tmp_path / "got", "hello==1.1")
    assert code == 0, out
    assert got(tmp_path / "got")[1] == "__version__ = '1.1'\n" and "loses orders" in out


def test_pip_refuses_a_file_that_somebody_changed(tmp_path):
    """The page's hash is enough for pip; uv compares only hashes that a lock asks for."""
    store = DirectoryStore(tmp_path / "store")
    stock(store, tmp_path / "made")
    wheel = tmp_path / "store/hello/1.0/hello-1.0-py3-none-any.whl"
    wheel.chmod(0o644)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    code, out = pip(f"file://{tmp_path}/store/simple", tmp_path / "got", "hello==1.0")
    assert code != 0 and "DO NOT MATCH THE HASHES" in out


def test_pip_reads_the_metadata_beside_the_wheel(tmp_path):
    """PEP 658: what the resolver only looked at was not downloaded."""
    store = DirectoryStore(tmp_path / "store")
    stock(store, tmp_path / "made")
    with servers.web(tmp_path / "store") as server:
        code, out = run(sys.executable, "-m", "pip", "install", "--dry-run", "--no-cache-dir", "--ignore-installed", "--index-url", f"{server.url}/simple/", "hello==1.0")
        assert code == 0 and "Would install" in out, out
        asked = [path for path, _ in server.asked]
    assert "/hello/1.0/hello-1.0-py3-none-any.whl.metadata" in asked


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_from_a_bucket_by_its_plain_address(client, tmp_path, monkeypatch):
    """A bucket knows no index files: the folder's page is there under the folder's address, with its content type."""
    with servers.s3(monkeypatch) as address:
        store = open_store("s3://artifacts/team", tmp_path)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                                                          "Resource": "arn:aws:s3:::artifacts/*"}]}
        store.space.fs.call_s3("put_bucket_policy", Bucket="artifacts", Policy=json.dumps(policy))
        stock(store, tmp_path / "made")
        code, out = client(f"{address}/artifacts/team/simple/", tmp_path / "got", "hello")
        assert code == 0, out
        assert got(tmp_path / "got") == (["Dep.Lib.py", "hello.py"], "__version__ = '1.0'\n")
        store.show("simple/hello/index.html", None)
        code, out = client(f"{address}/artifacts/team/simple/", tmp_path / "other", "hello")
        assert code != 0
        static.build(store, anew=True)
        assert client(f"{address}/artifacts/team/simple/", tmp_path / "again", "hello")[0] == 0
