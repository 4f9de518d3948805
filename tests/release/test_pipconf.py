"""uv is told what pip is told."""

import os

import pytest

from weft.release import pipconf


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "shared"))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_goes_before_what(tmp_path, monkeypatch):
    write(tmp_path / "shared/pip/pip.conf", "[global]\nindex-url = https://a.example/\nfind-links = /x\n")
    write(tmp_path / "config/pip/pip.conf", "[global]\nindex_url = https://b.example/\n[install]\nextra-index-url = https://c.example/ https://d.example/\n")
    said = {name: value for name, value in pipconf.for_uv().items() if name.startswith("UV_")}  # the machine's own files may say more
    assert said == {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_DEFAULT_INDEX": "https://b.example/",
                    "UV_INDEX": "https://c.example/ https://d.example/", "UV_FIND_LINKS": "/x"}
    monkeypatch.setenv("PIP_INDEX_URL", "https://e.example/")
    assert pipconf.for_uv()["UV_DEFAULT_INDEX"] == "https://e.example/"
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert set(pipconf.settings()) == {"index-url", "config-file"}


def test_constraints_count_by_content(tmp_path, monkeypatch):
    write(tmp_path / "bounds", "a<2\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "bounds"))
    before = pipconf.digest()
    assert pipconf.for_uv()["UV_CONSTRAINT"].split()[-1] == str(tmp_path / "bounds")
    write(tmp_path / "bounds", "a<3\n")
    assert pipconf.digest() != before
