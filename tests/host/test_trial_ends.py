"""How a trial ends when something else than the operator's next word comes: a reboot, a lost connection, a stopped or a killed engine,
a word that is late, said twice, or about another generation."""

import json
import os
import signal
import time

import pytest

from tests.host import light_engine
from tests.host.light import PYTHON
from tests.host.light_host import make_release, serving
from weft.host import lock, trial
from weft.host.layout import Layout

pytestmark = pytest.mark.slow
LATER = 100_000


@pytest.fixture(scope="module")
def light():
    with serving("0.9", "1.0", keep="serves 1.0") as host:
        host.given = dict(host.site)
        yield host


@pytest.fixture
def host(light):
    """It serves 1.0, with 0.9 before it."""
    light.site = dict(light.given)
    light.restore("serves 1.0")
    return light


def version(host):
    return host.get()[1]["version"]


def soon(what, seconds=30):
    """Whether it comes true."""
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return what()


def staged(host, number="1.1"):
    done = host.stage(*make_release(number))
    assert done["code"] == 0, done
    return done["last"]["result"]["generation"]


def on_trial(host, number="1.1"):
    generation = staged(host, number)
    host.ok("activate", generation=generation, base=2)
    assert version(host) == number
    return generation


def goes_on(host, number="1.2"):
    """The next command, with no cleaning up."""
    host.deploy(*make_release(number))
    assert version(host) == number and host.faults() == []


def lines(host, name):
    return [json.loads(line) for line in (host.state / name).read_text().splitlines()]


def confirm(host, generation, **fault):
    """(exit code, error)."""
    done = host.ask("confirm", generation=generation, fault=fault)
    return done["code"], done["last"].get("error", {})


@pytest.mark.parametrize("order", ["recovery before the server", "the server first"])
def test_a_reboot_inside_the_trial(host, order):
    number = on_trial(host)
    reboot = [lambda: host.recover(boot="another"), lambda: host.get("/-/restart")]
    for act in reboot if order == "recovery before the server" else reversed(reboot):
        act()
    assert version(host) == "1.0" and host.records()[number]["note"] == "the host was started anew before it was confirmed"
    code, error = confirm(host, number, boot="another")
    assert (code, error["effect"]) == (4, "1.0 (generation 2) is served") and "went back by itself" in error["message"]
    assert version(host) == "1.0"
    goes_on(host)


def test_a_reboot_after_the_confirmation_changes_nothing(host):
    confirm(host, on_trial(host))
    host.recover(boot="another")
    host.get("/-/restart")
    assert version(host) == "1.1"
    goes_on(host)


def test_an_operator_whose_connection_is_lost_right_after_the_switch(host):
    number = staged(host)
    host.site.update(watch=0.5, confirm=1)
    engine = light_engine.start(host, "activate", generation=number, base=2)
    light_engine.until(engine, "flip", "done")
    engine.stdout.close()
    os.kill(engine.pid, signal.SIGHUP)
    assert engine.wait(60) == 0, "it finished what it did, with nobody to hear it"
    assert soon(lambda: version(host) == "1.0") and soon(lambda: not (host.state / "trial.json").exists())
    assert host.records()[number]["note"] == "was not confirmed in time"
    host.site = dict(host.given)
    goes_on(host)


def test_an_engine_that_is_stopped_past_the_end_of_its_trial_loses_the_lock_and_writes_no_more(host):
    number = staged(host)
    host.site["watch"] = 60
    engine = light_engine.start(host, "activate", generation=number, base=2)
    light_engine.until(engine, "flip", "done")
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        host.site = dict(host.given)
        done = host.ask("rollback", to="", base=number)
        assert done["code"] == 3 and done["last"]["error"]["message"].startswith("locked by anna@desk (activate) since 20"), done
        assert version(host) == "1.1", "its time is not over yet"
        assert host.recover(ahead=LATER)["last"].get("failed", {}) == {}
        assert version(host) == "1.0"
        goes_on(host)
        before = (host.state / "journal.jsonl").read_bytes(), host.records()
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait(60) == -signal.SIGKILL
    engine.stdout.close()
    assert ((host.state / "journal.jsonl").read_bytes(), host.records()) == before and version(host) == "1.2"


def staging(host, step):
    """An engine that installs 1.1 beside what is served, and has come to that step."""
    release, content = make_release("1.1")
    wanted = host.ok("observe", release=release.to_json())["missing"]
    engine = light_engine.start(host, "stage", [content[each] for each in wanted], release=release.to_json(), base=2,
                                files=[{"sha256": each, "size": len(content[each])} for each in wanted])
    light_engine.until(engine, step, "start")
    return engine


def test_an_engine_that_is_stopped_before_the_switch_keeps_others_out_and_goes_on_when_it_is_let(host):
    engine = staging(host, "fetch")
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        done = host.ask("rollback", to="", base=2)
        assert done["code"] == 3 and done["last"]["error"]["message"].startswith("locked by anna@desk (stage) since 20"), done
        assert version(host) == "1.0"
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    said = json.loads(engine.stdout.read().splitlines()[-1])
    assert engine.wait(60) == 0 and said["result"]["generation"] == 3
    engine.stdout.close()
    goes_on(host)


def test_an_engine_that_stays_stopped_before_the_switch_is_ended_after_its_lease(host):
    engine = staging(host, "fetch")
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        assert host.ask("rollback", to="", base=2)["code"] == 3, "its lease is not over"
        assert host.recover(ahead=lock.LEASE + 1)["last"].get("failed", {}) == {} and version(host) == "1.0"
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait(60) == -signal.SIGKILL
    engine.stdout.close()
    goes_on(host)


WRITER = r"""#!/bin/sh
# The light python; one of its steps goes on for ever, with a child that has left its session.
case "$*" in
  *"@STEP@"*)
    setsid sh -c 'while :; do date >> "$0/left"; sleep 0.02; done' @PLACE@ &
    while :; do date >> @PLACE@/own; sleep 0.02; done ;;
esac
"""


def writers(place, step):
    """Processes that write there: who has left the session, and who has not."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{name}/cmdline", "rb").read().decode().split("\0")
            dead = open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()[0] in "ZX"
        except OSError:
            continue
        if not dead and words[0].endswith("sh") and str(place) in words:
            found.append(("left", int(name)))
        elif not dead and words[0].endswith("sh") and step in " ".join(words):
            found.append(("own", int(name)))
    return dict(found)


@pytest.mark.parametrize("step", ["-m compileall", "runpy.run_path("])
def test_what_a_killed_engine_left_running_is_ended(host, step):
    """What installs is ended by the kernel with all that it has forked; of the check the next command ends what has left the session."""
    place, slow = host.tools / "written", host.tools / "slow"
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    slow.write_text(WRITER.replace("@STEP@", step).replace("@PLACE@", str(place)) + PYTHON)
    slow.chmod(0o755)
    site, host.site = host.site, {**host.site, "python": str(slow)}
    host.ok("setup")
    engine = staging(host, "release")
    assert soon(lambda: {"own", "left"} <= set(writers(place, step)))
    orphan = writers(place, step)["left"]
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    engine.stdout.close()
    try:
        left = {} if step == "-m compileall" and os.geteuid() == 0 else {"left": orphan}
        assert soon(lambda: writers(place, step) == left)
        assert version(host) == "1.0"
        host.site = site
        host.ok("setup")
        assert writers(place, step) == {}
    finally:
        for pid in writers(place, step).values():
            os.kill(pid, signal.SIGKILL)
    ended = [each["pid"] for each in lines(host, "journal.jsonl") if each["event"] == "ended"]
    assert set(left.values()) <= set(ended) and bool(left) == bool(ended) and host.faults() == []
    goes_on(host)


def test_a_confirmation_that_comes_too_late(host):
    number = on_trial(host)
    code, error = confirm(host, number, ahead=LATER)
    assert (code, error["effect"]) == (4, "1.0 (generation 2) is served") and "went back by itself" in error["message"]
    assert version(host) == "1.0"
    assert confirm(host, number, ahead=LATER)[0] == 4, "said again it is no less late"
    goes_on(host)


def test_a_confirmation_that_is_said_twice(host):
    number = on_trial(host)
    assert confirm(host, number)[0] == 0
    before = host.records(), lines(host, "history.jsonl")
    assert confirm(host, number)[0] == 0 and confirm(host, number, ahead=LATER)[0] == 0
    assert (host.records(), lines(host, "history.jsonl")) == before and version(host) == "1.1"
    goes_on(host)


@pytest.mark.parametrize("other", [1, 2, 3, 99, -1])
def test_a_confirmation_of_another_generation_than_the_one_on_trial(host, other):
    staged(host, "1.3")  # generation 3, never switched to
    number = staged(host, "1.1")
    host.ok("activate", generation=number, base=2)
    before = host.records(), (host.state / "trial.json").read_bytes()
    code, error = confirm(host, other)
    never = other in (3, 99, -1)
    assert (code, error["effect"]) == (3 if never else 4, f"1.1 (generation {number}) is served") and f"generation {other} is not served" in error["message"]
    assert (host.records(), (host.state / "trial.json").read_bytes()) == before, "it stays on trial"
    assert host.recover(ahead=LATER)["code"] == 0 and version(host) == "1.0"
    goes_on(host)


def test_two_trials_of_one_moment_are_not_taken_for_each_other(tmp_path, monkeypatch):
    """The name of the one that was confirmed last says which pending one only lacks its record: the same name would confirm another."""
    layout = Layout("shop", str(tmp_path))
    monkeypatch.setattr(trial, "now", lambda: 1000.0)
    monkeypatch.setattr(trial, "set_status", lambda *_words, **_more: None)
    layout.trial.parent.mkdir(parents=True)
    seen = set()
    for number in (1, 2, 1):
        trial.begin(layout, "a", number, 60.0)
        seen.add(json.loads(layout.trial.read_text())["id"])
    assert len(seen) == 3
