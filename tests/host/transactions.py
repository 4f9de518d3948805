"""The transactions that the crash sweep goes through: how the host is before, what is asked, what users may get, and how it goes on."""

import json
import os
from dataclasses import dataclass
from typing import Callable

from tests.host.light_host import make_release

#: Long after every trial.
LATER = 100_000
EDITED = "edited by hand"
R09, R10, R11, R12 = (make_release("0.9"), make_release("1.0"), make_release("1.1", dependency="2.0"), make_release("1.2"))


@dataclass
class Transaction:
    """before: makes the host as it is at the start.  run(host, fault): the answer of the engine with that fault.
    at_once, settled: versions that users may get right after, and when all trials are over; done: the one if it ended with 0.
    goes_on(host): what an operator does next, and the version that users get then.
    odd: what was not as it has to be before, and may stay so.  lost(host): what must not be lost and is, as sentences."""

    before: Callable
    run: Callable
    at_once: set
    settled: set
    done: str
    goes_on: Callable
    odd: frozenset = frozenset()
    lost: Callable = lambda host: []


def nothing(host):
    """A server, and nothing of weft's."""
    host.clean()
    host.note_server()
    host.get("/-/restart")


def serving(host, *releases):
    """Set up from nothing, with these releases deployed one after the other."""
    nothing(host)
    host.ok("setup")
    for release in releases:
        host.deploy(*release)


def two(host):
    serving(host, R09, R10)


def staged(host):
    two(host)
    assert host.stage(*R11)["code"] == 0


def on_trial(host):
    staged(host)
    host.ok("activate", generation=3, base=2)


ROLLOUT = {"number": 1, "token": "a1" * 8, "why": "deploy 1.1"}


def for_a_rollout(host):
    staged(host)
    host.ok("activate", generation=3, base=2, lock=ROLLOUT)


def held(host):
    for_a_rollout(host)
    host.ok("confirm", generation=3, lock=ROLLOUT, hold=True)


def after_the_rollout(host):
    host.ok("lock", lock={**ROLLOUT, "act": "release"})
    return deploy_12(host)


def confirmed(host):
    on_trial(host)
    host.ok("confirm", generation=3)


def many(host):
    """Eight generations: confirming the ninth prunes."""
    serving(host)
    for number in range(8):
        host.deploy(*make_release(f"0.{number}", dependency=f"1.{number}"))
    assert host.stage(*R11)["code"] == 0
    host.ok("activate", generation=9, base=8)


def half_staged(host):
    """A stage that was killed in the middle has left what it made."""
    two(host)
    assert host.stage(*R11, fault={"at": 150, "mode": "kill"})["code"] == -9


def without_note(host):
    on_trial(host)
    (host.state / "trial.json").unlink()


def without_state(host):
    """trial.json torn, site.json and the journal gone."""
    on_trial(host)
    (host.state / "trial.json").write_bytes(b"{\"genera\0\0\0")
    (host.state / "site.json").unlink()
    (host.state / "journal.jsonl").unlink()


def replaced(host):
    """An operator's editor has put a file in the place of the link."""
    two(host)
    edited = host.ini.read_text().replace("red", EDITED)
    host.ini.unlink()
    host.ini.write_text(edited)


def edited(host):
    """An operator's editor has followed the link and written into the live generation."""
    two(host)
    path = host.ini.resolve()
    path.write_text(path.read_text().replace("red", EDITED))


def lost_edit(host):
    """The edit is somewhere where the next command or a person finds it, and the file in /etc is there, as it was or a link again."""
    places = [host.ini, *host.state.glob("edited-*.ini"), *host.drop_ins.glob("50-kept-*.ini")]
    found = [] if any(each.exists() and EDITED in each.read_text() for each in places) else ["the hand edit is lost"]
    return found if host.ini.exists() else [*found, f"{host.ini} is gone"]


def keep_and_deploy(host):
    """The next release has the edit, and the file of the operator's is the link again."""
    kept = host.command("keep-edit", "shop", "--json")
    assert kept["code"] == 0, kept["last"]
    host.deploy(*R11)
    assert EDITED in host.get()[1]["settings"], "the hand edit is not in the next release"
    assert host.ini.is_symlink(), f"{host.ini} does not show the settings"
    return "1.1"


def pinned(host):
    two(host)
    assert host.command("pin", "shop", "0.9", "--json")["code"] == 0


def pins(word):
    return lambda host, fault: host.command(word, "shop", "0.9", "--json", fault=fault)


def pinned_for_good(host):
    assert host.command("pin", "shop", "0.9", "--json")["code"] == 0
    said = host.command("unpin", "shop", "0.9", "--json")
    assert (said["code"], said["last"].get("pins")) == (0, {}), said["last"]
    return deploy_11(host)


def torn_pins(host):
    """The pins can be read, and are the old ones or the new ones."""
    path = host.state / "pins.json"
    said = json.loads(path.read_text()) if path.exists() else {}
    return [] if set(said) <= {"0.9"} else [f"the pins are {said}"]


FREEZE = {"number": 1, "token": "5e" * 8, "why": "moving", "act": "freeze"}


def thaw(host):
    """Whoever froze the host ends it, frozen or not; then it is deployed to."""
    host.ok("lock", lock={**FREEZE, "act": "release"})
    return deploy_11(host)


def torn_lock(host):
    """The fleet's lock can be read, and is nobody's or the one that was asked for."""
    path = host.state / "fleet-lock.json"
    said = json.loads(path.read_text()) if path.exists() else FREEZE
    return [] if (said["token"], said["why"]) == (FREEZE["token"], FREEZE["why"]) else [f"the lock is {said}"]


MIGRATE = {"command": ["python", "-m", "shop.migrate"], "timeout": 60}


def migrates(host, fault=None):
    host.site["migrate"] = MIGRATE
    try:
        return host.ask("migrate", fault=fault, generation=3)
    finally:
        del host.site["migrate"]


def migrated_and_deployed(host):
    """The same command migrates, again where it must; then what is staged is switched to."""
    done = migrates(host)
    assert (done["code"], done["last"]["result"]["state"]["migrated"][0]["result"]) == (0, "done"), done["last"]
    return deploy_11(host)


def torn_memory(host):
    """What is known of migrations can be read: none, or this one."""
    path = host.state / "migrations.json"
    said = json.loads(path.read_text()) if path.exists() else []
    return [] if [each["version"] for each in said] in ([], ["1.1"]) and {each["result"] for each in said} <= {"begun", "done", "failed"} else [f"remembered is {said}"]


def undeployed(host):
    """Nothing of it is left, and it comes back."""
    host.ok("undeploy")
    found = [str(each) for each in (host.root / "live", host.root / "generations", host.state / "site.json", host.state / "undeploy.json") if os.path.lexists(each)]
    assert not found, f"{found} is left"
    host.note_server()
    set_up(host)
    host.get("/-/restart")  # set-up has started the server: this one has no other way
    return deploy_11(host)


def half_away(host):
    """It is all there, or nothing of it is: recovery ends what was begun."""
    there = [name for name in ("live", "slots", "generations", "releases", "entry.wsgi") if os.path.lexists(host.root / name)]
    return [f"of the application {there} is left"] if 0 < len(there) < 5 else []


def deploy_11(host):
    host.deploy(*R11)
    return "1.1"


def deploy_12(host):
    host.deploy(*R12)
    return "1.2"


def set_up(host):
    host.ok("setup")
    return ""


def set_up_and_deploy(host):
    set_up(host)
    return deploy_11(host)


def rollback(host, to=""):
    host.ok("rollback", to=to, base=host.live())
    host.ok("confirm", generation=host.live())
    return host.get()[1]["version"]


def asks(verb, **words):
    return lambda host, fault: host.ask(verb, fault=fault, **words)


def with_other_site(host, fault):
    host.site["threads"] = 2
    try:
        return host.ask("setup", fault=fault)
    finally:
        host.site["threads"] = 1


def keeps_edit(host, fault):
    return host.command("keep-edit", "shop", "--json", fault=fault)


TRANSACTIONS = {
    "setup": Transaction(nothing, asks("setup"), {""}, {""}, "", set_up_and_deploy),
    "setup again": Transaction(two, with_other_site, {"1.0"}, {"1.0"}, "1.0", set_up_and_deploy),
    "stage": Transaction(two, lambda host, fault: host.stage(*R11, fault=fault), {"1.0"}, {"1.0"}, "1.0", deploy_11),
    "activate": Transaction(staged, asks("activate", generation=3, base=2), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_11),
    "confirm": Transaction(on_trial, asks("confirm", generation=3), {"1.1", "1.0"}, {"1.0", "1.1"}, "1.1", deploy_12),
    "hold": Transaction(for_a_rollout, asks("confirm", generation=3, lock=ROLLOUT, hold=True), {"1.1", "1.0"}, {"1.0"}, "1.0", after_the_rollout),
    "confirm what was held": Transaction(held, asks("confirm", generation=3, lock={**ROLLOUT, "act": "release"}), {"1.1", "1.0"}, {"1.0", "1.1"}, "1.1", after_the_rollout),
    "prune": Transaction(many, asks("confirm", generation=9), {"1.1", "0.7"}, {"0.7", "1.1"}, "1.1", deploy_12),
    "rollback": Transaction(two, asks("rollback", to="", base=2), {"1.0", "0.9"}, {"1.0"}, "1.0", rollback),
    "rollback to a version": Transaction(confirmed, asks("rollback", to="0.9", base=3), {"1.1", "0.9"}, {"1.1"}, "1.1", lambda host: rollback(host, "0.9")),
    "revert a trial": Transaction(on_trial, asks("revert", generation=3), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "revert what was confirmed": Transaction(confirmed, asks("revert", generation=3), {"1.0", "1.1"}, {"1.0", "1.1"}, "1.0", deploy_12),
    "recover in time": Transaction(on_trial, lambda host, fault: host.recover(**{**fault, "ahead": LATER}), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "recover after a reboot": Transaction(on_trial, lambda host, fault: host.recover(**fault, boot="another"), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "recover residue": Transaction(half_staged, lambda host, fault: host.recover(**fault), {"1.0"}, {"1.0"}, "1.0", deploy_11),
    "recover a lost trial": Transaction(without_note, lambda host, fault: host.recover(**fault), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "keep an edit": Transaction(replaced, keeps_edit, {"1.0"}, {"1.0"}, "1.0", keep_and_deploy, lost=lost_edit),
    "keep an edit in place": Transaction(edited, keeps_edit, {"1.0"}, {"1.0"}, "1.0", keep_and_deploy, frozenset({"generation 2 is not whole"}), lost_edit),
    "pin": Transaction(two, pins("pin"), {"1.0"}, {"1.0"}, "1.0", pinned_for_good, lost=torn_pins),
    "unpin": Transaction(pinned, pins("unpin"), {"1.0"}, {"1.0"}, "1.0", pinned_for_good, lost=torn_pins),
    "lock": Transaction(two, asks("lock", lock=FREEZE), {"1.0"}, {"1.0"}, "1.0", thaw, lost=torn_lock),
    "migrate": Transaction(staged, migrates, {"1.0"}, {"1.0"}, "1.0", migrated_and_deployed, lost=torn_memory),
    "undeploy": Transaction(two, asks("undeploy"), {"1.0", ""}, {"1.0", ""}, "", undeployed, lost=half_away),
    "recover a torn state": Transaction(without_state, lambda host, fault: host.recover(**fault), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
}
