"""A command whose words are no good has made nothing: no lock, no directory of weft's in the repository's data."""

import shutil

import invoke
import pytest

from tests import factory
from weft.release import hg, lockfile
from weft.tasks.release import release

BAD = {"version": {"version": "v1.1.4-x"}, "bump": {"bump": "huge"}, "both": {"version": "1.1.4", "bump": "patch"},
       "channel": {"channel": "staging"}, "vendor": {"vendor": "all,none"}, "resume": {"resume": True, "bump": "patch"},
       "abort": {"abort": True, "version": "1.1.4"}, "configuration": {"version": "1.1.4"}}


@pytest.fixture(scope="module", params=["git", "hg"])
def made(request, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.skip("needs Mercurial: Debian package mercurial")
    return factory.make_project(tmp_path_factory.mktemp("words") / "project", vcs=request.param)


def inv(made, monkeypatch, **words):
    """The exit code of `inv release` with these words, run as the task."""
    monkeypatch.chdir(made.root)
    context = invoke.Context()
    with pytest.raises(SystemExit) as stop:
        release(context, **words)
    server = hg._EARLY.pop(made.root, None)
    server and server.close()
    return stop.value.code


@pytest.mark.parametrize("row", BAD)
def test_nothing_is_made_for_words_that_are_no_good(made, monkeypatch, capsys, row):
    text = (made.root / "pyproject.toml").read_text()
    if row == "configuration":
        made.write("pyproject.toml", text + 'publish_to = ["index"]\n')
    try:
        assert inv(made, monkeypatch, **BAD[row]) == 2
    finally:
        made.write("pyproject.toml", text)
    assert capsys.readouterr().err and not made.data.exists() and lockfile._OPENED == {}
