"""Rollouts over real processes of the fake engine, without SSH: what is served, what is raised, what is said."""

import io
import os
import signal
import threading
import time

import pytest

from tests.rollout.conftest import end_left, wait_for_order
from weft.errors import FailedUndone, Interrupted, NeedsHands, OutcomeUnknown, Refused, UsageError
from weft.rollout import hostrun
from weft.rollout.show import Plain, Silent

pytestmark = pytest.mark.usefixtures("hurry")
BROKEN = {"error": "failed-undone", "message": "the application failed to start: ImportError: x", "next": "mend the release",
          "details": ["Traceback (most recent call last):", "ImportError: x"]}


def serving(yard):
    return [yard.serves(name) for name in yard.hosts]


def statuses(rollout):
    return [run.status for run in rollout.runs]


def raised(kind, rollout):
    with pytest.raises(kind) as caught:
        rollout.run()
    assert type(caught.value) is kind
    return caught.value


@pytest.fixture
def deployed(quick, yard):
    """All hosts serve 1.0; gives the environment."""
    yard.fresh("1.0")
    return quick()


def test_deploy_again_rollback(quick, yard):
    env = quick()
    first = env.rollout("deploy", "1.0")
    said = first.run()["hosts"]
    assert {name: (each["status"], each["was"], each["serves"]) for name, each in said.items()} == {
        name: ("switched", "nothing yet", "1.0") for name in yard.hosts}
    again = env.rollout("deploy", "1.0")
    assert {each["status"] for each in again.run()["hosts"].values()} == {"current"}
    assert [verb for verb, *_ in yard.log("web1")] == ["observe", "stage", "activate", "confirm", "confirm", "observe"]
    env.rollout("deploy", "1.1").run()
    assert serving(yard) == ["1.1"] * 4
    env.rollout("rollback").run()
    assert serving(yard) == ["1.0"] * 4
    env.rollout("rollback", to="1.1").run()
    assert serving(yard) == ["1.1"] * 4


def test_a_rollback_to_what_hosts_never_had_comes_from_the_store(quick, yard):
    env = quick()
    env.rollout("deploy", "1.0").run()
    env.rollout("deploy", "1.1").run()
    (yard.prefix("web2") / "shop.json").write_text((yard.prefix("web2") / "shop.json").read_text().replace('"1.0"', '"0.9"'))
    mixed = env.rollout("rollback", to="1.0")
    assert {run["status"] for run in mixed.run()["hosts"].values()} == {"switched"} and serving(yard) == ["1.0"] * 4
    assert [run.source for run in mixed.runs] == ["", "store", "", ""]
    assert [verb for verb, *_ in yard.log("web2")][-5:] == ["observe", "observe", "stage", "activate", "confirm"]
    assert [verb for verb, *_ in yard.log("web1")][-3:] == ["observe", "rollback", "confirm"]


def test_a_rollback_to_what_is_nowhere_says_both(deployed, yard):
    said = raised(Refused, deployed.rollout("rollback", to="7.7"))
    assert "no good generation of 7.7" in str(said) and "7.7 is not in" in str(said)
    assert serving(yard) == ["1.0"] * 4


def test_what_a_host_has_is_not_sent_again(deployed, yard):
    kept = {path.name: path.stat().st_mtime_ns for path in (yard.prefix("web1") / "files").iterdir()}
    sent = deployed.rollout("deploy", "1.1")
    sent.run()
    assert [len(run.missing) for run in sent.runs] == [1] * 4
    assert kept.items() <= {p.name: p.stat().st_mtime_ns for p in (yard.prefix("web1") / "files").iterdir()}.items()


def test_no_host_switches_before_every_host_is_ready(quick, yard):
    yard.order("web4", {"verb": "stage", "sleep": 0.6})
    quick().rollout("deploy", "1.0").run()
    staged = max(end for name in yard.hosts for verb, begin, end in yard.log(name) if verb == "stage")
    switched = min(begin for name in yard.hosts for verb, begin, end in yard.log(name) if verb == "activate")
    assert switched >= staged


def test_the_canary_is_confirmed_before_the_others_begin(quick, yard):
    quick().rollout("deploy", "1.0").run()
    ends = {name: [end for verb, _, end in yard.log(name) if verb == "confirm"][0] for name in yard.hosts}
    begins = {name: [begin for verb, begin, _ in yard.log(name) if verb == "activate"][0] for name in yard.hosts}
    assert ends["web1"] <= min(begins[name] for name in ("web2", "web3", "web4"))


def test_all_faults_of_all_hosts_are_listed_at_once(deployed, yard):
    yard.order("web2", {"verb": "observe", "faults": [{"message": "the disk is full", "next": "make room"}]})
    yard.order("web3", {"verb": "observe", "error": {"error": "refused", "message": "locked by ann", "next": "wait"}})
    error = raised(Refused, deployed.rollout("deploy", "1.1"))
    assert error.message == "web3: locked by ann\nweb2: the disk is full"
    assert error.hint == "wait\n      make room"
    assert error.effect == "nothing changed; 1.0 on web1, web2, web4; unknown on web3"
    assert serving(yard) == ["1.0"] * 4 and "stage" not in [verb for verb, *_ in yard.log("web1")]


def test_a_host_that_is_not_ready_stops_all_before_any_switch(deployed, yard):
    yard.order("web4", {"verb": "stage", "error": BROKEN})
    error = raised(FailedUndone, deployed.rollout("deploy", "1.1"))
    assert error.message == ("web4: the application failed to start: ImportError: x\n"
                             "    Traceback (most recent call last):\n    ImportError: x")
    assert error.effect == "no host was switched; 1.0 is served everywhere"
    assert serving(yard) == ["1.0"] * 4


def test_a_refusal_while_staging_is_a_refusal(deployed, yard):
    yard.order("web4", {"verb": "stage", "error": {"error": "refused", "message": "stale"}})
    assert raised(Refused, deployed.rollout("deploy", "1.1")).message == "web4: stale"


def test_a_connection_lost_while_staging_changes_nothing(deployed, yard):
    yard.order("web4", {"verb": "stage", "die": "before"})
    error = raised(FailedUndone, deployed.rollout("deploy", "1.1"))
    assert error.message == "web4: the engine ended without an answer (exit 77)"
    assert serving(yard) == ["1.0"] * 4


def test_a_bad_canary_leaves_the_others_alone(deployed, yard):
    yard.order("web1", {"verb": "activate", "error": BROKEN})
    rollout = deployed.rollout("deploy", "1.1")
    error = raised(FailedUndone, rollout)
    assert error.effect == "1.0 is served everywhere" and error.hint == "mend the release"
    assert statuses(rollout) == ["failed", "staged", "staged", "staged"]
    assert serving(yard) == ["1.0"] * 4


def test_a_bad_host_of_the_last_wave_takes_all_back(deployed, yard):
    yard.order("web4", {"verb": "activate", "error": BROKEN})
    rollout = deployed.rollout("deploy", "1.1")
    error = raised(FailedUndone, rollout)
    assert error.effect == "1.0 is served everywhere"
    assert statuses(rollout) == ["reverted", "reverted", "reverted", "failed"]
    assert serving(yard) == ["1.0"] * 4
    assert error.details["hosts"]["web1"]["status"] == "reverted"


def test_a_rollback_that_fails_goes_forward_again(deployed, yard):
    deployed.rollout("deploy", "1.1").run()
    yard.order("web3", {"verb": "rollback", "error": BROKEN})
    error = raised(FailedUndone, deployed.rollout("rollback"))
    assert error.effect == "1.1 is served everywhere"
    assert serving(yard) == ["1.1"] * 4


def test_a_host_that_cannot_be_taken_back_needs_hands(deployed, yard):
    yard.order("web1", {"verb": "revert", "error": {"error": "needs-hands", "message": "the link is gone"}})
    yard.order("web4", {"verb": "activate", "error": BROKEN})
    error = raised(NeedsHands, deployed.rollout("deploy", "1.1"))
    assert "web1: the link is gone" in error.message.splitlines()
    assert error.effect == "1.1 on web1; 1.0 on web2, web3, web4"
    assert error.hint == "look at web1: fab status --limit web1; then: fab rollback --limit web1"
    assert serving(yard) == ["1.0"] * 4, "it was held for a lock that is over: then it went back by itself"


@pytest.mark.parametrize("waves", ['[1, "100%"]', '["100%"]'])
def test_a_refused_way_back_of_a_host_that_was_held_is_waited_for(quick, yard, waves):
    yard.fresh("1.0")
    yard.order("web1", {"verb": "revert", "error": {"error": "refused", "message": "locked by ann"}})
    yard.order("web2", {"verb": "activate", "error": BROKEN})
    rollout = quick(more=f"waves = {waves}").rollout("deploy", "1.1")
    error = raised(FailedUndone, rollout)
    assert error.effect == "1.0 is served everywhere" and statuses(rollout)[:2] == ["reverted", "failed"]


def test_a_refused_way_back_of_a_host_that_was_confirmed_for_good_is_a_mixed_fleet(quick, yard):
    yard.fresh("1.0")
    quick().rollout("deploy", "1.1").run()
    yard.order("web1", {"verb": "activate", "error": {"error": "refused", "message": "locked by ann"}})
    yard.order("web2", {"verb": "rollback", "error": BROKEN})
    error = raised(NeedsHands, quick(more='waves = ["100%"]').rollout("rollback"))
    assert error.effect == "1.0 on web1; 1.1 on web2, web3, web4"
    assert error.hint == "to go on: fab rollback --limit web2,web3,web4; to go back: fab deploy --version 1.1 --limit web1"


@pytest.mark.parametrize("verb", ["activate", "confirm"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_settled(deployed, yard, verb, when):
    yard.order("web2", *[{"verb": verb, "die": when}] * (3 if verb == "confirm" and when == "before" else 1))
    rollout = deployed.rollout("deploy", "1.1")
    if verb == "confirm" and when == "after":
        rollout.run()
        assert serving(yard) == ["1.1"] * 4
    else:
        error = raised(FailedUndone, rollout)
        assert error.effect == "1.0 is served everywhere"
        assert serving(yard) == ["1.0"] * 4


def test_a_host_that_is_not_reached_any_more_is_unknown_and_says_when_it_settles(quick, yard):
    env = quick(more="", site={**quick().env.site, "confirm": 1})
    yard.fresh("1.0")
    gone = [{"verb": "revert", "complain": "x", "exit": 9}] * 400
    yard.order("web1", {"verb": "activate", "die": "after"}, *gone)
    rollout = env.rollout("deploy", "1.1")
    error = raised(OutcomeUnknown, rollout)
    assert error.message == "web1: the engine ended without an answer (exit 77)"
    assert error.effect == ("unknown on web1; 1.0 on web2, web3, web4; web1 goes back by itself within 1 s unless it was "
                            "confirmed")
    assert error.hint == "fab status --limit web1"
    yard.order("web1")
    assert serving(yard) == ["1.0"] * 4


def test_a_failure_within_the_budget_leaves_a_mixed_fleet_that_is_named(quick, yard):
    env = quick(more="max_fail = 1\n")
    yard.fresh("1.0")
    yard.order("web2", {"verb": "activate", "error": BROKEN})
    error = raised(NeedsHands, env.rollout("deploy", "1.1"))
    assert error.effect == "1.1 on web1, web3, web4; 1.0 on web2"
    assert error.hint == "to go on: fab deploy --version 1.1; to go back: fab rollback --limit web1,web3,web4"
    env.rollout("deploy", "1.1").run()
    assert serving(yard) == ["1.1"] * 4


@pytest.mark.parametrize("policy, served", [("rollback-all", ["1.0"] * 4), ("rollback-wave", ["1.1", "1.0", "1.0", "1.0"]),
                                            ("halt", ["1.1", "1.0", "1.1", "1.1"])])
def test_what_is_done_when_too_many_failed_is_the_policy(quick, yard, policy, served):
    env = quick(more=f'waves = [1, "100%"]\non_failure = "{policy}"\n')
    yard.fresh("1.0")
    yard.order("web2", {"verb": "activate", "error": BROKEN})
    error = raised(FailedUndone if policy == "rollback-all" else NeedsHands, env.rollout("deploy", "1.1"))
    assert serving(yard) == served
    if policy != "rollback-all":
        assert "to go back: fab rollback --limit web1" in error.hint and "to go on: fab deploy --version 1.1" in error.hint


def test_too_few_that_serve_well_end_it_within_the_budget_of_failures(quick, yard):
    env = quick(more='waves = [1, 1, "100%"]\nmax_fail = "75%"\nmin_healthy = 4\n')
    yard.fresh("1.0")
    yard.order("web2", {"verb": "activate", "ill": True, "error": BROKEN})
    rollout = env.rollout("deploy", "1.1")
    raised(FailedUndone, rollout)
    assert serving(yard) == ["1.0", "", "1.0", "1.0"] and statuses(rollout) == ["reverted", "failed", "staged", "staged"]


def test_the_canary_has_no_budget(quick, yard):
    env = quick(more="max_fail = 3\n")
    yard.fresh("1.0")
    yard.order("web1", {"verb": "activate", "error": BROKEN})
    assert raised(FailedUndone, env.rollout("deploy", "1.1")).effect == "1.0 is served everywhere"


def test_a_fast_rollback_is_one_wave_and_takes_nobody_along(quick, yard):
    quick().rollout("deploy", "1.0").run()
    env = quick()
    env.rollout("deploy", "1.1").run()
    yard.order("web2", {"verb": "rollback", "error": BROKEN})
    env.env = env.env.at_once()
    seen = io.StringIO()
    error = raised(NeedsHands, env.rollout("rollback", progress=Plain(seen)))
    assert serving(yard) == ["1.0", "1.1", "1.0", "1.0"] and "wave 1 of 1" in seen.getvalue()
    assert "to go on: fab rollback" in error.hint, error.hint


def test_somebody_else_was_faster(deployed, yard):
    class Faster(Silent):
        def plans(self, runs):
            deployed.rollout("deploy", "2.0").run()
    error = raised(Refused, deployed.rollout("deploy", "1.1", progress=Faster()))
    assert all("was faster" in line for line in error.message.splitlines())  # the one with the higher token, or by what is served
    assert serving(yard) == ["2.0"] * 4


def test_plan_changes_nothing_and_is_what_would_run(deployed, yard):
    seen = io.StringIO()
    said = deployed.rollout("deploy", "1.1", progress=Plain(seen)).run(plan_only=True)
    assert [each["digest"] for each in said["hosts"].values()] == [
        run.plan.digest() for run in _observed(deployed.rollout("deploy", "1.1"))]
    assert "web1, web2, web3, web4: 1.0 -> 1.1 (plan " in seen.getvalue()
    assert {verb for verb, *_ in yard.log("web1")} == {"observe"}


def _observed(rollout):
    rollout.observe()
    return rollout.runs


def test_a_release_that_is_not_what_was_released_is_not_sent(quick, yard):
    env = quick()
    place = yard.root / "store" / "shop" / "2.0" / "shop-2.0.tar.gz"
    good = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(good[:-1] + b"X")
    try:
        error = raised(Refused, env.rollout("deploy", "2.0"))
    finally:
        place.write_bytes(good)
    assert error.message == (f"shop 2.0 is not what was released:\n{place} has other bytes than the manifest says")
    assert error.effect == "nothing changed; no release is served everywhere"
    assert [verb for verb, *_ in yard.log("web1")] == ["observe"]


def test_versions_are_checked_before_anything_is_contacted(quick, yard):
    with pytest.raises(Refused) as caught:
        quick().rollout("deploy", "3.0")
    assert caught.value.message == f"shop 3.0 is not in {yard.root}/store"
    assert caught.value.hint == "the newest there: 2.0, 1.1, 1.0"
    for word in ("../x", "-rf", "1.0;id", "--help"):
        with pytest.raises(UsageError):
            quick().rollout("deploy", word)


def test_a_rollback_that_would_mix_releases_is_refused(deployed, yard):
    deployed.rollout("deploy", "1.1").run()
    env = deployed.env
    import dataclasses
    some = type(deployed)(dataclasses.replace(env, hosts=env.hosts.limit("web1"), others=tuple(env.hosts)[1:]), deployed.channel)
    some.rollout("deploy", "2.0").run()
    error = raised(Refused, deployed.rollout("rollback"))
    assert error.message == "the hosts would go back to different releases: web1 to 1.1, web2 to 1.0, web3 to 1.0, web4 to 1.0"
    assert error.hint == "name one: fab rollback --to 1.1; or use --limit"
    deployed.rollout("rollback", to="1.1").run()
    assert serving(yard) == ["1.1"] * 4


def test_a_rollback_without_a_way_back_is_refused(deployed):
    error = raised(Refused, deployed.rollout("rollback"))
    assert "web1: there is no earlier release to go back to" in error.message


class Press(Silent):
    """Ctrl-C when a host begins a verb."""

    def __init__(self, name, verb, times=1):
        self.left, self.name, self.verb = times, name, verb

    def host(self, name, event):
        if (name, event.get("verb"), event["event"]) == (self.name, self.verb, "phase") and self.left:
            self.left -= 1
            threading.Thread(target=self._press, daemon=True).start()

    def _press(self):
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_while_staging_switches_nothing(deployed, yard):
    error = raised(Interrupted, deployed.rollout("deploy", "1.1", progress=Press("web1", "stage")))
    assert error.lines() == ["interrupted before anything was switched", "now:  1.0 is served everywhere",
                             "next: to go on: fab deploy --version 1.1"]
    assert serving(yard) == ["1.0"] * 4


def test_ctrl_c_in_a_wave_finishes_it_and_says_how_to_go_on_and_back(deployed, yard):
    yard.order("web1", {"verb": "activate", "sleep": 0.5})
    error = raised(Interrupted, deployed.rollout("deploy", "1.1", progress=Press("web1", "activate")))
    assert error.lines() == ["interrupted", "now:  1.1 on web1; 1.0 on web2, web3, web4",
                             "next: to go on: fab deploy --version 1.1; to go back: fab rollback --limit web1"]
    assert serving(yard) == ["1.1", "1.0", "1.0", "1.0"]
    assert isinstance(error.__cause__, KeyboardInterrupt)


def test_a_second_ctrl_c_leaves_and_the_host_goes_back_by_itself(quick, yard, monkeypatch):
    monkeypatch.setattr(hostrun, "TRIES", 1)  # fab would have ended by then; here its threads live on, and could confirm at a second try
    env = quick(site={**quick().env.site, "confirm": 1})
    yard.fresh("1.0")
    yard.order("web1", {"verb": "confirm", "sleep": 600})

    class Twice(Press):
        def _press(self):
            wait_for_order(yard, "web1")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
    rollout = env.rollout("deploy", "1.1", progress=Twice("web1", "confirm"))
    try:
        error = raised(Interrupted, rollout)
    finally:
        end_left(rollout.runs[0])
    assert error.effect == "1.1 on web1; 1.0 on web2, web3, web4; web1 not confirmed: back by itself within 1 s"
    end = time.monotonic() + 60
    while serving(yard) != ["1.0"] * 4 and time.monotonic() < end:
        time.sleep(0.1)
    assert serving(yard) == ["1.0"] * 4
