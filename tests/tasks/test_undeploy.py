"""`fab undeploy` as an operator types it."""

import json
import os
import pty

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


def test_it_asks_and_takes_the_application_off(fab, fleet):  # noqa: F811
    done = fab("undeploy")
    assert (done.returncode, done.stderr.splitlines()) == (3, ["there is no terminal to ask on", "now:  nothing changed; 1.0 is served everywhere", "next: add --yes to take it off"])
    done = fab("undeploy", "--limit", "web1", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-3:]) == (0, ["web1: off", "  removed the application", "  kept the drop-ins"]), done.stderr
    assert not fleet.engine("web1", {"verb": "observe"})["state"]["set_up"] and fleet.serves("web2") == "1.0"
    fleet.order("web2", {"verb": "undeploy", "error": {"error": "refused", "message": "the server refuses its configuration"}})
    done = fab("undeploy", "--yes", "--purge", "--json")
    said = json.loads(done.stdout)
    assert (said["code"], said["error"]) == (5, "needs-hands") and said["effect"].startswith("off web1")
    assert said["next"] == "fab undeploy --limit web2", "the word alone would take it off all hosts"


def test_a_person_says_no(fab, fleet):  # noqa: F811
    import subprocess
    here, there = pty.openpty()
    process = subprocess.Popen([*fab.argv, "undeploy"], cwd=fleet.root, env=fab.env, stdin=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(here, b"n\n")
    out, err = process.communicate(timeout=30)
    os.close(here), os.close(there)
    assert process.returncode == 3 and "Take shop off web1, web2? [y/N]" in out and "not taken off" in err and fleet.serves("web1") == "1.0"
