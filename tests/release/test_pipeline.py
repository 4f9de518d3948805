"""Whole releases with a real git, a real bare remote, a real build and a real store. The one that many tests look at starts its programs as ever."""

import json
import os
import stat
import subprocess
import tarfile
from dataclasses import replace
from datetime import date

import pytest

from tests import factory
from weft.errors import FailedUndone, Interrupted, NeedsHands, OutcomeUnknown, Refused, UsageError
from weft.release import pipeline
from weft.stores.directory import DirectoryStore

pytestmark = pytest.mark.usefixtures("warm")
DAY = date(2024, 5, 6)


def propose(made, version=None, bump=None):
    return pipeline.propose(pipeline.open_project(made.root), pipeline.Wish(version, bump), DAY)


def refusal(made, *words, **named):
    with pytest.raises(Refused) as error:
        factory.run_release(made, *words, **named)
    return error.value


def test_a_release(released_once):
    project, proposal, report = released_once
    place, commit = project.store / "weaveserver/1.1.4", project.git("rev-parse", "HEAD")
    release = DirectoryStore(project.store).manifest("weaveserver", "1.1.4")
    assert report.warnings == []
    assert (release.commit, release.tag, release.callable, release.changelog) == (
        commit, "1.1.4", "weaveserver.app:application", "- something new")
    assert project.git("rev-parse", "HEAD^") == proposal.plan.base and proposal.plan.target == "1.1.4"
    assert project.git("log", "-1", "--format=%s %an") == "Release 1.1.4 Test Person"
    assert project.git("cat-file", "-t", "1.1.4") == "tag" and project.git("rev-parse", "1.1.4^{commit}") == commit
    assert project.git("tag", "-l", "--format=%(contents)", "1.1.4") == "weaveserver 1.1.4\n\n- something new"
    assert project.git("for-each-ref", "--format=%(refname) %(objectname)", at=project.remote) == (
        f"refs/heads/main {commit}\nrefs/tags/1.1.4 {project.git('rev-parse', '1.1.4')}")
    assert project.git("status", "--porcelain", "--branch") == "## main...origin/main\n?? notes.txt"
    assert project.git("show", "--name-only", "--format=", "HEAD").split() == ["CHANGELOG.md", "src/weaveserver/__init__.py"]
    assert '__version__ = "1.1.4"' in (project.root / "src/weaveserver/__init__.py").read_text()
    assert "## 1.1.4 - 2024-05-06" in (project.root / "CHANGELOG.md").read_text()
    assert [path.name for path in (project.root / ".git/weft").iterdir()] == ["lock"]


def test_what_lies_in_the_store(released_once):
    project = released_once[0]
    place = project.store / "weaveserver/1.1.4"
    assert DirectoryStore(project.store).verify("weaveserver", "1.1.4") == []
    assert sorted(os.path.relpath(path, place) for path in place.rglob("*") if path.is_file()) == [
        "manifest.json", "requirements.lock", "sbom.json", next(place.glob("tools/pip-*.whl")).relative_to(place).as_posix(),
        "weaveserver-1.1.4-py3-none-any.whl", "weaveserver-1.1.4-py3-none-any.whl.metadata", "weaveserver-1.1.4.tar.gz", "weaveserver.ini"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.rglob("*") if path.is_file()} == {0o444}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (place, place / "tools")} == {0o755}
    assert sorted(name for name in os.listdir(project.store / "weaveserver") if name[0] != ".") == ["1.1.4", "index.json"]


def test_the_manifest_is_one_sorted_line_that_names_no_place_of_this_machine(released_once):
    project = released_once[0]
    text = (project.store / "weaveserver/1.1.4/manifest.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False) + "\n"
    assert str(project.root.parent) not in text and "file:" not in text and "find-links" not in text


def test_the_sdist_has_what_version_control_has(released_once):
    with tarfile.open(released_once[0].store / "weaveserver/1.1.4/weaveserver-1.1.4.tar.gz") as archive:
        names = archive.getnames()
    assert not any("notes" in name for name in names) and "weaveserver-1.1.4/src/weaveserver/app.py" in names


def test_the_plan_is_what_is_done(released_once):
    project, proposal, report = released_once
    assert [line.replace(str(project.store), "STORE") for line in proposal.plan.describe()] == [
        f" 1. clone {project.git('rev-parse', '--short=12', 'HEAD^')} of main into the repository's own data; your files stay as they are",
        " 2. src/weaveserver/__init__.py:3: version 1.1.3 -> 1.1.4",
        " 3. CHANGELOG.md:3: the section 1.1.4, dated 2024-05-06",
        ' 4. commit "Release 1.1.4" there, annotated tag 1.1.4',
        " 5. python -m unittest -q, in an export of exactly that commit",
        " 6. sdist by `build`, then the wheel from that sdist; twine check --strict",
        f" 7. requirements.lock with hashes and a wheelhouse for {proposal.frame.target}",
        " 8. install into a fresh virtualenv without an index, import weaveserver.app:application",
        " 9. copy to a hidden directory of STORE, read back",
        "10. push main and 1.1.4 to origin, both or neither   <- point of no return",
        "11. STORE/weaveserver/1.1.4, by one rename",
        "12. name it in the application's index, under the next serial",
        "13. bring your main forward to the release",
        "14. compare tag, manifest and bytes"]
    assert report.kinds == [step.kind for step in proposal.plan.steps] == [
        "scratch", "edit", "date", "tag", "test", "build", "lock", "verify", "stage", "push", "publish", "index", "forward", "readback"]


def test_a_plan_changes_nothing(project, world):
    before = world(project)
    propose(project, "1.1.4")
    assert world(project) == before


def test_released_already(released, world):
    before = world(released)
    report = factory.Quiet()
    assert factory.run_release(released, "1.1.4", report=report).done
    assert report.kinds == [] and world(released) == before


def test_released_already_from_a_later_commit_and_a_dirty_tree(released):
    released.write("src/weaveserver/more.py", "x = 1\n")
    released.commit()
    released.write("src/weaveserver/more.py", "x = 2\n")
    assert factory.run_release(released, "1.1.4").done


def test_the_version_the_code_declares(project):
    project.write("src/weaveserver/__init__.py", '__version__ = "1.1.4"\n')
    project.commit()
    project.git("tag", "1.1.3", "HEAD^")
    proposal = factory.run_release(project)
    assert proposal.frame.version == "1.1.4" and [step.kind for step in proposal.plan.steps][:3] == ["scratch", "date", "tag"]


def test_bump(project):
    assert factory.run_release(project, bump="patch").frame.version == "1.1.4"


def test_nothing_to_change_means_no_commit(project):
    project.write("src/weaveserver/__init__.py", '__version__ = "1.1.4"\n')
    project.write("CHANGELOG.md", "# Changes\n\n## 1.1.4 - 2024-05-01\n\n- all said\n")
    commit = project.commit()
    proposal = factory.run_release(project)
    assert f"annotated tag 1.1.4 on {commit[:12]} there; no file needs a change" in [step.text for step in proposal.plan.steps]
    assert project.git("rev-parse", "HEAD") == project.git("rev-parse", "1.1.4^{commit}", at=project.remote) == commit


def test_no_remote(tmp_path):
    made = factory.make_project(tmp_path / "project", remote=False, entry=True)
    proposal = factory.run_release(made, "1.1.4")
    assert "take the tag 1.1.4 into your repository (there is no remote)" in [step.text for step in proposal.plan.steps if step.commit]
    assert made.git("rev-parse", "1.1.4^{commit}") == made.git("rev-parse", "main")
    release = DirectoryStore(made.store).manifest("weaveserver", "1.1.4")
    assert [a.name for a in release.of_kind("entry", "settings")] == ["weaveserver.ini", "weaveserver.wsgi"]


def test_a_project_below_the_repositorys_root(tmp_path):
    made = factory.make_project(tmp_path / "project", remote=False)
    made.git("init", "--quiet", "--initial-branch=main", at=tmp_path)
    for key in ("user.name", "user.email"):
        made.git("config", key, "Test Person", at=tmp_path)
    subprocess.run(["rm", "-rf", made.root / ".git"], check=True)
    made.write("../.gitignore", "artifacts\n")
    made.git("add", ".", at=tmp_path)
    made.git("commit", "-qm", "one repository for all", at=tmp_path)
    factory.run_release(made, "1.1.4")
    assert made.git("rev-parse", "1.1.4^{commit}") == made.git("rev-parse", "main")
    assert DirectoryStore(made.store).verify("weaveserver", "1.1.4") == []


def test_the_same_commit_gives_the_same_bytes(released, tmp_path):
    """Built again after the store has lost it: from the tag, elsewhere, at another time, under another umask."""
    first = factory.tree(released.store / "weaveserver/1.1.4")
    subprocess.run(["rm", "-rf", released.store], check=True)
    before = os.umask(0o002)
    try:
        released.git("clone", "--quiet", str(released.remote), str(released.root.parent / "elsewhere"), at=tmp_path)
        other = replace(released, root=released.root.parent / "elsewhere")
        report = factory.Quiet()
        factory.run_release(other, "1.1.4", report=report)
    finally:
        os.umask(before)
    assert report.kinds == ["scratch", "test", "build", "lock", "verify", "stage", "publish", "index", "forward", "readback"]
    again = factory.tree(released.store / "weaveserver/1.1.4")
    assert {path: value[1] for path, value in again.items()} == {path: value[1] for path, value in first.items()}


REFUSALS = {
    "dirty": (lambda made: made.write("src/weaveserver/app.py", "x = 1\n"),
              "changed and not committed: src/weaveserver/app.py", "commit or stash it"),
    "staged": (lambda made: (made.write("README.md", "x"), made.git("add", "README.md")),
               "changed and not committed: README.md", "commit or stash it"),
    "untracked": (lambda made: made.write("src/weaveserver/new.py", ""),
                  "in a package but not in version control: src/weaveserver/new.py",
                  "git add it, name it in .gitignore, or move it away"),
    "tag here": (lambda made: made.git("tag", "1.1.4"),
                 "the tag 1.1.4 exists here (HEAD12)", "release another version; a published number is never used twice"),
    "tag there": (lambda made: made.git("tag", "1.1.4", at=made.remote),
                  "the tag 1.1.4 exists on origin (HEAD12)", "release another version; a published number is never used twice"),
    "no section": (lambda made: (made.write("CHANGELOG.md", "# Changes\n\n## 1.1.3\n- old\n"), made.commit()),
                   "CHANGELOG.md has no section for 1.1.4", "add one with what changed, or one named Unreleased"),
    "empty section": (lambda made: (made.write("CHANGELOG.md", "# Changes\n\n## 1.1.4\n\n## 1.1.3\n- old\n"), made.commit()),
                      "CHANGELOG.md:3: the section 1.1.4 is empty", "write what changed"),
    "no changelog": (lambda made: (made.git("rm", "-q", "CHANGELOG.md"), made.commit()), "there is no changelog",
                     "write CHANGELOG.md with a section: ## 1.1.4 - 2024-05-06"),
    "last tag": (lambda made: made.git("tag", "1.2"), "1.1.4 is not above 1.2, the last tag of this branch", "--version 1.2.1 or above"),
    "store": (lambda made: made.store.write_text("a file"), "the store STORE cannot take a release: STORE is not a directory",
              "mend it, or set artifacts in [tool.weft]"),
    "behind": (lambda made: (made.commit(made.write("README.md", "new") and "more"), made.git("reset", "-q", "--hard", "HEAD^")),
               "main is behind origin/main (REMOTE12)", "git pull --ff-only origin main"),
    "diverged": (lambda made: (made.commit(made.write("README.md", "new") and "more"), made.git("reset", "-q", "--hard", "HEAD^"),
                               made.write("README.md", "other"), made.commit(push=False)),
                 "main has diverged from origin/main (REMOTE12)", "git pull --rebase origin main"),
    "detached": (lambda made: made.git("checkout", "-q", "--detach"), "no branch is checked out (HEAD is HEAD12)", "git switch BRANCH"),
    "branch": (lambda made: (made.configure('branch = "stable"')), "the branch is main; [tool.weft] branch allows only stable",
               "git switch stable"),
    "no answer": (lambda made: made.git("remote", "set-url", "origin", str(made.root / "gone")),
                  "origin gave no answer: fatal: 'ROOT/gone' does not appear to be a git repository fatal: Could not read from remote "
                  "repository.  Please make sure you have the correct access rights and the repository exists.", "git ls-remote origin"),
    "identity": (lambda made: (made.git("config", "--unset", "user.email"), made.git("config", "user.useConfigOnly", "true")),
                 "git does not know who you are", "git config user.name 'Your Name'; git config user.email you@example.org"),
    "no version": (lambda made: (made.write("src/weaveserver/__init__.py", ""), made.commit()),
                   "the project does not say its version anywhere", 'set version_file in [tool.weft], or write __version__ = "…"'),
    "settings": (lambda made: (made.git("rm", "-q", "--cached", "etc/weaveserver.ini"), made.git("commit", "-qm", "x"), made.git("push", "-q")),
                 "[tool.weft] names etc/weaveserver.ini, which is not in version control", "git add etc/weaveserver.ini, and commit it"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_with_the_fix_and_nothing_changed(project, world, case):
    spoil, message, fix = REFUSALS[case]
    spoil(project)
    before = world(project)
    error = refusal(project, "1.1.4")
    known = {"HEAD12": project.git("rev-parse", "--short=12", "HEAD"), "STORE": str(project.store), "ROOT": str(project.root),
             "REMOTE12": project.git("rev-parse", "--short=12", "main", at=project.remote)}
    for word, value in known.items():
        message = message.replace(word, value)
    assert error.details == [{"message": message, "next": fix}]
    assert error.lines() == [f"weaveserver 1.1.4 cannot be released: 1 fault\n  1. {message}\n     mend: {fix}",
                             "now:  nothing changed", "next: mend that, then run the same command again"]
    assert error.code == 3 and world(project) == before


def test_all_faults_at_once(project):
    project.write("src/weaveserver/app.py", "x = 1\n")
    project.write("src/weaveserver/new.py", "")
    project.git("tag", "1.1.4")
    project.store.write_text("a file")
    assert [fault["message"].split(" ")[0] for fault in refusal(project, "1.1.4").details] == ["changed", "in", "the", "the"]


def test_in_the_store_already_from_another_commit(released, world):
    commit = released.git("rev-parse", "--short=12", "HEAD")
    released.git("tag", "-d", "1.1.4")
    released.git("push", "-q", "origin", ":1.1.4")
    before = world(released)
    assert refusal(released, "1.1.4").details == [{
        "message": f"1.1.4 is in the store already, made from commit {commit}; there is no tag 1.1.4",
        "next": "a version is never replaced: release another one"}]
    assert world(released) == before


def test_in_the_store_but_damaged(released):
    path = released.store / "weaveserver/1.1.4/requirements.lock"
    path.chmod(0o644)
    path.write_text("x")
    assert refusal(released, "1.1.4").details[0]["message"] == (
        f"1.1.4 is in the store, damaged: {path} has 1 bytes, the manifest says 18")


def test_not_above_the_store(released, tmp_path):
    made = factory.make_project(tmp_path / "project", version="1.1.1", next_version="1.1.2", store=released.store)
    assert refusal(made, "1.1.2").details == [{"message": "1.1.2 is not above 1.1.4, the last version in the store",
                                               "next": "--version 1.1.5 or above"}]


def test_neither_version_nor_bump(released):
    assert refusal(released).lines() == [
        "which version? 1.1.4 is the last one, and the code declares no newer", "now:  nothing changed",
        "next: inv release with --version 1.1.5, or one of: --bump patch (1.1.5), --bump minor (1.2.0), --bump major (2.0.0)"]


@pytest.mark.parametrize("word", ["../x", "-rf", "1.0;id", " ", "", "--help", "1.01", "v1.1.4", "1.1.4-1", "latest", "1.1.4\n"])
def test_words_that_are_no_version(word):
    with pytest.raises(UsageError) as error:
        pipeline.Wish(word)
    assert error.value.code == 2 and error.value.message == f"{word!r} is not a version"


def test_version_and_bump():
    with pytest.raises(UsageError, match="^give --version or --bump, not both$"):
        pipeline.Wish("1.1.4", "patch")


def undone(made, world, spoil, version="1.1.4"):
    spoil(made)
    before, report = world(made), factory.Quiet()
    with pytest.raises(FailedUndone) as error:
        factory.run_release(made, version, report=report)
    assert world(made) == before, "something was left behind"
    assert error.value.code == 4
    assert error.value.effect == "undone: your repository and the remote are as they were, nothing is published"
    return error.value, report


def test_tests_that_fail(project, world):
    def spoil(made):
        made.write("tests/test_more.py", "import unittest\nclass T(unittest.TestCase):\n    def test_x(self):\n        self.fail('the loom is stuck')\n")
        made.commit()
    error, report = undone(project, world, spoil)
    assert error.message == "test: python -m unittest -q failed (exit 1)"
    assert error.hint == "mend what the tests show, commit, and run the same command again"
    assert "AssertionError: the loom is stuck" in error.details["output"] == report.tail


def test_tests_that_pass_only_with_what_is_not_committed(project, world):
    project.write(".gitignore", "secret.py\n")
    project.write("tests/test_more.py", "import weaveserver.secret\n")
    project.commit()
    error, _ = undone(project, world, lambda made: made.write("src/weaveserver/secret.py", ""))
    assert "ModuleNotFoundError: No module named 'weaveserver.secret'" in error.details["output"]


def test_no_tests_run(project, world):
    error, _ = undone(project, world, lambda made: (made.git("rm", "-q", "tests/test_app.py"), made.commit()))
    assert error.message == "test: python -m unittest -q failed (exit 5)"


def test_a_build_that_breaks(project, world):
    def spoil(made):
        made.write("_build/backend.py", "raise SystemExit('no loom here')\n")
        made.commit()
    error, _ = undone(project, world, spoil)
    assert error.message.startswith("build: ") and "no loom here" in "\n".join(error.details["output"])


def test_a_readme_that_does_not_render(project, world):
    def spoil(made):
        backend = (made.root / "_build/backend.py").read_text().replace("text/markdown", "text/x-rst")
        made.write("_build/backend.py", backend)
        made.write("README.md", "A\n=======\n\n.. nonsense::\n\n`broken <\n")
        made.commit()
    error, _ = undone(project, world, spoil)
    assert error.message.startswith("build: ") and "twine check --strict" in error.message


def test_a_callable_that_is_not_there(project, world):
    error, _ = undone(project, world, lambda made: (made.write("src/weaveserver/app.py", "def applicatoin(): pass\n"),
                                                    made.write("tests/test_app.py", factory.TESTS.split("from")[0] + "class T(unittest.TestCase):\n"
                                                               "    def test(self): pass\n"), made.commit()))
    assert error.message.startswith("verify: ")
    assert error.details["output"][-1].startswith("AttributeError: module 'weaveserver.app' has no attribute 'application'")


def test_a_wheel_that_lacks_a_module(project, world):
    def spoil(made):
        text = (made.root / "_build/backend.py").read_text()
        made.write("_build/backend.py", text.replace('if path.is_file()', 'if path.name != "app.py" and path.is_file()'))
        made.commit()
    error, _ = undone(project, world, spoil)
    assert error.details["output"][-1] == "ModuleNotFoundError: No module named 'weaveserver.app'"


def test_an_entry_that_is_not_python(tmp_path, world):
    made = factory.make_project(tmp_path / "project", entry=True)
    error, _ = undone(made, world, lambda made: (made.write("wsgi/weaveserver.wsgi", "from x import (\n"), made.commit()))
    assert error.message.startswith("verify: ") and error.details["output"][-1] == "SyntaxError: '(' was never closed"


def test_a_push_that_is_refused(project, world):
    def spoil(made):
        hook = made.remote / "hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho closed for the weekend >&2\nexit 1\n")
        hook.chmod(0o755)
    error, _ = undone(project, world, spoil)
    assert error.message.startswith("push: refused: ") and "closed for the weekend" in error.message
    assert error.hint == "see what the remote says, then run the same command again"


def meanwhile(made, version, event):
    """A release during which something happens, after the preflight."""
    return pipeline.release(pipeline.open_project(made.root), pipeline.Wish(version), DAY, factory.Quiet(), lambda proposal: event())


def test_somebody_pushed_meanwhile(project, tmp_path):
    project.git("clone", "-q", str(project.remote), str(tmp_path / "colleague"), at=tmp_path)
    colleague = factory.Made(tmp_path / "colleague", "weaveserver", "weaveserver", project.store, project.remote)
    colleague.git("config", "user.email", "colleague@example.org")
    colleague.git("config", "user.name", "Colleague")
    with pytest.raises(FailedUndone) as error:
        meanwhile(project, "1.1.4", lambda: (colleague.write("README.md", "mine"), colleague.commit()))
    assert "main" in error.value.message and project.git("tag", at=project.remote) == "" == project.git("tag")


def test_somebody_tagged_meanwhile(project):
    with pytest.raises(FailedUndone) as error:
        meanwhile(project, "1.1.4", lambda: project.git("tag", "1.1.4", "main", at=project.remote))
    assert "1.1.4" in error.value.message
    assert project.git("rev-parse", "main", at=project.remote) == project.git("rev-parse", "HEAD"), "branch moved without the tag"


def test_the_name_was_taken_meanwhile(project):
    """After the push only forward; what cannot go on says what is there."""
    taken = project.store / "weaveserver/1.1.4"

    def take():
        taken.mkdir(parents=True)
        (taken / "manifest.json").write_text("{}")
    with pytest.raises(NeedsHands) as error:
        meanwhile(project, "1.1.4", take)
    assert error.value.lines() == [
        f"publish: {taken} is there already, with other bytes; it was not replaced",
        f"now:  the tag 1.1.4 on origin is there; {taken} is published",
        "next: inv release --version 1.1.4 finishes it"]


def test_a_store_that_breaks_after_the_push_and_the_rerun(project, monkeypatch):
    def broken(*words):
        raise OSError(5, "Input/output error", "disk")
    with monkeypatch.context() as patch, pytest.raises(NeedsHands) as error:
        patch.setattr("weft.durable.publish", broken)
        factory.run_release(project, "1.1.4")
    assert error.value.lines() == ["publish: disk: Input/output error",
                                   f"now:  the tag 1.1.4 on origin is there; {project.store} has no 1.1.4 yet",
                                   "next: inv release --version 1.1.4 finishes it"]
    with pytest.raises(Refused) as other:
        factory.run_release(project, "1.1.5")
    assert other.value.details[0] == {"message": "1.1.4 is tagged but not published yet", "next": "inv release --version 1.1.4"}
    report = factory.Quiet()
    factory.run_release(project, bump="patch", report=report)
    assert report.kinds == ["publish", "index", "forward", "readback"]
    assert list((project.root / ".git/weft").glob("scratch*")) == []
    assert project.git("status", "--porcelain", "--branch") == "## main...origin/main"


def test_a_connection_that_breaks_during_the_push(project, monkeypatch):
    """The push arrives, the answer does not, and the remote cannot be asked: unknown, and the same command finishes it."""
    from weft.release.vcs import SendUnknown
    from weft.release.git import Repository
    send = Repository.send

    def cut(self, *words):
        send(self, *words)
        raise SendUnknown("connection reset by peer")
    with monkeypatch.context() as patch, pytest.raises(OutcomeUnknown) as error:
        patch.setattr(Repository, "send", cut)
        factory.run_release(project, "1.1.4")
    assert error.value.lines() == [
        "whether the tag 1.1.4 on origin arrived is not known: connection reset by peer",
        "now:  nothing is published yet; nothing of it is lost", "next: inv release --version 1.1.4 finds out, and finishes it"]
    assert [step.kind for step in factory.run_release(project, "1.1.4").plan.steps] == ["publish", "index", "forward", "readback"]


def test_work_begun_meanwhile_is_left_alone(project):
    report = factory.Quiet()
    pipeline.release(pipeline.open_project(project.root), pipeline.Wish("1.1.4"), DAY, report,
                     lambda proposal: project.write("CHANGELOG.md", "my own words\n"))
    assert report.warnings and report.warnings[0].startswith("published, but your main was not brought forward: error: Your local changes")
    assert (project.root / "CHANGELOG.md").read_text() == "my own words\n"
    assert project.git("rev-parse", "1.1.4^{commit}") == project.git("rev-parse", "main", at=project.remote)


def test_hooks_of_the_user_do_not_run_in_the_clone_but_pre_push_does(project, tmp_path, monkeypatch):
    """Hooks for every repository of hers reach the scratch clone too; only her rule about pushes has a say."""
    for name, code in (("pre-commit", 1), ("commit-msg", 1), ("post-checkout", 1), ("post-merge", 1), ("pre-push", 0)):
        hook = tmp_path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/ran\nexit {code}\n")
        hook.chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {tmp_path}/hooks\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    factory.run_release(project, "1.1.4")
    assert (tmp_path / "ran").read_text() == "pre-push\n"


def interrupted_at(made, kind):
    class Pressed(factory.Quiet):
        def begin(self, number, of, step):
            if step.kind == kind:
                raise KeyboardInterrupt
    with pytest.raises(Interrupted) as error:
        factory.run_release(made, "1.1.4", report=Pressed())
    return error.value


def test_ctrl_c_before_the_push_leaves_nothing(project, world):
    before = world(project)
    assert interrupted_at(project, "verify").lines() == [
        "interrupted during verify", "now:  undone: your repository and the remote are as they were, nothing is published",
        "next: run the same command again"]
    assert world(project) == before


def test_ctrl_c_after_the_push_says_what_is_there(project):
    assert interrupted_at(project, "publish").lines() == [
        "interrupted during publish", f"now:  the tag 1.1.4 on origin is there; {project.store} has no 1.1.4 yet",
        "next: inv release --version 1.1.4 finds out, and finishes it"]
    assert [step.kind for step in factory.run_release(project, "1.1.4").plan.steps] == ["publish", "index", "forward", "readback"]
