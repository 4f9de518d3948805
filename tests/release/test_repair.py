"""`inv index` and `inv yank` on a store of several applications: what is lost or broken comes back, what was taken back is shown."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests import factory
from tests.simple.test_clients import CLIENTS
from tests.signers import make_key
from weft.errors import Refused
from weft.index import Sealed
from weft.release import chain, pipeline, repair, single
from weft.stores.directory import DirectoryStore

APP = "weaveserver"


@pytest.fixture(autouse=True)
def _own_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def two_once(tmp_path_factory):
    """Two projects' releases in one store. Change nothing of it."""
    base = tmp_path_factory.mktemp("two")
    made = factory.make_project(base / "project", relative=True)
    factory.run_release(made, "1.1.4")
    made.changelog("1.1.5")
    factory.run_release(made, "1.1.5")
    other = factory.make_project(base / "other", "shop", store=made.store, relative=True, remote=False)
    factory.run_release(other, "1.1.4")
    return made


@pytest.fixture
def two(two_once, tmp_path):
    """The project, with its store and the other's releases in it."""
    from dataclasses import replace
    shutil.copytree(two_once.root.parent, tmp_path / "copy", symlinks=True)
    base = tmp_path / "copy"
    return replace(two_once, root=base / "project", store=base / "artifacts", remote=base / "project.git")


def opened(made):
    return pipeline.open_project(made.root)


def pages(made):
    return {path: value for path, value in factory.tree(made.store / "simple").items() if "building" not in path and path != "releases.json"}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_release_is_installed_by_pip_and_uv_from_the_shared_directory(client, two, tmp_path):
    """As the pipeline left it, with nothing else done."""
    code, out = client(f"file://{two.store}/simple", tmp_path / "got", APP)
    assert code == 0, out
    assert (tmp_path / "got/weaveserver/__init__.py").read_text().endswith("__version__ = '1.1.5'\n") or \
        '"1.1.5"' in (tmp_path / "got/weaveserver/__init__.py").read_text()


@pytest.mark.parametrize("client", CLIENTS)
def test_yanked_is_seen_by_pip_uv_and_status(client, two, tmp_path):
    chain.take_back(opened(two), "1.1.5", "loses orders")
    code, out = client(f"file://{two.store}/simple", tmp_path / "got", APP)
    assert code == 0, out
    assert '"1.1.4"' in (tmp_path / "got/weaveserver/__init__.py").read_text()
    assert single.status(opened(two))["taken_back"] == ["1.1.5 (yanked: loses orders)"]
    assert chain.check(opened(two), "1.1.5")["marks"] == {"yanked": "loses orders"}


def test_the_whole_package_index_comes_back(two):
    before = pages(two)
    assert {"index.html", "index.json", "weaveserver/index.html", "shop/index.json"} <= set(before)
    shutil.rmtree(two.store / "simple")
    with pytest.raises(Refused, match="the package index does not offer weaveserver-1.1.5.tar.gz with its bytes; `inv index` mends it"):
        chain.check(opened(two), "1.1.5")
    done = repair.repair(opened(two))
    assert pages(two) == before and (done.projects, done.others, done.left) == (2, {}, {})
    assert chain.check(opened(two), "1.1.5")["files"]


@pytest.mark.parametrize("damage", [None, b"", b"{", b"[]", b"[" * 100_000, b'{"apps": {}, "format": 1}', b'{"apps": {"gone": {"1.0": "gone/1.0"}}, "format": 1}'])
def test_the_listing_comes_back_for_all_applications(two, damage):
    path = two.store / "listing.json"
    before = path.read_bytes()
    path.unlink()
    if damage is None:
        shutil.rmtree(two.store / ".listing.json.d")
    else:
        path.write_bytes(damage)
    repair.repair(opened(two))
    assert path.read_bytes() == before
    repair.repair(opened(two))
    assert path.read_bytes() == before


def lose(made, app):
    for each in [made.store / app / "index.json", *made.store.glob(f"{app}/.index.json.d/*")]:
        each.unlink()


def test_lost_indexes_come_back(two):
    chain.take_back(opened(two), "1.1.4", "loses orders")
    DirectoryStore(two.store).mark("shop", "1.1.4", "bad", "slow")
    lose(two, APP)
    lose(two, "shop")
    done = repair.repair(opened(two))
    assert done.renewed.index.versions["1.1.4"]["yanked"] == "loses orders" and set(done.renewed.index.versions) == {"1.1.4", "1.1.5"}
    assert done.others == {"shop": "its index.json was written anew, serial 1"}
    shop = Sealed.from_bytes(DirectoryStore(two.store).index("shop")).own("shop")
    assert shop.versions["1.1.4"]["bad"] == "slow"
    assert repair.repair(opened(two)).others == {}, "what is in order is left alone"


@pytest.mark.parametrize("damage", [b"{", b'{"text": "", "signature": ""}', b'{"text": 1, "signature": ""}', b"\xff\xfe", b'{"text": "[]", "signature": ""}'])
def test_a_damaged_index_comes_back(two, damage):
    store = DirectoryStore(two.store)
    for app in (APP, "shop"):
        store.put_index(app, store.index(app), damage)
    done = repair.repair(opened(two))
    assert set(done.renewed.index.versions) == {"1.1.4", "1.1.5"}
    assert Sealed.from_bytes(store.index("shop")).own("shop").versions.keys() == {"1.1.4"}


def test_an_index_of_a_newer_weft_is_left_alone(two):
    store = DirectoryStore(two.store)
    newer = Sealed(json.dumps({"format": 2, "app": APP})).to_bytes()
    store.put_index(APP, store.index(APP), newer)
    with pytest.raises(Refused, match="index format 2 is unknown to this weft"):
        repair.repair(opened(two))
    assert store.index(APP) == newer


def test_another_s_signed_index_is_told_not_written(two, tmp_path):
    """Whoever signs it writes it: this project's word is worth nothing there."""
    store = DirectoryStore(two.store)
    text = Sealed.from_bytes(store.index("shop")).text
    key = make_key(tmp_path)
    from weft import signing
    emptied = json.dumps({**json.loads(text), "versions": {}})
    store.put_index("shop", store.index("shop"), Sealed(emptied, key.sign(emptied, signing.INDEX)).to_bytes())
    before = store.index("shop")
    assert repair.repair(opened(two)).others == {"shop": "its index.json lacks 1.1.4; `inv index` in its project writes it"}
    assert store.index("shop") == before


def test_killed_before_the_package_index_the_same_command_finishes_it(project, monkeypatch):
    from weft.simple import static

    class Killed(BaseException):
        pass

    def die(store, anew=False):
        raise Killed
    with monkeypatch.context() as patch:
        patch.setattr(static, "build", die)
        with pytest.raises(Killed):
            factory.run_release(project, "1.1.4")
    assert not (project.store / "simple").exists() and DirectoryStore(project.store).versions(APP) == ["1.1.4"]
    assert [step.kind for step in factory.run_release(project, "1.1.4").plan.steps][0] == "index"
    assert chain.check(pipeline.open_project(project.root), "1.1.4")["marks"] == {}


def test_the_commands_say_what_they_did(two):
    (two.root / "tasks.py").write_text("from weft.tasks.release import ns\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def inv(*words):
        done = subprocess.run([sys.executable, "-m", "invoke", *words], cwd=two.root, env=env, text=True, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr
    lose(two, "shop")
    code, out, err = inv("index")
    lines = out.splitlines()
    assert (code, err) == (0, "") and lines[0].startswith("weaveserver: serial 3, 2 versions, good until ") and lines[1:] == [
        "simple/: 2 projects", "shop: its index.json was written anew, serial 1"]
    code, out, err = inv("yank", "--version", "1.1.5", "--why", "loses orders")
    assert code == 0 and out == "weaveserver 1.1.5 is yanked: loses orders\nindex: serial 4\n", err
    code, out, err = inv("status", "--json")
    assert json.loads(out)["taken_back"] == ["1.1.5 (yanked: loses orders)"]
    code, out, err = inv("index", "--json")
    said = json.loads(out)
    assert (said["serial"], said["projects"], said["others"], said["left_out"]) == (5, 2, {}, {})
