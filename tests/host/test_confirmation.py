"""A confirmation that is held: the host stays on trial for as long as the fleet's lock is alive, and one word ends it for good."""

import json
import os
import subprocess
import sys

import pytest

from tests.host.light_host import make_release, serving
from tests.host.test_request import GOOD
from tests.host.zygote import ROOT
from weft.errors import Refused
from weft.host import fleetlock, trial
from weft.host.fleetlock import STALE
from weft.host.layout import Layout
from weft.host.request import parse

ANN, BOB = ({"number": number, "token": token * 16, "why": f"deploy {number}", "env": "production"} for number, token in ((1, "a"), (2, "b")))
LATER = 700
"""Seconds: past the confirm deadline of a light host, 600."""


@pytest.fixture(scope="module")
def light():
    with serving("0.9", "1.0") as host:
        assert host.stage(*make_release("1.1"))["code"] == 0
        host.ok("activate", generation=3, base=2, lock=ANN)
        host.keep("on trial")
        host.ok("confirm", generation=3, lock=ANN, hold=True)
        host.keep("held")
        yield host


@pytest.fixture
def host(light):
    """1.1 is held for ann's rollout, with 1.0 before it."""
    light.restore("held")
    return light


def version(host):
    return host.get()[1]["version"]


def beats(host, ahead, lock=ANN, **fault):
    return host.ask("lock", lock=lock, fault={"ahead": ahead, **fault})["last"]["result"]["lock"]


def gone_back(host, note, status="bad"):
    record = host.records()[3]
    return version(host) == "1.0" and (record["status"], record["note"]) == (status, note) and not (host.state / "trial.json").exists() and host.faults() == []


UNHEARD = "the rollout that it was held for was heard of no more", "staged"


@pytest.mark.parametrize("change, says", [({"hold": 1}, "hold is true or false"), ({"hold": True}, "hold: there is no lock"),
                                          ({"hold": True, "lock": {"number": 1, "token": "a" * 16, "act": "release"}}, "hold: there is no lock"),
                                          ({"verb": "activate", "hold": True}, "activate does not know: hold")])
def test_what_can_be_held_is_said_strictly(change, says):
    with pytest.raises(Refused, match=says):
        parse({**GOOD, "verb": "confirm", "generation": 1, **change}, "")
    assert parse({**GOOD, "hold": True}, "").hold, "an observation asks only whether it is known"


def test_until_when_a_lock_lives(tmp_path):
    ask = fleetlock.parse(ANN)
    fleetlock._take(tmp_path, ask, "ann@x")
    left = fleetlock.lives_until(tmp_path, 1, "a" * 16) - fleetlock.boot.now()
    assert STALE - 5 < left <= STALE and fleetlock.lives_until(tmp_path, 1, "a" * 16, 7.0) - fleetlock.boot.now() <= 7
    assert all(fleetlock.lives_until(tmp_path, number, token) <= fleetlock.boot.now() for number, token in ((2, "a" * 16), (1, "b" * 16)))
    fleetlock.beat(tmp_path, ask, released=True)
    ends = [fleetlock.lives_until(place, 1, "a" * 16) for place in (tmp_path, tmp_path / "none")]
    assert max(ends) <= fleetlock.boot.now()


@pytest.mark.parametrize("held", ["x", 1, [1], {}, [1, "a", 2]])
def test_a_note_that_weft_did_not_write_is_no_trial(tmp_path, held):
    layout = Layout("shop", str(tmp_path))
    layout.state.mkdir(parents=True)
    said = {"generation": 3, "previous": 2, "slot": "a", "previous_slot": "b", "boot": fleetlock.boot.boot_id(), "deadline": 1e9}
    layout.trial.write_text(json.dumps(said))
    assert trial.read(layout) == said
    layout.trial.write_text(json.dumps({**said, "held": held}))
    assert trial.read(layout) == {}


@pytest.mark.slow
def test_it_stays_past_its_deadline_while_the_lock_is_alive_and_goes_back_when_it_is_stale(host):
    assert json.loads((host.state / "trial.json").read_text())["held"] == [1, "a" * 16]
    for ahead in range(50, LATER + 100, 50):
        assert beats(host, ahead)["live"]
        assert host.recover(ahead=ahead + 30)["code"] == 0 and version(host) == "1.1"
    assert host.records()[3]["status"] == "pending"
    host.recover(ahead=750 + STALE - 5)
    assert version(host) == "1.1"
    host.recover(ahead=750 + STALE + 5)
    assert gone_back(host, *UNHEARD)


@pytest.mark.slow
def test_the_lock_of_a_boot_before_is_dead_however_late_its_last_beat(host):
    host.recover(boot="another")
    assert gone_back(host, "the host was started anew before it was confirmed")


@pytest.mark.slow
def test_a_word_for_good_ends_it_and_the_lock_with_it(host):
    host.ok("confirm", generation=3, lock={**ANN, "act": "release"})
    assert host.records()[3]["status"] == "good" and not (host.state / "trial.json").exists()
    assert host.ok("lock", lock=ANN)["lock"]["released"] is True
    host.recover(ahead=10 * LATER)
    assert version(host) == "1.1" and host.faults() == []
    host.deploy(*make_release("1.2"))
    assert version(host) == "1.2"


@pytest.mark.slow
@pytest.mark.parametrize("first", ["recovery", "the word itself"])
def test_a_word_for_good_that_comes_after_the_lock_was_dead_confirms_nothing(host, first):
    late = {"ahead": STALE + 5}
    if first == "recovery":
        host.recover(**late)
    said = host.ask("confirm", generation=3, lock=ANN, fault=late)
    assert said["code"] == 4 and "went back by itself" in said["last"]["error"]["message"]
    assert gone_back(host, *UNHEARD)


@pytest.mark.slow
def test_said_twice_it_is_held_once(host):
    assert host.ok("confirm", generation=3, lock=ANN, hold=True)["deadline"] == STALE
    host.ok("confirm", generation=3, lock=ANN)
    assert host.ok("confirm", generation=3, lock=ANN, hold=True)["state"]["generations"][0]["status"] == "good", "what is confirmed stays so"


@pytest.mark.slow
def test_a_lock_that_was_released_takes_what_was_held_for_it_along(host):
    host.ok("lock", lock={**ANN, "act": "release"})
    host.recover()
    assert gone_back(host, *UNHEARD)


@pytest.mark.slow
def test_who_takes_the_lock_over_finds_the_release_before(host):
    """Also where it is known from another host that ann's is over: then it is not stale here."""
    release, content = make_release("1.2")
    over = {**BOB, "after": [1, "a" * 16]}
    said = host.ask("stage", [content[a.sha256] for a in release.artifacts if not (host.root / "cache" / a.sha256).exists()], release=release.to_json(), base=3, lock=over,
                    files=[{"sha256": a.sha256, "size": a.size} for a in release.artifacts if not (host.root / "cache" / a.sha256).exists()])
    assert said["code"] == 3 and "somebody else was faster" in said["last"]["error"]["message"]
    assert gone_back(host, *UNHEARD)
    refused = host.ask("confirm", generation=3, lock=ANN)
    assert (refused["code"], refused["last"]["error"]["details"]["fenced"]) == (3, True)


@pytest.mark.slow
def test_what_it_does_to_other_orders(host):
    """Nobody else gets in, looking keeps nothing alive, and root's words on the host go first."""
    assert "locked by sweep@here (deploy 1)" in host.ask("stage", release=make_release("1.2")[0].to_json(), base=3, files=[], lock=BOB)["last"]["error"]["message"]
    refused = host.ask("rollback", to="", base=3, lock=ANN)["last"]["error"]
    assert "generation 3 is on trial" in refused["message"] and refused["next"] == "wait until its rollout has ended; to keep it now, on the host: weft-host confirm shop"
    shown = host.command("status", "shop")
    assert any("s if its rollout is not heard of, unless: weft-host confirm shop" in each.get("text", "") for each in [*shown["events"], shown["last"]])
    host.ok("revert", generation=3, lock=ANN)
    assert gone_back(host, "reverted")
    host.restore("held")
    assert host.command("confirm", "shop", "--json")["code"] == 0 and host.records()[3]["status"] == "good"
    host.restore("held")
    host.ask("observe", fault={"ahead": STALE - 5})
    host.ask("observe", fault={"ahead": STALE + 5})
    assert gone_back(host, *UNHEARD)


@pytest.mark.slow
def test_a_beat_that_comes_before_anybody_has_looked_keeps_it_all_the_same(host):
    assert beats(host, STALE + 5)["live"]
    host.recover(ahead=STALE + 10)
    assert version(host) == "1.1"


@pytest.mark.slow
def test_the_process_of_the_switch_goes_by_the_lock_too(host):
    """A real one, and nobody else looks. Its time as it was at the switch is long over."""
    said = json.loads((host.state / "trial.json").read_text())
    (host.state / "trial.json").write_text(json.dumps({**said, "deadline": fleetlock.boot.now() - 1}))
    watchdog = subprocess.Popen([sys.executable, "-m", "tests.host.light_engine", "--prefix", str(host.prefix), "--watchdog", "shop", "3"], cwd=ROOT,
                                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, stdout=subprocess.PIPE)
    try:
        host.recover()
        assert watchdog.poll() is None and version(host) == "1.1"
        host.ok("lock", lock={**ANN, "act": "release"})
        assert json.loads(watchdog.communicate(timeout=60)[0])["result"] == {"trial": "over"} and gone_back(host, *UNHEARD)
    finally:
        watchdog.kill()
        watchdog.wait()
