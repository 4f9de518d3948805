"""A real systemd with the units that set-up installs: a switch that nobody confirms is undone at boot, and by the timer."""

import os
import signal
import subprocess
import sys

import pytest

from tests.system.hosts import Fleet, missing
from tests.system.voyage import Voyage, tool, wait_for

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
WATCH, CONFIRM = 8.0, 15


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    with Fleet(1, systemd=True) as fleet:
        made = Voyage(tmp_path_factory.mktemp("boot") / "operator", fleet)
        made.hello()
        said = made.prepare()
        assert "systemd takes this host back at boot and every half minute if a switch is not confirmed" in said
        made.fab("deploy", "--version", "0.1.0")
        yield made


def unit(host, name, what):
    return host.run(["systemctl", "show", "-P", what, name]).stdout.strip()


def switched_and_left_alone(voyage):
    """The operator's machine dies between the switch and the confirmation."""
    voyage.environment(watch=WATCH, confirm=CONFIRM)
    operator = voyage.fleet.popen([sys.executable, tool("fab"), "deploy", "--version", "0.2.0"], cwd=voyage.project, env=voyage.env,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: voyage.versions() == ["0.2.0"] or operator.poll() is not None, 60, "never switched")
    assert operator.poll() is None, "the operator was through too early"
    os.killpg(operator.pid, signal.SIGKILL)
    operator.wait()
    return voyage.fleet.hosts[0]


def test_set_up_enables_what_takes_the_host_back(voyage):
    host = voyage.fleet.hosts[0]
    assert host.run(["systemctl", "is-enabled", "weft-boot.service", "weft-recover.timer", "apache2.service"]).stdout.split() == ["enabled"] * 3
    assert unit(host, "weft-recover.timer", "ActiveState") == "active"
    assert unit(host, "apache2.service", "ActiveState") == "active", "set-up has to start Apache as systemd's service"


def test_a_reboot_in_the_trial_brings_the_old_release_before_apache_serves(voyage):
    host = switched_and_left_alone(voyage)
    host.kill()
    host.start()
    wait_for(lambda: voyage.versions() == ["0.1.0"], 30, "the host did not come back with the old release")
    assert unit(host, "weft-boot.service", "Result") == "success"
    ended, began = (int(unit(host, *what)) for what in (("weft-boot.service", "ExecMainExitTimestampMonotonic"),
                                                        ("apache2.service", "InactiveExitTimestampMonotonic")))
    assert 0 < ended <= began, "Apache served before the host had gone back"
    assert host.run(["test", "-e", "/var/lib/weft/hello/trial.json"], check=False).returncode == 1


def test_the_timer_takes_it_back_where_nothing_else_is_left(voyage):
    """The engine and the process that waits for the confirmation are killed, as by somebody short of memory."""
    host = switched_and_left_alone(voyage)
    host.run(["pkill", "-KILL", "-f", "weft-host"])
    assert voyage.versions() == ["0.2.0"]
    began = unit(host, "weft-recover.timer", "LastTriggerUSecMonotonic")
    wait_for(lambda: voyage.versions() == ["0.1.0"], CONFIRM + 60, "the timer did not take the host back")
    assert unit(host, "weft-recover.timer", "LastTriggerUSecMonotonic") != began
    assert unit(host, "weft-recover.service", "Result") == "success"


def test_the_next_deploy_goes_on(voyage):
    voyage.environment()
    voyage.fab("deploy", "--version", "0.2.0", "--lock-wait", "70")  # the minute that the killed operator has left
    assert voyage.versions() == ["0.2.0"]
    assert "removed weft-boot" not in voyage.fab("setup", "--as", "root")
