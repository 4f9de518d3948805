"""Which uv, which pip, which Python."""

import os
import sys
import zipfile

import pytest

from weft.release import tools


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text("#!/bin/sh\n")
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


def test_uv_on_the_path(tmp_path):
    assert tools.uv() == str(tmp_path / "bin/uv")


def test_no_uv(tmp_path):
    (tmp_path / "bin/uv").unlink()
    assert tools.uv() == ""


@pytest.mark.parametrize("name", ["PIP_NO_INDEX", "PIP_NO_BINARY", "PIP_ONLY_BINARY", "PIP_PROXY", "PIP_CLIENT_CERT"])
def test_uv_is_not_asked_when_pip_is_told_what_uv_cannot_be(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert tools.uv() == ""
    monkeypatch.setenv(name, "")
    assert tools.uv() != "", "pip takes no notice of an empty value"


def test_the_installer_is_a_wheel_of_pip():
    path = tools.installer(print)
    assert path.name.startswith("pip-") and "pip/__main__.py" in zipfile.ZipFile(path).namelist()


def test_clean_has_no_configuration(monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/somewhere")
    monkeypatch.setenv("UV_INDEX", "x")
    env = tools.clean()
    assert "PIP_FIND_LINKS" not in env and "UV_INDEX" not in env and env["PIP_CONFIG_FILE"] == "/dev/null"


def test_a_python_that_is_not_there(tmp_path):
    assert tools.python("3.3") == ""
    assert tools.python(f"{sys.version_info[0]}.{sys.version_info[1]}") == sys.executable
    (tmp_path / "bin/python3.3").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "bin/python3.3").chmod(0o755)
    assert tools.python("3.3") == ""
