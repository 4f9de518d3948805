"""A deploy as a person does it on a bad day: hosts out of the rotation while they are switched, one that is switched off, one behind a bad link, and a pause
from another machine."""

import pytest

from tests.system.eight.fleet import CONFIRM, ended, settles
from tests.system.shop import until
from tests.system.voyage import wait_for

pytestmark = [pytest.mark.system, pytest.mark.slow]
HOOK = """#!/bin/sh
# hook WORD HOST: note on the host, over SSH, what is served there now; the canary's drain is held until there is a file `go`
ssh -F {config} "$2" "echo $1 \\$(curl -s -H 'Host: app.example.org' http://127.0.0.1/) $WEFT_RESULT >> /root/rotation"
while [ "$1 $2" = "drain web1" ] && ! [ -e {go} ]; do sleep 0.1; done
"""
HOOKS = """[hooks.host]
before_switch = ["./hook", "drain", "{host}"]
after_switch = ["./hook", "undrain", "{host}"]
timeout = 120
"""


def test_hooks_over_ssh_a_pause_from_elsewhere_a_host_that_is_off_and_one_that_loses_a_frame_in_twenty(change):
    shop, old, new = change
    hook, go, off = shop.project / "hook", shop.home / "go", shop.fleet.hosts[7]
    hook.write_text(HOOK.format(config=shop.fleet.ssh_config, go=go))
    hook.chmod(0o755)
    shop.configure(confirm=CONFIRM, more=HOOKS)
    off.kill()
    shop.fleet.hosts[4].lose(5)
    try:
        deploy = shop.start("deploy", "--version", new, "--skip-unreachable")
        said = until(deploy, "wave 1 of 3")
        wait_for(lambda: shop.fleet.hosts[0].run(["test", "-e", "/root/rotation"], check=False).returncode == 0, 60, "web1 is not drained")
        asked = shop.fab("pause", "--exclude", "web8")
        assert f"(deploy {new}) to pause after the wave in flight; fab promote" in asked
        go.touch()
        code, said = ended(deploy, said)
        assert code == 6 and "paused after wave 1 of 3, as tester@" in said and f"1 of 7 hosts serve {new}" in said and "left out: web8" in said, said
        assert [shop.served()[name] for name in ("web1", "web2", "web7")] == [new, old, old]
        said = shop.fab("promote", "--skip-unreachable", code=6)
        assert "going on with" in said and "wave 1" not in said and f"fab deploy --version {new} --limit web8" in said, said
    finally:
        off.start([["mkdir", "-p", "/run/apache2"], ["apache2ctl", "start"]])
        shop.configure(confirm=CONFIRM)
    for host in shop.fleet.hosts[:7]:
        seen = host.read("/root/rotation")
        first, last = seen.splitlines()
        assert first.startswith("drain ") and f'"version": "{old}"' in first, seen
        assert last.startswith("undrain ") and f'"version": "{new}"' in last and last.endswith("switched"), seen
        host.run(["rm", "/root/rotation"])
    shop.fab("deploy", "--version", new)
    assert settles(shop, new)
