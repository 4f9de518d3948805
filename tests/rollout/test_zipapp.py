import subprocess
import sys
import zipfile

import pytest

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


def test_an_incomplete_weft_is_told(monkeypatch):
    monkeypatch.setattr(zipapp, "MODULES", ("errors.py", "nowhere.py"))
    with pytest.raises(Refused, match="this weft is not complete: nowhere.py not found in"):
        zipapp.sources()
