"""`fab deploy --pause-after` and `--skip-unreachable`, and `fab promote`, as an operator types them."""

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


def test_paused_then_promoted(fab, fleet):  # noqa: F811
    done = fab("deploy", "--version", "1.1", "--pause-after", "canary")
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, [
        "paused after wave 1 of 2: 1 of 2 hosts serve 1.1", "next: to go on: fab promote; to go back: fab rollback --limit web1"]), done.stderr
    done = fab("promote")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == "going on with 1.1: served on web1, staged on web2", done.stderr
    assert "wave 2 of 2: web2" in done.stdout and "staging" not in done.stdout
    assert [fleet.serves(name) for name in ("web1", "web2")] == ["1.1"] * 2


def test_a_deploy_without_a_host_that_is_away(fab, fleet):  # noqa: F811
    config = fleet.place / "ssh_config"
    before = config.read_text()
    config.write_text(before.replace(f"HostName {fleet.hosts['web2']}\n  Port {fleet.sshd.port}", f"HostName {fleet.hosts['web2']}\n  Port 1"))
    try:
        done = fab("deploy", "--version", "1.1", "--skip-unreachable")
        assert done.returncode == 6 and "left out: web2 cannot be reached at" in done.stderr, done.stderr
        assert [line.split()[:2] for line in done.stdout.splitlines()[-2:]] == [["web1", "done"], ["web2", "out"]]
    finally:
        config.write_text(before)
