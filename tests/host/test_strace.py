"""The honest check of the crash sweep: strace has the kernel kill the engine, or refuse its calls, at some of all the calls that it makes; the
engine is a process as on any host, and nothing in it was replaced. The promises are those of the sweep.
"""

import shutil

import pytest

from tests.host.light_sweep import LightSweep
from tests.host.struck import MAY_FAIL, StruckHost
from tests.host.transactions import TRANSACTIONS

pytestmark = pytest.mark.slow
#: How many calls of a transaction are struck in each mode, evenly over all that it makes, and where in its part of them each lies.
SAMPLES = {"signal=KILL": (7, 1 / 2), "error=ENOSPC": (4, 1 / 3), "error=EIO": (4, 2 / 3)}


@pytest.fixture(scope="module")
def struck():
    if not shutil.which("strace"):
        pytest.skip("nothing has the kernel inject faults: apt-get install strace")
    host = StruckHost()
    yield host
    host.end_watchdogs()
    host.close()


@pytest.fixture(scope="module")
def calls(struck):
    """The calls of a whole run of each transaction."""
    known = {}

    def of(sweep, name):
        if name not in known:
            struck.restore(sweep.begin(TRANSACTIONS[name]))
            assert TRANSACTIONS[name].run(struck, {"inject": ""})["code"] == 0
            known[name] = struck.calls()
        return known[name]
    return of


def sample(calls, mode):
    """What only errors can strike is among those alone that may fail."""
    able = [call for call in calls if mode == "signal=KILL" or call.name in MAY_FAIL]
    many, where = SAMPLES[mode]
    return [able[int((part + where) * len(able) / many)] for part in range(many)]


@pytest.mark.parametrize("mode", SAMPLES)
@pytest.mark.parametrize("name", ["stage", "activate", "confirm", "rollback"])
def test_the_host_stays_whole_when_the_kernel_strikes(struck, calls, name, mode):
    sweep = LightSweep(struck)
    transaction = TRANSACTIONS[name]
    points = sample(calls(sweep, name), mode)
    for turn, call in enumerate(points):
        struck.restore(sweep.begin(transaction))
        done = transaction.run(struck, {"inject": f"{call.name}:{mode}:when={call.number}"})
        assert was_struck(struck.trace, mode, done["code"]), (call, done, struck.trace[-3:])
        sweep.check(transaction, f"{name}, {call} with {mode}", done, turn == 0)
    assert sweep.bad == [] and len(set(points)) == SAMPLES[mode][0]


def was_struck(trace, mode, code):
    """By what strace wrote down, and by how the engine ended."""
    if mode == "signal=KILL":
        return code == -9 and trace[-1] == "+++ killed by SIGKILL +++"
    return sum(f"{mode.removeprefix('error=')} " in line and line.endswith("(INJECTED)") for line in trace) == 1
