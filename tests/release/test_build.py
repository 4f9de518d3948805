"""What is read out of a wheel, refused of a build, and real backends."""

import pytest

from tests import factory
from tests.release.index import wheel
from weft.errors import Refused
from weft.release import build
from weft.release.target import Target
from weft.stores.directory import DirectoryStore


def put(folder, name="loom", version="1.0", requires=""):
    file, raw = wheel(name, version, requires)
    (folder / file).write_bytes(raw)
    return folder / file


REQUIRES = ('Provides-Extra: dev\nRequires-Dist: b>=1\nRequires-Dist: a; python_version < "4"\n'
            'Requires-Dist: c; extra == "dev"\nRequires-Dist: d; extra == "dev" and python_version < "3"\n')


@pytest.mark.parametrize("extras, found", [((), ['a; python_version < "4"', "b>=1"]), (("dev",), ['a; python_version < "4"', "b>=1", "c"])])
def test_requirements_with_the_extras_that_are_wished(tmp_path, extras, found):
    assert build.requirements(put(tmp_path, requires=REQUIRES), Target("3.11", "manylinux_2_36_x86_64").environment, extras) == found


def test_an_extra_that_is_not_there(tmp_path):
    with pytest.raises(Refused) as error:
        build.requirements(put(tmp_path, requires=REQUIRES), Target("3.11", "manylinux_2_36_x86_64").environment, ["dev", "postgresql"])
    assert error.value.message == "loom has no extra postgresql"


def test_modules(tmp_path):
    assert build.modules(put(tmp_path)) == ["loom"]


def test_another_version_than_was_asked_for(tmp_path):
    with pytest.raises(Refused) as error:
        build.check(tmp_path / "loom-1.1.tar.gz", put(tmp_path), "1.1", print)
    assert error.value.message == "the wheel says version 1.0, the release is 1.1"


def test_a_name_that_is_not_pep_625s(tmp_path):
    with pytest.raises(Refused) as error:
        build.check(tmp_path / "Loom-1.0.tar.gz", put(tmp_path), "1.0", print)
    assert error.value.lines() == ["the sdist is named Loom-1.0.tar.gz; PEP 625 wants loom-1.0.tar.gz", "now:  nothing changed",
                                   "next: require a newer build backend, such as setuptools>=69.3, in [build-system]"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [{"backend": "setuptools", "entry": True, "name": "weave-server"}, {"scm": True}])
def test_real_backends(tmp_path, words):
    """Needs an index (setuptools is built with), like any build."""
    made = factory.make_project(tmp_path / "project", **words)
    factory.run_release(made, "1.1.4")
    release = DirectoryStore(made.store).manifest(made.name, "1.1.4")
    assert [a.name for a in release.of_kind("sdist", "wheel")] == [f"{made.package}-1.1.4-py3-none-any.whl", f"{made.package}-1.1.4.tar.gz"]
    assert made.git("status", "--porcelain") == ""
