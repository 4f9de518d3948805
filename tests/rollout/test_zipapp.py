import subprocess
import sys
import zipfile

import pytest

from weft import adapters
from weft.config import keys, load
from weft.errors import Refused
from weft.rollout import zipapp


def test_it_carries_what_a_host_needs_and_no_more():
    names = set(zipapp.sources())
    assert {"__main__.py", "weft/__init__.py", "weft/errors.py", "weft/config/ini.py", "weft/host/__main__.py",
            "weft/servers/__init__.py"} <= names
    assert not {name for name in names if name.startswith(("weft/rollout", "weft/tasks", "weft/config/load"))}


def test_the_same_sources_give_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = zipapp.build()
    assert zipapp.archive(dict(reversed(zipapp.sources().items()))) == first.read_bytes()
    assert zipapp.build() == first and [first] == list((tmp_path / "weft").iterdir())
    with zipfile.ZipFile(first) as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_damaged_one_in_the_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = zipapp.build()
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    assert zipapp.build().read_bytes() == good


def test_it_runs_alone_and_answers_by_the_protocol(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-I", zipapp.build(), "--prefix", str(tmp_path / "host")], cwd=tmp_path,
                          input=b'{"protocol": 99}\n', capture_output=True, check=False)
    assert done.returncode == 3, done.stderr
    assert b"protocol 1, not 99" in done.stdout


def test_its_start_loads_nothing_that_costs_more_than_it_does(tmp_path, monkeypatch):
    """An engine is started for each look at a host (ADR 21). What these two cost was a third of its start."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-IS", "-X", "importtime", zipapp.build(), "--prefix", str(tmp_path / "host")], input=b'{"protocol": 99}\n', capture_output=True, check=False)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert {"weft.host.machine", "json"} <= loaded and not loaded & {"dataclasses", "inspect", "http.client", "site", "argparse", "tempfile", "typing", "subprocess", "shutil"}
    assert zipapp.build().read_bytes().startswith(b"#!/usr/bin/python3 -IS\n")


def test_an_incomplete_weft_is_told(monkeypatch):
    monkeypatch.setattr(zipapp, "MODULES", ("errors.py", "nowhere.py"))
    with pytest.raises(Refused, match="this weft is not complete: nowhere.py not found in"):
        zipapp.sources()


def announce(place, name="lighttpd", value="weft_lighttpd:server", code="server = 'ours'\n"):
    """A package with a server's adapter, as an installer leaves it."""
    (place / f"weft_{name}.py").write_text(code)
    info = place / f"weft_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: weft-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[weft.servers]\n{name} = {value}\n")


def test_a_server_of_another_package_travels_and_is_known_there(tmp_path, monkeypatch):
    announce(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert adapters.known() == ("express", *adapters.known()[1:]) and "lighttpd" not in adapters.known() and list(adapters.others()) == ["lighttpd"]
    done = subprocess.run([sys.executable, "-I", "-c", "import sys; sys.path.insert(0, sys.argv[1]); from weft import adapters; from weft.servers import find; print(find('lighttpd'), *adapters.known())",
                           zipapp.build()], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ours", *sorted([*adapters.known(), "lighttpd"])]
    path = tmp_path / "production.toml"
    path.write_text('server = "lighttpd"\n')
    assert load.check(path, {"server": "lighttpd"}, keys.ENVIRONMENT, "environment").values["server"] == "lighttpd"


@pytest.mark.parametrize("name, value", [("lighttpd", "nowhere_at_all:server"), ("lighttpd", "weft_lighttpd:other"), ("lighttpd", "nowhere.at.all:server"), ("entry", "weft_entry:server"),
                                         ("Light-1", "weft_Light-1:server")])
def test_a_server_that_can_not_travel_is_refused_by_name(tmp_path, monkeypatch, name, value):
    announce(tmp_path, name, value)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match=f"the server '{name}' comes from {value}, which is no module"):
        zipapp.sources()


def test_a_server_of_weft_s_own_is_not_replaced(tmp_path, monkeypatch):
    announce(tmp_path, "uwsgi", "weft_uwsgi:server")
    monkeypatch.syspath_prepend(tmp_path)
    assert adapters.others() == {} and b"'ours'" not in zipapp.sources()["weft/servers/uwsgi.py"]
