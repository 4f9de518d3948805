"""Eight real hosts behind a link with a round trip of 50 ms, and what can happen to them, to the link and to the operator in the middle of a
deploy: what is served, what is said, with which exit code, and that the fleet serves one release again with nobody's help."""

import json
import os
import re
import signal

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop, until
from tests.system.voyage import wait_for

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
BY_ITSELF = 70
"""Seconds within which a fleet is to serve one release again, with nobody's hand."""
CONFIRM = 12
"""Seconds after which a host that is not confirmed goes back, as this environment has it."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with Fleet(8, disk_mb=220, rtt=0.05) as fleet:
        shop = Shop(tmp_path_factory.mktemp("eight") / "operator", fleet)
        shop.configure(confirm=CONFIRM)
        for version in ("1.0", "1.1"):
            shop.publish(version)
        shop.prepare()
        shop.fab("deploy", "--version", "1.0")
        yield shop


@pytest.fixture
def shop(fleet):
    """All eight serve 1.0, and nothing is in their way; also for a test that is run by itself."""
    if uniform(fleet) != "1.0":
        fleet.fab("deploy", "--version", "1.0")
    assert uniform(fleet) == "1.0"
    yield fleet
    for host in fleet.fleet.hosts:
        host.join()
        host.lose(0)
        host.run(["rm", "-f", "/etc/sick-1.1", "/var/fill"])


def uniform(shop):
    """The one version that every host really serves, "" where they serve several."""
    served = set(shop.served().values())
    return served.pop() if len(served) == 1 else ""


def ended(process, said):
    """Its exit code and all of its lines."""
    said += process.communicate(timeout=180)[0]
    assert "a bug in weft" not in said and "Traceback" not in said, said
    return process.returncode, said


def settles(shop, *versions):
    """With nobody's hand: every host serves one and the same of the versions, and none is on trial."""
    wait_for(lambda: uniform(shop) in versions and not on_trial(shop), BY_ITSELF, f"not uniform: {shop.served()}")
    return uniform(shop)


def on_trial(shop):
    hosts = json.loads(shop.fab("status", "--json").splitlines()[-1])["hosts"]
    return [name for name, state in hosts.items() if any(each["status"] == "pending" for each in state["generations"])]


def test_a_disk_that_gets_full_while_the_hosts_are_staged(shop):
    deploy, host = shop.start("deploy", "--version", "1.1"), shop.fleet.hosts[4]
    said = until(deploy, "staging on 8 hosts")
    host.run(["dd", "if=/dev/zero", "of=/var/fill", "bs=1M"], check=False)
    code, said = ended(deploy, said)
    assert code in (3, 4) and re.search(r"web5: .*(No space left|MB free)", said), said
    assert "no host was switched; 1.0 is served everywhere" in said and "wave" not in said
    assert settles(shop, "1.0")


def test_a_host_that_is_cut_off_while_it_is_staged(shop):
    """The disk above was full: it alone has not got the release yet."""
    deploy, host = shop.start("deploy", "--version", "1.1"), shop.fleet.hosts[4]
    said = until(deploy, "staging on 8 hosts")
    host.cut()
    code, said = ended(deploy, said)
    assert code in (3, 4) and re.search(r"web5: .*(no sign of life|connection)", said) and "no host was switched; 1.0 is served everywhere" in said, said
    host.join()
    assert settles(shop, "1.0")


def test_a_canary_that_is_unwell_takes_nobody_along(shop):
    shop.fleet.hosts[0].run(["touch", "/etc/sick-1.1"])
    said = shop.fab("deploy", "--version", "1.1", code=4)
    assert "wave 1 of 3: web1 (canary)" in said and "wave 2" not in said and "503" in said and "1.0 is served everywhere" in said
    assert settles(shop, "1.0")


def test_one_of_the_last_wave_takes_all_back(shop):
    shop.fleet.hosts[7].run(["touch", "/etc/sick-1.1"])
    said = shop.fab("deploy", "--version", "1.1", code=4)
    assert "wave 3 of 3: web5, web6, web7, web8" in said and "going back on 7 hosts" in said and "1.0 is served everywhere" in said
    assert re.search(r"web8 +failed, undone +1\.0 +1\.0", said) and len(re.findall(r"web[1-7] +taken back +1\.0 +1\.0", said)) == 7
    assert settles(shop, "1.0")


def test_hosts_that_are_cut_off_before_the_switch_after_it_and_before_their_confirmation(shop):
    """The engine on each goes on by itself, and nobody confirms it."""
    cuts = {"web6: point slot": shop.fleet.hosts[5], "web7: switch to slot": shop.fleet.hosts[6], "web8: watch the answers": shop.fleet.hosts[7]}
    deploy, said = shop.start("deploy", "--version", "1.1"), ""
    while cuts:
        said += until(deploy, "|".join(cuts))
        for words in [each for each in cuts if each in said]:
            cuts.pop(words).cut()
    code, said = ended(deploy, said)
    assert code == 6 and "1.0 on web1, web2, web3, web4, web5" in said and "unknown on web6, web7, web8" in said, said
    assert re.search(r"web6, web7, web8 goes? back by itself within \d+ s", said) and "fab status --limit web6,web7,web8" in said, said
    for host in shop.fleet.hosts[5:]:
        host.join()
    assert settles(shop, "1.0")


def test_an_operator_who_is_killed_leaves_whole_releases_and_the_same_deploy_goes_on(shop):
    deploy = shop.start("deploy", "--version", "1.1")
    until(deploy, "staging on 8 hosts")
    os.killpg(deploy.pid, signal.SIGKILL)
    deploy.communicate(timeout=60)
    wait_for(lambda: not on_trial(shop) and set(shop.served().values()) <= {"1.0", "1.1"}, BY_ITSELF, f"not settled: {shop.served()}")
    shop.fab("deploy", "--version", "1.1", "--lock-wait", "70")
    assert uniform(shop) == "1.1"
