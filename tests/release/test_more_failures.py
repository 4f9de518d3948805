"""More rows of the failure table, for git and for Mercurial: keys, heads, clones, submodules, pointers, masks, push addresses, phases, bookmarks, the lock.

Each row says what is told, which exit code it has, that nothing is left, and that the same command finishes when it is mended.
"""

import contextlib
import os
import shutil
import signal
import stat

import pytest

from tests import factory
from tests.release.index import serving, wheel
from tests.release.test_failure_table import remote_tag, untag
from tests.release.vcs_world import finished, no_residue, world
from tests.signers import make_key
from weft.errors import FailedUndone, Refused
from weft.release import pipeline
from weft.release.vcs import WORDS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm")]
BOTH = pytest.mark.parametrize("vcs", ["git", "hg"])
GIT = pytest.mark.parametrize("vcs", ["git"])
REMOTE = {"git": "origin", "hg": "default"}
UNDONE = "undone: your repository and the remote are as they were, nothing is published"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4" * 64 + "\nsize 12345\n"


@pytest.fixture
def made(tmp_path, vcs):
    if not shutil.which(vcs):
        pytest.skip("needs Mercurial: Debian package mercurial")
    return factory.make_project(tmp_path / "project", vcs=vcs)


def release(made, channel=None, report=None):
    return pipeline.release(pipeline.open_project(made.root), pipeline.Wish("1.1.4", channel=channel), factory.date(2024, 5, 6),
                            report or factory.Quiet(), lambda proposal: None)


def refused(made, *faults, channel=None):
    """Exit 3 with exactly these (message, fix), before the first change."""
    before = world(made)
    with pytest.raises(Refused) as error:
        release(made, channel)
    assert (error.value.code, error.value.effect) == (3, "nothing changed")
    assert [(each["message"], each["next"]) for each in error.value.details] == list(faults)
    assert world(made) == before


def undone(made, message):
    """Exit 4, and everything as it was."""
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        release(made)
    assert (error.value.code, error.value.effect) == (4, UNDONE) and error.value.message.startswith(message), error.value.message
    assert world(made) == before
    return error.value


def done(made, **words):
    release(made, **words)
    finished(made)


def keys(made, monkeypatch):
    """A signing key that is missing, has a passphrase, is none."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key, elsewhere = made.root.parent / "key", made.root.parent / "keys"
    elsewhere.mkdir()
    made.configure(f'signing_key = "{key}"')
    missing = f"the signing key {key} does not sign: Couldn't load public key {key}: No such file or directory"
    choose = "set signing_key in [tool.weft] to an SSH key, private, or public with the private one in your agent"
    refused(made, (missing, choose))
    shutil.copy(make_key(elsewhere, "locked@example.org", passphrase="sesame").path, key)
    refused(made, (f"the signing key {key} does not sign: it has a passphrase, and no agent holds it", f"ssh-add {key}"))
    key.write_text("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
    refused(made, (f"the signing key {key} does not sign: it is no key that OpenSSH reads", choose))
    shutil.copy(make_key(elsewhere).path, key)


def test_heads_addresses_and_keys_with_git(tmp_path, monkeypatch):
    made = factory.make_project(tmp_path / "project")
    keys(made, monkeypatch)
    made.git("checkout", "-q", "--detach")
    refused(made, (f"no branch is checked out (HEAD is {made.head()[:12]})", "git switch BRANCH"))
    made.git("switch", "-q", "main")
    for each in (made.remote, made.root.parent / "second.git"):
        made.git("config", "--add", "remote.origin.pushurl", str(each))
    refused(made, ("origin pushes to 2 addresses, which cannot take branch and tag both or neither",
                   f"leave it one: git remote set-url --push origin {made.remote}"))
    made.git("config", "--unset", "remote.origin.pushurl", "second")
    done(made)
    assert (made.store / "weaveserver/1.1.4/manifest.json.sig").is_file()


def test_heads_phases_and_keys_with_mercurial(tmp_path, monkeypatch):
    """Secret is not pushed, so it is refused; a draft is ahead and goes along, and is public afterwards."""
    if not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    made = factory.make_project(tmp_path / "project", vcs="hg")
    keys(made, monkeypatch)
    made.hg("update", "-q", ".^")
    refused(made, (f"default is behind default/default ({made.head(made.remote)[:12]})", "hg pull --update default"))
    made.hg("update", "-q")
    made.write("src/weaveserver/more.py", "more = 1\n")
    made.commit("more", push=False)
    made.hg("phase", "--force", "--secret", ".")
    refused(made, (f"{made.head()[:12]} is secret, so that it cannot be pushed", "hg phase --draft ."))
    made.hg("phase", "--draft", ".")
    done(made)
    assert made.hg("log", "-r", "not public()", "-T", "{node}") == "" and (made.store / "weaveserver/1.1.4/manifest.json.sig").is_file()


def killed_after(made, kind):
    """A release in a process of its own, forked from this warm one, that is killed when a step has ended."""
    class Dies(factory.Quiet):
        def end(self, ok, tail=()):
            if self.kinds[-1] == kind:
                os.kill(os.getpid(), signal.SIGKILL)
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            release(made, report=Dies())
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@BOTH
def test_head_moved_between_scratch_and_the_rerun(made):
    """Before the push a rerun starts over from the new head: what was staged of the old one is never published."""
    killed_after(made, "stage")
    old = next(made.data.glob("scratch-*"))
    made.write("src/weaveserver/late.py", "late = True\n")
    head = made.commit("a late change")
    report = factory.Quiet()
    release(made, report=report)
    assert report.kinds[0] == "scratch" and not old.exists()
    finished(made)
    below = made.git("rev-parse", "1.1.4^") if made.vcs == "git" else made.hg("log", "-r", "p1(1.1.4)", "-T", "{node}")
    assert below == head


@GIT
def test_a_shallow_clone(made):
    """It has what a release needs; the remote's tags stand for the history that is not there."""
    made.git("tag", "1.1.3")
    made.write("more.txt", "more")
    made.commit("more")
    made.git("push", "-q", "origin", "1.1.3")
    shutil.rmtree(made.root)
    made.git("clone", "-q", "--depth", "1", f"file://{made.remote}", str(made.root), at=made.root.parent)
    made.introduce("Test Person", "test@example.org")
    assert (made.root / ".git/shallow").is_file() and made.tags() == {}
    with pytest.raises(Refused) as error:
        pipeline.release(pipeline.open_project(made.root), pipeline.Wish("1.1.2"), factory.date(2024, 5, 6), factory.Quiet(), lambda _: None)
    assert "1.1.2 is not above 1.1.3, the last tag" in error.value.message
    done(made)
    assert made.git("rev-list", "--count", "main", at=made.remote) == "3"


def nest(made, place):
    """Another repository inside this one."""
    other = factory.make_project(made.root.parent / "other", name="thread", vcs=made.vcs, remote=False)
    if made.vcs == "git":
        made.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.root), place)
    else:
        made.hg("clone", "-q", str(other.root), place)
        made.write(".hgsub", f"{place} = {other.root}\n")
    made.commit("another repository inside")


def unnest(made, place):
    if made.vcs == "git":
        made.git("rm", "-q", "-f", place)
    else:
        for name in (".hgsub", ".hgsubstate"):
            (made.root / name).unlink()
        shutil.rmtree(made.root / place)
    made.write(f"{place}/__init__.py", "spun = True\n")
    made.commit("its files, here")


@BOTH
def test_another_repository_inside_a_package(made):
    """Its files are not this commit's: a build from the user's tree would take them along, and a release would silently lack them."""
    place = "src/weaveserver/thread"
    nest(made, place)
    refused(made, (f"{place} is a {WORDS[made.vcs].nested}, whose files would be missing in the release",
                   "commit its files here, or require it as a dependency"))
    unnest(made, place)
    if made.vcs == "git":
        shutil.rmtree(made.root.parent / "other")
        nest(made, "theme")  # in no package: nothing of it was ever in a build
    done(made)


@BOTH
def test_a_pointer_in_place_of_a_file_and_a_mask_that_hides_everything(made):
    """Git LFS without its filters (and Mercurial's lfs, which writes the same): the file's content was never fetched."""
    made.write("src/weaveserver/logo.txt", POINTER)
    made.commit("a large file")
    error = undone(made, "build: weaveserver-1.1.4.tar.gz has Git LFS's pointers in place of files: src/weaveserver/logo.txt")
    assert error.hint == "git lfs install && git lfs pull, then run the same command again"
    made.write("src/weaveserver/logo.txt", "the real one\n")
    made.commit("its content")
    made.store.mkdir(mode=0o755)
    before = os.umask(0o077)
    try:
        release(made)
    finally:
        os.umask(before)
    finished(made)
    folders = {stat.S_IMODE(path.stat().st_mode) for path in made.store.rglob("*") if path.is_dir() and not path.name.startswith(".")}
    files = {stat.S_IMODE(path.stat().st_mode) for path in (made.store / "weaveserver/1.1.4").rglob("*") if path.is_file()}
    assert (folders, files) == ({0o755}, {0o444}), "whatever the mask, others can install from it"


@GIT
def test_signed_tags(made):
    """tag.gpgsign with an SSH key: a key that is gone undoes all, one that is there signs the tag that is pushed."""
    place = made.root.parent / "keys"
    place.mkdir()
    key = make_key(place)
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(place / "gone")), ("tag.gpgsign", "true")):
        made.git("config", name, value)
    error = undone(made, "tag: git tag --")
    assert "signature" in "\n".join(error.details["output"]) or str(place / "gone") in "\n".join(error.details["output"])
    made.git("config", "user.signingkey", str(key.path))
    done(made)
    (place / "allowed").write_text(key.allowed())
    made.git("-c", f"gpg.ssh.allowedSignersFile={place / 'allowed'}", "verify-tag", "1.1.4", at=made.remote)


@pytest.mark.parametrize("vcs, way", [("git", "pushurl"), ("git", "push instead of"), ("hg", "pushurl"), ("hg", "default-push")])
def test_an_address_of_its_own_for_pushes(made, way):
    """What is there is asked where it is pushed to; the mirror that is fetched from lags behind."""
    mirror = made.root.parent / "mirror"
    shutil.copytree(made.remote, mirror)
    if made.vcs == "git":
        made.git("config", "remote.origin.url", str(mirror))
        made.git("config", *(("remote.origin.pushurl", str(made.remote)) if way == "pushurl" else (f"url.{made.remote}.pushInsteadOf", str(mirror))))
    else:
        own = "default:pushurl" if way == "pushurl" else "default-push"
        text = (made.root / ".hg/hgrc").read_text().replace(f"default = {made.remote}", f"default = {mirror}\n{own} = {made.remote}")
        (made.root / ".hg/hgrc").write_text(text)
    remote_tag(made)
    with pytest.raises(Refused) as error:
        release(made)
    assert f"the tag 1.1.4 exists on {REMOTE[made.vcs]} (" in error.value.message
    untag(made)
    done(made)
    assert made.tags(mirror) == {}


@pytest.mark.parametrize("vcs", ["hg"])
def test_a_bookmark_on_a_named_branch(made):
    """A push that is refused moves neither bookmark nor branch, here or there; the one that is taken moves both."""
    made.hg("branch", "-q", "stable")
    made.write("note.txt", "stable")
    made.hg("addremove", "-q")
    made.hg("commit", "-qm", "stable begins")
    made.hg("bookmark", "line")
    made.hg("push", "-q", "--new-branch", "-B", "line")
    (made.remote / ".hg/hgrc").write_text("[hooks]\npretxnchangegroup.closed = echo closed for the weekend >&2; exit 1\n")
    assert "closed for the weekend" in undone(made, "push: refused: ").message
    assert made.hg("bookmarks", "-T", "{bookmark} {node}") == f"line {made.head()}"
    (made.remote / ".hg/hgrc").unlink()
    release(made)
    assert made.hg("log", "-r", "stable", "-T", "{node} {branch} {bookmarks}", at=made.remote) == f"{made.head()} stable line"
    assert made.hg("log", "-r", "default", "-T", "{desc}", at=made.remote) == "first", "the other branch stays"
    no_residue(made)


@BOTH
def test_a_lock_that_is_stale_in_the_channel_prod(tmp_path, vcs, monkeypatch):
    if not shutil.which(vcs):
        pytest.skip("needs Mercurial: Debian package mercurial")
    with serving(tmp_path, monkeypatch) as index:
        made = factory.make_project(tmp_path / "project", vcs=vcs, requires=("loom>=2",))
        made.write("requirements.lock", "loom==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
        made.commit("an old lock")
        refused(made, ("requirements.lock does not cover what the project requires: loom>=2 (1.0 is locked)", "inv lock, then commit requirements.lock"),
                channel="prod")
        if vcs == "hg":
            return  # what mends it is the same
        index.put("loom", *wheel("loom", "2.0"))
        from weft.release import single
        single.lock_only(pipeline.open_project(made.root), False, factory.Quiet())
        made.commit("a new lock")
        done(made, channel="prod")
