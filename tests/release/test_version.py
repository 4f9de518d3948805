"""Where versions are written, and which comes next."""

import pytest

from weft.errors import UsageError
from weft.release import version


def put(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def said(root, version_file=""):
    return [(str(place), place.text) for place in version.places(root, version_file)]


def test_in_the_package(tmp_path):
    put(tmp_path, "pyproject.toml", '[project]\nname = "weave-server"\ndynamic = ["version"]\n')
    put(tmp_path, "src/weave_server/__init__.py", '"""x"""\n__version__ = "1.1.3"\n')
    put(tmp_path, "src/other/__init__.py", '__version__ = "9"\n')
    assert said(tmp_path) == [("src/weave_server/__init__.py:2", "1.1.3")]


def test_in_pyproject(tmp_path):
    put(tmp_path, "pyproject.toml", '[tool.other]\nversion = "9"\n\n[project]\nname = "app"\nversion = "1.1.3"  # here\n')
    assert said(tmp_path) == [("pyproject.toml:6", "1.1.3")]


def test_in_setup_cfg_and_setup_py(tmp_path):
    put(tmp_path, "setup.cfg", "[metadata]\nname = app\nversion = 1.1.3\n")
    assert said(tmp_path) == [("setup.cfg:3", "1.1.3")]
    put(tmp_path, "setup.cfg", "[metadata]\nname = app\nversion = attr: app.__version__\n")
    put(tmp_path, "setup.py", 'from setuptools import setup\nsetup(\n    name="app",\n    version="1.1.3",\n)\n')
    assert said(tmp_path) == [("setup.py:4", "1.1.3")]


def test_written_twice_and_equal_is_two_places(tmp_path):
    put(tmp_path, "pyproject.toml", '[project]\nname = "app"\nversion = "1.1.3"\n')
    put(tmp_path, "app/__init__.py", '__version__ = "1.1.3"\n')
    put(tmp_path, "vendored/__init__.py", '__version__ = "1.1.3"\n')
    assert said(tmp_path) == [("pyproject.toml:3", "1.1.3"), ("app/__init__.py:1", "1.1.3")]


@pytest.mark.parametrize("text", ['[build-system]\nrequires = ["setuptools-scm>=8"]\n', "[tool.setuptools_scm]\n",
                                  '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\n'])
def test_the_tag_is_the_version(tmp_path, text):
    put(tmp_path, "pyproject.toml", text)
    put(tmp_path, "src/app/__init__.py", '__version__ = "0"\n')
    assert said(tmp_path) == [("the tag", "")]


def test_a_named_file(tmp_path):
    put(tmp_path, "VERSION", "1.1.3\n")
    assert said(tmp_path, "VERSION") == [("VERSION:1", "1.1.3")]
    assert version.edited("VERSION", "1.1.3\n", "1.1.4") == "1.1.4\n"


def test_nowhere(tmp_path):
    assert said(tmp_path) == []


@pytest.mark.parametrize("path, before, after", [
    ("pyproject.toml", "[project]\nversion = '1.1.3' # a\n[x]\nversion='2'\n", "[project]\nversion = '1.1.4' # a\n[x]\nversion='2'\n"),
    ("setup.cfg", "[metadata]\nversion=1.1.3\n", "[metadata]\nversion=1.1.4\n"),
    ("a/__init__.py", 'a = 1\n__version__: str = "1.1.3"\nb = "1.1.3"\n', 'a = 1\n__version__: str = "1.1.4"\nb = "1.1.3"\n'),
    ("setup.py", 'x(version="9")\nsetup(version="1.1.3")', 'x(version="9")\nsetup(version="1.1.4")')])
def test_edited_changes_nothing_else(path, before, after):
    assert version.edited(path, before, "1.1.4") == after


def test_edited_refuses_a_file_without_a_version():
    with pytest.raises(UsageError, match="^a.py does not say the version$"):
        version.edited("a.py", "x = 1\n", "1.1.4")


@pytest.mark.parametrize("last, part, following", [
    ("1.1.3", "patch", "1.1.4"), ("1.1.3", "minor", "1.2.0"), ("1.1.3", "major", "2.0.0"), ("1.2", "patch", "1.2.1"),
    ("1.2.0rc1", "patch", "1.2.0"), ("1.2.0rc1", "minor", "1.2.0"), ("1.2.1rc1", "minor", "1.3.0"), ("1.0.post1", "patch", "1.0.1"),
    ("1!1.1.3", "patch", "1!1.1.4"), ("1.9.9", "patch", "1.9.10"), ("2.0.0.dev3", "major", "2.0.0")])
def test_bumped(last, part, following):
    assert version.bumped(last, part) == following


def test_bumped_refuses_other_words():
    with pytest.raises(UsageError) as error:
        version.bumped("1.1.3", "huge")
    assert error.value.lines() == ["--bump 'huge' is unknown", "now:  nothing was contacted, nothing changed",
                                   "next: known: major, minor, patch; such as: inv release --bump patch"]


def test_order_is_that_of_numbers():
    assert version.newest(["1.9", "1.10", "1.10rc1"]) == "1.10" and version.newest([]) == ""
    assert version.above("1.10", "1.9") and not version.above("1.10", "1.10.0")


def test_tags_that_are_versions():
    assert version.of_tags(["v1.1", "1.2", "vfoo", "v01.1", "v"], "v{version}") == {"1.1": "v1.1"}
    assert version.of_tags(["v1.1", "1.2"], "{version}") == {"1.2": "1.2"}


@pytest.mark.parametrize("text, path, content", [
    ('[tool.hatch.version]\npath = "src/app/vers.py"\n', "src/app/vers.py", '__version__ = "1.1.3"\n'),
    ('[tool.pdm.version]\nsource = "file"\npath = "app/x.py"\n', "app/x.py", '__version__ = "1.1.3"\n'),
    ('[tool.setuptools.dynamic]\nversion = {attr = "app.meta.VERSION"}\n', "src/app/meta.py", 'VERSION = "1.1.3"\n'),
    ('[tool.setuptools.dynamic]\nversion = { file = ["VERSION"] }\n', "VERSION", "1.1.3\n"),
])
def test_where_the_backend_is_told_to_look(tmp_path, text, path, content):
    put(tmp_path, "pyproject.toml", '[project]\nname = "app"\ndynamic = ["version"]\n' + text)
    put(tmp_path, path, content)
    put(tmp_path, "app/__init__.py", '__version__ = "9"\n')
    assert said(tmp_path) == [(f"{path}:1", "1.1.3")]
    assert version.edited(path, content, "1.1.4") == content.replace("1.1.3", "1.1.4")


@pytest.mark.parametrize("value, path", [("attr: app.meta.__version__", "src/app/meta.py"), ("file: app/VERSION", "app/VERSION")])
def test_where_setup_cfg_points(tmp_path, value, path):
    put(tmp_path, "setup.cfg", f"[metadata]\nname = app\nversion = {value}\n")
    put(tmp_path, path, '__version__ = "1.1.3"\n' if path.endswith(".py") else "1.1.3\n")
    put(tmp_path, "app/__init__.py", '__version__ = "9"\n')
    assert said(tmp_path) == [(f"{path}:1", "1.1.3")]


@pytest.mark.parametrize("text", ['[build-system]\nrequires = ["hatchling", "uv-dynamic-versioning"]\n',
                                  '[build-system]\nrequires = ["poetry-core", "poetry-dynamic-versioning"]\n[tool.poetry]\nversion = "0.0.0"\n',
                                  '[build-system]\nrequires = ["setuptools", "dunamai"]\n', '[tool.pdm.version]\nsource = "scm"\n'])
def test_the_tag_is_the_version_by_other_tools(tmp_path, text):
    put(tmp_path, "pyproject.toml", text)
    assert said(tmp_path) == [("the tag", "")]


def test_a_version_in_project_is_the_version_whatever_else_is_installed(tmp_path):
    put(tmp_path, "pyproject.toml", '[project]\nversion = "1.1.3"\n[dependency-groups]\ndev = ["setuptools-scm"]\n')
    assert said(tmp_path) == [("pyproject.toml:2", "1.1.3")]


@pytest.mark.parametrize("path, content, line", [
    ("setup.py", "from setuptools import setup\nversion = '1.1.3'\nsetup(name='app', version=version)\n", 2),
    ("app.py", '"""A module, for flit."""\n__version__ = "1.1.3"\n', 2),
    ("app/__init__.py", 'from typing import Final\n__version__: Final[str] = "1.1.3"\n', 2),
    ("app/__init__.py", 'version = __version__ = "1.1.3"\n', 1),
    ("app/__init__.py", 'version = "9"\n__version__ = "1.1.3"\n', 2),
])
def test_ways_to_write_it_in_python(tmp_path, path, content, line):
    put(tmp_path, "pyproject.toml", '[ project ]\nname = "app"\ndynamic = ["version"]\n')
    put(tmp_path, path, content)
    assert said(tmp_path) == [(f"{path}:{line}", "1.1.3")]
    assert version.edited(path, content, "1.1.4") == content.replace("1.1.3", "1.1.4")


def test_a_file_that_setup_py_reads(tmp_path):
    put(tmp_path, "setup.py", "from setuptools import setup\nsetup(name='app', version=open('VERSION').read().strip())\n")
    put(tmp_path, "VERSION", "1.1.3\n")
    assert said(tmp_path) == [("VERSION:1", "1.1.3")]
