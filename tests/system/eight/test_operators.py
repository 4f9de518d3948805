"""What can happen to the people who deploy: killed between any two steps, stalled, two at once. What each of them is told, with which exit code,
and that the hosts serve whole releases, and one and the same without the next command."""

import os
import re
import signal

import pytest

from tests.system.eight.fleet import BY_ITSELF, CONFIRM, a_minute_later, at_work, ended, goes_on, settles, uniform
from tests.system.shop import until
from tests.system.voyage import wait_for

pytestmark = [pytest.mark.system, pytest.mark.slow]
ALL = [f"web{number}" for number in range(1, 9)]
STEPS = [("before the stage", "staging on 8 hosts", ALL), ("before the canary", r"wave 1 of 3: web1 \(canary\)", ALL),
         ("before the canary's confirmation", "web1: switch to slot", []), ("before the second wave", "wave 2 of 3: web2, web3, web4", ALL[1:]),
         ("in the middle of a wave", "web2: held on trial", ["web3", *ALL[4:]]),
         ("between two waves", "wave 3 of 3: web5, web6, web7, web8", ALL[4:]), ("before the last word", "after_switch: sh", ["all"]),
         ("after the last word", r"web\d: confirmed", [])]
"""When an operator is killed, seen by which line, and which hosts cannot be switched meanwhile ("all": the deploy comes to no end)."""


def kill(process, number=signal.SIGKILL):
    os.killpg(process.pid, number)


@pytest.fixture
def hold(change):
    """hold(names, watch): a hook keeps these hosts from being switched, and `watch` seconds one from being confirmed: no test must be quicker than it."""
    shop, held = change[0], change[0].home / "held"

    def hold(names, watch=0.3):
        held.write_text("".join(f"{name}\n" for name in names))
        waits = f"while grep -qx {{}} {held}; do sleep 0.1; done"
        hooks = f'[hooks]\nafter_switch = ["sh", "-c", "{waits.format("all")}"]\n[hooks.host]\nbefore_switch = ["sh", "-c", "{waits.format("{host}")}"]\ntimeout = 600\n'
        shop.configure(confirm=CONFIRM, more=hooks)
        config = shop.project / "deploy/production.toml"
        config.write_text(config.read_text().replace("watch = 0.3", f"watch = {watch}"))
    yield hold
    held.unlink()  # ends what is still held
    shop.configure(confirm=CONFIRM)


def test_an_operator_who_is_killed_between_any_two_steps_leaves_one_release_on_all_hosts(change, hold):
    """With nobody's hand, and once with nobody's hand at the clocks either."""
    shop, old, new = change
    for when, line, held in STEPS:
        hold(held, 5 if when == "before the canary's confirmation" else 0.3)
        deploy, said = goes_on(shop, new, line)
        done = when == "after the last word"
        for _ in range(7 if done else 0):
            said += until(deploy, line)
        kill(deploy)
        code, said = ended(deploy, said)
        assert code == -signal.SIGKILL or done, f"{when}: {said}"
        assert "waiting for" not in said or re.search(rf": locked by tester@\S+ \(deploy {re.escape(new)}\) since 20", said), f"{when}: {said}"
        if when != "between two waves":
            a_minute_later(shop)
        wait_for(lambda: not at_work(shop) and uniform(shop), BY_ITSELF, lambda: f"{when}: {shop.served()}")
        assert uniform(shop) == (new if done else old), f"{when}: {shop.served()}"
    code, said = ended(*goes_on(shop, new, "nothing to do"))
    assert code == 0 and uniform(shop) == new, said


def test_the_same_deploy_again_asks_each_host_once_and_changes_nothing(change):
    shop, here, _other = change
    for host in shop.fleet.hosts:
        host.run(["tee", "/etc/sudoers.d/told"], input='Defaults logfile="/var/log/sudo.log"\n')
    assert "nothing to do" in shop.fab("deploy", "--version", here)
    asked = [host.run(["grep", "-c", "COMMAND=.*weft-host", "/var/log/sudo.log"], check=False).stdout.strip() for host in shop.fleet.hosts]
    for host in shop.fleet.hosts:
        host.run(["rm", "-f", "/etc/sudoers.d/told", "/var/log/sudo.log"])
    assert asked == ["1"] * 8 and uniform(shop) == here


def test_of_two_operators_at_once_one_wins_and_the_other_is_told_who(change):
    shop, _old, new = change
    both = [ended(each, "") for each in [shop.start("deploy", "--version", new) for _ in range(2)]]
    assert sorted(code for code, _said in both) == [0, 3], both
    refused = next(said for code, said in both if code == 3)
    assert re.search(rf"tester@\S+ \(deploy {re.escape(new)}\)", refused) and re.search("nothing changed|no host was switched", refused), refused
    assert settles(shop, new)


def test_a_stalled_operator_whose_lock_was_taken_over_changes_nothing_any_more(change, hold):
    """It goes back, since a deploy would not be held for it. The other one takes the canary forward again alone: the hosts that have nothing to do are
    fenced off as well."""
    shop, old, new = change
    hold(ALL[1:])
    stalled = shop.start("rollback", "--to", new, "--force-bad")
    said = until(stalled, "wave 2 of 3")
    kill(stalled, signal.SIGSTOP)
    try:
        other, told = goes_on(shop, old, "wave 1")
        code, told = ended(other, told)
        assert code == 0 and re.search(rf"locked by tester@\S+ \(rollback to {re.escape(new)}\)", told), told
        assert uniform(shop) == old
        before = generations(shop)
    finally:
        hold([])
        kill(stalled, signal.SIGCONT)
    code, said = ended(stalled, said)
    assert code == 6 and re.search(rf"the lock of this rollout was taken over by tester@\S+ \(deploy {re.escape(old)}\)", said), said
    assert re.search(rf"what is served next is up to tester@\S+ \(deploy {re.escape(old)}\)", said) and "fab status" in said, said
    assert generations(shop) == before and settles(shop, old)


def generations(shop):
    return [host.run(["readlink", "/var/app/shop/current"]).stdout for host in shop.fleet.hosts]
