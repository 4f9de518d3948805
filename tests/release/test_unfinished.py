"""`--resume` and `--abort`: what is really on the remote decides, whatever a note says."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests import factory
from tests.release.vcs_world import finished, no_residue, world
from weft.errors import NeedsHands, OutcomeUnknown, Refused, UsageError
from weft.release import pipeline, scratch, unfinished

pytestmark = pytest.mark.usefixtures("warm")
BOTH = pytest.mark.parametrize("vcs", ["git", "hg"])
REMOTE = {"git": "origin", "hg": "default"}


@pytest.fixture
def made(tmp_path, vcs):
    if vcs == "hg" and not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    return factory.make_project(tmp_path / "project", vcs=vcs)


def resume(made, version=None):
    return pipeline.release(pipeline.open_project(made.root), pipeline.Wish(version, resume=True), factory.date(2024, 5, 6),
                            factory.Quiet(), lambda proposal: None)


def abort(made):
    return unfinished.abort(pipeline.open_project(made.root))


def left_before_the_push(made):
    """As a release that was killed after it had staged its files leaves them."""
    project = pipeline.open_project(made.root)
    place = scratch.create(project.repo.data)
    staged = project.store.staging(made.name, "1.1.4")
    staged.mkdir(parents=True)
    scratch.save(place, scratch.Note("1.1.4", "a" * 40, "1.1.4", "b" * 40, project.repo.state().branch, made.head(), str(staged)))


def left_after_the_push(made, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(NeedsHands):
        patch.setattr("weft.durable.publish", lambda *words: (_ for _ in ()).throw(OSError(5, "Input/output error", "disk")))
        factory.run_release(made, "1.1.4")


@BOTH
def test_abort_removes_what_was_not_pushed(made):
    before = world(made)
    left_before_the_push(made)
    scratch.create(made.data)
    assert sorted(abort(made)) == ["", "1.1.4"]
    assert world(made) == before
    assert abort(made) == []


@BOTH
def test_after_the_push_abort_refuses_and_resume_finishes(made, monkeypatch):
    left_after_the_push(made, monkeypatch)
    before = world(made)
    with pytest.raises(Refused) as error:
        abort(made)
    assert error.value.lines() == [
        f"1.1.4 is past its point of no return: the tag 1.1.4 on {REMOTE[made.vcs]} is this release", "now:  nothing changed",
        "next: inv release --version 1.1.4 finishes it"]
    assert world(made) == before
    with pytest.raises(Refused) as error:
        resume(made, "1.1.5")
    assert error.value.lines()[::2] == ["the release to go on with is 1.1.4, not 1.1.5", "next: inv release --resume"]
    assert resume(made).frame.version == "1.1.4"
    finished(made)


@BOTH
def test_abort_when_the_remote_gives_no_answer(made):
    left_before_the_push(made)
    made.remote.rename(made.remote.with_suffix(".gone"))
    with pytest.raises(OutcomeUnknown) as error:
        abort(made)
    assert error.value.message.startswith(f"whether 1.1.4 was pushed is not known: {REMOTE[made.vcs]} gave no answer: ")
    assert error.value.lines()[1:] == ["now:  nothing was removed", "next: inv release --abort, when it can be reached"]
    made.remote.with_suffix(".gone").rename(made.remote)
    assert abort(made) == ["1.1.4"]
    no_residue(made)


@BOTH
def test_nothing_to_go_on_with(made):
    with pytest.raises(Refused) as error:
        resume(made)
    assert error.value.lines()[::2] == ["there is no release to go on with", "next: inv release --version 1.1.4, or inv status"]
    left_before_the_push(made)
    with pytest.raises(Refused) as error:
        resume(made)
    assert error.value.lines()[::2] == [
        "1.1.4 was begun, but not pushed: there is nothing to go on with",
        "next: inv release --version 1.1.4 starts it again, inv release --abort removes what is left"]


def test_resume_takes_no_bump():
    with pytest.raises(UsageError, match="^--resume goes on with the version that was begun; leave --bump away$"):
        pipeline.Wish(bump="patch", resume=True)


@BOTH
def test_the_words_of_inv(made, monkeypatch):
    made.write("tasks.py", "from weft.tasks.release import ns\n")
    made.commit("tasks")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def inv(*words):
        done = subprocess.run([sys.executable, "-m", "invoke", *words], cwd=made.root, env=env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr
    assert inv("release", "--abort") == (0, "there is nothing to abort\n", "")
    assert inv("release", "--abort", "--bump", "patch")[0] == 2
    left_before_the_push(made)
    assert json.loads(inv("status", "--json")[1])["unfinished"] == "1.1.4 was not pushed: inv release --abort"
    assert inv("release", "--abort") == (0, "1.1.4: what it left is removed; nothing of it was pushed or published\n", "")
    left_after_the_push(made, monkeypatch)
    assert json.loads(inv("status", "--json")[1])["unfinished"] == "1.1.4 is pushed: inv release --resume"
    assert json.loads(inv("release", "--abort", "--json")[1])["code"] == 3
    code, out, _ = inv("release", "--resume", "--yes", "--json")
    said = json.loads(out)
    assert (code, said["version"], said["released"]) == (0, "1.1.4", "now")
    finished(made)
