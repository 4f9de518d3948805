"""`fab` as an operator types it: the real program, a real sshd, fake engines behind it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import weft
from weft.testing.fleet import SSHD, Fleet

SOURCE = Path(weft.__file__).parents[1]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    if not os.path.exists(SSHD):
        pytest.skip("no sshd: apt-get install openssh-server")
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), 2)
    (fleet.root / "fabfile.py").write_text(
        f"from weft.rollout import transport\ntransport.ENGINE = {str(fleet.command)!r}\n"
        "from weft.tasks.deploy import ns\n")
    fleet.sshd.start()
    yield fleet
    fleet.sshd.stop()


@pytest.fixture
def fleet(started):
    started.fresh("1.0")
    started.configure()
    keys = started.root / "deploy" / "known_hosts"
    before = keys.read_text()
    yield started
    keys.write_text(before)


@pytest.fixture
def fab(fleet, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "HOME": str(tmp_path), "COLUMNS": "200"}
    argv = [sys.executable, "-m", "fabric", "-S", str(fleet.place / "ssh_config")]

    def fab(*words, **more):
        return subprocess.run([*argv, *words], cwd=fleet.root, env=env, capture_output=True, text=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL, **more)
    fab.argv, fab.env = argv, env
    return fab


def test_the_list_needs_no_environment_and_is_quick(fab):
    done = fab("--list")
    for name in ("deploy", "history", "plan", "rollback", "setup", "status", "trust"):
        assert f"  {name} " in done.stdout
    assert done.returncode == 0
    loaded = subprocess.run([sys.executable, "-X", "importtime", "-c", "import weft.tasks.deploy"], env=fab.env,
                            capture_output=True, text=True, check=True).stderr
    assert not {"paramiko", "fabric", "rich", "packaging.version"} & {
        text.rsplit("|", 1)[1].strip() for text in loaded.splitlines()}


def test_deploy_status_history_rollback(fab, fleet):
    done = fab("deploy", "--version", "1.1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "looking at 2 hosts"
    assert lines[1].startswith("web1, web2: 1.0 -> 1.1 (plan ")
    assert "wave 1 of 2: web1 (canary)" in lines and "web2: confirmed" in lines
    assert [line.split()[:4] for line in lines[-3:]] == [["host", "result", "was", "serves"], ["web1", "done", "1.0", "1.1"],
                                                         ["web2", "done", "1.0", "1.1"]]
    done = fab("deploy", "--version", "1.1")
    assert (done.returncode, done.stdout) == (0, "looking at 2 hosts\nweb1, web2: 1.1, nothing to do\n")
    done = fab("status", "--limit", "web1")
    heading, row = done.stdout.splitlines()
    assert heading.split() == ["host", "version", "answers", "status", "since", "by", "python"]
    assert row.split()[:4] == ["web1", "1.1", "1.1", "good"]
    assert fab("rollback").returncode == 0
    assert [fleet.serves(name) for name in fleet.hosts] == ["1.0", "1.0"]
    rows = [line.split()[:4] for line in fab("history", "--limit", "web2").stdout.splitlines()]
    assert rows == [["host", "generation", "version", "status"], ["web2", "2", "1.1", "good"], ["web2", "1*", "1.0", "good"]]


def test_json_is_one_object_and_nothing_else(fab, fleet):
    done = fab("deploy", "--version", "1.1", "--json")
    said = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    assert (said["code"], said["app"], said["env"], said["verb"]) == (0, "shop", "production", "deploy")
    assert said["hosts"]["web2"]["serves"] == "1.1"
    fleet.order("web2", {"verb": "activate", "error": {"error": "failed-undone", "message": "it broke"}})
    done = fab("deploy", "--version", "2.0", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == said["code"] == 4
    assert (said["error"], said["message"], said["effect"]) == ("failed-undone", "web2: it broke", "1.1 is served everywhere")
    assert said["details"]["hosts"]["web1"]["status"] == "reverted"


@pytest.mark.parametrize("words, message", [
    (["--version", "../x"], "'../x' is not a version"), (["--version", "-rf"], "'-rf' is not a version"),
    (["--version", "1.0;id"], "'1.0;id' is not a version"), (["--version", ""], "which version?"),
    (["--version", "--help"], "'--help' is not a version"), ([], "which version?"),
    (["--version", "1.1", "--env", "staging"], "no environment 'staging'"),
    (["--version", "1.1", "--limit", "wep1"], "--limit: no host or group 'wep1'; did you mean 'web1'?"),
])
def test_bad_words_are_refused_and_nothing_is_contacted(fab, fleet, words, message):
    done = fab("deploy", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == message
    assert "now:  nothing was contacted, nothing changed" in done.stderr
    assert not (fleet.prefix("web1") / "log").exists()


def test_a_typo_in_the_environment_is_named_with_file_and_line(fab, fleet):
    fleet.configure("waevs = [1]\n")
    done = fab("status")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith("unknown key 'rollout.waevs'; did you mean 'rollout.waves'?")
    assert "production.toml:8:" in done.stderr


def test_an_unknown_version_names_the_newest(fab, fleet):
    done = fab("deploy", "--version", "9.9")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [f"shop 9.9 is not in {fleet.root}/store", "now:  nothing changed",
                                        "next: the newest there: 2.0, 1.1, 1.0"]


def test_fabrics_own_hosts_are_refused(fab, fleet):
    done = fab("-H", "web1", "deploy", "--version", "1.1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "next: use --limit web1"
    assert fleet.serves("web1") == "1.0"


@pytest.mark.parametrize("words", [["plan", "--version", "1.1"], ["deploy", "--version", "1.1", "--plan"],
                                   ["--dry", "deploy", "--version", "1.1"], ["--dry", "rollback", "--to", "1.0"]])
def test_plan_and_dry_change_nothing(fab, fleet, words):
    if "rollback" in words:
        fleet.fresh("1.1")  # it has no 1.0 any more: the store has
    done = fab(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "point of no return" in done.stdout
    assert {verb for verb, *_ in fleet.log("web1")} == {"observe"}


def test_trust_asks_for_a_yes_and_writes_the_projects_file(fab, fleet):
    path = fleet.root / "deploy" / "known_hosts"
    path.write_text("")
    done = fab("deploy", "--version", "1.1")
    assert done.returncode == 3
    assert "next: compare with the host's own (ssh-keygen -lf on it), then: fab trust --host web1" in done.stderr
    done = fab("trust", "--host", "web1")
    assert done.returncode == 3 and path.read_text() == ""
    assert done.stderr.splitlines()[-1] == "next: if it is the host's own: fab trust --host web1 --yes"
    done = fab("trust", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_text() == fleet.sshd.known("127.0.0.2", "127.0.0.3")
    assert fab("deploy", "--version", "1.1").returncode == 0


def test_status_of_a_fleet_with_a_host_that_is_away(fab, fleet):
    fleet.order("web2", {"verb": "observe", "complain": "sudo: a password is required"})
    done = fab("status")
    assert done.returncode == 6
    assert done.stdout.splitlines()[1].split()[:2] == ["web1", "1.0"]
    assert "web2: sudo does not let" in done.stderr and "now:  what 1 of 2 hosts serve is not known" in done.stderr


def test_a_key_for_setup_that_is_a_private_one_is_refused(fab, fleet):
    path = fleet.place / "ssh" / "client_key"
    done = fab("setup", "--key", str(path))
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"--key: {path} is a private key"


def test_ctrl_c_says_what_is_served_and_how_to_go_on(fab, fleet):
    fleet.order("web1", {"verb": "activate", "sleep": 3.0})
    orders = fleet.prefix("web1") / "orders.json"
    running = subprocess.Popen([*fab.argv, "deploy", "--version", "1.1"], cwd=fleet.root, env=fab.env, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while "wave 1" not in running.stdout.readline():
        pass
    end = time.monotonic() + 60
    while json.loads(orders.read_text()):  # until web1 has the order
        assert time.monotonic() < end
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.splitlines() == ["interrupted", "now:  1.1 on web1; 1.0 on web2",
                                "next: to go on: fab deploy --version 1.1; to go back: fab rollback --limit web1"]
    assert "interrupted: nothing new is started, what is in flight is finished (again: leave at once)" in out
    assert [fleet.serves(name) for name in fleet.hosts] == ["1.1", "1.0"]


def test_on_a_terminal_it_is_alive(fab, fleet):
    ours, theirs = pty.openpty()
    env = {**fab.env, "TERM": "xterm", "NO_COLOR": "1"}
    running = subprocess.Popen([*fab.argv, "deploy", "--version", "1.1"], cwd=fleet.root, env=env, stdin=theirs,
                               stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 1 << 16):
            seen += block
    except OSError:  # the other end of a terminal that has gone
        pass
    assert running.wait(60) == 0
    text = seen.decode()
    assert "wave 1 of 2: web1 (canary)" in text and "\x1b[31m" not in text
    assert "switching" in text or "staging" in text
    assert text.rstrip().splitlines()[-1].split()[:4] == ["web2", "done", "1.0", "1.1"]
