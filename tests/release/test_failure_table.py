"""The failure table of release.md, for git and for Mercurial: what is said, what is left, and that the same command then finishes."""

import contextlib
import errno
import os
import shutil
import subprocess

import pytest

from tests import factory
from tests.release.vcs_world import finished, no_residue, world
from weft.errors import FailedUndone, NeedsHands, OutcomeUnknown, Refused
from weft.release import pipeline
from weft.release.vcs import WORDS

BOTH = pytest.mark.parametrize("vcs", ["git", "hg"])
TEST = "import unittest\nclass T(unittest.TestCase):\n    def test_x(self):\n        self.fail('the loom is stuck')\n"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm")]
UNDONE = "undone: your repository and the remote are as they were, nothing is published"


@pytest.fixture
def made(tmp_path, vcs):
    if vcs == "hg" and not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    return factory.make_project(tmp_path / "project", vcs=vcs)


def release(made, agree=lambda proposal: None):
    return pipeline.release(pipeline.open_project(made.root), pipeline.Wish("1.1.4"), factory.date(2024, 5, 6), factory.Quiet(), agree)


def committed(made, path, text):
    made.write(path, text)
    return made.commit()


def foreign(made):
    """The same version, published by somebody from another repository."""
    other = factory.make_project(made.root.parent / "elsewhere", store=made.store, remote=False)
    factory.run_release(other, "1.1.4")


def remote_tag(made):
    """A tag that only the remote has; in Mercurial that is a commit there, here on a branch of its own."""
    if made.vcs == "git":
        return made.tag("1.1.4", made.remote)
    other = made.colleague(made.root.parent / "colleague")
    other.hg("branch", "-q", "stable")
    other.write("note.txt", "stable")
    other.hg("addremove", "-q")
    other.hg("commit", "-qm", "stable begins")
    other.tag("1.1.4")
    other.hg("push", "-q", "--new-branch")


def untag(made):
    if made.vcs == "git":
        return made.git("tag", "-d", "1.1.4", at=made.remote)
    made.hg("--config", "extensions.strip=", "strip", "-q", "--no-backup", "branch(stable)", at=made.remote)


def colleague_pushes(made):
    other = made.colleague(made.root.parent / "colleague")
    other.write("news.txt", "from a colleague\n")
    other.commit("news")


def pull(made):
    made.git("pull", "-q", "--ff-only") if made.vcs == "git" else made.hg("pull", "-q", "--update")


def short(made, at=None):
    return made.head(at)[:12]


BRANCH, REMOTE = {"git": "main", "hg": "default"}, {"git": "origin", "hg": "default"}

# name: spoil, the fault's text, its fix, mend
REFUSALS = {
    "dirty file": (
        lambda made: made.write("src/weaveserver/app.py", "x = 1\n"),
        lambda made: "changed and not committed: src/weaveserver/app.py", lambda made: WORDS[made.vcs].keep,
        lambda made: made.git("checkout", "-q", ".") if made.vcs == "git" else made.hg("revert", "-q", "--all", "--no-backup")),
    "untracked file in a package": (
        lambda made: made.write("src/weaveserver/new.py", ""),
        lambda made: "in a package but not in version control: src/weaveserver/new.py", lambda made: WORDS[made.vcs].add,
        lambda made: (made.root / "src/weaveserver/new.py").unlink()),
    "tag exists here": (
        lambda made: made.tag("1.1.4"), lambda made: f"the tag 1.1.4 exists here ({made.tags()['1.1.4'][:12]})",
        lambda made: "release another version; a published number is never used twice",
        lambda made: made.git("tag", "-d", "1.1.4") if made.vcs == "git" else made.back()),
    "tag exists only on the remote": (
        remote_tag, lambda made: f"the tag 1.1.4 exists on {REMOTE[made.vcs]} ({made.tags(made.remote)['1.1.4'][:12]})",
        lambda made: "release another version; a published number is never used twice", untag),
    "branch behind": (
        colleague_pushes, lambda made: f"{BRANCH[made.vcs]} is behind {REMOTE[made.vcs]}/{BRANCH[made.vcs]} ({short(made, made.remote)})",
        lambda made: WORDS[made.vcs].pull.format(remote=REMOTE[made.vcs], branch=BRANCH[made.vcs]), pull),
    "branch diverged": (
        lambda made: (colleague_pushes(made), made.write("mine.txt", "mine"), made.commit(push=False)),
        lambda made: f"{BRANCH[made.vcs]} has diverged from {REMOTE[made.vcs]}/{BRANCH[made.vcs]} ({short(made, made.remote)})",
        lambda made: WORDS[made.vcs].merge.format(remote=REMOTE[made.vcs], branch=BRANCH[made.vcs]),
        lambda made: (made.back(), pull(made))),
    "version published": (
        foreign, lambda made: "1.1.4 is in the store already, made from commit FOREIGN; there is no tag 1.1.4",
        lambda made: "a version is never replaced: release another one", lambda made: shutil.rmtree(made.store)),
    "wrong branch": (
        lambda made: made.configure('branch = "stable"'),
        lambda made: f"the branch is {BRANCH[made.vcs]}; [tool.weft] branch allows only stable",
        lambda made: WORDS[made.vcs].switch.format(branch="stable"),
        lambda made: committed(made, "pyproject.toml", (made.root / "pyproject.toml").read_text().replace('"stable"', f'"{BRANCH[made.vcs]}"'))),
    "no changelog": (
        lambda made: ((made.root / "CHANGELOG.md").unlink(), made.commit()), lambda made: "there is no changelog",
        lambda made: "write CHANGELOG.md with a section: ## 1.1.4 - 2024-05-06",
        lambda made: committed(made, "CHANGELOG.md", "# Changes\n\n## 1.1.4\n\n- new\n")),
    "empty changelog": (
        lambda made: committed(made, "CHANGELOG.md", "# Changes\n\n## 1.1.4\n\n## 1.1.3\n- old\n"),
        lambda made: "CHANGELOG.md:3: the section 1.1.4 is empty", lambda made: "write what changed",
        lambda made: committed(made, "CHANGELOG.md", "# Changes\n\n## 1.1.4\n\n- new\n\n## 1.1.3\n- old\n")),
    "no answer from the remote": (
        lambda made: made.remote.rename(made.remote.with_suffix(".gone")), lambda made: f"{REMOTE[made.vcs]} gave no answer: ...",
        lambda made: WORDS[made.vcs].ask.format(remote=REMOTE[made.vcs]),
        lambda made: made.remote.with_suffix(".gone").rename(made.remote)),
    "store is no directory": (
        lambda made: made.store.write_text("a file"),
        lambda made: f"the store {made.store} cannot take a release: {made.store} is not a directory",
        lambda made: "mend it, or set artifacts in [tool.weft]", lambda made: made.store.unlink()),
    "a hook that is no program": (
        lambda made: made.configure('[tool.weft.hooks]\nbefore_test = ["no-such-loom"]'),
        lambda made: "[tool.weft] hooks.before_test runs no-such-loom, which is no program here",
        lambda made: "install it, or correct hooks.before_test",
        lambda made: committed(made, "pyproject.toml", (made.root / "pyproject.toml").read_text().replace("no-such-loom", "true"))),
}


def seen(error, made):
    """The faults as (message, fix); what depends on the machine is cut."""
    out = []
    for each in error.details:
        message = each["message"]
        if " gave no answer: " in message:
            message = message.split(" gave no answer: ")[0] + " gave no answer: ..."
        if "made from commit" in message:
            message = message.replace(message.split("commit ")[1].split(";")[0], "FOREIGN")
        out.append((message, each["next"]))
    return out


@BOTH
@pytest.mark.parametrize("row", REFUSALS)
def test_refused_before_the_first_change(made, row):
    spoil, message, fix, mend = REFUSALS[row]
    spoil(made)
    gone = not made.remote.exists()
    remote, made.remote = made.remote, None if gone else made.remote
    before = world(made)
    with pytest.raises(Refused) as error:
        release(made)
    assert (error.value.code, error.value.effect, error.value.hint) == (
        3, "nothing changed", "mend that, then run the same command again")
    assert world(made) == before
    made.remote = remote
    assert (message(made), fix(made)) in seen(error.value, made)
    assert len(error.value.details) == 1, error.value.message
    mend(made)
    release(made)
    finished(made)


@BOTH
@pytest.mark.system
def test_a_store_that_is_read_only(made):
    with mounted(made.store, "ro"):
        before = world(made)
        with pytest.raises(Refused) as error:
            release(made)
        assert error.value.details == [{
            "message": f"the store {made.store} cannot take a release: {made.store} is not writable for you",
            "next": "mend it, or set artifacts in [tool.weft]"}]
        assert world(made) == before
    release(made)
    finished(made)


@BOTH
@pytest.mark.system
def test_a_store_that_is_full(made):
    with mounted(made.store, "size=16m"):
        before = world(made)
        with pytest.raises(Refused) as error:
            release(made)
        assert error.value.details == [{
            "message": f"the store {made.store} cannot take a release: {made.store} has 16 MiB free, 64 MiB are needed",
            "next": "mend it, or set artifacts in [tool.weft]"}]
        assert world(made) == before
    release(made)
    finished(made)


@BOTH
@pytest.mark.system
def test_a_store_that_fills_up_meanwhile(made):
    """Real ENOSPC while the files are staged: undone, and after room was made the same command finishes."""
    with mounted(made.store, "size=66m"):
        before = world(made)
        ballast = made.store / "ballast"

        def fill(proposal):
            with ballast.open("wb") as out, contextlib.suppress(OSError):
                while out.write(b"\0" * (1 << 16)):
                    out.flush()
        with pytest.raises(FailedUndone) as error:
            release(made, fill)
        assert error.value.message == f"stage: the disk: {os.strerror(errno.ENOSPC)}" or error.value.message.endswith(os.strerror(errno.ENOSPC))
        assert (error.value.code, error.value.effect) == (4, UNDONE)
        ballast.unlink()
        assert world(made) == before
        release(made)
        finished(made)


@contextlib.contextmanager
def mounted(place, options):
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "weft-test", str(place)], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def remote_hook(made):
    """The remote takes no push."""
    if made.vcs == "git":
        hook = made.remote / "hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho closed for the weekend >&2\nexit 1\n")
        hook.chmod(0o755)
    else:
        (made.remote / ".hg/hgrc").write_text("[hooks]\npretxnchangegroup.closed = echo closed for the weekend >&2; exit 1\n")


def remote_unhook(made):
    (made.remote / ("hooks/pre-receive" if made.vcs == "git" else ".hg/hgrc")).unlink()


def backend(made, old, new):
    path = made.root / "_build/backend.py"
    made.write("_build/backend.py", path.read_text().replace(old, new))


# name: spoil, beginning of the message, next move, a line of the failing command's output ("" for none), mend
FAILURES = {
    "tests fail": (
        lambda made: committed(made, "tests/test_more.py", TEST), "test: python -m unittest -q failed (exit 1)",
        "mend what the tests show, commit, and run the same command again", "AssertionError: the loom is stuck",
        lambda made: committed(made, "tests/test_more.py", "")),
    "build breaks": (
        lambda made: committed(made, "_build/broken.py", "") and (backend(made, "import base64", "raise SystemExit('no loom here')\nimport base64"),
                                                                    made.commit()),
        "build: ", "mend what the build shows, commit, and run the same command again", "no loom here",
        lambda made: (backend(made, "raise SystemExit('no loom here')\n", ""), made.commit())),
    "README does not render": (
        lambda made: (backend(made, "text/markdown", "text/x-rst"), made.write("README.md", "A\n=======\n\n.. nonsense::\n\n`broken <\n"),
                      made.commit()),
        "build: ", "mend what the build shows, commit, and run the same command again", "",
        lambda made: committed(made, "README.md", "A\n=\n\nText.\n")),
    "the wheel lacks a module": (
        lambda made: (backend(made, "if path.is_file()", 'if path.name != "app.py" and path.is_file()'), made.commit()),
        "verify: ", "the wheel lacks something that the repository has: mend the packaging, commit, run the same command again",
        "ModuleNotFoundError: No module named 'weaveserver.app'",
        lambda made: (backend(made, 'path.name != "app.py" and ', ""), made.commit())),
    "push refused": (
        remote_hook, "push: refused: ", "see what the remote says, then run the same command again", "", remote_unhook),
    "a hook before the push fails": (
        lambda made: made.configure('[tool.weft.hooks]\nbefore_push = ["sh", "-c", "echo not on a Friday; exit 7"]'),
        "before_push: sh -c 'echo not on a Friday; exit 7' failed (exit 7)", "mend what the hook shows, then run the same command again",
        "not on a Friday", lambda made: committed(made, "pyproject.toml", (made.root / "pyproject.toml").read_text().replace("exit 7", "exit 0"))),
}


@BOTH
@pytest.mark.parametrize("row", FAILURES)
def test_undone_as_a_whole(made, row):
    spoil, message, move, line, mend = FAILURES[row]
    spoil(made)
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        release(made)
    assert error.value.message.startswith(message), error.value.message
    assert (error.value.code, error.value.effect, error.value.hint) == (4, UNDONE, move)
    assert not line or line in "\n".join(error.value.details["output"])
    assert row != "push refused" or "closed for the weekend" in error.value.message
    assert world(made) == before, "something was left behind"
    mend(made)
    release(made)
    finished(made)


@BOTH
def test_somebody_pushed_meanwhile(made):
    with pytest.raises(FailedUndone) as error:
        release(made, lambda proposal: colleague_pushes(made))
    assert error.value.message.startswith("push: refused: ") and (error.value.code, error.value.effect) == (4, UNDONE)
    assert made.tags() == {} == made.tags(made.remote) and not list(made.store.glob("*/*"))
    no_residue(made)
    pull(made)
    release(made)
    finished(made)


@BOTH
def test_somebody_tagged_meanwhile(made):
    with pytest.raises(FailedUndone) as error:
        release(made, lambda proposal: remote_tag(made))
    assert error.value.message.startswith("push: refused: ") and "1.1.4" in error.value.message
    assert made.tags() == {} and not list(made.store.glob("*/*"))
    no_residue(made)
    untag(made)
    release(made)
    finished(made)


@BOTH
def test_the_push_arrives_and_its_answer_does_not(made, monkeypatch):
    """The remote cannot be asked either: unknown, and the same command finds out and finishes."""
    from weft.release.vcs import SendUnknown
    kind = type(pipeline.open_project(made.root).repo)
    send = kind.send

    def cut(self, *words):
        send(self, *words)
        raise SendUnknown("connection reset by peer")
    with monkeypatch.context() as patch, pytest.raises(OutcomeUnknown) as error:
        patch.setattr(kind, "send", cut)
        release(made)
    assert error.value.lines() == [
        f"whether the tag 1.1.4 on {REMOTE[made.vcs]} arrived is not known: connection reset by peer",
        "now:  nothing is published yet; nothing of it is lost", "next: inv release --version 1.1.4 finds out, and finishes it"]
    assert error.value.code == 6
    report = factory.Quiet()
    factory.run_release(made, "1.1.4", report=report)
    assert report.kinds[0] == "publish"
    finished(made)


@BOTH
def test_the_connection_breaks_before_anything_arrives(made, monkeypatch):
    """Unknown at first; the same command finds the remote without it and does it again."""
    from weft.release.vcs import SendUnknown

    def cut(self, *words):
        raise SendUnknown("connection reset by peer")
    with monkeypatch.context() as patch, pytest.raises(OutcomeUnknown):
        patch.setattr(type(pipeline.open_project(made.root).repo), "send", cut)
        release(made)
    assert made.tags(made.remote) == {} == made.tags()
    release(made)
    finished(made)


@BOTH
def test_a_store_that_breaks_after_the_push(made, monkeypatch):
    def broken(*words):
        raise OSError(5, "Input/output error", "disk")
    with monkeypatch.context() as patch, pytest.raises(NeedsHands) as error:
        patch.setattr("weft.durable.publish", broken)
        release(made)
    assert error.value.lines() == ["publish: disk: Input/output error",
                                   f"now:  the tag 1.1.4 on {REMOTE[made.vcs]} is there; {made.store} has no 1.1.4 yet",
                                   "next: inv release --version 1.1.4 finishes it"]
    assert error.value.code == 5
    release(made)
    finished(made)


@BOTH
def test_the_version_is_released_already(made):
    release(made)
    before = world(made)
    assert release(made).done and world(made) == before


@BOTH
def test_work_begun_meanwhile_is_left_alone(made, vcs):
    report = factory.Quiet()
    pipeline.release(pipeline.open_project(made.root), pipeline.Wish("1.1.4"), factory.date(2024, 5, 6), report,
                     lambda proposal: made.write("CHANGELOG.md", "my own words\n"))
    assert report.warnings[0].startswith(f"published, but your {BRANCH[made.vcs]} was not brought forward: ")
    assert (made.root / "CHANGELOG.md").read_text() == "my own words\n"
    assert made.tags()["1.1.4"] == made.tags(made.remote)["1.1.4"]
    made.git("checkout", "-q", ".") if made.vcs == "git" else made.hg("revert", "-q", "--all", "--no-backup")
    command = WORDS[vcs].catch_up
    assert report.warnings[0].endswith(f"; {command} brings it")
    subprocess.run(command.split(), cwd=made.root, check=True, capture_output=True)
    finished(made)
