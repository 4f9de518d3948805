"""What a rollout may cost, and in which order it goes."""

import pytest

from weft.rollout.budget import Policy, ordered, share, tripped, well
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host


def run(name, status="switched", good=True, domain=""):
    made = HostRun(Host(name, domain=domain), None, status=status)
    made.state = {"live": 1, "generations": [{"number": 1, "release": "1.0-aa", "version": "1.0"}],
                  "answers": {"status": 200, "release": "1.0-aa"} if good else {"status": 502, "release": ""}}
    return made


def names(runs):
    return "".join(each.host.name for each in runs)


@pytest.mark.parametrize("text, whole, hosts", [("0", 9, 0), ("3", 2, 3), ("10%", 100, 10), ("10%", 19, 1), ("10%", 5, 1), ("0%", 5, 0), ("50%", 0, 0), ("100%", 7, 7)])
def test_a_share_of_hosts(text, whole, hosts):
    assert share(text, whole) == hosts


def test_the_first_wave_may_not_fail_and_all_not_more_than_allowed():
    two, three = [run("a"), run("b", "failed")], [run("a"), run("b", "failed"), run("c", "lost")]
    assert tripped(two, 1, Policy([], max_fail="5"), 0) == "1 of 2 hosts failed"
    assert not tripped(three, 2, Policy([], max_fail="2"), 0)
    assert tripped(three, 2, Policy([], max_fail="1"), 0) == "2 of 3 hosts failed, 1 may"
    assert not tripped(three, 2, Policy([], max_fail="67%"), 0)
    assert not tripped(two[:1], 1, Policy([]), 0)


def test_a_floor_of_hosts_that_serve_well():
    runs = [run("a"), run("b", good=False), run("c", "planned")]
    assert tripped(runs, 2, Policy([], min_healthy="100%"), 3) == "2 of 3 hosts serve well, 3 must"
    assert not tripped(runs, 2, Policy([], min_healthy="100%"), 2), "one was ill before"
    assert not tripped(runs, 2, Policy([], min_healthy="50%"), 3)


def test_a_host_serves_well_if_what_answers_is_what_is_live():
    assert well(run("a")) and not well(run("a", good=False)) and not well(run("a", "lost"))
    other = run("a")
    other.state["answers"]["release"] = "0.9-bb"
    assert not well(other) and not well(HostRun(Host("a"), None))


def test_the_ill_go_first_and_domains_in_turn():
    runs = [run("a", domain="x"), run("b", domain="x"), run("c", domain="y"), run("d", domain="y"), run("e", domain="z"), run("f", good=False, domain="x")]
    assert names(ordered(runs)) == "facebd"
    assert names(ordered([run("a"), run("b"), run("c")])) == "abc", "without domains the order of the file"
