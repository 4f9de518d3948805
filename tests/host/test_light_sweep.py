"""The sqlite loop: a fault at the 1st, 2nd, 3rd … mutating call of every transaction until a run survives. Whatever the point, users get
the old release in full or the new one, recovery needs nobody's hand, and the next command goes on.

The server here is a light one so that a point costs a fraction of a second; test_crash_sweep.py shows the same on a real Apache and pip.
"""

import pytest

from tests.host.light_host import LightHost
from tests.host.light_sweep import TRANSACTIONS, LightSweep

pytestmark = pytest.mark.slow

#: Mode -> every how many calls, and how often an operator goes on afterwards.
EVERY = {"kill": (1, 3), "after": (2, 4), "torn": (2, 4), "ENOSPC": (1, 4), "EIO": (2, 4), "EROFS+": (2, 4)}
#: Faults that must really have happened, a little below what was counted: fewer means that the sweep has lost its way.
LEAST = {"setup": 180, "setup again": 70, "stage": 250, "activate": 90, "confirm": 50, "prune": 80, "rollback": 80, "rollback to a version": 90,
         "revert a trial": 50, "revert what was confirmed": 100, "recover in time": 40, "recover after a reboot": 40, "recover residue": 60,
         "recover a lost trial": 40, "recover a torn state": 40, "keep an edit": 50}


@pytest.fixture(scope="module")
def light():
    host = LightHost()
    yield host
    host.close()


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_the_host_stays_whole_at_every_call(light, name):
    points, bad = 0, []
    for mode, (step, goes_on) in EVERY.items():
        sweep = LightSweep(light)
        sweep.run(name, mode, step, goes_on)
        points, bad = points + sweep.points, bad + sweep.bad
    assert bad == [] and points >= LEAST[name], points


def test_the_sweep_is_as_long_as_was_promised():
    assert set(LEAST) == set(TRANSACTIONS) and sum(LEAST.values()) >= 1300
