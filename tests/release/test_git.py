"""What git says, with the names and states that people really have."""

import pytest

from weft.errors import UsageError
from weft.release import vcs


@pytest.fixture
def repo(project):
    return vcs.open_repository(project.root)


def test_state_of_odd_names(project, repo):
    project.write("src/weaveserver/mit Leer zeichen.py", "")
    project.write("src/weaveserver/ünï\ncode.py", "")
    project.git("mv", "README.md", "LIES MICH.md")
    state = repo.state()
    assert state.branch == "main" and state.head == project.git("rev-parse", "HEAD")
    assert state.untracked == ("src/weaveserver/mit Leer zeichen.py", "src/weaveserver/ünï\ncode.py")
    assert state.changed == ("LIES MICH.md",) and state.identity == "Test Person <test@example.org>"


def test_state_of_a_conflict(project, repo):
    project.git("checkout", "-q", "-b", "other")
    project.write("README.md", "one")
    project.commit(push=False)
    project.git("checkout", "-q", "main")
    project.write("README.md", "two")
    project.commit(push=False)
    import subprocess
    subprocess.run(["git", "merge", "-q", "other"], cwd=project.root, capture_output=True)
    assert repo.state().changed == ("README.md",)


def test_an_empty_repository(tmp_path, project):
    project.git("init", "-q", "--initial-branch=main", str(tmp_path / "empty"), at=tmp_path)
    state = vcs.open_repository(tmp_path / "empty").state()
    assert (state.head, state.branch) == ("", "main")


def test_tags_lightweight_and_annotated_are_commits(project, repo):
    project.git("tag", "light")
    project.git("tag", "-a", "-m", "x", "heavy")
    project.git("push", "-q", "--tags", "origin")
    head = project.git("rev-parse", "HEAD")
    assert repo.state().tags == {"light": head, "heavy": head} == dict(repo.remote("origin", "main").tags)


def test_the_remotes_branch_of_another_name(project, repo):
    project.git("push", "-q", "origin", "main:trunk")
    project.git("branch", "-q", "--set-upstream-to=origin/trunk")
    assert repo.remote("origin", "main").branch == "trunk"


def test_no_remote_of_that_name(repo):
    assert repo.remote("upstream", "main") is None


def test_a_remote_that_is_gone(project, repo):
    project.git("remote", "set-url", "origin", "/nonexistent/x.git")
    assert "'/nonexistent/x.git' does not appear to be a git repository" in repo.remote("origin", "main").error


def test_reading_writes_nothing(project, repo):
    (project.root / "README.md").touch()
    before = (project.root / ".git/index").read_bytes()
    repo.state()
    repo.remote("origin", "main")
    assert (project.root / ".git/index").read_bytes() == before


def test_a_clone_commits_as_the_user_and_moves_nothing_here(project, repo, tmp_path):
    head = project.git("rev-parse", "HEAD")
    repo.clone(tmp_path / "clone", head, "", "", None)
    (tmp_path / "clone/README.md").write_text("new")
    commit = repo.commit(tmp_path / "clone", ["README.md"], "Release 1\n")
    tag = repo.tag(tmp_path / "clone", "1", commit, "#1\n\n# what changed\n")
    assert project.git("log", "-1", "--format=%an %ae %cn %s", at=tmp_path / "clone") == "Test Person test@example.org Test Person Release 1"
    assert project.git("cat-file", "-p", tag, at=tmp_path / "clone").endswith("#1\n\n# what changed")
    assert project.git("for-each-ref", "--format=%(objectname)").split() == [head, head] and repo.time(commit, tmp_path / "clone") > 1.7e9


def test_an_export_has_what_attributes_would_leave_out(project, repo, tmp_path):
    project.write(".gitattributes", "tests export-ignore\n")
    project.commit()
    repo.clone(tmp_path / "clone", project.git("rev-parse", "HEAD"), "", "", None)
    (tmp_path / "clone/README.md").write_text("of the release")
    commit = repo.commit(tmp_path / "clone", ["README.md"], "Release 1\n")
    repo.export(tmp_path / "clone", commit, tmp_path / "export")
    assert (tmp_path / "export/README.md").read_text() == "of the release"
    assert (tmp_path / "export/tests/test_app.py").is_file() and not (tmp_path / "export/.git").exists()


def test_forward_on_another_branch_leaves_all(project, repo):
    project.git("checkout", "-q", "-b", "other")
    head = project.git("rev-parse", "HEAD")
    assert repo.forward(project.root, "main", head, head, "", "") == "you are on other now; main was left where it is"


def test_a_worktree_shares_the_lock_with_its_repository(project, repo, tmp_path):
    project.git("worktree", "add", "-q", "-b", "second", str(tmp_path / "second"))
    assert vcs.open_repository(tmp_path / "second").data == repo.data == project.root / ".git/weft"


def test_no_repository(tmp_path):
    with pytest.raises(UsageError, match="is not under version control$"):
        vcs.open_repository(tmp_path)
