"""Killed, or out of room, or on a bad disk, at every mutating call of stage, activate, confirm and rollback: the host serves a whole
release, old or new, and the next command goes on: test_light_sweep.py's promise, on a real Apache and with a real pip. Some points of each verb;
`WEFT_SWEEPS=whole` takes each of them."""

import pytest

from tests import sweeps
from tests.host.sweep import Sweep

pytestmark = pytest.mark.slow


@pytest.fixture
def sweep(host):
    return Sweep(host)


def sweep_stage(sweep, mode, step):
    def after(what, code):
        sweep.whole(what, {"1.0"})
        sweep.unstage()
    sweep.each("stage", mode, lambda at: sweep.stage(at, mode), after, step)


def sweep_activate(sweep, mode, step):
    """Whatever the point: old or new in full, then undone, and the same again."""
    assert sweep.stage()[0] == 0

    def after(what, code):
        state = sweep.whole(what, {"1.0", "1.1"})
        if state["live"] == 3:
            sweep.host.ok("revert", generation=3)
        sweep.whole(f"{what}, reverted", {"1.0"})
        record = sweep.host.root / "generations/3/record.json"
        record.write_text(record.read_text().replace('"bad"', '"staged"'))
    sweep.each("activate", mode, lambda at: sweep.ask("activate", at, mode, generation=3, base=2), after, step)


def sweep_confirm(sweep, mode, step):
    assert sweep.stage()[0] == 0

    def run(at):
        sweep.host.ok("activate", generation=3, base=sweep.state()["live"])
        return sweep.ask("confirm", at, mode, generation=3)

    def after(what, code):
        sweep.whole(what, {"1.1"})
        sweep.host.ok("confirm", generation=3) if code else None
        sweep.host.ok("rollback", to="1.0", base=3)
        sweep.host.ok("confirm", generation=2)
    sweep.each("confirm", mode, run, after, step)


def sweep_rollback(sweep, mode, step):
    def after(what, code):
        state = sweep.whole(what, {"0.9", "1.0"})
        if state["live"] == 1:
            sweep.host.ok("revert", generation=1)
        sweep.whole(f"{what}, reverted", {"1.0"})
    sweep.each("rollback", mode, lambda at: sweep.ask("rollback", at, mode, to="0.9", base=2), after, step)


#: And every how many of its calls a fault strikes.
VERBS = {"stage": (sweep_stage, 23), "activate": (sweep_activate, 7), "confirm": (sweep_confirm, 5), "rollback": (sweep_rollback, 7)}


#: A full disk in the other two, which write a few bytes each, is for the light sweep, the kernel's (test_strace.py) and the whole of this one.
POINTS = [(verb, mode) for verb in VERBS for mode in ("kill", "ENOSPC") if sweeps.WHOLE or mode == "kill" or verb in ("stage", "rollback")]


@pytest.mark.parametrize("verb, mode", POINTS)
def test_the_host_stays_whole(sweep, verb, mode):
    run, step = VERBS[verb]
    run(sweep, mode, sweeps.size(step, 1))
    assert sweep.bad == [] and sweep.points > 2
