"""What every test of a release asks, of git and of Mercurial alike: all that a failure must leave, all that a release promises."""

import os

from tests import factory
from weft.stores.directory import DirectoryStore

_QUIET = {"git": (".git/objects", ".git/weft"), "hg": (".hg",)}


def world(made):
    """Work tree, references, remote, store: what a failure leaves as it was."""
    files = {path: value for path, value in factory.tree(made.root).items() if not path.startswith(_QUIET[made.vcs])}
    left = sorted(path.name for path in made.data.glob("*") if path.name != "lock")
    journal = (made.root / ".hg/store/journal").exists()
    return {"files": files, "dirty": made.dirty(), "here": made.refs(), "head": made.head(), "store": factory.tree(made.store),
            "left": left, "remote": made.refs(made.remote) if made.remote else "", "journal": journal}


def pushed(made, version="1.1.4"):
    """Whether the remote has the tag; a branch that moved without it, or a tag without its branch, fails."""
    commit = made.tags(made.remote).get(version, "")
    newest = made.head(made.remote)
    top = newest if made.vcs == "git" else made.hg("log", "-r", f"p1({newest})", "-T", "{node}", at=made.remote)
    message = made.git("log", "-1", "--format=%s", newest, at=made.remote) if made.vcs == "git" else \
        made.hg("log", "-r", top or newest, "-T", "{desc|firstline}", at=made.remote)
    moved = message == f"Release {version}"
    assert moved == bool(commit), f"branch {newest} ({message!r}) and tag {commit!r} did not move together"
    assert not commit or commit == top
    return bool(commit)


def nothing_half_done(made, version="1.1.4"):
    """What holds at every moment, also right after a kill: together or not at all, and nothing visible before the push."""
    sent = pushed(made, version)
    place = made.store / made.name / version
    assert sent or not place.exists(), "published before it was pushed"
    if place.exists():
        assert DirectoryStore(made.store).verify(made.name, version) == [], "half a release is visible"
    return sent, place.exists()


def finished(made, version="1.1.4"):
    """Everything that a release promises, and nothing besides."""
    assert pushed(made, version)
    release = DirectoryStore(made.store).manifest(made.name, version)
    assert release.commit == made.tags(made.remote)[version] == made.tags()[version]
    assert DirectoryStore(made.store).verify(made.name, version) == []
    assert made.head() == made.head(made.remote), "the user's branch is not at the release"
    assert made.dirty() == "", made.dirty()
    no_residue(made)


def no_residue(made):
    """No scratch directory, no staging directory; of temporary files in the store none that its sweep does not know.

    A killed publisher's are swept from the store when they are a day old, since others may publish at this moment.
    """
    DirectoryStore(made.store).sweep(made.name, 0)
    left = [path.name for path in made.data.glob("*") if path.name != "lock"]
    assert left == [], f"left in the repository's data: {left}"
    hidden = [os.path.join(folder, name) for folder, folders, files in os.walk(made.store) for name in (*folders, *files)
              if name.startswith((".staging", ".weft-tmp", ".index-lock"))]
    assert hidden == [], f"left in the store: {hidden}"
    locks = [*made.root.glob(".git/*.lock"), *made.root.glob(".hg/store/journal")]
    assert not locks, f"left in the repository: {locks}"
