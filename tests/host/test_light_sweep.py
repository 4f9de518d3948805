"""The sqlite loop: a fault at every so many calls of every transaction until a run survives. Whatever the point, users get the old release
in full or the new one, recovery needs nobody's hand, and the next command goes on.

The server here is a light one so that a point costs a fraction of a second; test_crash_sweep.py shows the same on a real Apache and pip.
"""

import pytest

from tests.host.light_host import LightHost
from tests.host.light_sweep import TRANSACTIONS, LightSweep

pytestmark = pytest.mark.slow
MODES = ("kill", "after", "torn", "ENOSPC", "EIO", "EROFS+")
#: Every how many calls, and from which one, so that two modes alike take other calls.
STEPS = {"kill": (3, 1), "after": (3, 2), "torn": (1, 1), "ENOSPC": (3, 1), "EIO": (3, 2), "EROFS+": (3, 3)}
#: The same for the transactions that LEAST does not name.
WIDE = (31, 1)
#: How many points a transaction that is swept closely has at the least, by mode as in MODES. Fewer would mean that the sweep has lost calls from its sight.
LEAST = {
    "setup": (55, 55, 10, 30, 30, 52),
    "setup again": (20, 20, 3, 6, 6, 18),
    "stage": (76, 76, 32, 40, 40, 71),
    "activate": (22, 22, 15, 19, 19, 20),
    "confirm": (8, 8, 4, 6, 5, 7),
}
#: After every how many points an operator goes on with a command of its own, which costs more than the rest.
GOES_ON = 4


@pytest.fixture(scope="module")
def light():
    host = LightHost()
    yield host
    host.close()


def test_the_sweep_is_as_long_as_promised():
    assert set(LEAST) <= set(TRANSACTIONS) and all(len(each) == len(MODES) for each in LEAST.values())
    assert sum(map(sum, LEAST.values())) + len(MODES) * (len(TRANSACTIONS) - len(LEAST)) >= 850


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TRANSACTIONS)
def test_the_host_stays_whole(light, name, mode):
    sweep = LightSweep(light)
    step, first = STEPS[mode] if name in LEAST else WIDE
    sweep.run(name, mode, step, GOES_ON, first)
    assert sweep.bad == []
    assert sweep.points >= (LEAST[name][MODES.index(mode)] if name in LEAST else 1)


@pytest.mark.parametrize("name, step", [("stage", 61), ("activate", 17), ("confirm", 9), ("rollback", 15)])
def test_recovery_may_be_killed_too(light, name, step):
    """Killed in the transaction, then killed in the recovery: the one after that mends both."""
    sweep = LightSweep(light)
    sweep.run_nested(name, step, 5)
    assert sweep.bad == [] and sweep.points >= 4
