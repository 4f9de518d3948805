"""What uWSGI's adapter reads of a machine: interpreters, plugins, Debian's Emperor, and what the Emperor says of its vassals."""

import json
import socket
import threading
import types
from dataclasses import replace

import pytest

from tests.servers.test_contract import site_of
from weft.errors import Refused
from weft.host.layout import Layout
from weft.host.switch import Point
from weft.servers import uwsgi

DEBIAN = """\
[uwsgi]
# user identifier of uWSGI processes
uid = www-data
gid = www-data
emperor = /etc/uwsgi-emperor/vassals
"""
SITE = site_of("uwsgi")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """One with uWSGI and plugins of its own."""
    monkeypatch.setattr(uwsgi, "CORE", tmp_path / "uwsgi-core")
    monkeypatch.setattr(uwsgi, "PLUGINS", tmp_path)
    monkeypatch.setattr(uwsgi, "EMPEROR", str(tmp_path / "emperor.ini"))
    uwsgi.CORE.write_bytes(b"\0\1 2.0.21-debian\0")
    for name in (*uwsgi.NEEDED, "python311", "python3"):
        (tmp_path / f"{name}_plugin.so").touch()
    (tmp_path / "emperor.ini").write_text("[uwsgi]\nemperor-stats-server = /run/x\npidfile = /run/y\n")
    return tmp_path


def test_a_machine_that_has_all_lacks_nothing(machine):
    assert uwsgi.server.missing(SITE) == [] and uwsgi.server.python(SITE) == "3.11"
    assert uwsgi.server.about(SITE) == f"uWSGI 2.0.21-debian, plugins python311 in {machine}"


def test_an_interpreter_without_its_plugin_is_refused_with_those_that_are_there(machine):
    other = replace(SITE, python="/usr/bin/python3.12")
    (what, how), = uwsgi.server.missing(other)
    assert what == f"uWSGI 2.0.21-debian has the plugins python311 in {machine}, /usr/bin/python3.12 needs python312" and "`python`" in how
    assert uwsgi.server.python(other) == ""
    (machine / "python311_plugin.so").unlink()
    assert "has no Python plugin" in uwsgi.server.missing(SITE)[0][0] and "uwsgi-plugin-python3" in uwsgi.server.missing(SITE)[0][1]


def test_what_of_uwsgi_is_not_there_is_named_with_its_package(machine):
    (machine / "logfile_plugin.so").unlink()
    assert uwsgi.server.missing(SITE) == [(f"uWSGI 2.0.21-debian lacks the plugins logfile in {machine}", "apt-get install -y uwsgi-core")]
    uwsgi.CORE.unlink()
    assert uwsgi.server.missing(SITE)[0][0] == "uWSGI is not installed"


def test_debians_emperor_as_it_comes_is_refused_for_each_thing_with_the_command(machine):
    (machine / "emperor.ini").write_text(DEBIAN)
    found = uwsgi.server.missing(SITE)
    assert ["gives up root" in found[0][0], "emperor-stats-server" in found[1][0], "pidfile" in found[2][0], len(found)] == [True, True, True, 3]
    assert "sed -i" in found[0][1] and all("restart" in how for _what, how in found)
    assert uwsgi.server.missing(replace(SITE, prefix="/srv/place")) == []
    (machine / "emperor.ini").unlink()
    assert uwsgi.server.missing(SITE)[0][0] == "the Emperor of uWSGI is not installed"


def test_a_virtualenvs_interpreter_is_known_by_its_own_note(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.13.1\n")
    assert uwsgi.wanted(str(tmp_path / "bin/python")) == "python313" and uwsgi.wanted("/usr/bin/nonesuch") == ""


@pytest.mark.parametrize("said, accepting", [
    ([{"id": "shop-a.ini", "ready": 0, "accepting": 1, "last_accepting": 77}], 77.0), ([{"id": "shop-a.ini", "ready": 1, "accepting": 0, "last_accepting": 77}], 0.0),
    ([{"id": "shop-admin-a.ini", "accepting": 1, "last_accepting": 77}], 0.0), ("odd", 0.0)])
def test_the_emperors_own_word(machine, tmp_path, said, accepting):
    """A vassal counts by its whole name; `ready` is not asked, for it stays 0 after a reload."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "stats"))
        listening.listen()
        (machine / "emperor.ini").write_text(f"[uwsgi]\nemperor-stats-server = {tmp_path}/stats\n")

        def tell():
            peer = listening.accept()[0]
            peer.sendall(json.dumps({"vassals": said}).encode())
            peer.close()
        thread = threading.Thread(target=tell)
        thread.start()
        assert uwsgi.server.accepting(SITE, "a") == accepting
        thread.join()
    assert uwsgi.server.accepting(SITE, "a") == 0.0  # nobody answers


@pytest.fixture
def slots(machine):
    """An application's place where slot a serves generation 1, made with 3.11, and generation 2 with another Python."""
    layout = Layout("shop", str(machine))
    for number, version in (1, "3.11.2"), (2, "3.12.1"):
        (layout.generation(number) / "release/venv").mkdir(parents=True)
        (layout.generation(number) / "release/venv/pyvenv.cfg").write_text(f"version = {version}\n")
    for slot in "ab":
        layout.slot(slot).mkdir(parents=True)
    layout.live.symlink_to("slots/a")
    (layout.slot("a") / "generation").symlink_to("../../generations/1")
    return layout, replace(SITE, prefix=str(machine), account="nobody")


def test_a_release_that_no_plugin_is_for_is_refused_before_its_slot_is_touched(slots, machine):
    """Such as one to go back to, from before `python` was changed."""
    layout, site = slots
    point = Point(types.SimpleNamespace(layout=layout, site=site))
    with pytest.raises(Refused, match="venv/bin/python needs python312"):
        point.do("b", 2)
    assert not (layout.slot("b") / "generation").is_symlink()
    (machine / "python312_plugin.so").touch()
    point.do("b", 2)
    named = [text for slot in "ab" for text in uwsgi.server.renew(site, slot).values()]
    assert "need-plugin = python311\n" in named[0] and "need-plugin = python312\n" in named[1]
