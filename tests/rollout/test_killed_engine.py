"""A real engine that is killed right after the flip: what the operator is told, what is served, and when it settles."""

import json
import sys

import pytest

from tests.host.light_host import ROOT, LightHost, make_release
from tests.host.transactions import LATER
from weft.errors import FailedUndone, OutcomeUnknown, Refused
from weft.rollout import verdict
from weft.rollout.access import Access
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job
from weft.rollout.local import LocalChannel

pytestmark = pytest.mark.slow
#: The engine, killed once after its flip where a file tells it to; the test is the one that ends a trial.
ENGINE = """
import os, signal, sys
sys.path[:0] = {paths!r}
from tests.host import light
from weft.host import __main__ as engine, switch
light.register()
engine.start_watchdog = lambda request, number: None
real = switch.Flip.do
def flip(self, **words):
    done = real(self, **words)
    if os.path.exists({order!r}):
        os.unlink({order!r})
        os.kill(os.getpid(), signal.SIGKILL)
    return done
switch.Flip.do = flip
engine.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def light():
    host = LightHost()
    yield host
    host.close()


@pytest.fixture
def fresh(light):
    """The host serves 1.0, with 0.9 before it."""
    light.clean()
    light.note_server()
    light.get("/-/restart")
    light.ok("setup")
    for version in ("0.9", "1.0"):
        light.deploy(*make_release(version))
    return light


@pytest.fixture(params=["signal", "137"])
def channels(fresh, request):
    """channels(host): a new channel to the engine. Its death reaches us as a signal, or as a shell between us tells it."""
    order, engine, shell = fresh.base / "kill", fresh.base / "engine.py", fresh.base / "through-a-shell"
    order.write_text("")
    engine.write_text(ENGINE.format(paths=[str(ROOT / "src"), str(ROOT)], order=str(order)))
    shell.write_text(f'#!/bin/sh\n{sys.executable} "$@"\ncode=$?\n[ $code -lt 128 ] || echo Killed >&2\nexit $code\n')
    shell.chmod(0o755)
    python = str(shell) if request.param == "137" else sys.executable
    return lambda host: LocalChannel(host, Access("local", python, prefix=fresh.prefix, engine=lambda: engine))


def switching(light, opened, confirm=600):
    """A rollback whose engine is killed right after the flip."""
    words = {"app": "shop", "by": "tester@here", "site": {**light.site, "confirm": confirm}}
    job = Job("rollback", words, opened)
    run = HostRun(Host("web1"), job)
    run.observe()
    assert run.error is None and run.status == "planned", run.error
    run.switch()
    assert light.get()[1]["version"] == "0.9", (run.status, run.error)
    assert isinstance(run.error, OutcomeUnknown) and run.error.code == 6 and run.status == "lost", json.dumps(run.error.to_json())
    return job, run


def test_it_is_settled_by_taking_it_back(fresh, channels):
    job, run = switching(fresh, channels)
    run.settle()
    with pytest.raises(FailedUndone) as raised:
        verdict.judge(job, [run])
    run.close()
    assert raised.value.effect == "1.0 is served on web1" and fresh.get()[1]["version"] == "1.0"
    assert not fresh.faults()


def test_a_host_that_cannot_be_asked_any_more_is_unknown_and_goes_back_by_itself(fresh, channels):
    gone = []

    def opened(host):
        if gone:
            raise Refused("web1: no route to host")
        return channels(host)
    job, run = switching(fresh, opened, confirm=2)
    gone.append(True)
    run.settle()
    with pytest.raises(OutcomeUnknown) as raised:
        verdict.judge(job, [run])
    told = "the connection was lost before the engine's answer", "the engine ended without an answer (exit 137): Killed"
    assert raised.value.code == 6 and raised.value.message in [f"web1: {each}" for each in told]
    assert raised.value.effect == "unknown on web1; web1 goes back by itself within 2 s unless it was confirmed"
    assert raised.value.hint == "fab status --limit web1"
    assert fresh.recover(ahead=LATER)["code"] == 0
    assert fresh.get()[1]["version"] == "1.0" and not fresh.faults()
