"""The sqlite loop: a fault at every so many calls of every transaction until a run survives. Whatever the point, users get the old release
in full or the new one, recovery needs nobody's hand, and the next command goes on.

The server here is a light one so that a point costs a fraction of a second; test_crash_sweep.py shows the same on a real Apache and pip.
"""

import pytest

from tests.host.light_host import LightHost
from tests.host.light_sweep import TRANSACTIONS, LightSweep

pytestmark = pytest.mark.slow
MODES = ("kill", "after", "torn", "ENOSPC", "EIO", "EROFS+")
#: Every how many calls; the first one always.
STEP = 31


@pytest.fixture(scope="module")
def light():
    host = LightHost()
    yield host
    host.close()


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_the_host_stays_whole(light, name):
    points, bad = 0, []
    for mode in MODES:
        sweep = LightSweep(light)
        sweep.run(name, mode, STEP, 2)
        points, bad = points + sweep.points, bad + sweep.bad
    assert bad == [] and points >= len(MODES)
