"""One release for several Pythons: one lock with markers, one wheelhouse, and what cannot be satisfied is refused."""

import sys

import pytest

from tests import factory
from tests.release.index import wheel
from tests.release.test_lock import HERE, index, quiet, resolver  # noqa: F401
from weft.errors import FailedUndone, Refused, UsageError
from weft.release import build, lock, pipeline, single, tools
from weft.release.lock import Rules
from weft.release.target import Target, shown, targets, this_platform
from weft.stores.directory import DirectoryStore

NEXT = Target(f"3.{sys.version_info[1] + 40}", this_platform())
"""A Python that no machine has, on this platform."""
BOTH = {HERE: ["loom"], NEXT: ["loom"]}


@pytest.fixture
def differs(index):
    """loom 2.0 is for the newer Python alone and needs heald there only; 1.0 is for all."""
    index.put("loom", *wheel("loom", "2.0", f"Requires-Python: >={NEXT.python}\nRequires-Dist: heald; python_version >= '{NEXT.python}'\n"
                                            f"Requires-Dist: nothing-at-all; python_version < '{NEXT.python}'\n"))
    index.put("heald", *wheel("heald", "1.0"))
    return index


def test_equal_for_both_is_one_line(index, resolver):
    found = lock.locked(BOTH, "", quiet)
    assert found.text == lock.locked({HERE: ["loom"]}, "", quiet).text and ";" not in found.text
    assert [path.name for path in found.wheels] == ["loom-1.0-py3-none-any.whl"]
    assert {name: sorted(each) for name, each in found.pythons.items()} == {"loom-1.0-py3-none-any.whl": sorted([HERE.python, NEXT.python])}


def test_markers_where_they_differ(differs, resolver):
    """What the newer Python alone requires is read with the newer Python's eyes, whoever resolves."""
    found = lock.locked(BOTH, "", quiet)
    lines = [line.removesuffix(" \\") for line in found.text.splitlines() if not line.startswith(" ")]
    assert lines == [f'heald==1.0 ; python_version == "{NEXT.python}"', f'loom==1.0 ; python_version == "{HERE.python}"',
                     f'loom==2.0 ; python_version == "{NEXT.python}"']
    assert found.pythons == {"heald-1.0-py3-none-any.whl": [NEXT.python], "loom-1.0-py3-none-any.whl": [HERE.python],
                             "loom-2.0-py3-none-any.whl": [NEXT.python]}
    for aim, names in ((HERE, {"loom": "1.0"}), (NEXT, {"loom": "2.0", "heald": "1.0"})):
        assert {name: version for name, (version, _) in lock.parse(found.text, aim.environment).items()} == names
    again = lock.locked(BOTH, found.text, quiet, Rules(files=True, strict=True))
    assert again.text == found.text, "a lock that binds both is kept to for both"


def test_uv_and_pip_come_to_the_same(differs, monkeypatch):
    if not tools.uv():
        pytest.skip("uv is not installed: pip install uv")
    wanted = {HERE: ["loom", "spindle"], NEXT: ["loom", "spindle"]}
    first = lock.locked(wanted, "", quiet)
    monkeypatch.setattr(tools, "uv", lambda: "")
    second = lock.locked(wanted, "", quiet, Rules(upgrade=True))
    assert second.fresh and (first.text, first.pythons, first.built) == (second.text, second.pythons, second.built)
    assert [path.read_bytes() for path in first.wheels] == [path.read_bytes() for path in second.wheels]


def test_an_sdist_is_built_once_for_all(index, resolver):
    found = lock.locked({NEXT: ["spindle"], HERE: ["spindle"]}, "", quiet)
    assert {name: sorted(each) for name, each in found.pythons.items()} == {"spindle-1.0-py3-none-any.whl": sorted([HERE.python, NEXT.python])}
    assert found.built == {"spindle-1.0-py3-none-any.whl"} and found.text.count("spindle") == 1 and found.text.count("--hash") == 2


def test_what_one_python_cannot_have_is_refused(index, resolver):
    name, raw = wheel("treadle", "1.0", f"Requires-Python: <{NEXT.python}\n")
    index.put("treadle", name, raw)
    with pytest.raises(Refused) as error:
        lock.locked({HERE: ["treadle"], NEXT: ["treadle"]}, "", quiet)
    assert error.value.message == f"what is required cannot be locked for {NEXT}"
    assert "treadle" in "\n".join(error.value.tail)
    assert not list((tools.cache() / "locks").iterdir()), "half a lock was left"


def test_only_some_require_something(index, resolver):
    found = lock.locked({HERE: [], NEXT: ["loom"]}, "", quiet)
    assert found.text.startswith(f'loom==1.0 ; python_version == "{NEXT.python}"')
    assert not lock.parse(found.text, HERE.environment)


@pytest.mark.parametrize("name, fits, unfit", [
    ("a-1-py3-none-any.whl", ["3.9", "3.12"], []), ("a-1-cp311-cp311-linux_x86_64.whl", ["3.11"], ["3.12"]),
    ("a-1-cp39-abi3-manylinux_2_17_x86_64.whl", ["3.9", "3.13"], ["3.8"]), ("a-1-cp311-cp311-manylinux_2_39_x86_64.whl", [], ["3.11"]),
    ("a-1-py2.py3-none-any.whl", ["3.11"], []), ("a-1-py2-none-any.whl", [], ["3.11"]), ("a-1-cp311-cp311-linux_aarch64.whl", [], ["3.11"]),
    ("a-1-1build-py3-none-any.whl", ["3.11"], [])])
def test_which_wheels_a_target_takes(name, fits, unfit):
    for python in fits + unfit:
        assert Target(python, "manylinux_2_36_x86_64").takes(name) == (python in fits), (name, python)


def test_a_compiled_application_serves_one_python(tmp_path):
    path = tmp_path / "shop-1.0-cp311-cp311-linux_x86_64.whl"
    path.write_bytes(wheel("shop", "1.0")[1])
    aims = [Target(each, "manylinux_2_36_x86_64") for each in ("3.10", "3.11", "3.12")]
    build_of = pytest.raises(Refused)
    with build_of as error:
        build.serves(path, aims)
    assert error.value.message == ("the wheel shop-1.0-cp311-cp311-linux_x86_64.whl is compiled and does not serve "
                                   "Python 3.10 and 3.12 on manylinux_2_36_x86_64")


class Config(dict):
    def wrong(self, key, message, hint=""):
        return UsageError(f"{key}: {message}", hint)


@pytest.mark.parametrize("said, message", [
    (["3.11", "three"], "python: 'three' is not a minor version of Python"), (["3.11.4"], "python: '3.11.4' is not a minor version of Python"),
    (["3.11", "3.12", "3.11"], "python: names 3.11 twice"), (["2.7"], "python: '2.7' is not a minor version of Python")])
def test_pythons_that_are_none(said, message):
    with pytest.raises(UsageError) as error:
        targets(Config(python=said, platform=""))
    assert error.value.message == message


def test_targets_are_in_order():
    found = targets(Config(python=["3.12", "3.9", "3.11"], platform="manylinux_2_36_x86_64"))
    assert shown(found) == "Python 3.9, 3.11 and 3.12 on manylinux_2_36_x86_64"


def test_a_release_for_two(differs, tmp_path):
    made = factory.make_project(tmp_path / "project", requires=("loom", "spindle"))
    made.configure(f'python = ["{NEXT.python}", "{HERE.python}"]')
    report = factory.Quiet()
    proposal = factory.run_release(made, "1.1.4", report=report)
    assert proposal.frame.target == f"Python {HERE.python} and {NEXT.python} on {HERE.platform}"
    assert report.warnings == [f"not installed and imported here: the wheels are for {NEXT}"]
    release = DirectoryStore(made.store).manifest("weaveserver", "1.1.4")
    assert (release.format, release.pythons) == (2, (HERE.python, NEXT.python))
    names = {aim.python: [a.basename.split("-py3")[0] for a in release.part(aim.python).dependencies] for aim in (HERE, NEXT)}
    assert names == {HERE.python: ["loom-1.0", "spindle-1.0"], NEXT.python: ["heald-1.0", "loom-2.0", "spindle-1.0"]}
    assert release.part(HERE.python).id != release.part(NEXT.python).id and release.part(HERE.python).layer != release.part(NEXT.python).layer
    assert DirectoryStore(made.store).verify("weaveserver", "1.1.4") == []


def test_nothing_changes_when_one_of_two_cannot_have_it(index, tmp_path, world):
    index.put("treadle", *wheel("treadle", "1.0", f"Requires-Python: <{NEXT.python}\n"))
    made = factory.make_project(tmp_path / "project", requires=("treadle",))
    made.configure(f'python = ["{HERE.python}", "{NEXT.python}"]')
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.message == f"lock: what is required cannot be locked for {NEXT}"
    assert world(made) == before


def test_a_python_that_the_project_does_not_allow(tmp_path, world):
    made = factory.make_project(tmp_path / "project")
    made.configure('python = ["3.5", "3.11"]')
    before = world(made)
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert [each["message"] for each in error.value.details] == ["[tool.weft] python names 3.5; the project requires Python >=3.9"]
    assert world(made) == before


def test_upgrade_of_a_name_that_one_python_alone_has(differs):
    text = lock.locked(BOTH, "", quiet).text
    differs.put("heald", *wheel("heald", "1.1"))
    found = lock.locked(BOTH, text, quiet, Rules(upgrade=["heald"])).text
    assert "heald==1.1" in found and "loom==1.0" in found and "loom==2.0" in found


@pytest.mark.slow
def test_inv_lock_for_two_binds_the_release(differs, tmp_path):
    made = factory.make_project(tmp_path / "project", requires=("loom",))
    made.configure(f'python = ["{HERE.python}", "{NEXT.python}"]\nchannel = "prod"')
    path, count = single.lock_only(pipeline.open_project(made.root), False, factory.Quiet())
    assert count == 2
    made.commit("the lock")
    differs.put("loom", *wheel("loom", "2.1"))
    factory.run_release(made, "1.1.4")
    assert (made.store / "weaveserver/1.1.4/requirements.lock").read_text() == path.read_text()
