"""SIGKILL at one act of each kind of a release, for git and for Mercurial, and at some random moments; then the same command, or --abort.

The kinds are those of act.one_of_each: every command that changes a repository, a file of the store or what shows it, from every line of weft.
`WEFT_SWEEPS=whole` takes every act, 195 for git and 180 for Mercurial, and 200 moments. With setuptools and cold interpreters it is
bench/release_kill_sweep.py.
"""

import shutil
from collections import Counter

import pytest

from tests import sweeps
from tests.release import act, killing, memory

SHARES = sweeps.size(10, 30)
MOMENTS, PARTS = sweeps.size((6, 2), (100, 20))
"""Random moments for each system, and in how many tests."""
OWN = {"git": (), "hg": (("release.hg", "durable.publish"),)}
"""With git every line counts; with Mercurial those that are its own, and the rename that publishes."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["git", "hg"])
def prepared(request, tmp_path_factory):
    if request.param == "hg" and not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    nursery = killing.Nursery()
    with memory.or_else(tmp_path_factory.mktemp("sweep")) as place:
        yield nursery, *killing.template(place, request.param, nursery)
    nursery.close()


@pytest.fixture
def place(tmp_path):
    with memory.or_else(tmp_path) as found:
        yield found


def killed(prepared, place, trials):
    """trials: (a name, the act's number or None) each. What happened is printed, for `pytest -rP`."""
    nursery, made, acts, seconds = prepared
    outcomes = Counter()
    for name, at in trials:
        try:
            outcomes[killing.trial(nursery, made, place / name.replace(" ", "-"), at, seconds, name)] += 1
        except BaseException as error:
            error.add_note(f"killed at {name}" + (f": {acts[at]}" if at is not None else ""))
            raise
    print(f"{made.vcs} kills:", dict(sorted(outcomes.items())))


@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_every_act(prepared, place, share):
    _, made, acts, _ = prepared
    every = act.parted(acts)[0]
    chosen = every if sweeps.WHOLE else act.one_of_each(acts, *OWN[made.vcs])
    assert {act.step(acts[at]) for at in chosen} == {act.step(acts[at]) for at in every}, "a step that nothing was killed in"
    killed(prepared, place, [(f"act {at}", at) for at in chosen[share::SHARES]])


def test_killed_again_and_again_while_what_is_done_is_removed(prepared, place):
    nursery, made, acts, _ = prepared
    kills = killing.while_removing(nursery, made, place / "removals", acts)
    print(f"{made.vcs} kills:", {"removing": kills})
    assert kills > 10


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_a_moment(prepared, place, part):
    killed(prepared, place, [(f"moment {number}", None) for number in range(part, MOMENTS, PARTS)])
