"""What lies in the store and what does not: the operator's side brings it, by hash, and hosts need no network."""

import hashlib
import shutil
import signal

import pytest

from tests import factory
from tests.release.index import serving, wheel
from tests.release.test_killed import child
from tests.release.test_lock import HERE, index, quiet  # noqa: F401
from tests.release.vcs_world import finished
from weft.errors import FailedUndone, Refused, UsageError
from weft.release import lock, pipeline, tools, vendor
from weft.rollout.payload import Payload
from weft.stores.directory import DirectoryStore

LOOM = "loom-1.0-py3-none-any.whl"


@pytest.mark.parametrize("said, found", [(["all"], ("all",)), (["none"], ("none",)), (["Loom", " a.B_c ", "loom"], ("loom", "a_b_c"))])
def test_words(said, found):
    assert tuple(dict.fromkeys(vendor.words(said))) == found


@pytest.mark.parametrize("said, message", [
    ([""], "vendor: '' is not a package's name"), (["a b"], "vendor: 'a b' is not a package's name"), (["../x"], "vendor: '../x' is not a package's name"),
    (["all", "loom"], "vendor: all, loom: all and none stand alone"), ([], "vendor: which?")])
def test_words_that_are_none(said, message):
    with pytest.raises(UsageError) as error:
        pipeline.Wish("1.0", vendor=said)
    assert error.value.message == message


def test_the_same_in_the_configuration(tmp_path):
    made = factory.make_project(tmp_path / "project")
    made.configure('vendor = ["none", "loom"]')
    with pytest.raises(UsageError, match=r"pyproject.toml:\d+: vendor: none, loom: all and none stand alone$"):
        pipeline.open_project(made.root)


def test_split(index):
    index.put("heald", *wheel("heald", "1.0"))
    locked = lock.locked({HERE: ["loom", "spindle", "heald"]}, "", quiet)

    def names(paths):
        return [path.name.split("-")[0] for path in paths]
    for said, inside, forced in ((("all",), ["heald", "loom", "spindle"], []), (("none",), ["spindle"], ["spindle"]),
                                 (("loom",), ["loom", "spindle"], ["spindle"]), (("spindle",), ["spindle"], [])):
        found = vendor.split(locked, said)
        assert (names(found.inside), found.forced) == (inside, forced), said
        assert sorted(names(found.inside) + names(found.outside)) == ["heald", "loom", "spindle"]
    assert vendor.split(locked, ("none",)).warning == ("vendored all the same: spindle; the index has no wheel of it, and no host builds: "
                                                       "it was built here, once")
    with pytest.raises(Refused) as error:
        vendor.split(locked, ("lom", "loom"))
    assert (error.value.message, error.value.hint) == ("vendor: lom: not among the dependencies", "all, none, or of: heald, loom, spindle")


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """weaveserver 1.1.4 with spindle in the store (it was built here) and loom not; and loom's wheel."""
    folder = tmp_path_factory.mktemp("once")
    made = factory.make_project(folder / "project", requires=("loom", "spindle"))
    made.configure('vendor = "none"')
    report = factory.Quiet()
    with pytest.MonkeyPatch.context() as patch, serving(folder, patch) as served:
        proposal = factory.run_release(made, "1.1.4", report=report)
        return made, DirectoryStore(made.store), proposal, report, (served.root / "simple/loom" / LOOM).read_bytes()


@pytest.fixture
def released(once, index):
    """That release, and an index that has the same loom. Nobody changes the store."""
    index.put("loom", LOOM, once[4])
    return once[:4]


def test_a_release_that_leaves_a_wheel_out(released, index):
    made, store, proposal, report = released
    assert report.warnings == ["vendored all the same: spindle; the index has no wheel of it, and no host builds: it was built here, once"]
    assert proposal.plan.steps[[step.kind for step in proposal.plan.steps].index("lock")].text.endswith(
        "; the store gets no wheels, the others are locked by hash and fetched by `fab deploy`")
    release = store.manifest("weaveserver", "1.1.4")
    assert [a.name for a in release.of_kind("dependency")] == ["wheelhouse/spindle-1.0-py3-none-any.whl"]
    assert [(a.name, a.sha256) for a in release.unvendored] == [
        ("wheelhouse/loom-1.0-py3-none-any.whl", hashlib.sha256((index.root / "simple/loom/loom-1.0-py3-none-any.whl").read_bytes()).hexdigest())]
    assert [path.name for path in (made.store / "weaveserver/1.1.4/wheelhouse").glob("*.whl")] == ["spindle-1.0-py3-none-any.whl"]
    assert store.verify("weaveserver", "1.1.4") == []
    assert release.unvendored[0].sha256 in (made.store / "weaveserver/1.1.4/requirements.lock").read_text()


def test_the_operators_side_brings_it(released, index):
    store = released[1]
    payload = Payload(store, "weaveserver", "1.1.4")
    missing = {a.sha256 for a in payload.release.for_host()}
    assert [a.basename for a in payload.lacking(missing)] == ["loom-1.0-py3-none-any.whl"]
    payload.bring(missing)
    assert not payload.lacking(missing)
    sent = [stream.read() for stream in payload.streams(missing)]
    assert [(hashlib.sha256(raw).hexdigest(), len(raw)) for raw in sent] == [(each["sha256"], each["size"]) for each in payload.announce(missing)]
    assert len(sent) == len(missing)
    index.close()
    Payload(store, "weaveserver", "1.1.4").bring(missing)  # from the cache


def test_what_no_host_lacks_is_not_fetched(released, index):
    payload, asked = Payload(released[1], "weaveserver", "1.1.4"), len(index.asked)
    payload.bring({a.sha256 for a in payload.release.artifacts})
    assert len(index.asked) == asked


@pytest.mark.parametrize("change, message", [
    (lambda index: index.put("loom", "loom-1.0-py3-none-any.whl", wheel("loom", "1.0", "Summary: evil\n")[1]), "not to be had from the index: ERROR: "),
    (lambda index: (index.root / "simple/loom/loom-1.0-py3-none-any.whl").unlink(), "not to be had from the index: ERROR: ")])
def test_other_bytes_or_none_are_refused(released, index, change, message):
    payload = Payload(released[1], "weaveserver", "1.1.4")
    change(index)
    with pytest.raises(Refused) as error:
        payload.bring({a.sha256 for a in payload.release.for_host()})
    assert error.value.message.startswith(f"loom-1.0-py3-none-any.whl: not in the store, and {message}")
    assert error.value.hint == "see that pip finds it here, or release with --vendor all"
    assert not [path for path in (tools.cache() / "wheels").iterdir()], "nothing of it stays"


def test_a_damaged_cache_is_fetched_anew(released, index):
    payload = Payload(released[1], "weaveserver", "1.1.4")
    missing = {a.sha256 for a in payload.release.for_host()}
    payload.bring(missing)
    digest = payload.release.unvendored[0].sha256
    (tools.cache() / "wheels" / digest).write_bytes(b"rotten")
    again = Payload(released[1], "weaveserver", "1.1.4")
    again.bring(missing)
    assert hashlib.sha256((tools.cache() / "wheels" / digest).read_bytes()).hexdigest() == digest


def test_a_name_that_is_not_locked_is_refused(index, tmp_path, world):
    made = factory.make_project(tmp_path / "project", requires=("loom",))
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        pipeline.release(pipeline.open_project(made.root), pipeline.Wish("1.1.4", vendor=["lom"]), factory.date(2024, 5, 6), factory.Quiet(), lambda _: None)
    assert (error.value.message, error.value.hint) == ("lock: vendor: lom: not among the dependencies", "all, none, or of: loom")
    assert world(made) == before


def test_at_once_where_the_lock_is_committed(index, tmp_path):
    made = factory.make_project(tmp_path / "project", requires=("loom",))
    made.write("requirements.lock", "loom==1.0\n")
    made.commit("a lock")
    with pytest.raises(Refused) as error:
        pipeline.propose(pipeline.open_project(made.root), pipeline.Wish("1.1.4", vendor=["lom"]), factory.date(2024, 5, 6))
    assert error.value.details == [{"message": "vendor: lom: not among the dependencies", "next": "all, none, or of: loom"}]


def test_an_address_is_refused_before_anything(tmp_path):
    made = factory.make_project(tmp_path / "project", requires=("shed @ https://example.org/shed-1.0.zip",))
    with pytest.raises(Refused) as error:
        pipeline.propose(pipeline.open_project(made.root), pipeline.Wish("1.1.4"), factory.date(2024, 5, 6))
    assert error.value.details == [{"message": "the project requires shed from an address, which cannot be locked",
                                    "next": "require a released version of shed"}]


def resumed(made, version=None, said=None):
    return pipeline.release(pipeline.open_project(made.root), pipeline.Wish(version, resume=version is None, vendor=said),
                            factory.date(2024, 5, 6), factory.Quiet(), lambda _: None)


@pytest.fixture
def killed(index, tmp_path):
    """killed(kind, when): a project whose `inv release --version 1.1.4 --vendor none` was killed there."""
    def killed(kind, when, vcs="git"):
        if not shutil.which(vcs):
            pytest.skip("needs Mercurial: Debian package mercurial")
        made = factory.make_project(tmp_path / "project", requires=("loom",), vcs=vcs)
        process = child(made, kind, when, vendor="none")
        assert process.communicate()[0] == "" and process.returncode == -signal.SIGKILL
        return made
    return killed


def inside(made):
    """What of the dependencies the store has, and what it only names."""
    release = DirectoryStore(made.store).manifest("weaveserver", "1.1.4")
    return [[a.basename for a in some] for some in (release.of_kind("dependency"), release.unvendored)]


@pytest.mark.slow
@pytest.mark.parametrize("kind, vcs", [*((kind, "git") for kind in ("scratch", "build", "stage", "push", "publish")), ("build", "hg"), ("push", "hg")])
def test_a_rerun_keeps_what_the_killed_run_was_told(killed, warm, kind, vcs):
    made = killed(kind, "end", vcs)
    proposal = resumed(made, "1.1.4")
    assert inside(made) == [[], [LOOM]]
    told = [step.text for step in proposal.plan.steps if step.kind == "lock"]
    finished(made)
    assert all(text.endswith("; --vendor none, as the run before was told") for text in told) and bool(told) == (kind not in ("push", "publish"))


@pytest.mark.slow
@pytest.mark.parametrize("vcs", ["git", "hg"])
def test_resume_makes_what_was_lost_of_the_same_choice(killed, warm, vcs):
    made = killed("push", "end", vcs)
    for path in (made.store / "weaveserver").glob(".staging-*"):
        shutil.rmtree(path)
    resumed(made)
    assert inside(made) == [[], [LOOM]]
    finished(made)


def test_another_choice_is_refused_after_the_push(killed, world):
    made = killed("push", "end")
    before = world(made)
    with pytest.raises(Refused) as error:
        resumed(made, "1.1.4", ["all"])
    assert error.value.message == "1.1.4 is past its point of no return, and staged with --vendor none"
    assert world(made) == before
    resumed(made, None, ["none"])
    assert inside(made) == [[], [LOOM]]


def test_before_the_push_the_words_of_now_count(killed):
    made = killed("tag", "end")
    resumed(made, "1.1.4", ["all"])
    assert inside(made) == [[LOOM], []]
