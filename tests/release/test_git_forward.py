"""git that is killed while it brings the user's branch forward, at any of its calls: the same command goes on, and nothing of the user's is lost."""

import os
import shutil

import pytest

from weft.release import scratch, vcs

CALLS = ("unlink,unlinkat", "rename,renameat,renameat2", "mkdir,mkdirat", "openat", "write")
MOST = 200
pytestmark = pytest.mark.slow


@pytest.fixture
def forward(project, tmp_path, monkeypatch):
    """(a function that brings main to a commit with changed, new and removed files; the commit; that removes what a killed run left out)."""
    base = project.git("rev-parse", "HEAD")
    project.write("src/weaveserver/__init__.py", "y = 2\n" * 9000)
    project.write("CHANGELOG", "a new entry\n" * 9000)
    project.write("src/weaveserver/deep/new.py", "x = 1\n" * 9000)
    project.git("rm", "-q", "README.md")
    commit = project.commit(push=False) or project.git("rev-parse", "HEAD")
    project.git("reset", "-q", "--hard", base)
    repo = vcs.open_repository(project.root)

    def again():
        return repo.forward(tmp_path, "main", base, commit, "1.1.4", "")
    return again, base, commit


def programs(place, monkeypatch, calls="", at=0):
    """A `git` first on PATH whose merge is killed by the kernel at its call number `at`; without one, it is git itself."""
    place.mkdir(exist_ok=True)
    git = shutil.which("git", path=os.environ["PATH"].replace(f"{place}{os.pathsep}", ""))
    struck = f'case " $* " in *" merge "*) exec strace -f -o {place}/trace -e trace={calls} -e inject={calls}:signal=SIGKILL:when={at} {git} "$@";; esac\n'
    (place / "git").write_text(f"#!/bin/sh\n{struck if calls else ''}exec {git} \"$@\"\n")
    (place / "git").chmod(0o755)
    monkeypatch.setenv("PATH", os.environ["PATH"] if str(place) in os.environ["PATH"] else f"{place}{os.pathsep}{os.environ['PATH']}")


def behind(project, base, commit):
    """Whether the same command would see that something is left to do."""
    repo = vcs.open_repository(project.root)
    return repo.behind(repo.state(), scratch.Note("1.1.4", commit, "", "", "main", base))


def whole(project, commit):
    assert project.git("rev-parse", "HEAD") == commit and project.dirty() == ""
    assert not list(project.root.glob(".git/**/*.lock")) and not (project.root / ".git/weft/forwarding").exists()


def back(project, base):
    project.git("reset", "-q", "--hard", base)
    project.git("clean", "-q", "-f", "-d")


@pytest.mark.parametrize("calls", CALLS)
def test_killed_at_any_call(project, forward, tmp_path, monkeypatch, calls):
    if not shutil.which("strace"):
        pytest.skip("nothing has the kernel inject faults: apt-get install strace")
    again, base, commit = forward
    kills = 0
    for at in range(1, MOST):
        programs(tmp_path / "bin", monkeypatch, calls, at)
        left = again()  # strikes both of its tries
        programs(tmp_path / "bin", monkeypatch)
        if not left:
            break
        kills += 1
        assert not behind(project, base, commit) or again() == "", (at, left)
        whole(project, commit)
        back(project, base)
    whole(project, commit)
    assert kills


def test_a_git_that_ended_its_work_alone_leaves_no_mark(tmp_path):
    (tmp_path / scratch.FORWARDING).write_text("from to")
    scratch.sweep(tmp_path, None, {None})
    assert (tmp_path / scratch.FORWARDING).exists(), "a run that goes on still needs it"
    scratch.sweep(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_what_the_user_wrote_meanwhile_stays(project, forward, tmp_path, monkeypatch):
    again, base, commit = forward
    (project.root / ".git/weft").mkdir(exist_ok=True)
    (project.root / ".git/weft/forwarding").write_text(f"{base} {commit} {project.root}")
    project.write("CHANGELOG", "mine")
    project.write("src/weaveserver/deep/new.py", "mine too")
    assert "overwritten" in again()
    assert (project.root / "CHANGELOG").read_text() == "mine" and (project.root / "src/weaveserver/deep/new.py").read_text() == "mine too"


def test_a_mark_of_another_work_tree_says_nothing_here(project, forward):
    again, base, commit = forward
    (project.root / ".git/weft").mkdir(exist_ok=True)
    (project.root / ".git/weft/forwarding").write_text(f"{base} {commit} /elsewhere")
    project.write("CHANGELOG", "")
    assert "overwritten" in again() and (project.root / "CHANGELOG").read_text() == ""


def test_a_lock_from_before_is_not_ours(project, forward, monkeypatch):
    from weft.release import gitforward
    monkeypatch.setattr(gitforward, "_PATIENCE", 0.1)
    again, base, commit = forward
    (project.root / ".git/index.lock").write_text("somebody else's")
    assert "index.lock" in again() and (project.root / ".git/index.lock").read_text() == "somebody else's"
    (project.root / ".git/index.lock").unlink()
    assert again() == ""
    whole(project, commit)


def test_a_git_at_work_here_keeps_its_lock(project, forward, monkeypatch):
    """A process named git in the work tree, as an editor's would be."""
    import subprocess
    import time
    from weft.release import gitforward
    monkeypatch.setattr(gitforward, "_PATIENCE", 0.1)
    again, base, commit = forward
    (project.root / ".git/weft").mkdir(exist_ok=True)
    (project.root / ".git/weft/forwarding").write_text(f"{base} {commit} {project.root}")
    time.sleep(0.02)
    (project.root / ".git/index.lock").write_text("")
    other = subprocess.Popen(["git", "hash-object", "--stdin"], cwd=project.root, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        while not open(f"/proc/{other.pid}/comm").read().startswith("git"):
            time.sleep(0.01)
        assert "index.lock" in again()
    finally:
        other.communicate()
    assert again() == ""
    whole(project, commit)
