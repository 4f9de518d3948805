"""A cache of their own for the tests, shared by them, and a look at everything a release may not touch."""

import pytest

from tests import factory


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def world():
    """A function: everything of a project that a refused release leaves as it was."""
    def look(made):
        files = {path: value for path, value in factory.tree(made.root).items()
                 if not path.startswith((".git/objects", ".git/weft"))}
        left = sorted(path.name for path in (made.root / ".git/weft").glob("*") if path.name != "lock")
        return {"files": files, "store": factory.tree(made.store), "left": left,
                "remote": made.git("for-each-ref", at=made.remote) if made.remote else ""}
    return look


@pytest.fixture
def warm(monkeypatch):
    """Builds, checks and tests of releases start from this process, which has imported what they need (see warm.py)."""
    from tests.release import warm as warmth
    from weft.release import run
    monkeypatch.setattr(run, "watch", run.watch)
    warmth.up()
