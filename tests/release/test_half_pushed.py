"""A server that keeps its promise of an atomic push only in part: the branch moved and the tag did not, or the tag and not the branch."""

import shutil

import pytest

from tests import factory
from tests.release.vcs_world import finished, no_residue
from weft.errors import FailedUndone, NeedsHands, Refused
from weft.release import pipeline, single, unfinished
from weft.stores.directory import DirectoryStore

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm")]
DIES = '''#!/bin/sh
[ "$1" = committed ] || exit 0
rm -f "$0"
cd "$GIT_DIR" && git update-ref @WHAT@
kill -9 $PPID
'''


def dies(made, what):
    """The next push dies when its references are written, and the one named is not: git's own server, killed in the middle."""
    undo = f"refs/heads/main {made.head()}" if what == "branch" else "-d refs/tags/1.1.4"
    hook = made.remote / "hooks/reference-transaction"
    hook.write_text(DIES.replace("@WHAT@", undo))
    hook.chmod(0o755)


def open_(made):
    return pipeline.open_project(made.root)


def release(made, version="1.1.4", resume=False, report=None):
    return pipeline.release(open_(made), pipeline.Wish(version, resume=resume), factory.date(2024, 5, 7), report or factory.Quiet(), lambda proposal: None)


def commits(made):
    return made.git("log", "--format=%s", "--all", at=made.remote).count("Release 1.1.4")


def half(made, what):
    """A release whose server died; what it says."""
    dies(made, what)
    with pytest.raises(NeedsHands) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.code == 5
    return error.value


@pytest.mark.parametrize("what, took", [("tag", "took main, and not the tag 1.1.4"), ("branch", "took the tag 1.1.4, and not main")])
def test_what_is_missing_is_pushed_by_the_same_command_and_by_resume(project, what, took):
    first = project.head()
    error = half(project, what)
    assert error.message.startswith(f"push: origin {took}: ") and error.hint == "inv release --version 1.1.4 finishes it"
    assert error.effect == "origin has one of the tag 1.1.4 and its branch, and lacks the other; nothing is published yet"
    there = project.tags(project.remote)
    assert (bool(there), project.head(project.remote) != first) == ((False, True) if what == "tag" else (True, False))
    assert DirectoryStore(project.store).versions("weaveserver") == []
    assert single.status(open_(project))["unfinished"] == f"1.1.4 is pushed, without its {what}: inv release --resume"
    with pytest.raises(Refused) as error:
        unfinished.abort(open_(project))
    where = "main on origin has its commit" if what == "tag" else "the tag 1.1.4 on origin is this release"
    assert error.value.code == 3
    assert error.value.lines() == [f"1.1.4 is past its point of no return: {where}", "now:  nothing changed", "next: inv release --version 1.1.4 finishes it"]
    with pytest.raises(Refused) as error:
        release(project, "1.1.5")
    assert {"message": "1.1.4 is pushed in part but not published yet", "next": "inv release --version 1.1.4"} in error.value.details
    report = factory.Quiet()
    done = release(project, None, resume=True, report=report)
    assert report.kinds == ["push", "publish", "index", "forward", "readback"]
    missing, other = ("1.1.4", "main") if what == "tag" else ("main", "1.1.4")
    assert done.plan.steps[0].text == f"push {missing} to origin, which has only the other of main and 1.1.4" and other
    finished(project)
    assert commits(project) == 1


@pytest.mark.parametrize("what", ["tag", "branch"])
def test_the_staged_files_are_lost_too(project, what):
    half(project, what)
    for place in (project.store / "weaveserver").glob(".staging-*"):
        shutil.rmtree(place)
    tag = project.tags(project.remote)
    report = factory.Quiet()
    release(project, report=report)
    assert report.kinds == ["scratch", "test", "build", "lock", "verify", "stage", "push", "publish", "index", "forward", "readback"]
    finished(project)
    assert commits(project) == 1 and tag in ({}, project.tags(project.remote))


def test_the_tag_arrives_and_the_server_is_gone_again_when_it_is_finished(project):
    """A refusal in the middle of the repair takes nothing back: what is there stays the release's."""
    half(project, "tag")
    hook = project.remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho closed for the weekend >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(NeedsHands) as error:
        release(project)
    assert error.value.message.startswith("push: refused: ") and error.value.hint == "inv release --version 1.1.4 finishes it"
    hook.unlink()
    release(project)
    finished(project)
    assert commits(project) == 1


@pytest.mark.parametrize("what", ["tag", "branch"])
def test_a_colleague_goes_on_meanwhile(project, what):
    """On top of the release commit the tag is all that is missing; beside it, both are merged by hand, and nothing is pushed over."""
    half(project, what)
    other = project.colleague(project.root.parent / "colleague")
    other.write("news.txt", "from a colleague\n")
    other.commit("news")
    with pytest.raises(Refused) as error:
        release(project)
    assert [each["next"] for each in error.value.details] == ["git pull --ff-only origin main"]
    project.git("pull", "--quiet", "--ff-only", "origin", "main")
    if what == "branch":
        with pytest.raises(Refused) as error:
            release(project)
        assert error.value.details == [{"message": "origin has the tag 1.1.4, and main went on without its commit",
                                        "next": "git fetch origin --tags && git merge 1.1.4 && git push origin main"}]
        project.git("fetch", "-q", "origin", "--tags")
        project.git("merge", "-q", "-m", "merge the release", "1.1.4")
        project.git("push", "-q", "origin", "main")
    release(project)
    assert commits(project) == 1 and project.tags() == project.tags(project.remote)
    release_ = DirectoryStore(project.store).manifest("weaveserver", "1.1.4")
    assert release_.commit == project.tags(project.remote)["1.1.4"] and project.git("merge-base", release_.commit, "main") == release_.commit
    no_residue(project)


def test_nothing_is_left_here_when_it_never_was_half(project):
    """A server that takes neither stays a whole refusal: exit 4, undone."""
    hook = project.remote / "hooks/update"
    hook.write_text("#!/bin/sh\ncase $1 in refs/tags/*) exit 1;; esac\n")
    hook.chmod(0o755)
    with pytest.raises(FailedUndone) as error:
        factory.run_release(project, "1.1.4")
    assert error.value.code == 4 and project.tags(project.remote) == {} and commits(project) == 0
    no_residue(project)
    hook.unlink()
    release(project)
    assert commits(project) == 1


def test_mercurial_where_only_the_release_commit_arrived(tmp_path):
    """One push is one transaction there; the state can still be made by hand, and the tag's commit is all that is pushed then."""
    if not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    made = factory.make_project(tmp_path / "project", vcs="hg")
    from tests.release.test_killed import child
    child(made, "stage", "end").wait()
    clone = next(made.data.glob("scratch-*")) / "clone"
    commit = made.hg("log", "-r", "desc('Release 1.1.4') and not file('.hgtags')", "-T", "{node}", at=clone)
    made.hg("push", "-q", "-r", commit, str(made.remote), at=clone)
    with pytest.raises(Refused) as error:
        unfinished.abort(open_(made))
    assert (error.value.code, error.value.message) == (3, "1.1.4 is past its point of no return: default on default has its commit")
    report = factory.Quiet()
    release(made, None, resume=True, report=report)
    assert report.kinds == ["push", "publish", "index", "forward", "readback"]
    finished(made)
