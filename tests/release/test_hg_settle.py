"""Mercurial that is killed while it takes a release's commits, into the user's repository or into a remote on this machine: wholly there or not at all."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import factory
from tests.release import hg_dies
from weft.release import vcs
from weft.release.run import CommandFailed
from weft.release.vcs import SendRefused

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("hg"), reason="needs Mercurial: Debian package mercurial")]
ACTS = range(24, 100, 12)
"""Some of a transaction, from the middle of it to after its end; which one each is depends on Mercurial's version."""


@dataclass
class Sending:
    """A release in its scratch clone, that nobody has yet. taking: the repository that is to take it."""

    made: Any
    clone: Path
    commit: str
    top: str
    order: Path

    @property
    def taking(self):
        return self.made.remote or self.made.root

    def dies(self, at):
        """A repository whose Mercurial dies at that act of the sending."""
        self.order.write_text(f"{at} {'push' if self.made.remote else 'pull'}")
        return vcs.open_repository(self.made.root)

    def send(self, repo):
        try:
            repo.send(self.clone, repo.remote("default", "default"), "1.1.4", self.commit)
        finally:
            repo._server.close()

    def happened(self):
        """Whether it is there: whole in the end or not at all, and nobody is asked to recover anything."""
        self.order.unlink(missing_ok=True)
        assert not (self.taking / ".hg/store/journal").exists()
        return self.made.tags(self.taking).get("1.1.4") == self.commit and self.made.hg("log", "-r", "tip", "-T", "{node}", at=self.taking) == self.top


@pytest.fixture(params=["a remote", "no remote"])
def sending(request, monkeypatch, tmp_path):
    made = factory.make_project(tmp_path / "project", vcs="hg", remote=request.param == "a remote")
    repo, clone = vcs.open_repository(made.root), tmp_path / "clone"
    repo.clone(clone, made.head(), "", "", None)
    (clone / "new.txt").write_text("new\n")
    made.hg("add", "-q", "new.txt", at=clone)
    commit = repo.commit(clone, ["new.txt"], "Release 1.1.4")
    top = repo.tag(clone, "1.1.4", commit, "told")
    repo._server.close()
    (tmp_path / "hgrc").write_text(f"[extensions]\ndies = {hg_dies.__file__}\n")
    monkeypatch.setenv("HGRCPATH", str(tmp_path / "hgrc"))
    monkeypatch.setenv("HG_DIES", str(tmp_path / "order"))
    return Sending(made, clone, commit, top, tmp_path / "order")


def test_killed_alone_it_is_asked_what_arrived(sending):
    for at in ACTS:
        arrived = True
        try:
            sending.send(sending.dies(at))
        except (SendRefused, CommandFailed):
            arrived = False
        assert sending.happened() == arrived, (at, arrived)
        if arrived:
            break
    assert arrived and at > ACTS[0], "none of the acts lies in the transaction"


def test_killed_together_with_weft_the_next_run_rolls_back_first(sending):
    for at in ACTS:
        repo = sending.dies(at)
        repo._hg = dying(repo._hg)
        with suppress(KeyboardInterrupt):
            sending.send(repo)
        repo = vcs.open_repository(sending.made.root)
        repo.settle("default")
        repo._server.close()
        if arrived := sending.happened():
            break
    assert arrived and at > ACTS[0], "none of the acts lies in the transaction"


def dying(act):
    """weft dies where its Mercurial does."""
    def acts(*words, **named):
        try:
            return act(*words, **named)
        except CommandFailed as error:
            raise KeyboardInterrupt if error.code < 0 else error from None
    return acts
