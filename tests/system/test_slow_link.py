"""The slow link of test hosts: it delays and loses what it says, and a fleet with it is a fleet."""

import sys

import pytest

from tests.system.hosts import Fleet, missing

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
#: The quickest of some TCP handshakes, in seconds: one round trip.
HANDSHAKES = """
import socket, sys, time
best = 9.0
for _ in range(5):
    start = time.monotonic()
    socket.create_connection((sys.argv[1], 22), timeout=20).close()
    best = min(best, time.monotonic() - start)
print(best)
"""
#: Connections to a port that nobody listens on: how many were refused within half a second, which one lost frame prevents.
ECHOES = """
import socket, sys, time
got = 0
for _ in range(int(sys.argv[2])):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.settimeout(0.5)
        try:
            one.connect((sys.argv[1], 9))
        except ConnectionRefusedError:
            got += 1
        except TimeoutError:
            pass
print(got)
"""


@pytest.fixture(scope="module")
def fleet():
    with Fleet(2, disk_mb=64, rtt=0.05) as fleet:
        yield fleet


def measured(fleet, code, *words):
    return float(fleet.run([sys.executable, "-c", code, *words]).stdout)


def test_a_round_trip_takes_its_time(fleet):
    for host in fleet.hosts:
        assert measured(fleet, HANDSHAKES, host.address) >= 0.05
    assert fleet.run(["ssh", "-F", fleet.ssh_config, "web1", "hostname"]).stdout == "web1\n"


def test_hosts_reach_each_other_without_it(fleet):
    assert float(fleet.hosts[0].run(["/usr/bin/python3", "-c", HANDSHAKES, fleet.hosts[1].address]).stdout) < 0.05


def test_one_host_loses_what_it_is_told_to_and_the_other_does_not(fleet):
    first, second = fleet.hosts
    first.lose(40)
    assert measured(fleet, ECHOES, first.address, "12") < 12 and measured(fleet, ECHOES, second.address, "12") == 12
    first.lose(0)
    assert measured(fleet, ECHOES, first.address, "12") == 12
