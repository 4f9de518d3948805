"""What can happen to the people who deploy: killed between any two steps, stalled, two at once. What each of them is told, with which exit code,
and that the hosts serve whole releases and come to one with the next command at the latest."""

import os
import re
import signal

import pytest

from tests.system.eight.fleet import BY_ITSELF, CONFIRM, at_work, ended, goes_on, settles, uniform
from tests.system.shop import until
from tests.system.voyage import wait_for

pytestmark = [pytest.mark.system, pytest.mark.slow]
ALL = [f"web{number}" for number in range(1, 9)]
STEPS = [("before the stage", "staging on 8 hosts", ALL, 0), ("before the canary", r"wave 1 of 3: web1 \(canary\)", ALL, 0),
         ("before the canary's confirmation", "web1: switch to slot", [], 0), ("before the second wave", "wave 2 of 3: web2, web3, web4", ALL[1:], 1),
         ("between two waves", "wave 3 of 3: web5, web6, web7, web8", ALL[4:], 4), ("after the last confirmation", r"web\d: confirmed", [], 8)]
"""When an operator is killed, seen by which line, which hosts cannot be switched meanwhile, and how many serve the new release for good then. Each step begins
with what the one before has left."""


def kill(process, number=signal.SIGKILL):
    os.killpg(process.pid, number)


@pytest.fixture
def hold(change):
    """hold(names, watch): a hook keeps these hosts from being switched, and `watch` seconds one from being confirmed: no test must be quicker than it."""
    shop, held = change[0], change[0].home / "held"

    def hold(names, watch=0.3):
        held.write_text("".join(f"{name}\n" for name in names))
        hook = f'[hooks.host]\nbefore_switch = ["sh", "-c", "while grep -qx {{host}} {held}; do sleep 0.1; done"]\ntimeout = 600\n'
        shop.configure(confirm=CONFIRM, more=hook)
        config = shop.project / "deploy/production.toml"
        config.write_text(config.read_text().replace("watch = 0.3", f"watch = {watch}"))
    yield hold
    held.unlink()  # ends what is still held
    shop.configure(confirm=CONFIRM)


def test_an_operator_who_is_killed_between_any_two_steps_and_the_same_deploy_goes_on(change, hold):
    shop, old, new = change
    before = 0
    for when, line, held, there in STEPS:
        hold(held, 0.3 if held or there else 5)
        deploy, said = goes_on(shop, new, line, soon=there != 1)
        for _ in range(8 - before - 1 if there == 8 else 0):
            said += until(deploy, line)
        kill(deploy)
        code, said = ended(deploy, said)
        assert code == -signal.SIGKILL or there == 8, f"{when}: {said}"
        assert "waiting for" not in said or re.search(rf": locked by tester@\S+ \(deploy {re.escape(new)}\) since 20", said), f"{when}: {said}"
        wait_for(lambda: not at_work(shop), BY_ITSELF, lambda: f"{when}: {shop.served()}")
        served = list(shop.served().values())
        assert (served.count(new), served.count(old)) == (there, 8 - there), f"{when}: {shop.served()}"
        before = there
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
    """The other one goes back on the canary alone: the hosts that have nothing to do are fenced off as well."""
    shop, old, new = change
    hold(ALL[1:])
    stalled = shop.start("deploy", "--version", new)
    said = until(stalled, "wave 2 of 3")
    kill(stalled, signal.SIGSTOP)
    try:
        other, told = goes_on(shop, old, "wave 1")
        code, told = ended(other, told)
        assert code == 0 and re.search(rf"locked by tester@\S+ \(deploy {re.escape(new)}\)", told), told
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
