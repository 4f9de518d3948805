"""What is made of the locks that hosts tell of, and what an order carries. Nothing here talks to a host."""

import pytest

from weft.errors import FailedUndone, Refused
from weft.host import fleetlock as host
from weft.rollout.fleetlock import FleetLock, barred, fenced, notes, refusals, taken

ANN, BOB = "a" * 16, "b" * 16


def lock(number=6, token=ANN, **changes):
    return host.shown(host.Record(**{"number": number, "token": token, "owner": "ann@x", "why": "deploy 1.1", "since": "2026-01-31T12:00:00Z", **changes}))


@pytest.mark.parametrize("locks, somebodys", [
    ({"web1": {}, "web2": {}}, []), ({"web1": lock(), "web2": {}}, ["web1"]), ({"web1": lock(age=100.0)}, []), ({"web1": lock(released=True)}, []),
    ({"web1": lock(), "web2": lock(released=True)}, []), ({"web1": lock(), "web2": lock(7, BOB, earlier=((6, ANN),))}, ["web2"]),
    ({"web1": lock(7), "web2": lock(released=True)}, ["web1"]), ({"web1": lock(token=BOB), "web2": lock(released=True)}, ["web1"]),
    ({"web1": lock(freeze=True, age=1e6), "web2": lock(freeze=True, released=True)}, ["web1"]),
])
def test_whose_the_hosts_are(locks, somebodys):
    assert list(taken(locks)) == somebodys


def test_hosts_of_one_lock_are_told_of_together():
    locks = {"web1": lock(), "web2": lock(), "web3": lock(7, BOB, freeze=True, why="moving", owner="bob@y")}
    errors = refusals(locks, " --env prod")
    assert [each.message for each in errors] == ["web1, web2: locked by ann@x (deploy 1.1) since 2026-01-31 12:00:00 UTC",
                                                 "web3: frozen by bob@y since 2026-01-31 12:00:00 UTC: moving"]
    assert errors[1].hint == "when it may go on again: fab unlock --env prod"
    assert notes(locks) == ["web1, web2: locked by ann@x since 2026-01-31 12:00:00 UTC: deploy 1.1, last heard of 0 s ago",
                            "web3: frozen by bob@y since 2026-01-31 12:00:00 UTC: moving (fab unlock)"]


def mine(locks=(), **changes):
    made = FleetLock("deploy 1.2", "production")
    made.saw(dict(locks), taken(dict(locks)))
    made.begin()
    return made


def test_the_number_is_one_more_than_any_that_was_seen_and_orders_carry_it():
    seen = {"web1": lock(released=True), "web2": lock(), "web3": lock(9, BOB, age=100.0), "web4": {}}
    made = mine(seen)
    assert made.words("web4", "stage") == {"lock": {"number": 10, "token": made.token, "why": "deploy 1.2", "env": "production"}}
    assert made.words("web2", "activate")["lock"]["after"] == [6, ANN] and "after" not in made.words("web1", "activate")["lock"]
    assert made.words("web1", "observe") == {} == FleetLock().words("web1", "stage")


def test_the_last_confirmation_releases_and_only_that():
    made = mine()
    made.ending(2)
    first, second = (made.words(name, "confirm") for name in ("web1", "web2"))
    assert "act" not in first["lock"] and "act" not in second["lock"], "both are under way: neither is the last"
    made.heard("web1", {"verb": "confirm", **first})
    last = made.words("web2", "confirm")
    assert last["lock"]["act"] == "release" and "act" not in made.words("web2", "revert")["lock"]
    made.heard("web2", {"verb": "confirm", **last})
    assert made.released
    made.heard("web1", {"verb": "revert", **made.words("web1", "revert")})
    assert not made.released and made.held == {"web1", "web2"}


def test_a_last_word_to_all_releases_on_each_and_a_late_beat_brings_nothing_back():
    made = mine()
    made.closing = True
    words = {name: made.words(name, "confirm") for name in ("web1", "web2")}
    assert [each["lock"]["act"] for each in words.values()] == ["release"] * 2 and "act" not in made.words("web1", "revert")["lock"]
    for name, each in words.items():
        made.heard(name, {"verb": "confirm", **each})
    made.heard("web1", {"lock": made.ask("web1", "take")})
    assert made.released and made.ended == {"web1", "web2"}
    made.heard("web2", {"verb": "revert", **made.words("web2", "revert")})
    assert not made.released and made.ended == {"web1"}


def refused(number, token, fenced):
    return Refused("no", details={"lock": lock(number, token), "fenced": fenced})


def test_once_it_was_taken_over_nothing_is_sent_any_more():
    made, error = mine(), refused(2, BOB, True)
    made.heard("web1", {"verb": "activate", **made.words("web1", "activate")}, FailedUndone("x"))
    assert made.words("web1", "revert") and (made.held, made.tried) == (set(), {"web1"}), "the order failed under the lock: it is to be released"
    made.heard("web1", {"verb": "activate", **made.words("web1", "activate")}, error)
    with pytest.raises(Refused) as caught:
        made.words("web2", "revert")
    made.heard("web3", {"verb": "activate", "lock": made.ask("web3", "take")}, refused(2, BOB, True))
    assert made.tried == {"web1"} and caught.value.code == 3 and made.words("web2", "observe") == {}


@pytest.mark.parametrize("held, number, token, goes", [
    (["web1"], 1, "0" * 16, True), (["web1"], 1, "f" * 16, False), ([], 1, "0" * 16, False), (["web1"], 2, "0" * 16, False),
])
def test_of_two_that_meet_the_higher_one_goes_on_if_it_has_a_host(held, number, token, goes):
    made = mine()
    made.token = "a" * 16
    for name in held:
        made.heard(name, {"verb": "stage", **made.words(name, "stage")})
    assert bool(made.met([None, FailedUndone("x"), refused(number, token, False)])) is goes
    assert not made.met([None, FailedUndone("x")])


def test_only_a_refusal_that_names_a_lock_is_one():
    assert barred(refused(1, BOB, False))["owner"] == "ann@x" and not fenced(refused(1, BOB, False)) and fenced(refused(1, BOB, True))
    assert not any(barred(each) for each in (None, Refused("x"), Refused("x", details=["line"]), Refused("x", details={"lock": "y"})))
