import pytest

from weft.errors import Refused, WeftError
from weft.plan import Plan
from weft.rollout import tables, verdict
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job


def generation(number, version, status="good"):
    return {"number": number, "release": f"{version}-abc123", "version": version, "settings": "", "status": status,
            "by": "ann@desk", "at": "2026-01-31T12:00:00Z", "previous": 0, "note": ""}


def state(version, number=2):
    return {"live": number, "set_up": True, "generations": [generation(number, version), generation(0, "0")],
            "answers": {"status": 200, "version": version, "release": f"{version}-abc123"}, "drift": [], "python": "3.11"}


def run(name, status="", was="1.0", serves="", verb="deploy", **more):
    job = Job(verb, {"site": {"confirm": 60}}, lambda host: None, again=" --env eu")
    return HostRun(Host(name), job, status=status, before=state(was, 1), state=state(serves or was), **more)


def test_hints_of_many_hosts_are_merged():
    errors = [Refused("a", "compare, then: fab trust --host web1 --env eu"),
              Refused("b", "compare, then: fab trust --host web2 --env eu"), Refused("c", "fab setup"), Refused("d", "fab setup"),
              Refused("e")]
    assert verdict.refused(errors, []).hint == "compare, then: fab trust --host web1,web2 --env eu\n      fab setup"


def test_a_bug_among_refusals_stays_a_bug():
    assert verdict.refused([Refused("a"), WeftError("boom")], []).code == 1
    assert verdict.refused([Refused("a"), Refused("a")], []).lines() == ["a", "now:  nothing changed"]


@pytest.mark.parametrize("runs, said", [
    ([run("web1")], "1.0 is served on web1"), ([run("web1"), run("web2")], "1.0 is served everywhere"),
    ([run("web1"), run("web2", serves="1.1")], "1.0 on web1; 1.1 on web2"),
    ([run("web1", "unknown")], "unknown on web1"),
])
def test_what_is_served_in_words(runs, said):
    assert verdict.served(runs) == said


def test_the_way_back_from_an_interrupted_rollback_is_a_deploy():
    runs = [run("web1", "switched", "1.1", "1.0", verb="rollback"), run("web2", was="1.1", verb="rollback")]
    assert verdict.interrupted(runs[0].job, runs).hint == (
        "to go on: fab rollback --env eu --limit web2; to go back: fab deploy --version 1.1 --env eu --limit web1")


def test_tables_are_aligned_and_say_what_answers():
    other = {**state("1.1"), "drift": ["/etc/shop.ini was edited by hand"]}
    other["answers"] = {"status": 502, "version": "", "release": ""}
    fresh = {"live": 0, "set_up": True, "generations": [generation(0, "0")], "answers": {"status": 503, "version": "placeholder"}}
    assert tables.status({"web1": state("1.0"), "web2": other, "web3": fresh, "web4": {"answers": {"error": "not set up"}}}) == [
        "host  version      answers          status  since                    by        python",
        "web1  1.0          1.0              good    2026-01-31 12:00:00 UTC  ann@desk  3.11",
        "web2  1.1          502              good    2026-01-31 12:00:00 UTC  ann@desk  3.11",
        "web3  nothing yet  503 placeholder  good    2026-01-31 12:00:00 UTC  ann@desk",
        "web4  nothing yet  not set up",
        "web2: /etc/shop.ini was edited by hand",
        "web2: what answers is not what is live: 502"]


def test_what_is_on_trial_is_told():
    held = {**state("1.1"), "generations": [generation(2, "1.1", "pending")]}
    assert tables.status({"web1": held, "web2": state("1.0"), "web3": held})[-1] == "web1, web3: on trial: back by itself unless the rollout that switched it confirms it"


def test_hosts_with_the_same_steps_are_planned_together():
    plan = Plan("x", "1", "1.1-abc123", ())
    runs = [run("web1"), run("web2"), run("web3", was="1.1")]
    assert tables.plan_lines(runs) == ["web1, web2: 1.0, nothing to do", "web3: 1.1, nothing to do"]
    assert plan.describe() == []


def test_every_status_has_words():
    for status in ("", "current", "planned", "staged", "switching", "switched", "failed", "lost", "reverted", "stuck", "unknown"):
        assert len(tables.summary([run("web1", status)])) == 2
