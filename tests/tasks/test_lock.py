"""`fab lock` and `fab unlock` as an operator types them, and what a deploy says meanwhile."""

import json

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("words", [["deploy", "--version", "1.1"], ["rollback"]])
@pytest.mark.parametrize("wait", ["abc", "-5", "1.5", "inf"])
def test_a_wait_that_is_no_number_is_one_line_and_contacts_nobody(fab, fleet, words, wait):  # noqa: F811
    done = fab(*words, f"--lock-wait={wait}")
    assert done.returncode == 2 and done.stderr.splitlines() == [
        f"--lock-wait: {wait!r} is no whole number", "now:  nothing was contacted, nothing changed", "next: such as --lock-wait 600"]


def test_frozen_until_unlocked(fab, fleet):  # noqa: F811
    assert fab("deploy", "--version", "1.1").returncode == 0
    done = fab("lock")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "why?")
    done = fab("lock", "--why", "database moves until Monday")
    assert (done.returncode, done.stdout) == (0, "web1, web2: frozen (fab unlock ends it)\n"), done.stderr
    done = fab("deploy", "--version", "2.0", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["error"], said["next"]) == (3, "refused", "when it may go on again: fab unlock")
    assert said["message"].startswith("web1, web2: frozen by ") and said["message"].endswith(": database moves until Monday")
    done = fab("rollback", "--lock-wait", "1")
    assert done.returncode == 3 and "waiting for 1 s at the most: web1, web2: frozen by " in done.stdout
    assert ": database moves until Monday (fab unlock)" in fab("status").stdout
    assert json.loads(fab("unlock", "--json").stdout) == {"app": "shop", "code": 0, "env": "production", "free": ["web1", "web2"]}
    assert fab("unlock").stdout == "nothing was frozen\n"
    assert fab("rollback").returncode == 0
