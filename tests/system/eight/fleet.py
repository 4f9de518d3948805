"""What the tests of eight hosts ask of their fleet, and how a command ends."""

import json
import re

from tests.system.shop import until
from tests.system.voyage import wait_for

BY_ITSELF = 70
"""Seconds within which a fleet is to serve one release again, with nobody's hand."""
CONFIRM = 12
"""Seconds after which a host that is not confirmed goes back, as this environment has it."""
LATER = """import json, pathlib
for path in pathlib.Path("/var/lib/weft/shop").glob("fleet-*.json"):
    said = json.loads(path.read_text())
    if "at" in said:
        path.write_text(json.dumps({**said, "at": said["at"] - 61}))
"""


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
    wait_for(lambda: uniform(shop) in versions and not on_trial(shop), BY_ITSELF, lambda: f"not uniform: {shop.served()}")
    return uniform(shop)


def on_trial(shop):
    """The hosts that wait for a confirmation."""
    return [host.name for host in shop.fleet.hosts if not host.run(["test", "-e", "/var/lib/weft/shop/trial.json"], check=False).returncode]


def at_work(shop):
    """Those, and the hosts on which an engine is at work, as it is for a while after its operator has died."""
    return on_trial(shop) or [host.name for host in shop.fleet.hosts if not host.run(["pgrep", "-f", "weft-host"], check=False).returncode]


def a_minute_later(shop):
    """As the hosts' clocks have it: whoever has the fleet's lock was heard of a minute ago for the last time."""
    for host in shop.fleet.hosts:
        host.run(["python3", "-c", LATER])


def goes_on(shop, version, pattern):
    """A deploy, up to the first line with the pattern; it waits for the lock of whoever was killed or stalled, but not for a whole minute."""
    deploy = shop.start("deploy", "--version", version, "--lock-wait", "70")
    said = until(deploy, f"waiting for|{pattern}")
    if "waiting for" in said:
        a_minute_later(shop)
    return deploy, said if re.search(pattern, said) else said + until(deploy, pattern)
