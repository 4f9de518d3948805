"""The fleet, and that every test finds it uniform and with nothing in its way."""

import pytest

from tests.system.eight.fleet import CONFIRM, uniform
from tests.system.hosts import Fleet, missing
from tests.system.shop import Shop


@pytest.fixture(scope="package")
def fleet(tmp_path_factory):
    if missing():
        pytest.skip("this machine lacks " + "; ".join(missing()))
    with Fleet(8, disk_mb=220, rtt=0.05) as fleet:
        shop = Shop(tmp_path_factory.mktemp("eight") / "operator", fleet)
        shop.configure(confirm=CONFIRM)
        for version in ("1.0", "1.1"):
            shop.publish(version)
        shop.prepare()
        shop.fab("deploy", "--version", "1.0")
        yield shop


@pytest.fixture
def whole(fleet):
    """All eight serve one release; also for a test that is run by itself, and after one that failed."""
    if uniform(fleet) not in ("1.0", "1.1"):
        fleet.fab("deploy", "--version", "1.0", "--lock-wait", "70")
    yield fleet
    for host in fleet.fleet.hosts:
        host.join()
        host.lose(0)
        host.run(["rm", "-f", "/etc/sick-1.1", "/var/fill"])


@pytest.fixture
def shop(whole):
    """All eight serve 1.0."""
    if uniform(whole) != "1.0":
        whole.fab("deploy", "--version", "1.0", "--lock-wait", "70")
    assert uniform(whole) == "1.0"
    return whole


@pytest.fixture
def change(whole):
    """(shop, the version that all eight serve, the other one): for what is the same in either direction."""
    old = uniform(whole)
    return whole, old, "1.1" if old == "1.0" else "1.0"
