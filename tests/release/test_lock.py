"""Locks and wheelhouses from a real index, by uv and by pip."""

import shutil
import sys

import pytest

from tests import factory
from tests.release.index import Index, wheel
from weft.errors import Refused
from weft.release import lock, run, tools
from weft.release.target import Target, this_platform
from weft.stores.directory import DirectoryStore

HERE = Target(f"{sys.version_info[0]}.{sys.version_info[1]}", this_platform())
OTHER = Target("3.9", "manylinux_2_28_x86_64")


@pytest.fixture
def index(tmp_path, monkeypatch):
    index = Index(tmp_path / "index")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": index.url, "UV_DEFAULT_INDEX": index.url,
                        "UV_NO_CONFIG": "1", "UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    yield index
    index.close()


@pytest.fixture(params=["uv", "pip"])
def resolver(request, monkeypatch):
    if request.param == "pip":
        monkeypatch.setattr(tools, "uv", lambda: "")
    elif not tools.uv() and not shutil.which("uv"):
        pytest.skip("uv is not installed: pip install uv")


def quiet(line):
    pass


def test_nothing_required_is_nothing_asked():
    assert lock.locked((), HERE, "", quiet) == lock.Locked("# no dependencies\n", (), False)


def test_locked_with_hashes_and_wheels(index, resolver):
    found = lock.locked(["loom>=1", "spindle"], HERE, "", quiet)
    assert [path.name for path in found.wheels] == ["loom-1.0-py3-none-any.whl", "spindle-1.0-py3-none-any.whl"]
    pins = lock.parse(found.text)
    assert {name: version for name, (version, _) in pins.items()} == {"loom": "1.0", "spindle": "1.0"}
    for path in found.wheels:
        assert lock.durable.sha256(path) in pins[path.name.split("-")[0]][1], "what was built here is locked too"
    assert "127.0.0.1" not in found.text and "://" not in found.text and "index" not in found.text
    assert found.fresh


def test_equal_inputs_ask_nothing(index):
    first = lock.locked(["loom>=1"], HERE, "", quiet)
    asked = len(index.asked)
    assert asked
    index.put("loom", *wheel("loom", "1.1"))
    second = lock.locked(["loom>=1"], HERE, "", quiet)
    assert (second.text, second.wheels, second.fresh, len(index.asked)) == (first.text, first.wheels, False, asked)


def test_the_cache_is_named_by_the_content_of_the_inputs():
    keys = [lock._key(*words) for words in ((["a", "b"], HERE, {}), (["b", "a"], HERE, {}), (["a"], HERE, {}), (["a", "b"], OTHER, {}),
                                            (["a", "b"], HERE, {"a": "1"}))]
    assert keys[0] == keys[1] and len(set(keys)) == 4


def test_upgrade_asks_again_and_is_kept(index):
    lock.locked(["loom>=1"], HERE, "", quiet)
    index.put("loom", *wheel("loom", "1.1"))
    assert "loom==1.1" in lock.locked(["loom>=1"], HERE, "loom==1.0\n", quiet, upgrade=True).text
    assert "loom==1.1" in lock.locked(["loom>=1"], HERE, "", quiet).text


def test_the_projects_own_lock_is_kept_to(index, resolver):
    index.put("loom", *wheel("loom", "1.1"))
    found = lock.locked(["loom>=1"], HERE, "loom==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", quiet)
    assert list(lock.parse(found.text)) == ["loom"] and "loom==1.0" in found.text


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"rotten"), lambda path: path.unlink()])
def test_a_damaged_cache_is_not_sound(index, damage):
    found = lock.locked(["loom>=1"], HERE, "", quiet)
    place = found.wheels[0].parent.parent
    assert lock._sound(place)
    damage(found.wheels[0])
    assert not lock._sound(place)


def test_for_another_python(index, resolver):
    found = lock.locked(["loom"], OTHER, "", quiet)
    assert [path.name for path in found.wheels] == ["loom-1.0-py3-none-any.whl"]


def test_nothing_is_built_for_another_machine(index, resolver):
    with pytest.raises(run.CommandFailed):
        lock.locked(["spindle"], OTHER, "", quiet)
    assert not list((tools.cache() / "locks").iterdir()), "half a lock was left"


def test_what_is_not_on_an_index_cannot_be_locked(index, tmp_path, resolver):
    name, raw = wheel("shed", "1.0")
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(Refused) as error:
        lock.locked([f"shed @ file://{tmp_path / name}"], HERE, "", quiet)
    assert error.value.message.endswith("cannot be locked: it has no file with a hash on an index")


def test_unknown_to_the_index(index):
    with pytest.raises(run.CommandFailed) as error:
        lock.locked(["nowhere-to-be-found"], HERE, "", quiet)
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
    made.configure('python = "3.8"\nplatform = "manylinux_2_28_x86_64"')
    report = factory.Quiet()
    factory.run_release(made, "1.1.4", report=report)
    assert report.warnings == ["not installed and imported here: the wheels are for Python 3.8 on manylinux_2_28_x86_64"]
    assert DirectoryStore(made.store).manifest("weaveserver", "1.1.4").python == "3.8"


def test_written_and_parsed():
    pins = {"b_c": ("1.0", frozenset({"b" * 64, "a" * 64})), "a": ("2", frozenset({"c" * 64}))}
    text = lock.written(pins)
    assert text == (f"a==2 \\\n    --hash=sha256:{'c' * 64}\n"
                    f"b-c==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n")
    assert lock.parse(text) == pins
    assert lock.parse("# x\n--index-url https://example.org\nA.B[x]==1.0 ; python_version > '3' # via c\n") == {"a_b": ("1.0", frozenset())}
