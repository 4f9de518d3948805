"""SIGKILL in the middle, then the same command again; and two that release at once."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests import factory
from weft.errors import Refused
from weft.release import indexing
from weft.stores.directory import DirectoryStore

CHILD = textwrap.dedent("""
    import os, signal, sys, time
    from datetime import date
    from pathlib import Path
    from weft.release import pipeline
    root, version, kind, when, vendor = sys.argv[1:6]

    class Dies:
        def begin(self, number, of, step):
            self.kind = step.kind
            if (self.kind, when) == (kind, "begin"):
                os.kill(os.getpid(), signal.SIGKILL)
            if (self.kind, when) == (kind, "wait"):
                print("waiting", flush=True)
                sys.stdin.readline()
        def end(self, ok, tail=()):
            if (self.kind, when) == (kind, "end"):
                os.kill(os.getpid(), signal.SIGKILL)
        def log(self, line):
            if (self.kind, when) == (kind, "log"):
                os.kill(os.getpid(), signal.SIGKILL)
        def warn(self, text): print(text)

    try:
        done = pipeline.release(pipeline.open_project(Path(root)), pipeline.Wish(version, vendor=vendor.split(",") if vendor else None), date(2024, 5, 6), Dies(), lambda proposal: None)
        print([step.kind for step in done.plan.steps])
    except pipeline.WeftError as error:
        print("\\n".join(error.lines()))
        sys.exit(error.code)
""")


def child(made, kind="", when="", version="1.1.4", vendor=""):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(made.root), version, kind, when, vendor], env=env, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(made):
    """Everything that a release promises, and nothing besides."""
    commit = made.git("rev-parse", "main", at=made.remote)
    assert made.git("rev-parse", "1.1.4^{commit}", at=made.remote) == commit == made.git("rev-parse", "HEAD")
    assert made.git("rev-parse", "1.1.4^{commit}") == commit
    assert DirectoryStore(made.store).manifest("weaveserver", "1.1.4").commit == commit
    assert DirectoryStore(made.store).verify("weaveserver", "1.1.4") == []
    assert sorted(name for name in os.listdir(made.store / "weaveserver") if name != ".index.json.d") == ["1.1.4", "index.json"]
    assert indexing.names(DirectoryStore(made.store), "weaveserver", "1.1.4")
    assert os.listdir(made.root / ".git/weft") == ["lock"]
    assert made.git("status", "--porcelain", "--branch") == "## main...origin/main"


BEFORE = [("tag", "end"), ("build", "log"), ("stage", "end")]
AFTER = [("push", "end"), ("publish", "end"), ("index", "end"), ("forward", "end")]


@pytest.mark.parametrize("kind, when", BEFORE + AFTER)
def test_killed_then_the_same_command(project, kind, when):
    first = project.git("rev-parse", "main", at=project.remote)
    killed = child(project, kind, when)
    assert killed.communicate()[0] == "" and killed.returncode == -signal.SIGKILL
    sent = (kind, when) in AFTER
    assert (project.git("rev-parse", "main", at=project.remote) != first) == sent == bool(project.git("tag", at=project.remote))
    assert bool(DirectoryStore(project.store).versions("weaveserver")) == (kind in ("publish", "index", "forward")), "seen too early"
    factory.run_release(project, "1.1.4")
    finished(project)


@pytest.mark.parametrize("vcs", ["git", "hg"])
def test_killed_before_a_release_of_only_a_tag_was_brought_here(tmp_path, vcs):
    if not shutil.which(vcs):
        pytest.skip("needs Mercurial: Debian package mercurial")
    made = factory.make_project(tmp_path / "project", version="1.1.4", next_version="", vcs=vcs)
    child(made, "index", "end", version="1.1.4").wait()
    assert made.tags() == {} and made.tags(made.remote)
    factory.run_release(made, "1.1.4")
    assert made.tags() == made.tags(made.remote) and made.head() == made.head(made.remote) and made.dirty() == ""


def test_killed_after_the_push_and_the_staged_files_are_lost(project):
    child(project, "push", "end").wait()
    subprocess.run("rm -rf artifacts/weaveserver/.staging-*", shell=True, cwd=project.root.parent, check=True)
    report = factory.Quiet()
    factory.run_release(project, report=report)
    assert report.kinds == ["scratch", "test", "build", "lock", "verify", "stage", "publish", "index", "forward", "readback"]
    finished(project)


def test_killed_after_the_push_and_the_note_is_lost(project):
    child(project, "push", "end").wait()
    subprocess.run(["rm", "-rf", project.root / ".git/weft"], check=True)
    with pytest.raises(Refused) as error:
        factory.run_release(project, "1.1.4")
    assert {"message": f"main is behind origin/main ({project.git('rev-parse', '--short=12', 'main', at=project.remote)})",
            "next": "git pull --ff-only origin main"} in error.value.details
    project.git("pull", "--quiet", "--ff-only", "--tags", "origin", "main")
    subprocess.run("rm -rf artifacts/weaveserver/.staging-*", shell=True, cwd=project.root.parent, check=True)
    factory.run_release(project, "1.1.4")
    finished(project)


def test_killed_before_the_push_and_a_colleague_took_the_tag(project):
    """What lies staged here is not what that tag names: it is never published."""
    child(project, "stage", "end").wait()
    project.git("tag", "1.1.4", "main", at=project.remote)
    head = project.git("rev-parse", "--short=12", "HEAD")
    with pytest.raises(Refused) as error:
        factory.run_release(project, "1.1.4")
    assert error.value.details == [{"message": f"the tag 1.1.4 exists on origin ({head})",
                                    "next": "release another version; a published number is never used twice"}]
    assert DirectoryStore(project.store).versions("weaveserver") == []


def test_two_releases_of_one_repository(project):
    first = child(project, "test", "wait")
    assert first.stdout.readline() == "waiting\n"
    second = child(project)
    said = second.communicate()[0]
    assert second.returncode == 3
    assert said.startswith("another release of this repository is running: ") and f", process {first.pid}, since 2" in said
    assert said.endswith("\nnow:  nothing changed\nnext: wait for it, then run the same command again\n")
    first.communicate("\n")
    assert first.returncode == 0
    finished(project)


def test_two_clones_race_for_one_version(project, tmp_path):
    """One wins whole; the other is undone whole."""
    project.git("clone", "--quiet", str(project.remote), str(tmp_path / "second"), at=tmp_path)
    second = factory.Made(tmp_path / "second", project.name, project.package, project.store, project.remote)
    for key, value in (("user.name", "Second"), ("user.email", "second@example.org")):
        second.git("config", key, value)
    racers = [child(made, "push", "wait") for made in (project, second)]
    assert [racer.stdout.readline() for racer in racers] == ["waiting\n", "waiting\n"]
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.communicate()[0] for racer in racers]
    codes = [racer.returncode for racer in racers]
    assert sorted(codes) == [0, 4], said
    winner, loser = (project, second) if codes[0] == 0 else (second, project)
    assert said[codes.index(4)].startswith("push: refused: ")
    finished(winner)
    assert loser.git("tag") == "" and os.listdir(loser.root / ".git/weft") == ["lock"]


def test_a_killed_release_leaves_no_child_that_could_do_harm(project):
    """Its scratch directory has a name of its own, so a child that outlives it works in a directory nobody looks at."""
    project.write("tests/test_slow.py", "import time, unittest\nclass T(unittest.TestCase):\n    def test(self): time.sleep(3)\n")
    project.commit()
    killed = child(project)
    deadline = time.monotonic() + 20
    while not list((project.root / ".git/weft").glob("scratch-*/export/tests/test_slow.py")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    project.write("tests/test_slow.py", "")
    project.commit()
    factory.run_release(project, "1.1.4")
    finished(project)
