"""The fleet's lock on one host: who may, who may not, what is kept, and what a heartbeat is worth."""

import errno
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.host.light_host import make_release, serving
from weft import durable
from weft.errors import Refused
from weft.host import boot, fleetlock
from weft.host.fleetlock import STALE, Ask, Record, judge

ANN, BOB, EVE = "a" * 16, "b" * 16, "e" * 16
HELD = Record(6, ANN, "ann@x", "deploy 1.1", "production", "2026-01-31T12:00:00Z", age=5.0)
STALLED, OVER, FROZEN = replace(HELD, age=STALE + 1), replace(HELD, released=True), replace(HELD, freeze=True, why="moving", age=1e6)


@pytest.mark.parametrize("record, ask, says", [
    (Record(), Ask(1, ANN), ""), (Record(), None, ""),
    (HELD, Ask(6, ANN), ""), (STALLED, Ask(6, ANN), ""), (OVER, Ask(6, ANN), ""),
    (HELD, Ask(7, BOB), "locked by ann@x (deploy 1.1) since 2026-01-31 12:00:00 UTC"), (HELD, None, "locked by ann@x"),
    (HELD, Ask(7, BOB, after=(5, ANN)), "locked by ann@x"), (HELD, Ask(7, BOB, after=(6, ANN)), ""),
    (STALLED, Ask(7, BOB), ""), (STALLED, None, ""), (OVER, Ask(7, BOB), ""), (OVER, None, ""),
    (HELD, Ask(6, BOB), "locked by ann@x"), (OVER, Ask(6, BOB), ""), (OVER, Ask(6, "0" * 16), "ann@x (deploy 1.1) at 2026-01-31 12:00:00 UTC was faster"),
    (STALLED, Ask(6, "0" * 16), "was faster"),
    (HELD, Ask(5, BOB), "the lock of this rollout was taken over by ann@x (deploy 1.1)"),
    (STALLED, Ask(5, BOB), "taken over"), (OVER, Ask(5, BOB), "taken over"),
    (FROZEN, Ask(7, BOB), "frozen by ann@x since 2026-01-31 12:00:00 UTC: moving"), (FROZEN, Ask(7, BOB, after=(6, ANN)), "frozen"), (FROZEN, None, "frozen"),
])
def test_who_may(record, ask, says):
    refused = judge(record, ask)
    assert says in refused.message if says else refused is None
    if refused:
        assert refused.details["fenced"] == ("taken over" in refused.message) and refused.details["lock"]["owner"] == "ann@x" and refused.hint


def test_how_long_without_a_beat_is_too_long_can_be_said():
    assert judge(HELD, Ask(7, BOB), stale=4.9) is None and judge(HELD, Ask(7, BOB), stale=5.1)


@pytest.mark.parametrize("said", [
    [], "6", {"number": 6}, {"token": ANN}, {"number": 0, "token": ANN}, {"number": True, "token": ANN}, {"number": "6", "token": ANN}, {"number": 6, "token": "../x"},
    {"number": 6, "token": ANN, "more": 1}, {"number": 6, "token": ANN, "act": "steal"}, {"number": 6, "token": ANN, "after": [1]},
    {"number": 6, "token": ANN, "after": [1, 2]}, {"number": 1 << 60, "token": ANN}, {"number": 6, "token": ANN, "act": "freeze"},
])
def test_what_is_no_lock_is_refused(said):
    with pytest.raises(Refused, match="lock"):
        fleetlock.parse(said, "activate")
    with pytest.raises(Refused):
        fleetlock.parse(None, "lock")


def test_its_words_are_one_line_for_people():
    assert fleetlock.parse({"number": 1, "token": ANN, "why": "a\n\x1b[31m b" + "x" * 300}).why == "a [31m b" + "x" * 192
    assert fleetlock.parse(None) is None


# -- what is kept ------------------------------------------------------------------------------------------------------


def order(place, verb="stage", lock=None, by="ann@x", here=False, told=None):
    """Carry out an order that does nothing."""
    with fleetlock.order(place, SimpleNamespace(verb=verb, lock=lock, by=by, here=here), (told if told is not None else []).append):
        pass


@pytest.fixture
def clock(monkeypatch):
    """clock.ahead: seconds that have passed; clock.boot: which boot it is."""
    said, real = SimpleNamespace(ahead=0.0, boot="one"), boot.now
    monkeypatch.setattr(boot, "now", lambda: real() + said.ahead)
    monkeypatch.setattr(boot, "boot_id", lambda: said.boot)
    return said


def test_orders_keep_it_alive_and_without_them_it_is_stale(tmp_path, clock):
    order(tmp_path, lock=Ask(1, ANN, "deploy 1.1", "production"))
    record = fleetlock.read(tmp_path)
    assert (record.number, record.owner, record.why, record.env, record.live()) == (1, "ann@x", "deploy 1.1", "production", True)
    clock.ahead = STALE - 1
    order(tmp_path, "activate", Ask(1, ANN))
    clock.ahead = 2 * STALE - 2
    with pytest.raises(Refused, match="locked by ann@x"):
        order(tmp_path, lock=Ask(2, BOB), by="bob@x")
    clock.ahead = 2 * STALE
    order(tmp_path, lock=Ask(2, BOB), by="bob@x")
    with pytest.raises(Refused, match="was taken over by bob@x"):
        order(tmp_path, "activate", Ask(1, ANN))
    assert fleetlock.read(tmp_path).owner == "bob@x"


def test_the_time_of_day_does_not_matter(tmp_path, clock, monkeypatch):
    order(tmp_path, lock=Ask(1, ANN))
    monkeypatch.setattr(time, "time", lambda: 4e9)
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((1980, 1, 1, 0, 0, 0, 0, 1, 0)))
    assert fleetlock.read(tmp_path).live()
    order(tmp_path, "activate", Ask(1, ANN))
    assert fleetlock.read(tmp_path).age < STALE / 2


def test_after_a_reboot_the_number_is_known_and_the_beat_is_as_old_as_the_boot(tmp_path, clock):
    order(tmp_path, lock=Ask(9, ANN))
    (tmp_path / "fleet-beat.json").write_text('{"number": 9, "to')
    clock.boot, clock.ahead = "two", STALE - 5 - boot.now()
    assert fleetlock.read(tmp_path).live()
    clock.ahead += 6
    assert not fleetlock.read(tmp_path).live()
    with pytest.raises(Refused, match="taken over"):
        order(tmp_path, lock=Ask(8, BOB))


def test_what_was_released_is_remembered_after_the_next_one_and_a_late_beat_does_not_bring_it_back(tmp_path):
    ann = Ask(1, ANN)
    order(tmp_path, lock=ann)
    order(tmp_path, "confirm", replace(ann, act="release"))
    assert fleetlock.renewed(tmp_path, ann) and not fleetlock.read(tmp_path).live()
    order(tmp_path, lock=Ask(4, BOB, after=(3, EVE)))
    assert fleetlock.shown(fleetlock.read(tmp_path))["over"] == [[3, EVE], [1, ANN]]
    assert fleetlock.renewed(tmp_path, Ask(1, ANN, act="release")) and fleetlock.read(tmp_path).token == BOB


def test_a_pause_is_asked_of_one_rollout_and_takes_or_renews_nothing(tmp_path, clock):
    asks = Ask(2, ANN, "bob@desk", act="pause")
    assert fleetlock.renewed(tmp_path, asks) and fleetlock.read(tmp_path) == Record()
    order(tmp_path, lock=Ask(1, EVE))
    order(tmp_path, "confirm", Ask(1, EVE, act="release"))
    assert fleetlock.read(tmp_path).pause == ""
    order(tmp_path, lock=Ask(2, ANN))
    clock.ahead = 10
    assert fleetlock.renewed(tmp_path, asks) and fleetlock.shown(fleetlock.read(tmp_path))["pause"] == "bob@desk"
    assert fleetlock.read(tmp_path).age >= 10 and fleetlock.read(tmp_path).owner == "ann@x"
    with pytest.raises(Refused, match="lock: activate pauses nothing"):
        fleetlock.parse({"number": 2, "token": ANN, "act": "pause"}, "activate")


def test_an_order_that_fails_releases_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        with fleetlock.order(tmp_path, SimpleNamespace(verb="confirm", lock=Ask(1, ANN, act="release"), by="a", here=False), print):
            raise RuntimeError
    assert fleetlock.read(tmp_path).live()


def test_an_order_after_the_release_by_the_same_one_has_it_again(tmp_path):
    order(tmp_path, "confirm", Ask(1, ANN, act="release"))
    order(tmp_path, "revert", Ask(1, ANN))
    assert fleetlock.read(tmp_path).live()


def test_a_freeze_stays_until_it_is_ended(tmp_path, clock):
    order(tmp_path, "lock", Ask(3, ANN, "moving", act="freeze"))
    clock.ahead, clock.boot = 1e7, "two"
    with pytest.raises(Refused, match="frozen by ann@x since .*: moving") as caught:
        order(tmp_path, lock=Ask(4, BOB))
    assert caught.value.hint == "when it may go on again: fab unlock"
    assert fleetlock.renewed(tmp_path, Ask(3, ANN, act="release"))
    assert json.loads((tmp_path / "fleet-lock.json").read_text())["released"] is True
    order(tmp_path, lock=Ask(4, BOB))


def test_a_full_disk_takes_no_lock_but_ends_a_trial(tmp_path, monkeypatch):
    def full(*_a, **_k):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(OSError):
        order(tmp_path, "activate", Ask(1, ANN))
    order(tmp_path, "confirm", Ask(1, ANN, act="release"))
    order(tmp_path, "revert", Ask(1, ANN))


def test_looking_is_never_refused_and_words_on_the_host_go_first_with_a_note(tmp_path):
    order(tmp_path, lock=Ask(1, ANN, "deploy 1.1"))
    for verb in ("observe", "verify", "setup"):
        order(tmp_path, verb)
    with pytest.raises(Refused, match="locked by ann@x"):
        order(tmp_path, "activate")
    told = []
    order(tmp_path, "rollback", here=True, told=told)
    assert told[0]["text"].startswith("note: locked by ann@x (deploy 1.1) since ")


# -- the engine itself ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def light():
    with serving() as host:
        yield host


@pytest.mark.slow
def test_the_engine_refuses_whose_lock_was_taken_over_and_nothing_changes(light):
    release, content = make_release("1.0")
    missing = [{"sha256": a.sha256, "size": a.size} for a in release.artifacts]
    ann, bob = ({"number": n, "token": token, "why": f"deploy {n}", "env": "production"} for n, token in ((1, ANN), (2, BOB)))
    staged = light.ok("stage", [content[a.sha256] for a in release.artifacts], release=release.to_json(), base=0, files=missing, lock=ann)
    assert light.ok("observe", release=None)["state"]["lock"]["why"] == "deploy 1"
    order = {"generation": staged["generation"], "base": 0}
    assert "locked by sweep@here (deploy 1)" in light.ask("activate", **order, lock=bob)["last"]["error"]["message"]
    assert light.ask("activate", **order)["code"] == 3
    late = {"ahead": STALE + 1}
    light.ask("activate", **order, lock=bob, fault=late)
    refused = light.ask("confirm", generation=staged["generation"], lock=ann, fault=late)
    assert (refused["code"], refused["last"]["error"]["details"]["fenced"]) == (3, True)
    assert (light.live(), light.records()[staged["generation"]]["status"]) == (staged["generation"], "pending")
    light.ok("confirm", generation=staged["generation"], lock={**bob, "act": "release"})
    assert light.ok("lock", lock=bob)["lock"]["released"] is True
    assert light.ok("lock", lock={**ann, "number": 3, "act": "freeze", "why": "moving"})["lock"]["live"] is True
