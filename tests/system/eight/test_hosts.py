"""What can happen to hosts and to their link in the middle of a deploy: what is served, what is said, with which exit code, and that the fleet
serves one release again with nobody's help."""

import re

import pytest

from tests.system.eight.fleet import ended, settles
from tests.system.shop import until

pytestmark = [pytest.mark.system, pytest.mark.slow]


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


def test_a_host_whose_power_is_cut_in_the_middle_of_its_switch(change):
    """It starts again as a machine does: what set-up has left there takes it back before it serves."""
    shop, old, new = change
    deploy, host = shop.start("deploy", "--version", new), shop.fleet.hosts[7]
    said = until(deploy, "web8: switch to slot")
    host.kill()
    host.start([["/usr/local/sbin/weft-host", "recover", "--all"], ["mkdir", "-p", "/run/apache2"], ["apache2ctl", "start"]])
    code, said = ended(deploy, said)
    assert (code, settles(shop, old)) == (4, old), said
    assert re.search(r"web8: .*connection", said) and f"{old} is served everywhere" in said and "going back on" in said, said
