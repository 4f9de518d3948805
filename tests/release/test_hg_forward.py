"""Mercurial that is killed while it brings the user's working directory forward, at any of its acts: the same command goes on, and nothing of
the user's is lost."""

import shutil
from pathlib import Path

import pytest

from tests import factory
from tests.release import hg_dies
from weft.release import vcs
from weft.release.run import CommandFailed

MOST, STEP = 400, 8
"""Acts, and how many lie between two kills: what can go wrong goes wrong at several of them."""
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("hg"), reason="needs Mercurial: Debian package mercurial")]


class Killed(BaseException):
    """weft, together with its Mercurial."""


class Forward:
    """A project with an active bookmark, and a commit of a release with a changed, a new and a removed file."""

    def __init__(self, place, monkeypatch):
        self.place, self.order, self.server = place, place / "order", None
        self.made = factory.make_project(place / "project", vcs="hg")
        self.base = self.made.head()
        self.made.write("src/weaveserver/__init__.py", "y = 2\n" * 9000)
        self.made.write("CHANGELOG.md", "")
        self.made.write("src/weaveserver/deep/new.py", "x = 1\n" * 9000)
        self.made.hg("rm", "README.md")
        self.commit = self.made.commit(push=False) or self.made.head()
        self.made.hg("update", "-q", self.base)
        shutil.copytree(self.made.root, place / "clone")
        self.made.hg("bookmark", "main")
        (place / "hgrc").write_text(f"[extensions]\ndies = {Path(hg_dies.__file__)}\nstrip =\n")
        monkeypatch.setenv("HGRCPATH", str(place / "hgrc"))
        monkeypatch.setenv("HG_DIES", str(self.order))

    def repo(self):
        """As a new run opens it; the command server is handed on, which saves its start."""
        repo = vcs.open_repository(self.made.root)
        repo._server = self.server
        return repo

    def run(self, alone=False):
        """alone: only Mercurial is killed, and weft goes on."""
        repo = self.repo()
        act = repo._hg

        def struck(*words, **named):
            try:
                return act(*words, **named)
            except CommandFailed as error:
                if error.code < 0:
                    raise Killed() from None
                raise
        if not alone:
            repo._hg = struck
        try:
            return repo.forward(self.place / "clone", "default", self.base, self.commit, "1.1.4", self.commit)
        finally:
            self.server = repo._server

    def killed(self, at, commands, alone=False):
        """Whether it came to that; what it was is in `done`."""
        self.done.unlink(missing_ok=True)
        self.order.write_text(f"{at} {commands}")
        try:
            self.run(alone)
        except Killed:
            pass
        self.order.unlink(missing_ok=True)
        return self.done.exists()

    @property
    def done(self):
        return Path(f"{self.order}.done")

    def behind(self):
        from weft.release.scratch import Note
        repo = self.repo()
        return repo.behind(repo.state(), Note("1.1.4", self.commit, "1.1.4", self.commit, "default", self.base))

    def back(self, *strip):
        """To where it began."""
        repo = self.repo()
        repo._hg("update", "--quiet", "--clean", self.base, at=self.made.root)
        if strip:
            repo._hg("strip", "--quiet", "--no-backup", self.commit, at=self.made.root)
        repo._hg("bookmark", "--quiet", "--force", "--rev", self.base, "main", at=self.made.root)
        repo._hg("update", "--quiet", "main", at=self.made.root)
        shutil.rmtree(self.made.root / "src/weaveserver/deep", ignore_errors=True)

    def whole(self):
        repo, said = self.repo(), self.done.read_text() if self.done.exists() else ""
        assert repo.parents() == [self.commit], said
        assert repo._read("status") == "" and repo._read("log", "-r", ".", "-T", "{activebookmark}") == "main", said
        assert not self.made.data.joinpath("forwarding").exists() and not (self.made.root / ".hg/store/journal").exists(), said


@pytest.fixture
def forward(tmp_path, monkeypatch):
    forward = Forward(tmp_path, monkeypatch)
    yield forward
    forward.server and forward.server.close()


def test_killed_at_acts_of_the_update(forward):
    """With the bookmark's move after it. The same command finishes what it still sees as behind."""
    at = 1
    while forward.killed(at, "update bookmarks"):
        assert forward.behind(), forward.done.read_text()
        assert forward.run() == "", forward.done.read_text()
        forward.whole()
        forward.back()
        at += STEP
        assert at < MOST
    forward.whole()
    assert at > 5 * STEP


def test_a_mercurial_that_is_killed_alone_is_followed_by_another(forward):
    for at in (14, 28, 49):  # a file is removed, the dirstate is opened, the bookmark's transaction is
        assert forward.killed(at, "update bookmarks", alone=True)
        forward.whole()
        forward.back()


def halfway(forward):
    """A mark as a killed run leaves it."""
    forward.made.data.mkdir(exist_ok=True)
    (forward.made.data / "forwarding").write_text(f"{forward.made.root}\n{forward.base}\n{forward.commit}\nmain")


def test_files_that_are_cut_short_are_written_anew(forward):
    halfway(forward)
    forward.made.write("src/weaveserver/__init__.py", "y = 2\n" * 500)
    forward.made.write("src/weaveserver/deep/new.py", "x = 1\n" * 500)
    (forward.made.root / "README.md").unlink()
    assert forward.run() == ""
    forward.whole()


def test_what_the_user_wrote_meanwhile_stays(forward):
    mine = {"src/weaveserver/__init__.py": "mine", "src/weaveserver/deep/new.py": "mine too", "README.md": "and this"}
    halfway(forward)
    for path, text in mine.items():
        forward.made.write(path, text)
    assert forward.run() == "abort: uncommitted changes"
    forward.made.hg("revert", "-q", "--no-backup", "README.md", "src/weaveserver/__init__.py")
    assert "differs" in forward.run()
    assert (forward.made.root / "src/weaveserver/deep/new.py").read_text() == "mine too" and forward.made.head() == forward.base


def test_a_mark_of_another_working_directory_says_nothing_here(forward):
    halfway(forward)
    (forward.made.data / "forwarding").write_text(f"/elsewhere\n{forward.base}\n{forward.commit}\n")
    forward.made.write("src/weaveserver/__init__.py", "")
    assert forward.run() == "abort: uncommitted changes" and (forward.made.root / "src/weaveserver/__init__.py").read_text() == ""


def test_a_bookmark_that_the_user_moved_on_meanwhile_stays_there(forward):
    halfway(forward)
    forward.made.hg("update", "-q", forward.commit)
    forward.made.write("more.txt", "more")
    more = forward.made.commit(push=False) or forward.made.head()
    forward.made.hg("bookmark", "-q", "--force", "--rev", more, "main")
    forward.made.hg("update", "-q", forward.commit)
    assert forward.run() == ""
    assert forward.repo()._read("log", "-r", "main", "-T", "{node}") == more
