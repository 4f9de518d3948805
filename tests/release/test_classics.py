"""What people did before weft still works: `python setup.py sdist`, and `pip install` of a tarball in the store."""

import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from tests import factory
from weft.release import pipeline, single

OWN = Path(__file__).parents[2]


def run(*words, cwd):
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SOURCE_DATE_EPOCH")}
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def files(archive):
    with tarfile.open(archive) as opened:
        return sorted((member.name, opened.extractfile(member).read()) for member in opened if member.isfile())


@pytest.fixture(scope="module")
def setuptools(tmp_path_factory):
    """A virtualenv's python that has setuptools, as a developer's has."""
    place = tmp_path_factory.mktemp("developer") / "venv"
    venv.create(place, with_pip=True)
    run(place / "bin/pip", "install", "-q", "setuptools>=77", cwd=place)
    return place / "bin/python"


@pytest.mark.slow
def test_setup_py_sdist_packs_the_same_files(setuptools, tmp_path):
    made = factory.make_project(tmp_path / "project", backend="setuptools")
    made.write("setup.py", "from setuptools import setup\nsetup()\n")
    made.write("MANIFEST.in", "graft etc\ninclude CHANGELOG.md\nglobal-exclude *.py[cod]\n")
    made.commit("the classic files")
    ours, = (path for path in single.build_only(pipeline.open_project(made.root), factory.Quiet()) if path.name.endswith(".tar.gz"))
    made.git("clone", "-q", str(made.remote), str(tmp_path / "classic"))
    run(setuptools, "setup.py", "-q", "sdist", cwd=tmp_path / "classic")
    assert files(tmp_path / "classic/dist" / ours.name) == files(ours)
    assert "weaveserver-1.1.3/etc/weaveserver.ini" in [name for name, _ in files(ours)]


@pytest.mark.slow
def test_wefts_own_setup_py_works(setuptools, tmp_path):
    """Of the working tree as it is now: the same list by setup.py and by build."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=OWN, capture_output=True, text=True)
    if names.returncode:
        pytest.skip("this is no checkout: run the tests in a clone")
    for name in names.stdout.splitlines():
        if (OWN / name).is_file():
            (tmp_path / "weft" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "weft" / name).write_bytes((OWN / name).read_bytes())
    run(setuptools, "setup.py", "-q", "sdist", "--dist-dir", tmp_path / "classic", cwd=tmp_path / "weft")
    run(sys.executable, "-m", "build", "-q", "--sdist", "--outdir", tmp_path / "modern", cwd=tmp_path / "weft")
    classic, modern = (next((tmp_path / kind).glob("*.tar.gz")) for kind in ("classic", "modern"))
    assert classic.name == modern.name and [name for name, _ in files(classic)] == [name for name, _ in files(modern)]
    assert {"setup.py", "CHANGELOG", "src/weft/cli.py"} & {name.partition("/")[2] for name, _ in files(classic)} >= {"setup.py", "src/weft/cli.py"}


def test_pip_installs_the_tarball_in_the_store(released, tmp_path):
    """As an operator without weft: into a fresh virtualenv, from the shared directory; this project needs nothing of an index."""
    venv.create(tmp_path / "venv", with_pip=True)
    archive = released.store / "weaveserver/1.1.4/weaveserver-1.1.4.tar.gz"
    run(tmp_path / "venv/bin/pip", "install", "-q", "--no-index", archive, cwd=tmp_path)
    answer = run(tmp_path / "venv/bin/python", "-c", "from weaveserver.app import application as a; print(a({}, lambda *w: None)[0].decode())",
                 cwd=tmp_path)
    assert answer == "weaveserver 1.1.4"
