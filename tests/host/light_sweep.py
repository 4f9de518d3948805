"""The transactions that the crash sweep goes through: how the host is before, what is asked, what users may get, and how it goes on."""

from dataclasses import dataclass, field
from typing import Callable

from tests.host.light_host import make_release

#: Long after every trial.
LATER = 100_000
R09, R10, R11, R12 = (make_release("0.9"), make_release("1.0"), make_release("1.1", dependency="2.0"), make_release("1.2"))


@dataclass
class Transaction:
    """before: makes the host as it is at the start.  run(host, fault): the answer of the engine with that fault.
    at_once, settled: versions that users may get right after, and when all trials are over; done: the one if it ended with 0.
    goes_on(host): what an operator does next, and the version that users get then."""

    before: Callable
    run: Callable
    at_once: set
    settled: set
    done: str
    goes_on: Callable
    fault: dict = field(default_factory=dict)


def serving(host, *releases):
    """Set up from nothing, with these releases deployed one after the other."""
    host.clean()
    host.note_server()
    host.get("/-/restart")
    host.ok("setup")
    for release in releases:
        host.deploy(*release)


def then(*steps):
    """Each step gets the host."""
    def run(host):
        for step in steps:
            step(host)
    return run


def two(host):
    serving(host, R09, R10)


def staged(host):
    two(host)
    assert host.stage(*R11)["code"] == 0


def on_trial(host):
    staged(host)
    host.ok("activate", generation=3, base=2)


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


TRANSACTIONS = {
    "setup": Transaction(lambda host: (host.clean(), host.note_server(), host.get("/-/restart")), asks("setup"), {""}, {""}, "", set_up_and_deploy),
    "setup again": Transaction(two, with_other_site, {"1.0"}, {"1.0"}, "1.0", set_up_and_deploy),
    "stage": Transaction(two, lambda host, fault: host.stage(*R11, fault=fault), {"1.0"}, {"1.0"}, "1.0", deploy_11),
    "activate": Transaction(staged, asks("activate", generation=3, base=2), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_11),
    "confirm": Transaction(on_trial, asks("confirm", generation=3), {"1.1", "1.0"}, {"1.0", "1.1"}, "1.1", deploy_12),
    "prune": Transaction(many, asks("confirm", generation=9), {"1.1", "0.7"}, {"0.7", "1.1"}, "1.1", deploy_12),
    "rollback": Transaction(two, asks("rollback", to="", base=2), {"1.0", "0.9"}, {"1.0"}, "1.0", rollback),
    "rollback to a version": Transaction(confirmed, asks("rollback", to="0.9", base=3), {"1.1", "0.9"}, {"1.1"}, "1.1", lambda host: rollback(host, "0.9")),
    "revert a trial": Transaction(on_trial, asks("revert", generation=3), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "revert what was confirmed": Transaction(confirmed, asks("revert", generation=3), {"1.0", "1.1"}, {"1.0", "1.1"}, "1.0", deploy_12),
    "recover in time": Transaction(on_trial, lambda host, fault: host.recover(**{**fault, "ahead": LATER}), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "recover after a reboot": Transaction(on_trial, lambda host, fault: host.recover(**fault, boot="another"), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "recover residue": Transaction(half_staged, lambda host, fault: host.recover(**fault), {"1.0"}, {"1.0"}, "1.0", deploy_11),
    "recover a lost trial": Transaction(without_note, lambda host, fault: host.recover(**fault), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
    "recover a torn state": Transaction(without_state, lambda host, fault: host.recover(**fault), {"1.0", "1.1"}, {"1.0"}, "1.0", deploy_12),
}


class LightSweep:
    """points: faults that really happened; bad: what was not as promised, as sentences."""

    def __init__(self, host):
        self.host, self.bad, self.points = host, [], 0

    def run(self, name, mode, step=1, goes_on_every=1, first=1):
        transaction = TRANSACTIONS[name]
        transaction.before(self.host)
        self.host.keep("before")
        at = first
        while True:
            self.host.restore("before")
            done = transaction.run(self.host, {"at": at, "mode": mode})
            if done["code"] == 0 and done["met"] < at:
                return
            self.points += 1
            self.check(transaction, f"{name}, {mode} at {at} ({(done['names'] or ['?'])[at - 1:at]})", done, self.points % goes_on_every == 0)
            at += step

    def run_nested(self, name, step, step_of_recovery):
        """Killed at every so many calls of the transaction, and then at every so many of the recovery."""
        transaction, at = TRANSACTIONS[name], 2
        transaction.before(self.host)
        self.host.keep("before")
        while self.nested(transaction, name, at, step_of_recovery):
            at += step

    def nested(self, transaction, name, at, step):
        """Whether the transaction was killed at that call; then its recovery was too, until one survived."""
        again = 1
        while True:
            self.host.restore("before")
            done = transaction.run(self.host, {"at": at, "mode": "kill"})
            if done["code"] != -9:
                return False
            recovered = self.host.recover(at=again, mode="kill")
            if recovered["code"] != -9:
                return True
            self.points += 1
            self.check(transaction, f"{name}, killed at {at}, its recovery at {again}", done, self.points % 5 == 0)
            again += step

    def expect(self, what, good, seen):
        if not good:
            self.bad.append(f"{what}: {seen}")
        return good

    def check(self, transaction, what, done, goes_on):
        host = self.host
        self.expect(f"{what}: exit", done["code"] in (-9, 0, 3, 4, 6), done["last"])
        self.answers(f"{what}: at once", transaction.at_once)
        again = host.recover()
        self.expect(f"{what}: recovered", again["code"] == 0 and not again["last"]["failed"], again["last"])
        self.expect(f"{what}: recovered", not host.faults(), host.faults())
        self.answers(f"{what}: recovered", transaction.at_once)
        host.recover(ahead=LATER)
        allowed = {transaction.done} if done["code"] == 0 else transaction.settled
        self.answers(f"{what}: settled", allowed)
        self.expect(f"{what}: settled", not (host.state / "trial.json").exists() and not host.faults(), host.faults())
        if goes_on:
            try:
                version = transaction.goes_on(host)
                self.answers(f"{what}: went on", {version})
                self.expect(f"{what}: went on", not host.faults(transaction.goes_on is set_up_and_deploy), host.faults())
            except AssertionError as error:
                self.bad.append(f"{what}: does not go on: {error}")

    def answers(self, what, allowed):
        """Users get one whole release of those allowed; "" is the placeholder, or nothing set up yet."""
        status, body = self.host.get()
        whole = status == 200 and body["version"] == body.get("lazy_version") or body["version"] == "" and status in (500, 503)
        self.expect(what, whole and body["version"] in allowed, f"users get {status} {body}")
