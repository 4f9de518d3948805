"""The same commit gives the same bytes, whatever surrounds the build: four real build backends, every circumstance."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import factory
from weft.errors import FailedUndone
from weft.stores.directory import DirectoryStore

BACKENDS = {
    "setuptools": ('requires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"',
                   'dynamic = ["version"]', '[tool.setuptools.dynamic]\nversion = {attr = "weaveserver.__version__"}'),
    "hatchling": ('requires = ["hatchling"]\nbuild-backend = "hatchling.build"',
                  'dynamic = ["version"]', '[tool.hatch.version]\npath = "src/weaveserver/__init__.py"'),
    "flit-core": ('requires = ["flit_core>=3.9"]\nbuild-backend = "flit_core.buildapi"', 'dynamic = ["version"]', ""),
    "poetry-core": ('requires = ["poetry-core>=2"]\nbuild-backend = "poetry.core.masonry.api"', 'version = "1.1.3"',
                    '[tool.poetry]\npackages = [{include = "weaveserver", from = "src"}]'),
}
CIRCUMSTANCES = {
    "directory": {"folder": "another/directory with a space"},
    "clock": {"FAKETIME": "@2031-02-03 04:05:06"},
    "umask": {"umask": 0o077},
    "time zone and locale": {"TZ": "Pacific/Chatham", "LANG": "POSIX", "LC_TIME": "POSIX", "PYTHONHASHSEED": "42"},
    "all at once": {"folder": "b", "FAKETIME": "@1999-12-31 23:59:58", "umask": 0o007, "TZ": "America/St_Johns", "LC_CTYPE": "POSIX"},
}
BUILD = """
import hashlib, json, os, sys
from pathlib import Path
from weft.release import pipeline, single
from weft.tasks.live import Live
os.umask(int(sys.argv[1]))
made = single.build_only(pipeline.open_project(Path.cwd()), Live())
print(json.dumps({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made}))
"""
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The backends, fetched once: no build asks an index."""
    house = tmp_path_factory.mktemp("backends")
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--dest", house, "setuptools>=77",
                    "hatchling", "flit_core>=3.9", "poetry-core>=2"], check=True)
    return house


@pytest.fixture(scope="module")
def first(tmp_path_factory, wheels):
    """A function: the project of a backend, and what its first build gave."""
    known = {}

    def of(backend):
        if backend not in known:
            made = factory.make_project(tmp_path_factory.mktemp(backend) / "project", backend="setuptools")
            system, version, more = BACKENDS[backend]
            weft = made.root.joinpath("pyproject.toml").read_text().partition("[tool.weft]")[2]
            made.write("pyproject.toml", f'[build-system]\n{system}\n\n[project]\nname = "weaveserver"\ndescription = "a test"\n{version}\n'
                       f'readme = "README.md"\nrequires-python = ">=3.9"\n\n{more}\n\n[tool.weft]{weft}')
            made.write("src/weaveserver/tool.sh", "#!/bin/sh\n").chmod(0o755)
            made.write("src/weaveserver/Ünïcode.py", "x = 1\n")
            made.commit("another backend")
            known[backend] = made, built(made.root, wheels)
        return known[backend]
    return of


def built(root, wheels, umask=0o022, **words):
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_OFFLINE": "1", "UV_NO_CACHE": "1", "UV_FIND_LINKS": str(wheels), **words,
           "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if "FAKETIME" in words:
        env["LD_PRELOAD"] = str(FAKETIME)
    done = subprocess.run([sys.executable, "-c", BUILD, str(umask)], cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("circumstance", CIRCUMSTANCES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_bytes(first, wheels, tmp_path, backend, circumstance):
    words = dict(CIRCUMSTANCES[circumstance])
    if "FAKETIME" in words and not FAKETIME:
        pytest.skip("there is no other clock to build by: apt-get install libfaketime")
    made, expected = first(backend)
    elsewhere = tmp_path / words.pop("folder", "clone")
    elsewhere.parent.mkdir(exist_ok=True)
    before = os.umask(words.get("umask", 0o022))
    try:
        made.git("clone", "--quiet", str(made.remote), str(elsewhere))
    finally:
        os.umask(before)
    assert sorted(expected) == ["weaveserver-1.1.3-py3-none-any.whl", "weaveserver-1.1.3.tar.gz"]
    assert built(elsewhere, wheels, **words) == expected


def test_a_release_that_builds_twice(tmp_path):
    made = factory.make_project(tmp_path / "project")
    made.configure("verify_reproducible = true")
    report = factory.Quiet()
    proposal = factory.run_release(made, "1.1.4", report=report)
    assert report.kinds[report.kinds.index("build"):][:2] == ["build", "rebuild"]
    assert "build both again elsewhere, with other file times: the same bytes" in [step.text for step in proposal.plan.steps]
    assert DirectoryStore(made.store).verify("weaveserver", "1.1.4") == []


@pytest.mark.parametrize("spoil, where", [
    ('f"{os.getpid()}"', "weaveserver-1.1.4-py3-none-any.whl: it differs in weaveserver/stamp.py"),
    ('os.getcwd()', "weaveserver-1.1.4-py3-none-any.whl: it differs in weaveserver/stamp.py")])
def test_a_build_that_cannot_be_repeated(tmp_path, world, spoil, where):
    made = factory.make_project(tmp_path / "project")
    path = made.root / "_build/backend.py"
    path.write_text(path.read_text().replace('    files[f"{base}.dist-info/METADATA"]',
                                             f'    files[PACKAGE + "/stamp.py"] = ("# " + {spoil}).encode()\n'
                                             '    files[f"{base}.dist-info/METADATA"]', 1))
    made.configure("verify_reproducible = true")
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.message == f"rebuild: a second build of the same commit gave another {where}"
    assert error.value.hint == "make the build repeatable, or set verify_reproducible = false in [tool.weft]"
    assert world(made) == before


def test_a_careless_backend_is_put_in_order(tmp_path):
    """Other times, order and modes each time: the files inside are the same, so both archives are."""
    made = factory.make_project(tmp_path / "project")
    path = made.root / "_build/backend.py"
    text = path.read_text()
    for old, new in (('when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", 1700000000)))[:6]',
                      "when = time.gmtime(1e9 + 97 * os.getpid())[:6]\n    import random\n    files = dict(sorted(files.items(), key=lambda x: random.random()))"),
                     ("    record = ", "    import random\n    files = dict(sorted(files.items(), key=lambda x: random.random()))\n    record = ")):
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    made.configure("verify_reproducible = true")
    factory.run_release(made, "1.1.4")
    assert DirectoryStore(made.store).verify("weaveserver", "1.1.4") == []
