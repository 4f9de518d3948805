"""The sqlite loop: a fault at every so many calls of every transaction until a run survives. Whatever the point, users get the old release
in full or the new one, recovery needs nobody's hand, and the next command goes on.

The server here is a light one so that a point costs a fraction of a second; test_crash_sweep.py shows the same on a real Apache and pip, and
test_strace.py with faults that the kernel itself injects into an engine that knows nothing of it.
"""

import pytest

from tests.host.faults import MODES
from tests.host.light_host import LightHost
from tests.host.light_sweep import LightSweep
from tests.host.transactions import TRANSACTIONS

pytestmark = pytest.mark.slow
#: Every how many calls, and from which one, so that two modes alike take other calls.
STEPS = {"kill": (3, 1), "after": (3, 2), "torn": (1, 1), "ENOSPC": (4, 1), "EIO": (4, 2), "ENOSPC+": (4, 3), "EIO+": (4, 4), "EROFS+": (3, 3)}
#: The step in transactions with more calls than all the others together, where many do the same, and in the shortest one.
LONG = {"setup": 5, "stage": 5, "undeploy": 9, "lock": 1}
#: How many points each has at the least, by mode as in MODES, counted as root and as another account, who owns less to others: the fewer of
#: both. Fewer still would mean that the sweep has lost calls from its sight.
LEAST = {
    "setup": (24, 24, 11, 18, 18, 18, 18, 22),
    "setup again": (10, 10, 4, 5, 5, 5, 5, 8),
    "stage": (39, 39, 33, 25, 25, 24, 24, 36),
    "activate": (22, 21, 15, 14, 13, 13, 13, 20),
    "confirm": (9, 8, 5, 5, 5, 4, 4, 7),
    "hold": (5, 4, 3, 2, 2, 2, 1, 3),
    "confirm what was held": (10, 10, 6, 5, 5, 5, 5, 9),
    "prune": (24, 23, 6, 7, 7, 7, 6, 22),
    "rollback": (18, 18, 13, 11, 11, 11, 11, 16),
    "rollback to a version": (22, 21, 15, 14, 13, 13, 13, 20),
    "revert a trial": (9, 9, 5, 6, 5, 5, 5, 8),
    "revert what was confirmed": (25, 25, 17, 16, 16, 15, 15, 24),
    "recover in time": (8, 7, 4, 5, 5, 4, 4, 7),
    "recover after a reboot": (8, 7, 4, 5, 5, 4, 4, 7),
    "recover residue": (7, 7, 2, 2, 1, 1, 1, 7),
    "recover a lost trial": (10, 9, 5, 6, 6, 6, 5, 9),
    "keep an edit": (9, 9, 4, 5, 5, 5, 5, 8),
    "keep an edit in place": (9, 9, 4, 5, 5, 5, 5, 8),
    "pin": (5, 4, 3, 3, 3, 2, 2, 4),
    "unpin": (4, 4, 3, 3, 3, 2, 2, 4),
    "lock": (8, 7, 2, 6, 5, 4, 3, 6),
    "migrate": (6, 5, 3, 3, 3, 3, 2, 4),
    "undeploy": (13, 13, 3, 2, 2, 1, 1, 11),
    "recover a torn state": (12, 12, 7, 8, 8, 8, 8, 11),
}
#: After every how many points an operator goes on with a command of its own, which costs more than the rest.
GOES_ON = 9

#: Killed at every so many calls, then in the recovery from that; how many points that gives at the least, beyond those of LEAST.
NESTED = [("stage", 61, 14), ("activate", 17, 4), ("confirm", 9, 4), ("rollback", 15, 6), ("prune", 19, 8), ("revert a trial", 8, 8),
          ("revert what was confirmed", 25, 4), ("recover in time", 6, 10), ("keep an edit", 9, 3), ("undeploy", 61, 15)]


@pytest.fixture(scope="module")
def light():
    host = LightHost()
    yield host
    host.close()


def test_the_sweep_is_as_long_as_promised():
    assert set(LEAST) == set(TRANSACTIONS) and all(len(each) == len(MODES) for each in LEAST.values())
    assert sum(map(sum, LEAST.values())) >= 1500


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TRANSACTIONS)
def test_the_host_stays_whole(light, name, mode):
    sweep = LightSweep(light)
    step, first = STEPS[mode]
    sweep.run(name, mode, LONG.get(name, step) if mode != "torn" else step, GOES_ON, first)
    assert sweep.bad == []
    assert sweep.points >= LEAST[name][MODES.index(mode)]


@pytest.mark.parametrize("name, step, least", NESTED)
def test_recovery_may_be_killed_too(light, name, step, least):
    """Killed in the transaction, then killed in the recovery: the one after that mends both."""
    sweep = LightSweep(light)
    sweep.run_nested(name, step, 5)
    assert sweep.bad == [] and sweep.points >= least
