"""SIGKILL at every kind of act of a release and at random moments: a short form of bench/release_kill_sweep.py."""

import shutil

import pytest

from tests.release import killing

SHARES = 16
MOMENTS = 4


@pytest.fixture(scope="module", params=["git", "hg"])
def prepared(request, tmp_path_factory):
    if request.param == "hg" and not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    return killing.template(tmp_path_factory.mktemp("sweep"), request.param)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_an_act(prepared, tmp_path, share):
    """Acts spread over the whole release; which of them, moves with the number of acts."""
    made, acts, seconds = prepared
    killing.trial(made, tmp_path / "trial", acts[(len(acts) - 1) * share // (SHARES - 1)], seconds, f"act {share}")


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_a_moment(prepared, tmp_path, moment):
    made, _, seconds = prepared
    killing.trial(made, tmp_path / "trial", None, seconds, f"moment {moment}")
