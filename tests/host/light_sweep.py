"""The loop of the crash sweep: a transaction of the engine with a fault, and all that has to hold after it."""

from tests import sweeps
from tests.host.transactions import LATER, TRANSACTIONS, set_up_and_deploy

EVERY = sweeps.size(4, 1)
"""After every how many points whose trial is over, or that had none, a long time passes."""


class LightSweep:
    """points: faults that really happened; bad: what was not as promised, as sentences."""

    def __init__(self, host):
        self.host, self.bad, self.points = host, [], 0
        host.site["confirm"] = 36_000  # a disk that was kept in the middle of a trial is put back until the sweep ends

    def begin(self, transaction):
        """The host as it is before, made once for all modes; the name of its disk."""
        name = f"before-{transaction.before.__name__}"
        if not self.host.has(name):
            transaction.before(self.host)
            self.host.keep(name)
        return name

    def run(self, name, mode, step=1, goes_on_every=1, first=1):
        transaction = TRANSACTIONS[name]
        before, at = self.begin(transaction), first
        while True:
            self.host.restore(before)
            done = transaction.run(self.host, {"at": at, "mode": mode})
            if done["code"] == 0 and done["met"] < at:
                return
            self.points += 1
            what = f"{name}, {mode} at {at} ({(done['names'] or ['?'])[at - 1:at]})"
            if mode.endswith("+"):
                self.meanwhile(transaction, what, mode)
            self.check(transaction, what, done, self.points % goes_on_every == 0)
            at += step

    def meanwhile(self, transaction, what, mode):
        """The disk is still full or broken when the timer comes by: recovery does what it can, and breaks nothing."""
        tried = self.host.recover(at=1, mode=mode)
        self.expect(f"{what}: recovery meanwhile", tried["code"] in (0, 6), tried["last"])
        self.answers(f"{what}: meanwhile", transaction.at_once)

    def run_nested(self, name, step, step_of_recovery, first=2):
        """Killed at every so many calls of the transaction, and then at every so many of the recovery."""
        transaction, at = TRANSACTIONS[name], first
        before = self.begin(transaction)
        while self.nested(transaction, before, name, at, step_of_recovery):
            at += step

    def nested(self, transaction, before, name, at, step):
        """Whether the transaction was killed at that call; then its recovery was too, until one survived."""
        again = 1
        while True:
            self.host.restore(before)
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

    def clean(self, what, transaction, went_on=False):
        found = self.host.faults(went_on and transaction.goes_on is set_up_and_deploy)
        found = [each for each in found if went_on or each not in transaction.odd] + transaction.lost(self.host)
        self.expect(what, not found, found)

    def check(self, transaction, what, done, goes_on):
        host = self.host
        self.expect(f"{what}: exit", done["code"] in (-9, 0, 3, 4, 6), done["last"])
        self.answers(f"{what}: at once", transaction.at_once)
        again = host.recover()
        self.expect(f"{what}: recovered", again["code"] == 0 and not again["last"]["failed"], again["last"])
        self.clean(f"{what}: recovered", transaction)
        self.answers(f"{what}: recovered", transaction.at_once)
        # Where no trial is left time changes nothing: that is looked at once in a while.
        if later := (host.state / "trial.json").exists() or self.points % EVERY == 0:
            host.recover(ahead=LATER)
        self.answers(f"{what}: settled", {transaction.done} if done["code"] == 0 else transaction.settled)
        if later:
            self.expect(f"{what}: settled", not (host.state / "trial.json").exists(), "a trial is left")
            self.clean(f"{what}: settled", transaction)
        if goes_on:
            try:
                version = transaction.goes_on(host)
                self.answers(f"{what}: went on", {version})
                self.clean(f"{what}: went on", transaction, went_on=True)
            except AssertionError as error:
                self.bad.append(f"{what}: does not go on: {error}")

    def answers(self, what, allowed):
        """Users get one whole release of those allowed; "" is the placeholder, or nothing set up yet."""
        status, body = self.host.get()
        whole = status == 200 and body["version"] == body.get("lazy_version") or body["version"] == "" and status in (500, 503)
        self.expect(what, whole and body["version"] in allowed, f"users get {status} {body}")
