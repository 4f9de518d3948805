"""`fab logs` and `fab run` as an operator types them."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


def put(fleet, name, *lines):  # noqa: F811
    (fleet.prefix(name) / "lines.json").write_text(json.dumps(lines))


def test_logs_of_all_hosts_by_time(fab, fleet):  # noqa: F811
    assert "no line of shop is in the logs" in fab("logs").stderr
    put(fleet, "web1", [10.0, "error", "first"], [30.0, "access", "200 slot a"])
    put(fleet, "web2", [20.0, "error", "second"], [25.0, "access", "502 slot b"])
    done = fab("logs")
    assert (done.returncode, done.stderr) == (0, "")
    assert [(line.split()[0], line.split("  ")[-1].strip()) for line in done.stdout.splitlines()] == [
        ("web1", "first"), ("web2", "second"), ("web2", "502 slot b"), ("web1", "200 slot a")]
    assert [each["text"] for each in json.loads(fab("logs", "--errors", "--json").stdout)["lines"]] == ["first", "second", "502 slot b"]
    assert len(fab("logs", "--lines", "1", "--limit", "web1").stdout.splitlines()) == 1
    assert fab("logs", "--lines", "-1").returncode == 2 and fab("logs", "--follow", "--json").returncode == 2


def test_following_ends_with_ctrl_c_and_on_the_hosts_too(fab, fleet):  # noqa: F811
    put(fleet, "web1", [10.0, "error", "first"])
    process = subprocess.Popen([*fab.argv, "logs", "--follow"], cwd=fleet.root, env=fab.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert "first" in process.stdout.readline()
    put(fleet, "web1", [10.0, "error", "first"], [11.0, "error", "second"])
    assert "second" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "") and "interrupted" in err and "Traceback" not in err
    end = time.monotonic() + 20
    while not all((fleet.prefix(name) / "followed").exists() for name in fleet.hosts):
        assert time.monotonic() < end, "the engine still follows"
        time.sleep(0.1)


def test_a_command_runs_on_the_first_host_or_all_and_gives_its_exit_code(fab, fleet):  # noqa: F811
    done = fab("run", "--command", "sh -c 'echo $WEFT_VERSION; exit 7'")
    assert (done.returncode, done.stdout) == (7, "1.0\n"), done.stderr
    done = fab("run", "--all", "--command", "echo hello")
    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, ["web1  hello", "web2  hello"])
    said = json.loads(fab("run", "--command", "sh -c 'echo no; exit 3'", "--json").stdout)
    assert (said["code"], said["hosts"]["web1"]["exit"], said["hosts"]["web1"]["stdout"], list(said["hosts"])) == (3, 3, "no\n", ["web1"])
    fleet.order("web2", {"verb": "run", "error": {"error": "refused", "message": "no release is served here"}})
    done = fab("run", "--all", "--command", "true")
    assert done.returncode == 6 and "now:  web1: ended with 0" in done.stderr
    assert fab("run").returncode == 2 and "fab run --command" in fab("run").stderr


def test_ctrl_c_ends_a_command_on_the_host(fab, fleet):  # noqa: F811
    process = subprocess.Popen([*fab.argv, "run", "--command", "sh -c 'echo on; exec sleep 60'"], cwd=fleet.root, env=fab.env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.communicate()
    os.kill(int((fleet.prefix("web1") / "command.pid").read_text()), signal.SIGKILL)  # the fake engine's: the real one ends it, see tests/host
