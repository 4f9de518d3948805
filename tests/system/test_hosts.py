"""The test hosts themselves: what the other system tests take for granted about them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.hosts import Fleet, FleetError, missing
from tests.system.hosts_disk import ROOT_NAMES
from tests.system.hosts_sweep import BASE, MARK, PREFIX, sweep

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]
ROOT = Path(__file__).parents[2]

#: An owner that never says good-bye; prints what belongs to its fleet, then waits to be killed.
OWNER = """
import json, os, time
from tests.system.hosts import Fleet
fleet = Fleet(1)
fleet.start()
client = fleet.popen(["sleep", "300"])
child = os.fork()  # it holds the pipe to the keeper, and outlives the owner
if child == 0:
    time.sleep(60)
    os._exit(0)
print(json.dumps({"id": fleet.id, "child": child, "pids": [fleet._keeper.pid, fleet.hosts[0].pid, client.pid]}), flush=True)
time.sleep(300)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("artifacts")
    (directory / "a.whl").write_text("wheel")
    return directory


@pytest.fixture(scope="module")
def fleet(shared):
    with Fleet(2, shared={"/srv/artifacts": shared}, disk_mb=64) as fleet:
        yield fleet


@contextlib.contextmanager
def owner():
    """A process that owns a fleet, and what it said about it."""
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        said = json.loads(process.stdout.readline())
        try:
            yield process, said
        finally:
            process.kill()
            os.kill(said["child"], signal.SIGKILL)


def ssh(fleet, host, command, **options):
    return fleet.run(["ssh", "-F", fleet.ssh_config, host, command], **options)


def running(pids):
    """Those of `pids` that are processes, zombies not counted."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def soon(condition, seconds=10):
    """Whether `condition` comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def links():
    return subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout


def traces(identity):
    """What can be seen of a fleet on the machine: its directory, mounts, processes."""
    mark = f"{MARK}={identity}".encode()
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") or identity.encode() in (entry / "mountinfo").read_bytes():
                processes.append(int(entry.name))
    return [path for path in BASE.glob(PREFIX + identity)] + running(processes)


def test_ssh_with_a_checked_host_key_reaches_each_host(fleet):
    for host in fleet.hosts:
        assert ssh(fleet, host.name, "hostname; id -un").stdout == f"{host.name}\nroot\n"


def test_ssh_refuses_a_host_with_another_key(fleet):
    line = fleet.known_hosts.read_text().splitlines()[0].replace("web1,10.98.0.11", "10.98.0.12")
    (fleet.dir / "wrong").write_text(line + "\n")
    done = fleet.run(["ssh", "-o", f"UserKnownHostsFile={fleet.dir}/wrong", "-F", fleet.ssh_config, "web2", "true"], check=False)
    assert done.returncode == 255 and "IDENTIFICATION HAS CHANGED" in done.stderr


def test_host_keys_are_not_those_of_the_machine_nor_of_a_neighbour(fleet):
    keys = {host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[1] for host in fleet.hosts}
    keys |= {path.read_text().split()[1] for path in Path("/etc/ssh").glob("ssh_host_ed25519_key.pub")}
    assert len(keys) == len(fleet.hosts) + len(list(Path("/etc/ssh").glob("ssh_host_ed25519_key.pub")))


def test_hosts_reach_each_other_by_name_and_have_files_of_their_own(fleet):
    first, second = fleet.hosts
    first.run(["tee", "/etc/only-here"], input="mine")
    assert first.read("/etc/only-here") == "mine"
    assert second.run(["cat", "/etc/only-here"], check=False).returncode == 1
    assert not Path("/etc/only-here").exists()
    greeting = first.run(["bash", "-c", f"exec 3<>/dev/tcp/{second.name}/22; head -c 4 <&3"]).stdout
    assert greeting == "SSH-"


def test_a_host_has_processes_and_a_root_of_its_own(fleet):
    host = fleet.hosts[0]
    assert len(host.run(["ps", "-A", "--no-headers"]).stdout.splitlines()) < 10
    assert host.run(["sh", "-c", "stat -c %i / /proc/1/root/; cat /proc/1/mountinfo"]).stdout.count("/old") == 0
    assert host.run(["cat", "/dev/vda", "/dev/sda"], check=False).returncode == 1
    assert host.run(["sh", "-c", "echo x > /dev/null && head -c 1 /dev/urandom | wc -c"]).stdout == "1\n"


def test_a_host_sees_nothing_of_the_machines_own_homes_and_sites(fleet):
    host = fleet.hosts[0]
    seen = host.run(["ls", "/home", "/mnt", "/etc/apache2/sites-enabled"]).stdout.split()
    assert seen == ["/etc/apache2/sites-enabled:", "000-default.conf", "/home:", "/mnt:"]
    assert host.run(["ls", "-A", "/root"]).stdout.split() == [".ssh"]
    assert set(host.run(["ls", "/"]).stdout.split()) <= ROOT_NAMES
    assert host.run(["sh", "-c", "ls /etc/ssh/ssh_host_*_key"]).stdout.split() == ["/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"]
    assert host.run(["ls", "-d", "/var/app", "/var/lib/weft", str(ROOT)], check=False).stdout == ""
    assert host.run(["pgrep", "apache2"], check=False).stdout == ""


def test_shared_directories_are_live_and_read_only(fleet, shared):
    host = fleet.hosts[0]
    assert host.read("/srv/artifacts/a.whl") == "wheel"
    (shared / "b.whl").write_text("later")
    assert host.read("/srv/artifacts/b.whl") == "later"
    assert "Read-only" in host.run(["touch", "/srv/artifacts/c"], check=False).stderr


def test_apache_runs_and_answers_the_operator_only_inside_the_fleet(fleet):
    fleet.hosts[0].run(["apache2ctl", "start"])
    fetch = [sys.executable, "-c", "import urllib.request as r; print(r.urlopen('http://10.98.0.11/', timeout=5).status)"]
    try:
        assert soon(lambda: fleet.run(fetch, check=False).stdout == "200\n")
        assert subprocess.run(fetch, capture_output=True, text=True, timeout=30).returncode != 0
    finally:
        fleet.hosts[0].run(["apache2ctl", "stop"])


def test_two_fleets_do_not_meet(fleet):
    with Fleet(1) as other:
        other.hosts[0].run(["touch", "/etc/other"])
        assert ssh(other, "web1", "ls /etc/other").stdout == "/etc/other\n"
        assert ssh(fleet, "web1", "ls /etc/other", check=False).returncode == 2


def test_power_off_keeps_the_disk_and_ends_every_process(fleet):
    host = fleet.hosts[0]
    host.run(["tee", "/etc/kept"], input="still here")
    host.run(["sh", "-c", "setsid sleep 300 > /dev/null 2>&1 < /dev/null & touch /run/lost"])
    pid = host.pid
    host.kill()
    assert running([pid]) == []
    with pytest.raises(FleetError, match="web1 is off"):
        host.run(["true"])
    host.start([["tee", "/run/booted"]])
    assert host.read("/etc/kept") == "still here"
    assert host.run(["sh", "-c", "ls /run/lost; pgrep sleep"], check=False).stdout == ""
    assert host.run(["test", "-e", "/run/booted"]).returncode == 0
    assert ssh(fleet, "web1", "hostname").stdout == "web1\n"


def test_a_peer_of_a_host_without_power_hears_nothing(fleet):
    host = fleet.hosts[1]
    client = fleet.popen(["bash", "-c", f"exec 3<>/dev/tcp/{host.address}/22; head -c 4 <&3; exec cat <&3"], stdout=subprocess.PIPE)
    assert client.stdout.read(4) == b"SSH-"
    host.kill()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1)
    finally:
        client.kill()
        client.communicate()
        host.start()


def test_a_cut_cable_carries_nothing_until_it_is_joined(fleet):
    host = fleet.hosts[0]
    host.cut()
    try:
        cut = fleet.run(["ssh", "-F", fleet.ssh_config, "-o", "ConnectTimeout=1", "web1", "true"], check=False)
        assert cut.returncode == 255 and host.run(["hostname"]).stdout == "web1\n"
    finally:
        host.join()
    assert ssh(fleet, "web1", "hostname").stdout == "web1\n"


def test_netem_delays_or_says_that_it_cannot(fleet):
    host = fleet.hosts[0]
    known = fleet.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"], check=False)
    if known.returncode:  # a kernel built without netem: said in tc's words, and the host goes on as it was
        with pytest.raises(FleetError, match="no netem on web1 \\(delay 50ms\\): .*kind is unknown"):
            host.netem("delay 50ms")
        assert ssh(fleet, "web1", "hostname").stdout == "web1\n"
        return
    fleet.run(["tc", "qdisc", "delete", "dev", "lo", "root"])
    host.netem("delay 50ms")
    words = fleet.run(["ping", "-c", "2", "-q", host.address]).stdout
    host.netem("")
    assert float(re.search(r"= ([\d.]+)/", words)[1]) >= 100


def test_a_full_disk_says_so_and_recovers(fleet):
    host = fleet.hosts[0]
    full = host.run(["dd", "if=/dev/zero", "of=/var/fill", "bs=1M", "count=100"], check=False)
    assert full.returncode == 1 and "No space left on device" in full.stderr
    host.run(["rm", "/var/fill"])
    host.run(["dd", "if=/dev/zero", "of=/var/fits", "bs=1M", "count=8"])


def test_a_command_that_takes_too_long_is_ended(fleet):
    host = fleet.hosts[0]
    with pytest.raises(subprocess.TimeoutExpired):
        host.run(["sleep", "271"], timeout=0.2)
    assert soon(lambda: "sleep" not in host.run(["ps", "-A"]).stdout, 2)


def test_a_failed_command_shows_its_words(fleet):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        fleet.hosts[0].run(["ls", "/no/such"])
    assert "No such file" in "".join(caught.value.__notes__)


def test_a_fleet_is_never_visible_to_the_machine_and_leaves_nothing():
    before = links()
    with Fleet(2) as fleet:
        client = fleet.popen(["sleep", "300"])
        pids = [fleet._keeper.pid, client.pid, *(host.pid for host in fleet.hosts)]
        assert len(running(pids)) == 4 and links() == before
        assert fleet.id not in Path("/proc/self/mountinfo").read_text()
    assert running(pids) == [] and traces(fleet.id) == [] and links() == before


def test_an_exception_ends_the_fleet():
    with pytest.raises(ZeroDivisionError), Fleet(1) as fleet:
        1 / 0
    assert traces(fleet.id) == []


def test_a_fleet_that_cannot_boot_leaves_nothing():
    fleet = Fleet(1, disk_mb=1)
    fleet._shared = {"/srv/artifacts": "/no/such/directory"}
    with pytest.raises(FleetError, match="web1 does not boot"):
        fleet.start()
    assert traces(fleet.id) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_owner_takes_its_fleet_along(number):
    with owner() as (process, said):
        assert len(running(said["pids"])) == 3
        process.send_signal(number)
        process.wait(10)
        assert soon(lambda: traces(said["id"]) == [] and running(said["pids"]) == [])


def test_the_sweep_removes_what_owner_and_keeper_left_when_killed_together():
    with owner() as (process, said), owner() as (_, living):
        keeper, host, client = said["pids"]
        os.kill(keeper, signal.SIGSTOP)
        process.kill()
        process.wait(10)
        os.kill(keeper, signal.SIGKILL)
        assert soon(lambda: running([keeper, host]) == []), "hosts die with their keeper"
        sweep()  # or a fleet that another test run starts just now has done it
        assert soon(lambda: traces(said["id"]) == [] and running([client]) == [])
        assert len(running(living["pids"])) == 3, "a living owner's fleet is not touched"


def test_by_hand_it_tells_how_to_use_it_and_ends_on_ctrl_c():
    words = [sys.executable, "-m", "tests.system.hosts", "up", "1"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline() for _ in range(7)]
            command = re.search(r"a host +(.*)", "".join(lines))[1]
            assert subprocess.run([*command.split(), "hostname"], capture_output=True, text=True, timeout=30).stdout == "web1\n"
            process.send_signal(signal.SIGINT)
            assert "ending the fleet" in process.communicate(timeout=20)[0]
        finally:
            process.kill()
    assert process.returncode == 0
    assert traces(re.match(r"fleet (\w+):", lines[0])[1]) == []
