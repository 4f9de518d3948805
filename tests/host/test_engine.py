"""The engine on a real private Apache: what is served after each command, and what each failure leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

from tests.host.bench_host import SOURCE


def test_setup_is_done_once_and_shows_a_placeholder(host):
    assert host.get() == (503, "No release has been deployed yet.\n")
    assert host.ok("setup")["did"] == []


def test_deploy_serves_code_and_settings_together(host):
    code, last = host.deploy(*host.release("1.0", "[shop]\ncolour = red\ncolour[TEST] = green\n"))
    assert code == 0, last
    status, body = host.get()
    assert (status, body["version"], body["lazy_version"], body["settings"]) == (200, "1.0", "1.0", "green")
    assert body["release"].startswith("1.0-")
    assert "colour = green" in (host.prefix / "etc/shop.ini").read_text()
    assert last["result"]["state"]["answers"]["release"] == body["release"]


def test_same_deploy_again_is_nothing_to_do_and_new_settings_are_a_deploy(host):
    release, content = host.release("1.0")
    host.deploy(release, content)
    assert host.ok("observe", release=release.to_json())["plan"] is None
    host.site["settings"] = {"shop": {"colour": "blue"}}
    assert host.ok("observe", release=release.to_json())["plan"] is not None
    host.deploy(release, content)
    assert host.get()[1]["settings"] == "blue"
    state = host.ok("observe", rollback={"to": ""})["state"]
    host.ok("rollback", to="", base=state["live"])
    assert host.get()[1]["settings"] == "red", "settings roll back with the release"


def test_release_that_cannot_import_never_reaches_users_and_leaves_nothing(host):
    host.deploy(*host.release("1.0"))
    before = host.tree()
    code, last = host.deploy(*host.release("1.1", top="import not_there"))
    assert code == 4
    assert last["error"]["message"] == "the application cannot be imported: ModuleNotFoundError: No module named 'not_there'"
    assert last["error"]["effect"] == "1.0 (generation 1) is served"
    assert "    import not_there" in last["error"]["details"]
    assert (host.version(), host.tree()) == ("1.0", before)


@pytest.mark.parametrize("bad, says", [
    ({"status": '"500 Oops"'}, "status 500"),
    ({"says": '"9.9"'}, "the answer does not contain '\"version\": \"1.1\"'"),
    ({"inside": "raise RuntimeError(1)"}, "status 500"),
])
def test_candidate_that_is_not_healthy_stays_behind_its_door(host, bad, says):
    host.site["health"]["timeout"] = 2
    host.ok("setup")
    host.deploy(*host.release("1.0"))
    code, last = host.deploy(*host.release("1.1", **bad))
    assert code == 4
    assert last["error"]["message"].startswith(f"the candidate is not healthy: GET /: {says}")
    assert host.version() == "1.0"
    code, last = host.deploy(*host.release("1.2"))
    assert (code, host.version()) == (0, "1.2"), "the next good one passes"


def test_death_in_the_daemon_only_is_seen_with_its_traceback(host):
    host.deploy(*host.release("1.0"))
    code, last = host.deploy(*host.release("1.1", top="import mod_wsgi_not_the_check if 'mod_wsgi' in __import__('sys').modules else None"))
    assert code in (3, 4)
    assert host.version() == "1.0"


def test_rollback_goes_to_the_one_before_and_to_a_version_and_refuses_the_rest(host):
    for version in ("1.0", "1.1", "1.2"):
        host.deploy(*host.release(version))
    result = host.ok("rollback", to="", base=3)
    assert host.version() == "1.1" and result["status"] == "pending"
    host.ok("confirm", generation=2)
    host.ok("rollback", to="1.0", base=2)
    assert host.version() == "1.0"
    host.ok("confirm", generation=1)
    code, last, _ = host.call("rollback", to="", base=1)
    assert (code, last["error"]["message"]) == (3, "there is no earlier release to go back to")
    code, last, _ = host.call("rollback", to="7.7", base=1)
    assert code == 3 and "it can go back to: 1.2, 1.1" in last["error"]["next"]
    assert host.version() == "1.0"


def test_unconfirmed_generation_goes_back_by_itself(host):
    host.deploy(*host.release("1.0"))
    host.site["confirm"] = 2
    code, last = host.deploy(*host.release("1.1"), confirm=False)
    assert code == 0 and last["result"]["status"] == "pending" and host.version() == "1.1"
    assert host.wait_version("1.0", 10) == "1.0"
    code, last, _ = host.call("confirm", generation=last["result"]["generation"])
    assert (code, last["error"]["message"]) == (4, "generation 2 is not served any more: it went back by itself")
    state = host.ok("observe", release=None)["state"]
    assert [(g["version"], g["status"], g["note"]) for g in state["generations"]][:1] == [("1.1", "bad", "was not confirmed in time")]


def test_a_confirmation_of_what_is_not_served_says_why(host):
    host.deploy(*host.release("1.0"))
    host.deploy(*host.release("1.1"))
    code, last, _ = host.call("confirm", generation=1)
    assert (code, last["error"]["message"]) == (4, "generation 1 is not served any more: another one has taken its place")
    code, last, _ = host.call("confirm", generation=9)
    assert (code, last["error"]["message"]) == (3, "generation 9 is not served: there is nothing to confirm")
    assert host.version() == "1.1"


def test_confirmed_generation_stays_after_the_deadline(host):
    host.site["confirm"] = 6  # long enough for a starved machine to confirm within it
    assert host.deploy(*host.release("1.0"))[0] == 0
    time.sleep(7.5)
    assert host.version() == "1.0"


def test_revert_undoes_a_trial_and_a_confirmed_generation(host):
    host.deploy(*host.release("1.0"))
    host.deploy(*host.release("1.1"), confirm=False)
    host.ok("revert", generation=2)
    assert host.version() == "1.0"
    host.deploy(*host.release("1.2"))
    assert host.version() == "1.2"
    assert host.ok("revert", generation=3)["state"]["live"] == 1
    assert host.version() == "1.0"
    assert host.ok("revert", generation=3)["state"]["live"] == 1, "twice is as good"


def test_revert_of_a_confirmed_rollback_serves_again_what_was_served_before_it(host):
    for version in ("1.0", "1.1"):
        host.deploy(*host.release(version))
    host.ok("rollback", to="", base=2)
    host.ok("confirm", generation=1)
    assert host.version() == "1.0"
    host.ok("revert", generation=1)
    assert host.version() == "1.1"
    assert [g["status"] for g in host.ok("observe", release=None)["state"]["generations"]] == ["good", "good", "good"]


def test_revert_of_the_first_deploy_brings_the_placeholder_back(host):
    host.deploy(*host.release("1.0"))
    host.ok("revert", generation=1)
    assert host.get()[0] == 503


def test_second_operator_is_refused_by_name_and_a_stale_plan_too(host):
    release, content = host.release("1.0")
    host.deploy(release, content)
    code, last, _ = host.call("activate", generation=1, base=0)
    assert code == 3 and last["error"]["message"].endswith(
        "generation 1 serves, the plan was made for 0: somebody else was faster")
    import fcntl
    with open(host.prefix / "var/lib/weft/shop/lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(json.dumps({"by": "anna@desk", "verb": "stage", "since": "2026-01-01T00:00:00Z", "pid": os.getpid()}))
        lock.flush()
        code, last, _ = host.call("revert", generation=1)
    assert (code, last["error"]["message"]) == (3, "locked by anna@desk (stage) since 2026-01-01 00:00:00 UTC")


def test_bytes_that_differ_from_the_manifest_are_refused(host):
    release, content = host.release("1.0")
    wheel = release.of_kind("wheel")[0]
    wrong = {**content, wheel.sha256: b"x" * wheel.size}
    before = host.tree()
    code, last, _base = host.stage(release, wrong)
    assert code == 4
    assert last["error"]["message"] == "a file that came is not the one in the manifest (its sha256 differs)"
    assert host.tree() == before and wheel.sha256 not in os.listdir(host.root / "cache")


def test_connection_that_ends_in_a_file(host):
    release, content = host.release("1.0")
    files = [{"sha256": a.sha256, "size": a.size} for a in release.for_host()]
    code, last, _ = host.call("stage", [b"short"], release=release.to_json(), base=0, files=files)
    assert code == 4 and last["error"]["message"].startswith("the connection ended ")


def test_hand_edit_is_refused_then_kept_as_a_drop_in(host):
    host.deploy(*host.release("1.0"))
    shown = host.prefix / "etc/shop.ini"
    shown.write_text(shown.read_text().replace("red", "hand-made"))
    release, content = host.release("1.1")
    faults = host.ok("observe", release=release.to_json())["faults"]
    assert [f["message"] for f in faults] == [f"{shown} was edited by hand; a deploy would hide the edit"]
    done = subprocess.run([*host.argv(), "keep-edit", "shop"], capture_output=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    assert done.returncode == 0, done.stdout
    code, last = host.deploy(release, content)
    assert (code, host.get()[1]["settings"]) == (0, "hand-made"), last


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.6, 0.9, 1.2, 1.5])
def test_killed_engine_leaves_the_old_release_and_the_next_command_finishes(host, seconds):
    host.deploy(*host.release("1.0"))
    release, content = host.release("1.1")
    wanted = [a for a in release.for_host() if a.sha256 not in os.listdir(host.root / "cache")]
    process = host.start("stage", [content[a.sha256] for a in wanted], release=release.to_json(), base=1,
                         files=[{"sha256": a.sha256, "size": a.size} for a in wanted])
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    assert host.version() == "1.0"
    code, last = host.deploy(release, content)
    assert (code, host.version()) == (0, "1.1"), last


def test_no_more_than_what_is_needed_is_kept(host):
    for number in range(9):
        code, last = host.deploy(*host.release(f"1.{number}"))
        assert code == 0, last
    versions = sorted(p.name.split("-")[0] for p in (host.root / "releases").iterdir())
    assert versions == ["1.4", "1.5", "1.6", "1.7", "1.8", "placeholder"]
    assert sorted(int(p.name) for p in (host.root / "generations").iterdir()) == [0, 5, 6, 7, 8, 9]


def test_words_that_are_not_understood(host):
    done = subprocess.run([sys.executable, "-m", "weft.host", "explode"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(SOURCE)})
    assert done.returncode == 2
    assert done.stderr.startswith("unknown command 'explode'") and not done.stdout


def test_verify_names_what_was_changed_in_a_sealed_release(host):
    host.deploy(*host.release("1.0"))
    assert not any(host.ok("verify")["drift"].values())
    name = next(p.name for p in (host.root / "releases").iterdir() if p.name.startswith("1.0"))
    path = next((host.root / "releases" / name).rglob("shop/app.py"))
    os.chmod(path, 0o644)
    path.write_text(path.read_text() + "\n# mended in place at night\n")
    drift = host.ok("verify")["drift"]
    assert drift[f"releases/{name}"] == [f"changed {path.relative_to(host.root / 'releases' / name)}"]
    assert sum(map(len, drift.values())) == 1
