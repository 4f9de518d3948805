"""Confirmations that are held until the last wave is well: what every end of a rollout makes of them, and that a fleet whose operator is gone comes to one
release by itself."""

import dataclasses
import io
import os
import signal
import time

import pytest

from tests.host.light_host import LightHost, make_release
from tests.rollout.conftest import end_left, wait_for_order
from tests.rollout.test_heartbeat import a_minute_later, go_stale, operator, verbs  # noqa: F401
from tests.rollout.test_run import Press, raised
from tests.rollout.test_soak import Goods
from weft.errors import FailedUndone, Interrupted, NeedsHands, OutcomeUnknown, Refused, from_json
from weft.host import fleetlock
from weft.rollout import heartbeat, hostrun
from weft.rollout.budget import Policy
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job
from weft.rollout.run import Rollout
from weft.rollout.show import Plain, Silent

SLOW = pytest.mark.slow
BROKEN = {"verb": "activate", "error": {"error": "failed-undone", "message": "the application failed to start"}}
FINAL = "confirming for good"


@pytest.fixture
def env(quick, yard, monkeypatch):
    """env(more): two hosts, which serve 1.0, a wave each."""
    monkeypatch.setattr(hostrun, "PAUSE", 0.05)
    monkeypatch.setattr(hostrun, "GRACE", 0.5)
    yard.fresh("1.0")
    return lambda more="", limit="web1,web2": quick(limit, more)


def states(yard, *names):
    """What each serves, and the status of that."""
    found = []
    for name in names or ("web1", "web2"):
        said = yard.engine(name, {"verb": "observe"})["state"]
        live = next(each for each in said["generations"] if each["number"] == said["live"])
        found.append((live["version"], live["status"]))
    return found


OLD, HELD, NEW = ("1.0", "good"), ("1.1", "pending"), ("1.1", "good")


class At(Plain):
    """Do something when a phase begins."""

    def __init__(self, phase, act):
        super().__init__(io.StringIO())
        self.phase_of, self.act, self.seen = phase, act, []

    def phase(self, text):
        super().phase(text)
        if text.startswith(self.phase_of):
            self.seen.append(self.act())


@SLOW
def test_each_host_is_held_until_the_last_wave_is_well(env, yard):
    held = At("wave 2", lambda: states(yard))
    last = At(FINAL, lambda: states(yard))
    env().rollout("deploy", "1.1", progress=held).run()
    assert held.seen == [[HELD, OLD]] and states(yard) == [NEW, NEW]
    assert "web1: held on trial until the rollout ends" in held.stream.getvalue().splitlines() and "web2: confirmed" in held.stream.getvalue().splitlines()
    asked = [verbs(yard, name) for name in ("web1", "web2")]
    assert [each[:5] for each in asked] == [["observe", "stage", "activate", "confirm", "confirm"]] * 2 and "lock" not in asked[0] + asked[1]
    assert [yard.engine(name, {"verb": "observe"})["state"]["lock"]["live"] for name in ("web1", "web2")] == [False, False]
    env().rollout("deploy", "2.0", progress=last).run()
    assert last.seen == [[("2.0", "pending")] * 2] and states(yard) == [("2.0", "good")] * 2


@SLOW
def test_a_single_wave_of_several_hosts_is_held_too(env, yard):
    """An operator who is killed in the middle of it may have confirmed some of them, and not the others."""
    last = At(FINAL, lambda: states(yard))
    env('waves = ["100%"]').rollout("deploy", "1.1", progress=last).run()
    assert last.seen == [[HELD, HELD]] and states(yard) == [NEW, NEW]


@SLOW
@pytest.mark.parametrize("verb, limit", [("deploy", "web1"), ("rollback", "web1,web2")])
def test_one_host_and_a_rollback_are_confirmed_at_once(env, yard, verb, limit):
    names = limit.split(",")
    if verb == "rollback":
        env().rollout("deploy", "1.1").run()
    before = [len(verbs(yard, name)) if verb == "rollback" else 0 for name in names]
    seen = At(FINAL, lambda: None)
    env("", limit).rollout(verb, "1.1" if verb == "deploy" else "", progress=seen).run()
    asked = [[each for each in verbs(yard, name)[known:] if each != "lock"] for name, known in zip(names, before)]
    assert asked == [["observe", "stage", "activate", "confirm"] if verb == "deploy" else ["observe", "rollback", "confirm"]] * len(names) and seen.seen == []


@SLOW
def test_a_held_host_stays_past_its_deadline_while_the_rollout_goes_on(env, yard, quick):
    made = env()
    made.env = dataclasses.replace(made.env, site={**made.env.site, "confirm": 1})

    def late():
        time.sleep(1.2)  # longer than an unconfirmed host has
        return states(yard)
    seen = At("wave 2", late)
    made.rollout("deploy", "1.1", progress=seen).run()
    assert seen.seen == [[HELD, OLD]] and states(yard) == [NEW, NEW]


@SLOW
def test_an_operator_who_is_killed_between_two_waves_leaves_a_fleet_that_goes_back_by_itself(env, yard, operator):  # noqa: F811
    killed = operator("deploy", "1.1")
    assert states(yard) == [HELD, OLD]
    killed.kill()
    killed.wait()
    a_minute_later(yard)
    assert states(yard) == [OLD, OLD]
    env().rollout("deploy", "1.1").run()
    assert states(yard) == [NEW, NEW]


@SLOW
def test_a_pause_confirms_for_good_what_was_switched(env, yard):
    said = env('pause = "canary"').rollout("deploy", "1.1").run()
    assert said["paused"]["after"] == 1 and states(yard) == [NEW, OLD]
    go_stale(yard, 0.0)
    assert states(yard) == [NEW, OLD]
    assert [yard.engine(name, {"verb": "observe"})["state"]["lock"]["released"] for name in ("web1", "web2")] == [True, True], "also where it is only staged"


@SLOW
@pytest.mark.parametrize("policy, kind, there", [("halt", NeedsHands, [NEW, NEW, OLD, NEW]), ("rollback-wave", NeedsHands, [NEW, OLD, OLD, OLD]),
                                                 ("rollback-all", FailedUndone, [OLD] * 4)])
def test_after_a_failure_those_that_stay_are_confirmed_for_good(env, yard, policy, kind, there):
    yard.order("web3", BROKEN)
    raised(kind, env(f'waves = [1, "100%"]\non_failure = "{policy}"', "").rollout("deploy", "1.1"))
    for name in yard.hosts:
        (yard.prefix(name) / "stale").write_text("0.0")
    assert states(yard, *yard.hosts) == there


@SLOW
def test_the_first_ctrl_c_confirms_for_good_what_was_switched(env, yard):
    yard.order("web1", {"verb": "activate", "sleep": 0.5})
    error = raised(Interrupted, env().rollout("deploy", "1.1", progress=Press("web1", "activate")))
    go_stale(yard, 0.0)
    assert states(yard) == [NEW, OLD] and "not confirmed" not in error.effect


@SLOW
def test_a_second_ctrl_c_leaves_them_to_go_back(env, yard):
    yard.order("web2", {"verb": "activate", "sleep": 600})

    class Twice(Press):
        def _press(self):
            wait_for_order(yard, "web2")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
    made = env()
    made.env = dataclasses.replace(made.env, site={**made.env.site, "confirm": 50})
    rollout = made.rollout("deploy", "1.1", progress=Twice("web2", "activate"))
    try:
        error = raised(Interrupted, rollout)
    finally:
        end_left(rollout.runs[1])
    assert error.effect == "1.1 on web1; 1.0 on web2; web1, web2 not confirmed: back by itself within 60 s", "the longer one: 50 for web2"
    assert "go back" not in error.hint and error.details["hosts"]["web1"]["status"] == "switching"
    go_stale(yard, 0.0)
    assert states(yard) == [OLD, OLD]


@SLOW
@pytest.mark.parametrize("more, kind, there", [("", FailedUndone, [OLD, OLD]), ('on_failure = "halt"', NeedsHands, [OLD, NEW]), ("max_fail = 1", NeedsHands, [OLD, NEW])])
def test_a_host_that_went_back_meanwhile_has_failed_as_in_its_wave(env, yard, more, kind, there):
    cut_off = At(FINAL, lambda: (yard.prefix("web1") / "stale").write_text("0.0"))
    error = raised(kind, env(more).rollout("deploy", "1.1", progress=cut_off))
    assert "web1: generation 2 was not confirmed in time and has gone back" in error.message
    assert states(yard) == there and cut_off.seen == [3]
    assert [each["status"] for each in error.details["hosts"].values()] == ["failed", "reverted" if there == [OLD, OLD] else "switched"]


@SLOW
@pytest.mark.parametrize("lost, there", [(1, NEW), (3, OLD)])
def test_a_last_word_whose_answer_is_lost_is_said_again_and_then_settled(env, yard, lost, there):
    yard.order("web1", {"verb": "confirm"}, *[{"verb": "confirm", "die": "before"}] * lost)
    rollout = env().rollout("deploy", "1.1")
    rollout.run() if there == NEW else raised(FailedUndone, rollout)
    assert states(yard) == [there, there]


@SLOW
def test_a_hook_that_fails_after_the_last_wave_takes_held_hosts_back(env, yard):
    raised(FailedUndone, env('[hooks]\nafter_switch = ["false"]').rollout("deploy", "1.1"))
    assert states(yard) == [OLD, OLD]


@SLOW
def test_with_hooks_the_lock_outlives_the_confirmation(env, yard):
    owner = At("after_deploy", lambda: [yard.engine("web1", {"verb": "observe"})["state"]["lock"]["live"], states(yard)])
    env('[hooks]\nafter_deploy = ["true"]').rollout("deploy", "1.1", progress=owner).run()
    assert owner.seen == [[True, [NEW, NEW]]]


class Dead:
    """A connection that has died, and one that lives. Which engine: one that knows no `hold`."""

    def __init__(self, error=None):
        self.error, self.asked = error, []

    def exec(self, request, *_words, **_more):
        self.asked.append(request["verb"])
        if self.error:
            raise self.error
        return {}

    def close(self):
        self.asked.append("close")


@pytest.mark.parametrize("held, error, heard", [(True, OutcomeUnknown("no sign of life"), True), (False, OutcomeUnknown("no sign of life"), False)])
def test_a_beat_whose_connection_has_died_takes_another_where_a_host_is_held(held, error, heard):
    dead, alive = Dead(error), Dead()
    job = Job("deploy", {"app": "shop"}, lambda host: alive)
    job.lock.number = 1
    run = HostRun(Host("web1"), job, _channel=dead)
    assert heartbeat._tell(run, "take", held) is heard
    assert (dead.asked, alive.asked) == ((["lock", "close"], ["lock", "close"]) if held else (["lock"], []))


@pytest.mark.parametrize("holds", [True, False])
def test_an_engine_that_cannot_hold_says_so_before_anything_changes(holds):
    class Old:
        def exec(self, request, *_):
            raise Refused("observe does not know: hold" if "hold" in request else "another thing", "fab setup")
    run = HostRun(Host("web1"), Job("deploy", {}, lambda host: Old(), holds=holds))
    run.observe()
    assert ("hold" in run.error.message) == holds


@SLOW
def test_which_rollouts_hold(env, quick):
    assert env().env.job("deploy", "1.1").holds and not env().env.job("rollback").holds
    assert not quick("web1").env.job("deploy", "1.1").holds and quick("", 'waves = ["100%"]').env.job("deploy", "1.1").holds


class Real:
    """A channel to a host with the real engine."""

    def __init__(self, host):
        self.host = host

    def exec(self, request, files=(), on_event=None, limit=0.0):
        words = {key: said for key, said in request.items() if key not in ("verb", "app", "by", "site")}
        last = self.host.ask(request["verb"], [file.read() for file in files], **words)["last"]
        if "error" in last:
            raise from_json(last["error"])
        return last["result"]

    def close(self):
        pass


@pytest.fixture
def pair():
    """Two hosts with real engines, which serve 1.0."""
    hosts = {name: LightHost() for name in ("web1", "web2")}
    try:
        for host in hosts.values():
            host.ok("setup")
            host.deploy(*make_release("1.0"))
        yield hosts
    finally:
        for host in hosts.values():
            host.close()


@SLOW
def test_real_hosts_whose_operator_has_left_go_back_and_the_next_one_finds_them_ready(pair, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT", 3600.0)  # a zygote answers one at a time

    class Leave(Silent):
        def phase(self, text):
            if text.startswith("wave 2"):
                raise KeyboardInterrupt

    def rollout(progress):
        job = Job("deploy", {"app": "shop", "by": "tester@here", "site": {"confirm": 600, "watch": 0, "longest_request": 10, "health": {"timeout": 60}}},
                  lambda host: Real(pair[host.name]), Goods(*make_release("1.1")), sites={name: host.site for name, host in pair.items()}, holds=True)
        return Rollout([Host(name) for name in pair], job, Policy(("1", "100%")), progress)

    def served():
        return [(host.get()[1]["version"], host.records()[2]["status"]) for host in pair.values()]
    left = rollout(Leave())
    raised(Interrupted, left)
    assert served() == [("1.1", "pending"), ("1.0", "staged")]
    for ahead, there in ((fleetlock.STALE - 20, ("1.1", "pending")), (fleetlock.STALE + 5, ("1.0", "staged"))):
        for host in pair.values():
            assert host.recover(ahead=ahead)["code"] == 0
        assert served() == [there, ("1.0", "staged")]
    for host in pair.values():
        host.ok("lock", lock=left.job.lock.ask("", "release"))
    rollout(Silent()).run()
    assert served() == [("1.1", "good")] * 2 and [host.faults() for host in pair.values()] == [[], []]
