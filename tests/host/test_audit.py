"""Every change to what weft has put on a host is named: file, owner and mode."""

import hashlib
import os
import pwd
import sys

import pytest

from tests.host.light_host import make_release, serving
from weft.host import audit, report, setup
from weft.host.layout import Layout
from weft.rollout import zipapp

pytestmark = pytest.mark.slow

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another account")


@pytest.fixture(scope="module")
def made():
    with serving(make_release("1.0", dependency="3.1"), keep="deployed") as host:
        yield host


def nobody(path):
    os.lchown(path, pwd.getpwnam("nobody").pw_uid, -1)


def more(path):
    path.chmod(0o644)
    with path.open("a") as out:
        out.write("more\n")
    path.chmod(0o444)


def elsewhere(path):
    path.unlink()
    path.symlink_to("../../releases/placeholder")


RELEASE, LAYER = "var/app/shop/releases/1.0-*", "var/app/shop/layers/*"
CHANGES = {
    "changed venv/lib/python3.11/site-packages/shop/lazy.py": (f"{RELEASE}/venv/lib/python3.11/site-packages/shop/lazy.py", more),
    "mode 666 (was 644) entry.json": (f"{RELEASE}/entry.json", lambda path: path.chmod(0o666)),
    "mode 777 .": (f"{LAYER}", lambda path: path.chmod(0o777)),
    "mode 646 SEAL": (f"{RELEASE}/SEAL", lambda path: path.chmod(0o646)),
    "missing entry.json": (f"{RELEASE}/entry.json", os.unlink),
    "changed settings.ini": ("var/app/shop/generations/1/settings.ini", more),
    "mode 644 (was 640) settings.ini": ("var/app/shop/generations/1/settings.ini", lambda path: path.chmod(0o644)),
    "missing settings.ini": ("var/app/shop/generations/1/settings.ini", os.unlink),
    "mode 666 record.json": ("var/app/shop/generations/1/record.json", lambda path: path.chmod(0o666)),
    "changed release": ("var/app/shop/generations/1/release", elsewhere),
    "changed {path}": ("var/app/shop/entry.wsgi", more),
    "mode 664 {path}": ("var/app/shop/entry.wsgi", lambda path: path.chmod(0o664)),
    "missing {path}": ("etc/light.link", os.unlink),
}
OWNERS = {
    "owner nobody (was root) site/dep/lazy.py": (f"{LAYER}/site/dep/lazy.py", nobody),
    "owner nobody (was root) venv/bin/python": (f"{RELEASE}/venv/bin/python", nobody),
    "owner nobody (was root) .": (RELEASE, nobody),
    "owner nobody (was root) settings.ini": ("var/app/shop/generations/1/settings.ini", nobody),
    "owner nobody (was root) record.json": ("var/app/shop/generations/1/record.json", nobody),
    "owner nobody (was root) {path}": ("etc/light.conf", nobody),
    "group 0 (was {group}) settings.ini": ("var/app/shop/generations/1/settings.ini", lambda path: os.chown(path, -1, 0)),
}


def named(made, message, where, change):
    made.restore("deployed")
    path = next(made.prefix.glob(where))
    change(path)
    done = made.command("verify", "shop", "--json")
    assert done["code"] == 3, done
    told = [line for part in done["last"]["details"]["drift"].values() for line in part]
    group = pwd.getpwnam("nobody").pw_gid
    assert message.format(path=path, group=group) in told and len(told) <= 2, told


@pytest.mark.parametrize("message", CHANGES)
def test_a_change_is_named(made, message):
    named(made, message, *CHANGES[message])


@ROOT
@pytest.mark.parametrize("message", OWNERS)
def test_an_owner_is_named(made, message):
    named(made, message, *OWNERS[message])


def test_what_is_as_it_was_put_there(made):
    made.restore("deployed")
    said = made.command("verify", "shop", "--json")
    assert said["code"] == 0 and not any(said["last"]["drift"].values()), said
    assert {part.split("/")[0] for part in said["last"]["drift"]} == {"releases", "layers", "tools", "generations", "site"}
    lines = made.command("verify", "shop")
    assert lines["last"]["text"] == "7 of 7 parts are as they were installed"


@ROOT
def test_the_engine_is_what_set_up_has_installed(tmp_path, monkeypatch):
    engine, note, travelled = tmp_path / "weft-host", tmp_path / "etc/engine.sha256", tmp_path / "weft-host.pyz"
    travelled.write_bytes(zipapp.archive(zipapp.sources()))
    for module in (audit, setup):
        monkeypatch.setattr(module, "ENGINE", engine)
        monkeypatch.setattr(module, "NOTE", note)
    monkeypatch.setattr(sys, "argv", [str(travelled)])

    def told():
        return [line.replace(str(tmp_path), "") for line in audit.audit(Layout("no-such-shop"), None)["engine"]]
    assert told() == ["missing /weft-host"]
    assert setup.engine() == [f"installed the engine {engine}"] and told() == []
    assert setup.engine() == [] and note.read_text().split()[0] == hashlib.sha256(engine.read_bytes()).hexdigest()
    note.unlink()
    assert told() == [] and setup.engine() == [f"renewed the engine {engine}"] and note.exists(), "a host of an older weft has no note until its next set-up"
    travelled.write_bytes(zipapp.archive({**zipapp.sources(), "weft/new.py": b""}))
    assert setup.engine() == [f"renewed the engine {engine}"] and told() == [] and setup.engine() == []
    more(engine)
    engine.chmod(0o757)
    nobody(engine)
    assert told() == ["owner nobody (was root) /weft-host", "mode 757 /weft-host", "changed /weft-host"]


def test_the_next_move_fits_what_was_changed():
    assert report.mend(["releases/1.0-aaaaaa"]) == "deploy another version, then release and deploy this one under a new number"
    assert report.mend({"generations/1": []}) == "see who did that, and put owner, mode and text back"
    assert report.mend({"site": [], "layers/1": []}).count(";") == 2
