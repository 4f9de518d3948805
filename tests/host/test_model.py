"""Property tests against a small model of the engine: whatever order of orders, kills, reboots and foreign hands, the host is as the model says.

WEFT_EXAMPLES sets how many histories are tried, each another one with WEFT_RANDOM=1; without them they are the same in every run.
"""

import json
import os

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.host import orders
from tests.host.light_host import LightHost
from tests.host.orders import COLOURS, RELEASES, VERSIONS, Operator
from weft.host import kept
from weft.host.layout import Layout

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("WEFT_EXAMPLES", "40"))
STEPS = 14
SHORT, LONG = 35, 100_000
"""Seconds that pass: once, a lock is alive; twice, it is not."""
LOCK = {"number": 1, "token": "1f" * 8, "why": "histories"}
MUTATING = ("stage", "activate", "confirm", "hold", "revert", "rollback", "rollback to", "keep-edit", "recover")
picks, versions = some.integers(0, 20), some.sampled_from(VERSIONS)


class History(RuleBasedStateMachine):
    """One host's life. `bases`: name of a kept disk -> the model of it."""

    def __init__(self, host, operator, bases):
        super().__init__()
        self.host, self.operator, self.bases = host, operator, bases
        self.model, self.tampered = None, {}

    @initialize(base=some.sampled_from(["new", "old", "pinned", "back"]))
    def start(self, base):
        self.host.restore(base)
        self.model = self.bases[base].copy()

    # -- orders ---------------------------------------------------------------------------------------------------------------

    def order(self, kind, version, pick, base=None):
        """An order that makes sense now, of that kind."""
        model = self.model
        base = model.live if base is None else base
        numbers = sorted(model.generations, reverse=True)
        return {"stage": ("stage", version, base), "activate": ("activate", numbers[pick % len(numbers)], base), "confirm": ("confirm", model.live), "hold": ("hold", model.live),
                "revert": ("revert", model.live), "rollback": ("rollback", "", base), "rollback to": ("rollback", version, base)}.get(kind, (kind,))

    def gives(self, order):
        """Given and answered: as the model says. The code."""
        done = self.operator.give(order, self.model)
        tried = self.model.trial
        before = self.model.copy()
        code = self.model.apply(order)
        assert done["code"] == code, f"{order} ended with {done['code']}, expected {code}: {done['last']}: {before}"
        if order[0] == "confirm" and tried and code == 0:
            orders.pruned(self.host, self.model)
        self.looks()
        return done

    def looks(self):
        orders.follow(self.host, self.model)
        names = {RELEASES[version][0].id for version in self.model.installed}
        self.tampered = {name: lines for name, lines in self.tampered.items() if name in names}
        orders.same(self.host, self.model, self.tampered)

    @rule(kind=some.sampled_from(MUTATING + ("status", "observe", "verify")), version=versions, pick=picks)
    def one_order(self, kind, version, pick):
        self.gives(self.order(kind, version, pick))

    @rule(version=versions, end=some.sampled_from(["confirm", "confirm", "confirm", "hold", "revert", "none"]))
    def a_deploy(self, version, end):
        staged = self.gives(("stage", version, self.model.live))
        if staged["code"] == 0:
            self.gives(("activate", staged["last"]["result"]["generation"], self.model.live))
            if end != "none":
                self.gives((end, self.model.live))

    @rule(version=versions)
    def a_good_deploy(self, version):
        self.a_deploy(version, "confirm")

    @rule(version=versions, times=some.integers(0, 2), end=some.sampled_from(["confirm", "hold", "revert", "none"]))
    def a_rollout_of_several_waves(self, version, times, end):
        """Held while it is heard of."""
        self.a_deploy(version, "hold")
        for _ in range(times):
            self.time_passes(long=False)
        if end != "none":
            self.gives((end, self.model.live))

    @rule(to=some.one_of(some.just(""), versions))
    def a_rollback(self, to):
        if self.gives(("rollback", to, self.model.live))["code"] == 0:
            self.gives(("confirm", self.model.live))

    @rule(kind=some.sampled_from(["stage", "activate", "rollback", "rollback to"]), version=versions, pick=picks, base=picks)
    def a_second_operator_whose_plan_is_old(self, kind, version, pick, base):
        numbers = sorted(self.model.generations)
        base = numbers[base % len(numbers)]
        done = self.gives(self.order(kind, version, pick, base))
        assert base == self.model.live or done["code"] != 3 or done["last"]["error"]["next"], done

    # -- what befalls a host ---------------------------------------------------------------------------------------------------------

    @rule(kind=some.sampled_from(MUTATING), version=versions, pick=picks, at=some.integers(1, 90), mode=some.sampled_from(["kill", "after"]),
          again=some.integers(0, 12))
    def a_kill(self, kind, version, pick, at, mode, again):
        """At any mutating call; the recovery may be killed too. The one after it needs no hands."""
        order = self.order(kind, version, pick)
        halts, beats = self.model.cut_short(order), orders.beats(self.host)
        done = self.operator.give(order, self.model, at=at * 3 if kind == "stage" else at, mode=mode)
        if done["code"] != -9:
            return self.survived(order, done)
        orders.users(self.host, *halts)
        if again:
            self.operator.give(("recover",), self.model, at=again, mode="kill")
            orders.users(self.host, *halts)
        recovered = self.operator.give(("recover",), self.model)
        assert recovered["code"] == 0, recovered
        heard = self.model.beat
        self.model = self.one_of(halts, order)
        self.model.beat = heard if orders.beats(self.host) == beats else self.model.clock
        self.looks()

    def survived(self, order, done):
        tried = self.model.trial
        assert done["code"] == self.model.apply(order), (order, done["last"], self.model)
        if order[0] == "confirm" and tried and done["code"] == 0:
            orders.pruned(self.host, self.model)
        self.looks()

    def one_of(self, halts, order):
        """The halt that the host is at; a pruning may have got anywhere."""
        disk = orders.on_disk(self.host)
        for halt in halts:
            halt.settle()
            gone = set(halt.generations) - set(disk["generations"]) if order[0] == "confirm" and not halt.trial else set()
            assert not gone & halt.must_stay(), (gone, halt)
            orders.forget(halt, gone)
            if orders.alike(self.host, halt, disk):
                return halt
        raise AssertionError(f"{order} was killed; the disk is {disk}, none of {halts}")

    @rule(long=some.booleans())
    def time_passes(self, long):
        self.model.clock += LONG if long else SHORT
        self.gives(("recover",))

    @rule(seen=some.booleans())
    def a_reboot(self, seen):
        """seen: by the unit for the boot; else the next order finds it."""
        self.model.boot += "+"
        self.host.get("/-/restart")
        if seen:
            self.gives(("recover",))

    @rule(what=some.sampled_from(["trial.json", "trial.json", "site.json", "journal.jsonl"]), torn=some.booleans(), version=versions)
    def a_note_is_lost(self, what, torn, version):
        """A trial whose note is lost is over; the rest is written anew."""
        path = self.host.state / what
        if what == "trial.json" and not path.exists():
            self.a_deploy(version, "none")
        if path.exists():
            if what == "trial.json":
                self.model.go_back()
            path.write_bytes(b"{\"torn\0\0") if torn and what != "journal.jsonl" else path.unlink()
        self.gives(("recover",))
        assert what == "trial.json" or path.exists()

    @rule(version=versions, how=some.sampled_from(["changed", "added"]))
    def somebody_tampers(self, version, how):
        """Named file by file; nothing else is refused or lost for it."""
        place = self.host.root / "releases" / RELEASES[version][0].id / "venv"
        if version not in self.model.installed:
            return
        path = place / ("pyvenv.cfg" if how == "changed" else "added.txt")
        path.write_bytes(b"home = /x\n")
        self.tampered.setdefault(place.parent.name, set()).add(f"{how} venv/{path.name}")
        said = self.gives(("verify",))["last"]["result"]["drift"]
        drift = {name.split("/")[1]: lines for name, lines in said.items() if lines and name.startswith("releases/")}
        assert {name: set(lines) for name, lines in drift.items()} == self.tampered, drift

    @precondition(lambda self: self.model and self.model.live)
    @rule(colour=some.sampled_from(["by-hand", "by-another-hand"]))
    def somebody_edits_the_settings(self, colour):
        (self.host.prefix / "etc/shop.ini").write_text(f"[shop]\ncolour = {colour}\n")
        self.model.edit(colour)
        faults = self.gives(("observe", "1.0"))["last"]["result"]["faults"]
        assert bool(faults) == (self.model.live in self.model.edited), faults

    @rule(version=versions, on=some.booleans())
    def a_pin(self, version, on):
        pinned(self.host, self.model, version, on)


@pytest.fixture(scope="module")
def life():
    host = LightHost()
    operator = Operator(host, "one")
    operator.lock = LOCK
    try:
        host.ok("setup")
        model = orders.fresh()
        bases = {"new": model.copy()}
        host.keep("new")
        for version in VERSIONS[:7]:
            deployed(host, operator, model, version)
        bases["old"] = model.copy()
        host.keep("old")
        pinned(host, model, VERSIONS[2])  # the oldest that is installed: the next deploy would prune it
        bases["pinned"] = model.copy()
        host.keep("pinned")
        pinned(host, model, VERSIONS[2], on=False)
        for order in (("rollback", VERSIONS[2], 7), ("confirm", 3)):  # the next deploy's way back is the oldest one
            assert operator.give(order, model)["code"] == model.apply(order) == 0
        bases["back"] = model.copy()
        host.keep("back")
        yield host, operator, bases
    finally:
        operator.close()
        host.close()


def pinned(host, model, version, on=True):
    layout = Layout("shop", str(host.prefix))
    kept.pin(layout, version, "pins@here") if on else kept.unpin(layout, version)
    model.pins = model.pins | {version} if on else model.pins - {version}


def deployed(host, operator, model, version):
    for order in (("stage", version, model.live), ("activate", max(model.generations) + 1, model.live), ("confirm", max(model.generations) + 1)):
        assert operator.give(order, model)["code"] == model.apply(order) == 0
    orders.pruned(host, model)
    orders.follow(host, model)


def test_a_host_is_as_the_model_says(life):
    phases = (Phase.generate, Phase.shrink) if os.environ.get("WEFT_SHRINK", "1") == "1" else (Phase.generate,)
    run_state_machine_as_test(lambda: History(*life), settings=settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, derandomize="WEFT_RANDOM" not in os.environ,
        suppress_health_check=list(HealthCheck), print_blob=False, phases=phases))


@pytest.mark.parametrize("order, code, says", [
    (("activate", 7, 7), 3, "generation 7 is served already"), (("activate", 0, 7), 3, "generation 0 has no release"),
    (("revert", 0), 0, ""), (("confirm", 0), 6, "look with `fab status`")])
def test_orders_without_sense_change_nothing(life, order, code, says):
    """Found by the histories above: each left something odd, or said it."""
    host, operator, bases = life
    base = "old" if order[0] == "activate" else "new"
    host.restore(base)
    model = bases[base].copy()
    done = operator.give(order, model)
    assert (done["code"], model.apply(order)) == (code, code), done
    assert says in json.dumps(done["last"]) and "goes back by itself" not in json.dumps(done["last"])
    orders.same(host, model)


def test_a_rollback_during_a_trial_installs_nothing(life):
    host, operator, bases = life
    host.restore("old")
    model = bases["old"].copy()
    for order in (("stage", "1.8", 7), ("activate", 8, 7)):
        assert operator.give(order, model)["code"] == model.apply(order) == 0
    before = sorted(p.name for p in (host.root / "releases").iterdir())
    assert model.cached["1.0"] == "good" and "1.0" not in model.installed
    assert operator.give(("rollback", "1.0", 8), model)["code"] == 3
    assert sorted(p.name for p in (host.root / "releases").iterdir()) == before


def test_two_edits_that_are_kept_within_a_second_are_both_kept(life):
    host, operator, bases = life
    host.restore("old")
    model = bases["old"].copy()
    for edit in ("colour = one\n", f"colour = {COLOURS['1.6']}\nsize = 2\n"):
        (host.prefix / "etc/shop.ini").write_text(f"[shop]\n{edit}")
        assert operator.give(("keep-edit",), model)["code"] == 0
    kept_edits = sorted((host.prefix / "etc/shop.d").glob("*.ini"))
    assert [path.read_text().split("[shop]\n")[1] for path in kept_edits] == ["colour = one\n", "size = 2\n"]
    assert len(list(host.state.glob("edited-*.ini"))) == 2
