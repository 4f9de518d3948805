"""What an index says and pip is told besides versions: yanked releases, local versions, extras of dependencies, further places to look at."""

import pytest

from tests import factory
from tests.release.index import Index, wheel
from tests.release.test_lock import HERE, index, quiet, resolver  # noqa: F401  (fixtures)
from weft.errors import Refused
from weft.release import lock, pins, pipeline, single
from weft.release.lock import Rules

pytestmark = pytest.mark.slow
WHY = "eats the warp"
EXTRA = "Provides-Extra: fast\nRequires-Dist: heald; extra == 'fast'\n"


def versions(found):
    return {name: version for name, (version, _) in lock.parse(found.text).items()}


def yanked(index):
    """loom 1.0, and 1.1, which was yanked."""
    index.put("loom", *wheel("loom", "1.1"))
    index.yank("loom", "loom-1.1-py3-none-any.whl", WHY)


def test_a_yanked_version_is_taken_only_where_it_is_pinned(index, resolver):
    yanked(index)
    fresh = lock.locked({HERE: ["loom>=1"]}, "", quiet)
    assert (versions(fresh), fresh.yanked) == ({"loom": "1.0"}, {})
    kept = lock.locked({HERE: ["loom>=1"]}, "loom==1.1\n", quiet)
    assert (versions(kept), kept.yanked) == ({"loom": "1.1"}, {"loom": f"loom 1.1: {WHY}"})


def test_prod_refuses_it_unless_it_is_required_exactly(index):
    yanked(index)
    pinned = lock.locked({HERE: ["loom>=1"]}, "loom==1.1\n", quiet).text
    for _ in range(2):  # made, then from the cache
        with pytest.raises(Refused) as error:
            lock.locked({HERE: ["loom>=1"]}, pinned, quiet, Rules(files=True, strict=True))
        assert error.value.code == 3 and error.value.message == f"requirements.lock pins what its index has yanked: loom 1.1: {WHY}"
        assert error.value.hint == "inv lock --upgrade loom, then commit requirements.lock; or require exactly that version, if it is meant"
    meant = lock.locked({HERE: ["loom==1.1"]}, pinned, quiet, Rules(files=True, strict=True))
    assert versions(meant) == {"loom": "1.1"} and meant.yanked


def test_it_is_said_by_a_release_and_by_inv_lock(index, tmp_path, warm):
    made = factory.make_project(tmp_path / "project", requires=("loom>=1",))
    made.write("requirements.lock", "loom==1.1\n")
    made.commit("a lock")
    yanked(index)
    for run in (lambda report: factory.run_release(made, "1.1.4", report=report),
                lambda report: single.lock_only(pipeline.open_project(made.root), False, report)):
        report = factory.Quiet()
        run(report)
        assert report.warnings == [f"locked, but its index has yanked it: loom 1.1: {WHY}"]


def test_a_local_version(index, resolver):
    index.put("loom", *wheel("loom", "1.0+weavers.2"))
    found = lock.locked({HERE: ["loom==1.0"]}, "", quiet)
    assert versions(found) == {"loom": "1.0+weavers.2"} and [path.name for path in found.wheels] == ["loom-1.0+weavers.2-py3-none-any.whl"]
    assert pins.uncovered(["loom==1.0"], HERE.environment, lock.parse(found.text)) == []


def test_an_extra_of_a_dependency(index, resolver):
    index.put("loom", *wheel("loom", "2.0", EXTRA))
    index.put("heald", *wheel("heald", "1.0"))
    found = lock.locked({HERE: ["loom[fast]>=2"]}, "", quiet)
    assert versions(found) == {"loom": "2.0", "heald": "1.0"} and "[" not in found.text
    with pytest.raises(Refused, match=r"^requirements.lock does not cover what is released: heald 1.0$"):
        lock.locked({HERE: ["loom[fast]>=2"]}, found.text[found.text.index("loom"):], quiet, Rules(files=True, strict=True))


@pytest.mark.parametrize("resolver, way", [*(("uv", way) for way in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "pip.conf")),
                                           ("pip", "pip.conf")], indirect=["resolver"])
def test_pip_is_told_where_to_look(index, resolver, tmp_path, monkeypatch, way):
    """The best version of all places counts, for both resolvers; uv is told nothing of its own here."""
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    other = Index(tmp_path / "other")
    try:
        other.put("loom", *wheel("loom", "1.5"))
        values = {"PIP_INDEX_URL": other.url, "PIP_EXTRA_INDEX_URL": other.url, "PIP_FIND_LINKS": str(other.root / "simple/loom")}
        if way == "pip.conf":
            (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\n[install]\nextra-index-url = {other.url}\n"
                                               f"[download]\nextra-index-url = {other.url}\n")
            monkeypatch.delenv("PIP_INDEX_URL")
            monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        else:
            monkeypatch.setenv(way, values[way])
        lines = []
        found = lock.locked({HERE: ["loom>=1"]}, "", lines.append)
        assert not [line for line in lines if "asking pip" in line], "uv found it by itself"
        assert versions(found) == {"loom": "1.5"} and "://" not in found.text
        assert bool(index.asked) == (way != "PIP_INDEX_URL") and (bool(other.asked) or way == "PIP_FIND_LINKS")
    finally:
        other.close()
