"""Locks and wheelhouses from a real index, by uv and by pip."""

import os
import shutil
import sys
from datetime import date

import pytest

from tests import factory
from tests.release.index import serving, wheel
from weft.errors import FailedUndone, Refused, UsageError
from weft.release import lock, pins, pipeline, single, tools
from weft.release.lock import Rules
from weft.release.target import Target, this_platform
from weft.stores.directory import DirectoryStore

HERE = Target(f"{sys.version_info[0]}.{sys.version_info[1]}", this_platform())
OTHER = Target("3.9", "manylinux_2_28_x86_64")


@pytest.fixture
def index(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch) as index:
        yield index


@pytest.fixture(params=["uv", "pip"])
def resolver(request, monkeypatch):
    if request.param == "pip":
        monkeypatch.setattr(tools, "uv", lambda: "")
    elif not tools.uv() and not shutil.which("uv"):
        pytest.skip("uv is not installed: pip install uv")


def quiet(line):
    pass


def test_nothing_required_is_nothing_asked():
    assert lock.locked({HERE: ()}, "", quiet) == lock.Locked("# no dependencies\n", (), False)


def test_locked_with_hashes_and_wheels(index, resolver):
    found = lock.locked({HERE: ["loom>=1", "spindle"]}, "", quiet)
    assert [path.name for path in found.wheels] == ["loom-1.0-py3-none-any.whl", "spindle-1.0-py3-none-any.whl"]
    pins = lock.parse(found.text)
    assert {name: version for name, (version, _) in pins.items()} == {"loom": "1.0", "spindle": "1.0"}
    for path in found.wheels:
        assert lock.durable.sha256(path) in pins[path.name.split("-")[0]][1], "what was built here is locked too"
    assert "127.0.0.1" not in found.text and "://" not in found.text and "index" not in found.text
    assert found.fresh


def test_equal_inputs_ask_nothing(index):
    first = lock.locked({HERE: ["loom>=1"]}, "", quiet)
    asked = len(index.asked)
    assert asked
    index.put("loom", *wheel("loom", "1.1"))
    second = lock.locked({HERE: ["loom>=1"]}, "", quiet)
    assert (second.text, second.wheels, second.fresh, len(index.asked)) == (first.text, first.wheels, False, asked)


def test_the_cache_is_named_by_the_content_of_the_inputs(tmp_path, monkeypatch):
    def key(requires, target=HERE, pins={}):
        return lock._key({target: requires}, {target: pins})
    (tmp_path / "bounds").write_text("a<2\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "bounds"))
    keys = [key(["a", "b"]), key(["b", "a"]), key(["a"]), key(["a", "b"], OTHER), key(["a", "b"], pins={"a": ("1", frozenset())}),
            key(["a", "b"], pins={"a": ("1", frozenset("x"))}), lock._key({HERE: ["a", "b"], OTHER: ["a", "b"]}, {})]
    assert keys[0] == keys[1] and len(set(keys)) == 6
    os.utime(tmp_path / "bounds", (1, 1))
    assert key(["a", "b"]) == keys[0], "times do not count"
    (tmp_path / "bounds").write_text("a<3\n")
    assert key(["a", "b"]) not in keys, "what pip is bound by does"


def test_upgrade_asks_again_and_is_kept(index):
    lock.locked({HERE: ["loom>=1"]}, "", quiet)
    index.put("loom", *wheel("loom", "1.1"))
    assert "loom==1.1" in lock.locked({HERE: ["loom>=1"]}, "loom==1.0\n", quiet, Rules(upgrade=True)).text
    assert "loom==1.1" in lock.locked({HERE: ["loom>=1"]}, "", quiet).text


def test_the_projects_own_lock_is_kept_to(index, resolver):
    index.put("loom", *wheel("loom", "1.1"))
    found = lock.locked({HERE: ["loom>=1"]}, "loom==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", quiet)
    assert list(lock.parse(found.text)) == ["loom"] and "loom==1.0" in found.text


def test_a_pin_that_the_metadata_rules_out_gives_way(index, resolver):
    index.put("loom", *wheel("loom", "2.0"))
    found = lock.locked({HERE: ["loom>=2", "spindle"]}, "loom==1.0\nspindle==1.0\n", quiet, Rules(files=True))
    assert "loom==2.0" in found.text and "spindle==1.0" in found.text


def test_one_name_is_upgraded_and_the_others_stay(index, resolver):
    for name in ("loom", "heald"):
        index.put(name, *wheel(name, "1.0"))
        index.put(name, *wheel(name, "1.1"))
    found = lock.locked({HERE: ["loom", "heald"]}, "loom==1.0\nheald==1.0\n", quiet, Rules(upgrade=["Heald"]))
    assert {name: version for name, (version, _) in lock.parse(found.text).items()} == {"loom": "1.0", "heald": "1.1"}


def test_a_name_to_upgrade_that_is_not_locked(index):
    with pytest.raises(UsageError) as error:
        lock.locked({HERE: ["loom"]}, "loom==1.0\n", quiet, Rules(upgrade=["lom", "loom"]))
    assert (error.value.message, error.value.hint) == ("lom: not in requirements.lock", "locked: loom")


def test_other_bytes_under_a_locked_name_are_refused(index, resolver):
    """The index was changed, or somebody stands in the way: the hashes that were committed decide."""
    pinned = lock.locked({HERE: ["loom"]}, "", quiet).text
    index.put("loom", "loom-1.0-py3-none-any.whl", wheel("loom", "1.0", "Summary: evil\n")[1])
    with pytest.raises(Refused) as error:
        lock.locked({HERE: ["loom"]}, pinned, quiet, Rules(files=True))
    assert error.value.message == "the index has other files than requirements.lock names"
    assert lock.locked({HERE: ["loom"]}, pinned, quiet, Rules(upgrade=True)).text != pinned


def test_an_sdist_built_twice_gives_the_same_wheel(index, resolver, tmp_path, monkeypatch):
    first = lock.locked({HERE: ["spindle"]}, "", quiet).wheels[0].read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-cache"))
    assert lock.locked({HERE: ["spindle"]}, "", quiet).wheels[0].read_bytes() == first


def prod(made, version="1.1.4"):
    with pytest.raises((Refused, FailedUndone)) as error:
        pipeline.release(pipeline.open_project(made.root), pipeline.Wish(version, channel="prod"), date(2024, 5, 6), factory.Quiet(),
                         lambda proposal: None)
    return error.value


def test_prod_wants_a_lock_in_version_control(index, tmp_path, world):
    made = factory.make_project(tmp_path / "project", requires=("loom",))
    made.write("requirements.lock", "loom==1.0\n")
    before = world(made)
    assert prod(made).details == [{"message": "requirements.lock is not in version control, and the channel prod releases only what is pinned",
                                   "next": "inv lock, then commit requirements.lock"}]
    assert world(made) == before


def test_prod_lists_what_the_lock_does_not_cover(index, tmp_path):
    made = factory.make_project(tmp_path / "project", requires=("loom>=2", "heald", "spindle", "nothing; python_version < '3'"))
    made.write("requirements.lock", "loom==1.0\nspindle==1.0\n")
    made.commit("a lock")
    assert prod(made).details == [{"message": "requirements.lock does not cover what the project requires: loom>=2 (1.0 is locked), heald",
                                   "next": "inv lock, then commit requirements.lock"}]


def test_prod_refuses_what_the_locked_ones_bring_along(index, tmp_path, resolver, world):
    """Only the resolver can tell: still nothing is changed."""
    index.put("loom", *wheel("loom", "1.5", "Requires-Dist: spindle\n"))
    made = factory.make_project(tmp_path / "project", requires=("loom",))
    made.write("requirements.lock", "loom==1.5 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    made.commit("a lock")
    before = world(made)
    error = prod(made)
    assert (error.code, error.message) == (4, "lock: requirements.lock does not cover what is released: spindle 1.0")
    assert world(made) == before


@pytest.mark.slow
def test_prod_releases_what_inv_lock_has_written(index, tmp_path, resolver):
    made = factory.make_project(tmp_path / "project", requires=("loom", "spindle"))
    made.configure('channel = "prod"')
    path, count = single.lock_only(pipeline.open_project(made.root), False, factory.Quiet())
    assert count == 2
    made.commit("the lock")
    index.put("loom", *wheel("loom", "1.1"))
    proposal = factory.run_release(made, "1.1.4")
    assert [step.text for step in proposal.plan.steps if step.kind == "lock"] == [
        f"requirements.lock with hashes and a wheelhouse for {proposal.frame.target}, nothing but what is pinned"]
    assert (made.store / "weaveserver/1.1.4/requirements.lock").read_text() == path.read_text()


def test_a_channel_that_is_not_known():
    with pytest.raises(UsageError) as error:
        pipeline.Wish("1.1.4", channel="production")
    assert (error.value.message, error.value.hint) == ("--channel 'production' is unknown", "known: dev, prod")


@pytest.mark.parametrize("text, extras, expected", [
    ("", (), None), ('[project]\nname = "a"\ndynamic = ["dependencies"]\n', (), None), ('[project]\nname = "a"\n', (), []),
    ('[project]\nname = "a"\ndependencies = ["x>1"]\n[project.optional-dependencies]\npostgre_SQL = ["y"]\n', ("postgre-sql",), ["x>1", "y"]),
    ('[project]\nname = "a"\ndynamic = ["optional-dependencies"]\n', ("more",), None)])
def test_what_is_declared_without_a_build(tmp_path, text, extras, expected):
    (tmp_path / "pyproject.toml").write_text(text)
    assert pins.declared(tmp_path, extras) == expected


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"rotten"), lambda path: path.unlink()])
def test_a_damaged_cache_is_not_sound(index, damage):
    found = lock.locked({HERE: ["loom>=1"]}, "", quiet)
    place = found.wheels[0].parent.parent
    assert lock._sound(place)
    damage(found.wheels[0])
    assert not lock._sound(place)


def test_for_another_python(index, resolver):
    found = lock.locked({OTHER: ["loom"]}, "", quiet)
    assert [path.name for path in found.wheels] == ["loom-1.0-py3-none-any.whl"]


def test_nothing_is_built_for_another_machine(index, resolver):
    with pytest.raises(Refused) as error:
        lock.locked({OTHER: ["spindle"]}, "", quiet)
    assert error.value.message == "what is required cannot be locked for Python 3.9 on manylinux_2_28_x86_64"
    assert not list((tools.cache() / "locks").iterdir()), "half a lock was left"


def test_what_is_not_on_an_index_cannot_be_locked(index, tmp_path, resolver):
    name, raw = wheel("shed", "1.0")
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(Refused) as error:
        lock.locked({HERE: [f"shed @ file://{tmp_path / name}"]}, "", quiet)
    assert error.value.message.endswith("cannot be locked: it has no file with a hash on an index")


def test_unknown_to_the_index(index):
    with pytest.raises(Refused) as error:
        lock.locked({HERE: ["nowhere-to-be-found"]}, "", quiet)
    assert "nowhere-to-be-found" in "\n".join(error.value.tail)


def test_a_release_with_dependencies_and_the_next_one_without_network(index, tmp_path):
    made = factory.make_project(tmp_path / "project", requires=("loom>=1", "spindle"))
    factory.run_release(made, "1.1.4")
    made.changelog("1.1.5")
    asked = len(index.asked)
    factory.run_release(made, "1.1.5")
    assert len(index.asked) == asked
    store = DirectoryStore(made.store)
    first, second = (store.manifest("weaveserver", version) for version in ("1.1.4", "1.1.5"))
    assert [a.name for a in first.of_kind("dependency")] == ["wheelhouse/loom-1.0-py3-none-any.whl", "wheelhouse/spindle-1.0-py3-none-any.whl"]
    assert first.layer == second.layer
    text = (made.store / "weaveserver/1.1.4/requirements.lock").read_text()
    assert "://" not in text and "find-links" not in text


def test_the_wheels_are_for_another_python(index, tmp_path, monkeypatch):
    """They are fetched, and said not to have been tried."""
    monkeypatch.setattr(tools, "python", lambda minor: "")
    made = factory.make_project(tmp_path / "project", requires=("loom",))
    made.configure('python = "3.13"\nplatform = "manylinux_2_28_x86_64"')
    report = factory.Quiet()
    factory.run_release(made, "1.1.4", report=report)
    assert report.warnings == ["not installed and imported here: the wheels are for Python 3.13 on manylinux_2_28_x86_64"]
    assert DirectoryStore(made.store).manifest("weaveserver", "1.1.4").pythons == ("3.13",)


def test_written_and_parsed():
    pins = {"b_c": ("1.0", frozenset({"b" * 64, "a" * 64})), "a": ("2", frozenset({"c" * 64}))}
    text = lock.written({"3.11": pins})
    assert text == (f"a==2 \\\n    --hash=sha256:{'c' * 64}\n"
                    f"b-c==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n")
    assert lock.parse(text) == pins
    assert lock.parse("# x\n--index-url https://example.org\nA.B[x]==1.0 ; python_version > '3' # via c\n") == {"a_b": ("1.0", frozenset())}
