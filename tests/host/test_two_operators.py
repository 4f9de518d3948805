"""Two operators at once, in many interleavings: each has a seed, and a failure names it. `WEFT_SEED=437` runs that one, after those
of its block that came before it; WEFT_SEEDS how many there are. WEFT_SWEEPS=whole runs the first thousand, `make test` some of those.
"""

import fcntl
import json
import os
import time

import pytest

from tests import sweeps
from tests.host import orders
from tests.host.duel import Duel
from tests.host.light_host import LightHost
from tests.host.orders import VERSIONS, Operator
from weft.host import lock

pytestmark = pytest.mark.slow
SEEDS = int(os.environ.get("WEFT_SEEDS", sweeps.size("240", "1000")))
#: So many seeds go on from each other; then the host is as in the beginning.
BLOCK = 20
PARTS = 4


@pytest.fixture(scope="module")
def ring():
    host = LightHost()
    operators = [Operator(host, "one"), Operator(host, "two")]
    try:
        host.ok("setup")
        model = orders.fresh()
        for version in VERSIONS[:4]:
            for order in (("stage", version, model.live), ("activate", model.live + 1, model.live), ("confirm", model.live + 1)):
                assert operators[0].give(order, model)["code"] == model.apply(order) == 0
        orders.follow(host, model)
        host.keep("begin")
        yield host, operators, model
    finally:
        for each in operators:
            each.close()
        host.close()


def seeds(part):
    """Blocks of seeds."""
    if "WEFT_SEED" in os.environ:
        wanted = int(os.environ["WEFT_SEED"])
        return [range(wanted - wanted % BLOCK, wanted + 1)] if part == 0 else []
    return [range(first, min(first + BLOCK, SEEDS)) for first in range(part * BLOCK, SEEDS, PARTS * BLOCK)]


@pytest.mark.parametrize("part", range(PARTS))
def test_they_leave_what_one_after_the_other_would_leave(ring, part):
    host, operators, model = ring
    met = {}
    for block in seeds(part):
        host.restore("begin")
        duel = Duel(host, operators, model.copy())
        for seed in block:
            try:
                duel.run(seed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: WEFT_SEED={seed} runs it again\norders: {duel.said}\n{error}") from error
        met = {name: met.get(name, 0) + number for name, number in duel.counts.items()}
    print(met)
    if SEEDS >= 240 and "WEFT_SEED" not in os.environ:
        assert met["at once"] >= SEEDS // 10 and (met["one won"] >= 3 or SEEDS < 1000), f"too little was met: {met}"


def test_who_waits_is_told_who_holds_the_lock_and_not_who_did_before(ring):
    host, (one, two), model = ring
    host.restore("begin")
    assert one.give(("recover",), model)["code"] == 0
    with open(host.state / "lock", "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = one.give(("recover",), model, patience=0.05)
        assert (refused["code"], refused["last"]["error"]["message"].split(" since")[0]) == (3, "locked by somebody (?)")
        held.truncate()
        held.write(json.dumps({"by": two.by, "verb": "stage", "pid": os.getpid(), "since": "now"}))
        held.flush()
        refused = one.give(("recover",), model, patience=0.05)
        assert (refused["code"], refused["last"]["error"]["message"]) == (3, f"locked by {two.by} (stage) since now")
    orders.same(host, model)


def test_an_engine_that_hangs_past_the_end_of_a_trial_is_ended_by_the_other_one(ring):
    host, (one, two), model = ring
    host.restore("begin")
    model = model.copy()
    for order in (("stage", VERSIONS[5], 4), ("activate", 5, 4)):
        assert one.give(order, model)["code"] == model.apply(order) == 0
    one.start(("confirm", 5), model, at=6, mode="pause", pause=60)
    while lock.idle(host.state / "lock"):
        time.sleep(0.002)
    model.clock += 100_000
    assert two.give(("recover",), model, patience=30.0)["code"] == 0
    assert one.finish()["code"] == -9
    model.settle()
    assert model.version == VERSIONS[3]
    orders.follow(host, model)
    orders.same(host, model)
