"""`fab doctor` as an operator types it."""

import json

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


def test_what_is_missing_is_told_with_its_command(fab, fleet):  # noqa: F811
    done = fab("doctor")
    assert (done.returncode, done.stderr) == (0, "") and "web2" in done.stdout and "fail" not in done.stdout
    assert "the newest is 2.0" in done.stdout.splitlines()[0]
    fleet.order("web1", {"verb": "observe", "faults": [{"message": "the server does not run", "next": "start it: apache2ctl start"}]})
    fleet.configure('[hooks]\nbefore_stage = ["no-such-program"]\n')
    done = fab("doctor")
    assert done.returncode == 3 and done.stderr.splitlines()[0].endswith("checks fail") and "web1" in done.stdout
    assert "  next: start it: apache2ctl start" in done.stdout and "there is no program 'no-such-program' on the PATH" in done.stdout
    (fleet.root / "deploy" / "known_hosts").write_text("")
    fleet.configure()
    said = json.loads(fab("doctor", "--json").stdout)
    assert said["code"] == 3 and said["error"] == "refused"
    assert {(each["where"], each["result"]) for each in said["details"]["checks"] if each["where"] != "here"} == {("web1", "fail"), ("web2", "fail")}
    assert all("fab trust" in each["next"] for each in said["details"]["checks"] if each["result"] == "fail")
