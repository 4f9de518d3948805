"""The engine's migrations on a real host under a prefix: whose process it is, what it gets, what is remembered, and what a failure says."""

import dataclasses
import json
import os
import pwd
import signal
import subprocess
import time

import pytest

from tests.host.bench_host import SOURCE, HostUnderPrefix, missing
from tests.servers.test_contract import SAID
from weft.errors import Refused
from weft.host import request
from weft.host.layout import Layout
from weft.host.migrate import digest
from weft.servers import parse_site

pytestmark = pytest.mark.slow
LOOK = """
import json, os, shop, sys
json.dump({"uid": os.geteuid(), "groups": os.getgroups(), "version": shop.VERSION, "prefix": sys.prefix, "words": sys.argv[2:], "cwd": os.getcwd(),
           "text": open(sys.argv[2]).read(), "environ": dict(os.environ), "privileges": open("/proc/self/status").read()}, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def host():
    if missing():
        pytest.skip(missing())
    made = HostUnderPrefix()
    try:
        made.out = made.prefix / "out"
        made.out.mkdir()
        made.out.chmod(0o777)
        made.ok("setup")
        assert made.deploy(*made.release("1.0"))[0] == 0
        release, content = made.release("1.1")
        made.release_id = release.id
        code, last, _base = made.stage(dataclasses.replace(release, format=3, rollback_safe=False), content)
        assert code == 0
        made.number = last["result"]["generation"]
        yield made
    finally:
        made.close()


def migrate(host, *command, timeout=20, **words):
    host.site["migrate"] = {"command": list(command), "timeout": timeout}
    try:
        code, last, _events = host.call("migrate", **{"generation": host.number, **words})
    finally:
        del host.site["migrate"]
    return code, last.get("result") or last["error"]


def remembered(host, command):
    return [each["result"] for each in host.ok("observe", release=None)["state"]["migrated"] if each["command"] == digest(command)]


def test_it_runs_in_the_new_release_with_its_settings_and_as_its_account(host):
    command = ["python", "-c", LOOK, str(host.out / "seen"), "{settings}", "a; b"]
    code, said = migrate(host, *command)
    assert code == 0 and said["state"]["live"] == 1, said
    seen = json.loads((host.out / "seen").read_text())
    place = host.root / "generations" / str(host.number)
    assert seen["version"] == "1.1" and seen["prefix"] == str((place / "release").resolve() / "venv") and seen["cwd"] == "/"
    assert seen["words"] == [str(place / "settings.ini"), "a; b"] and "colour = red" in seen["text"]
    assert {key: seen["environ"].get(key) for key in ("SHOP_SHOP_COLOUR", "WEFT_VERSION", "WEFT_SETTINGS")} == {
        "SHOP_SHOP_COLOUR": "red", "WEFT_VERSION": "1.1", "WEFT_SETTINGS": str(place / "settings.ini")}
    if os.geteuid() == 0:
        assert seen["uid"] == pwd.getpwnam("nobody").pw_uid and seen["groups"] == [] and "NoNewPrivs:\t1" in seen["privileges"]
    assert remembered(host, command) == ["done"]
    history = [json.loads(line) for line in (host.prefix / "var/lib/weft/shop/history.jsonl").read_text().splitlines()]
    assert [(each["version"], each["result"], each["by"]) for each in history if each["event"] == "migrate"] == [("1.1", "done", "tester@here")]


def test_a_failure_shows_its_last_lines_and_says_what_may_have_changed(host):
    command = ["python", "-c", "print('adding a column'); raise SystemExit('there is such a column')"]
    code, said = migrate(host, *command)
    assert code == 4 and said["message"] == "the migration to 1.1 failed: there is such a column" and "adding a column" in said["details"]
    assert said["effect"] == "nothing was switched, but the database may have changed; 1.0 (generation 1) is served" and "run the same command again" in said["next"]
    assert remembered(host, command) == ["failed"]
    code, said = migrate(host, "no-such-program")
    assert code == 4 and "no-such-program: No such file or directory" in said["message"]


def test_it_is_ended_at_its_deadline_with_what_it_has_started(host):
    pids = host.out / "pids"
    code, said = migrate(host, "sh", "-c", f"echo locking the table; sleep 300 & echo $$ $! > {pids}; wait", timeout=1)
    assert code == 4 and said["message"] == "the migration to 1.1 failed: not done after 1 s" and said["details"] == ["locking the table"]
    assert [pid for pid in pids.read_text().split() if alive(pid)] == []


def test_one_that_was_cut_short_is_not_taken_for_done(host):
    command, started = ["sh", "-c", f"echo $$ > {host.out}/cut; exec sleep 300"], host.out / "cut"
    host.site["migrate"] = {"command": command, "timeout": 300}
    engine = host.start("migrate", generation=host.number)
    del host.site["migrate"]
    end = time.monotonic() + 20
    while not (started.exists() and started.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    engine.stdout.close()
    engine.stderr.close()
    end = time.monotonic() + 10
    while alive(started.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(started.read_text().strip()) and remembered(host, command) == ["begun"]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_cannot_be_migrated_is_refused_before_anything_runs(host):
    touch = ("touch", str(host.out / "touched"))
    code, said = migrate(host, *touch, generation=77)
    assert code == 3 and "there is no generation 77 here" in said["message"]
    code, last, _ = host.call("migrate", generation=host.number)
    assert code == 3 and "set up without a migration" in last["error"]["message"]
    assert host.call("activate", generation=host.number, base=1)[0] == 0
    code, said = migrate(host, *touch)
    assert code == 3 and "is on trial" in said["message"], said
    assert host.call("revert", generation=host.number)[0] == 0
    assert not (host.out / "touched").exists()


def test_nobody_goes_back_on_the_host_from_a_release_that_is_not_rollback_safe(host):
    def back(*words):
        done = subprocess.run([*host.argv(), "rollback", "shop", "--yes", *words], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
        return done.returncode, done.stdout + done.stderr

    release, content = host.release("1.1")
    host.deploy(dataclasses.replace(release, format=3, rollback_safe=False), content)
    state = host.ok("observe", release=None)["state"]
    assert state["answers"]["version"] == "1.1" and state["unsafe"] == [host.release_id]
    code, said = back()
    assert code == 3 and "1.1 is not rollback_safe" in said and "weft-host rollback shop --force-unsafe" in said and host.version() == "1.1"
    assert back("--force-unsafe")[0] == 0 and host.version() == "1.0"


@pytest.mark.parametrize("said", [[], {"command": ["x"]}, {"command": [], "timeout": 1}, {"command": ["./x"], "timeout": 1}, {"command": ["x\0"], "timeout": 1},
                                  {"command": ["x"], "timeout": 0}, {"command": ["x"], "timeout": True}, {"command": "x", "timeout": 1}, {"command": [1], "timeout": 1}])
def test_a_malformed_one_is_refused(said):
    with pytest.raises(Refused, match="migrate is not valid"):
        parse_site("shop", {**SAID, "migrate": said}, "")


def test_an_account_that_deploys_does_not_choose_it(monkeypatch):
    mine, evil = ({"command": [word, "x"], "timeout": 9} for word in ("flask", "sh"))
    for before, asked, gets, differs in [(None, evil, {}, ("migrate",)), (mine, evil, mine, ("migrate",)), (mine, mine, mine, ())]:
        monkeypatch.setattr(request.recover, "kept_site", lambda path, was=before: {**SAID, **({"migrate": was} if was else {})})
        found, other = request.as_set_up(Layout("shop"), {**SAID, "migrate": asked})
        assert found["migrate"] == gets and other == differs
