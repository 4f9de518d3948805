"""What Mercurial says and does, with the names and states that people really have."""

import shutil
import subprocess

import pytest

from tests import factory
from tests.release.vcs_world import finished, world
from weft.errors import Refused
from weft.release import vcs
from weft.release.run import CommandFailed

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.skipif(not shutil.which("hg"), reason="needs Mercurial: Debian package mercurial")]


@pytest.fixture
def made(tmp_path):
    return factory.make_project(tmp_path / "project", vcs="hg")


@pytest.fixture
def repo(made):
    return vcs.open_repository(made.root)


def test_state_of_odd_names(made, repo):
    made.write("src/weaveserver/mit Leer zeichen.py", "")
    made.write("src/weaveserver/ünïcode.py", "")
    made.hg("rename", "README.md", "LIES MICH.md")
    state = repo.state()
    assert (state.branch, state.head, state.stem) == ("default", made.head(), made.head())
    assert state.untracked == ("src/weaveserver/mit Leer zeichen.py", "src/weaveserver/ünïcode.py")
    assert sorted(state.changed) == ["LIES MICH.md", "README.md"] and state.identity == "Test Person <test@example.org>"


def test_an_empty_repository(tmp_path, made):
    made.hg("init", str(tmp_path / "empty"))
    state = vcs.open_repository(tmp_path / "empty").state()
    assert (state.head, state.branch, state.changed, state.tags) == ("", "default", (), {})


def test_a_merge_that_is_not_committed(made, repo):
    head = made.head()
    made.write("one.txt", "1")
    made.commit(push=False)
    made.hg("update", "-q", head)
    made.write("two.txt", "2")
    made.commit(push=False)
    made.hg("merge", "-q")
    assert "(a merge)" in repo.state().changed


def test_a_secret_commit_is_a_fault(made, repo):
    made.write("one.txt", "1")
    made.commit(push=False)
    made.hg("phase", "--force", "--secret", ".")
    assert repo.state().trouble == ((f"{made.head()[:12]} is secret, so that it cannot be pushed", "hg phase --draft ."),)
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert {"message": f"{made.head()[:12]} is secret, so that it cannot be pushed", "next": "hg phase --draft ."} in error.value.details


def test_tags_here_and_there(made, repo):
    head = made.head()
    made.tag("1.1.3")
    made.hg("tag", "--local", "-r", head, "mine")
    assert repo.state().tags == {"1.1.3": head, "mine": head} and repo.remote("default", "default").tags == {}
    made.hg("push", "-q")
    assert dict(repo.remote("default", "default").tags) == {"1.1.3": head}
    assert repo.state().stem == head != repo.state().head


def test_a_tag_that_was_taken_back(made, repo):
    made.tag("1.1.3")
    made.hg("tag", "--remove", "1.1.3")
    made.hg("push", "-q")
    assert dict(repo.remote("default", "default").tags) == {} == dict(repo.state().tags)


def test_tags_that_only_the_remote_has(made, repo, tmp_path):
    other = made.colleague(tmp_path / "colleague")
    other.tag("1.1.3")
    other.hg("push", "-q")
    seen = repo.remote("default", "default")
    assert dict(seen.tags) == {"1.1.3": made.head()} and seen.head == other.head() and seen.error == ""


def test_the_remote(made, repo, tmp_path):
    assert repo.remote("default", "default").head == made.head() == repo.remote("default", "default").head
    assert repo.remote("upstream", "default") is None
    assert repo.remote("default", "stable").head == ""
    made.remote.rename(tmp_path / "gone")
    assert "not found" in repo.remote("default", "default").error


def test_a_name_that_no_tag_can_have(made, repo):
    assert [repo.unfit(name) for name in ("1.1.4", "v2", "12", "tip", "a:b")] == [
        "", "", "Mercurial has no tag named '12'", "Mercurial has no tag named 'tip'", "Mercurial has no tag named 'a:b'"]
    with pytest.raises(Refused) as error:
        factory.run_release(made, "12")
    assert {"message": "Mercurial has no tag named '12'", "next": 'set tag = "v{version}" in [tool.weft]'} in error.value.details


def test_a_question_that_is_not_answered_in_time(repo):
    repo.state()
    with pytest.raises(CommandFailed) as error:
        repo._read("log", timeout=0)
    assert error.value.tail == ["no answer within 0 s"]
    assert repo.state().branch == "default", "a new server answers the next question"


def test_the_release_commit_the_tag_commit_and_whose_they_are(made):
    base = made.head()
    factory.run_release(made, "1.1.4")
    assert made.hg("log", "-T", "{desc|firstline}|{user}|{phase}\n").splitlines() == [
        f"Added tag 1.1.4 for changeset {made.tags()['1.1.4'][:12]}|Test Person <test@example.org>|public",
        "Release 1.1.4|Test Person <test@example.org>|public", "first|Test Person <test@example.org>|public"]
    assert made.hg("log", "-r", f"p1({made.tags()['1.1.4']})", "-T", "{node}") == base
    assert made.hg("log", "-r", "tip", "-T", "{files}") == ".hgtags"
    finished(made)


def test_drafts_of_other_heads_stay_drafts_and_are_not_pushed(made):
    base = made.head()
    made.write("experiment.txt", "draft")
    draft = made.commit("an experiment", push=False)
    made.hg("update", "-q", base)
    factory.run_release(made, "1.1.4")
    assert made.hg("log", "-r", draft, "-T", "{phase}") == "draft"
    assert made.hg("log", "-T", "{desc|firstline}\n", at=made.remote).splitlines()[1:] == ["Release 1.1.4", "first"]
    assert made.head() == made.head(made.remote)


def test_a_remote_that_does_not_publish_leaves_drafts(made):
    (made.remote / ".hg/hgrc").write_text("[phases]\npublish = False\n")
    factory.run_release(made, "1.1.4")
    assert made.hg("log", "-r", "tip", "-T", "{phase}") == "draft" == made.hg("log", "-r", "tip", "-T", "{phase}", at=made.remote)
    finished(made)


def test_an_active_bookmark_moves_here_and_on_the_remote(made):
    made.hg("bookmark", "main")
    subprocess.run(["hg", "push", "-q", "-B", "main"], cwd=made.root)
    factory.run_release(made, "1.1.4")
    at = "{bookmarks} {activebookmark}"
    assert made.hg("log", "-r", "tip", "-T", at) == "main main" and made.hg("log", "-r", "tip", "-T", "{bookmarks}", at=made.remote) == "main"
    finished(made)


def test_a_new_branch(made):
    made.hg("branch", "-q", "stable")
    made.write("note.txt", "stable")
    made.commit(push=False)
    factory.run_release(made, "1.1.4")
    assert made.hg("log", "-r", "tip", "-T", "{branch}", at=made.remote) == "stable"
    assert made.tags(made.remote) == made.tags()


def test_no_remote(tmp_path):
    made = factory.make_project(tmp_path / "project", vcs="hg", remote=False)
    proposal = factory.run_release(made, "1.1.4")
    assert "take the tag 1.1.4 into your repository (there is no remote)" in [step.text for step in proposal.plan.steps if step.commit]
    assert made.tags()["1.1.4"] == made.hg("log", "-r", "p1(.)", "-T", "{node}") and made.dirty() == ""


def test_a_tag_by_hand_is_pushed_and_published(made):
    made.write("src/weaveserver/__init__.py", '__version__ = "1.1.4"\n')
    commit = made.commit()
    made.tag("1.1.4")
    proposal = factory.run_release(made, "1.1.4")
    assert "push" in [step.kind for step in proposal.plan.steps]
    assert made.tags(made.remote) == {"1.1.4": commit} and (made.store / "weaveserver/1.1.4").is_dir()


def test_hooks_of_the_user_run_for_the_push_only(made, tmp_path):
    names = ("commit", "precommit", "pretxncommit", "pretag", "tag", "update", "preupdate", "changegroup", "pre-push", "outgoing")
    with (made.root / ".hg/hgrc").open("a") as out:
        out.write("[hooks]\n" + "".join(f"{name} = echo {name} >> {tmp_path}/ran\n" for name in names))
    factory.run_release(made, "1.1.4")
    assert sorted(set((tmp_path / "ran").read_text().split())) == ["outgoing", "pre-push"]


def test_a_pull_that_was_killed_here_is_rolled_back(made):
    """An abandoned transaction, as SIGKILL leaves one."""
    from weft.release.hg import Repository as Mercurial

    def stop(self, *words):
        raise KeyboardInterrupt
    with pytest.MonkeyPatch.context() as patch, pytest.raises(BaseException):
        patch.setattr(Mercurial, "forward", stop)
        factory.run_release(made, "1.1.4")
    (made.root / ".hg/store/journal").write_bytes(b"")
    factory.run_release(made, "1.1.4")
    finished(made)


def test_a_plan_changes_nothing(made):
    from weft.release import pipeline
    before = world(made)
    pipeline.propose(pipeline.open_project(made.root), pipeline.Wish("1.1.4"), factory.date(2024, 5, 6))
    assert world(made) == before


def test_a_share_has_one_lock_with_its_source(made, repo, tmp_path):
    made.hg("--config", "extensions.share=", "share", "-q", str(made.root), str(tmp_path / "second"))
    assert vcs.open_repository(tmp_path / "second").data == repo.data == made.root / ".hg/weft"
