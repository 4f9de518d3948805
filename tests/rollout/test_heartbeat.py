"""Two who roll out at once, one who was stalled, one who was killed: who goes on, who is refused, and what it costs when nobody is in the way."""

import contextlib
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from weft.errors import OutcomeUnknown, Refused
from weft.host import fleetlock
from weft.rollout import heartbeat
from weft.rollout.hostrun import HostRun
from weft.rollout.show import Plain, Silent

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("another_operator.py")


@pytest.fixture
def two(quick, yard):
    """The first two hosts, which serve 1.0; the others of the environment are out of scope."""
    env = quick("web1,web2")
    yard.fresh("1.0")
    return env


def verbs(yard, name):
    return [verb for verb, *_ in yard.log(name)]


def serving(yard):
    return [yard.serves(name) for name in ("web1", "web2")]


def live(yard, name):
    return yard.engine(name, {"verb": "observe"})["state"]["lock"]["live"]


class Hold(Silent):
    """Stop where a phase begins, until `go`."""

    def __init__(self, phase):
        self.phase_of, self.there, self.go = phase, threading.Event(), threading.Event()

    def phase(self, text):
        if text.startswith(self.phase_of):
            self.there.set()
            assert self.go.wait(60)


def started(rollout):
    """It runs in a thread; what it ends with lies in the list."""
    ended = []

    def run():
        try:
            ended.append(rollout.run())
        except BaseException as error:
            ended.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_nobody_in_the_way_costs_nothing_but_the_words_that_confirm_for_good(two, quick, yard):
    two.rollout("deploy", "1.1").run()
    asked = [verbs(yard, name) for name in ("web1", "web2")]
    assert [[verb for verb in each if verb != "lock"] for each in asked] == [["observe", "stage", "activate", "confirm", "confirm"]] * 2
    assert sum(each.count("lock") for each in asked) == 0, "the last confirmations have released it"
    two.rollout("deploy", "1.1").run()
    two.rollout("rollback").run()
    assert [verbs(yard, name)[5:] for name in ("web1", "web2")] == [["observe", "observe", "rollback", "confirm"]] * 2
    assert [live(yard, name) for name in ("web1", "web2")] == [True, False], "web1 was not told"
    quick("web1").rollout("deploy", "1.1").run()  # asks web2, which is out of scope
    assert yard.serves("web1") == "1.1"


def test_a_wave_of_several_is_released_by_one_word_to_one_host(quick, yard):
    env = quick("web1,web2", more='waves = ["100%"]\n')
    yard.fresh("1.0")
    env.rollout("deploy", "1.1").run()
    before = [len(verbs(yard, name)) for name in ("web1", "web2")]
    yard.order("web1", {"verb": "confirm", "sleep": 1.0})
    yard.order("web2", {"verb": "confirm", "sleep": 1.0})
    env.rollout("rollback").run()
    asked = [verbs(yard, name)[known:] for name, known in zip(("web1", "web2"), before)]
    assert sorted(each.count("lock") for each in asked) == [0, 1] and [each.count("confirm") for each in asked] == [1, 1]
    env.rollout("deploy", "2.0").run()


@pytest.mark.parametrize("first", ["a", "f"])
def test_of_two_at_once_one_goes_on_and_the_other_is_refused_naming_it(quick, yard, first):
    """Each has one of the two hosts already when it meets the other."""
    env = quick("web1,web2", more="parallel = 1\n")
    yard.fresh("1.0")
    both = threading.Barrier(2)

    class Together(Silent):
        def plans(self, _runs):
            both.wait(30)
    rollouts = [env.rollout("deploy", version, progress=Together()) for version in ("1.1", "2.0")]
    rollouts[1].runs.reverse()
    for rollout, token in zip(rollouts, (first, "c")):
        rollout.job.lock.token = token * 16
    threads = [started(each) for each in rollouts]
    for thread, _ended in threads:
        thread.join(60)
    said = [ended[0] for _thread, ended in threads]
    refused = [each for each in said if isinstance(each, Refused)]
    assert len(refused) == 1 and [isinstance(each, dict) for each in said].count(True) == 1, said
    won = ("1.1", "2.0")[said.index(next(each for each in said if isinstance(each, dict)))]
    assert won == ("1.1" if first == "f" else "2.0") and serving(yard) == [won] * 2
    assert f"(deploy {won})" in refused[0].message and refused[0].effect.startswith("no host was switched; ")


def test_who_comes_second_is_refused_before_anything_and_goes_on_when_told_to_wait(two, yard):
    hold, seen = Hold("wave 2"), io.StringIO()
    thread, ended = started(two.rollout("deploy", "1.1", progress=hold))
    assert hold.there.wait(30)
    with pytest.raises(Refused) as caught:
        two.rollout("deploy", "2.0").run()
    assert caught.value.message.startswith("web1, web2: locked by ") and " (deploy 1.1) since 20" in caught.value.message
    assert caught.value.effect == "nothing changed; 1.1 on web1; 1.0 on web2" and "--lock-wait" in caught.value.hint
    planned = io.StringIO()
    two.rollout("deploy", "2.0", progress=Plain(planned)).run(plan_only=True)
    assert "(deploy 1.1)" in planned.getvalue() and "a deploy would be refused" in planned.getvalue()
    waiting = two.rollout("rollback", to="1.0", progress=Plain(seen))
    waiting.job.lock.wait = 30.0
    second, after = started(waiting)
    while "waiting for " not in seen.getvalue() and second.is_alive():
        time.sleep(0.05)
    hold.go.set()
    thread.join(60)
    second.join(60)
    assert isinstance(ended[0], dict) and isinstance(after[0], dict), (ended, after)
    assert f"at the most: web1, web2: locked by " in seen.getvalue() and serving(yard) == ["1.0"] * 2


@pytest.fixture
def operator(yard):
    """operator(verb, version, beat): one that waits at its second wave, its process. beat: seconds between two, 3600 for one whose last is long ago."""
    processes = []

    def operator(*words, beat=3600):
        process = subprocess.Popen([sys.executable, str(PROGRAM), str(yard.place), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "BEAT": str(beat), "PYTHONPATH": str(Path(heartbeat.__file__).parents[2])})
        processes.append(process)
        while not (line := process.stdout.readline()).startswith("wave 2"):
            assert line, "it ended before its second wave"
        return process
    yield operator
    for process in processes:
        process.kill()
        process.communicate()


def go_stale(yard, seconds):
    for name in ("web1", "web2"):
        (yard.prefix(name) / "stale").write_text(str(seconds))


def a_minute_later(yard, *names):
    """As these hosts' clocks have it: whoever has their lock was heard of a minute ago for the last time."""
    for path in [each for name in names or ("web1", "web2") for each in yard.prefix(name).glob("fleet-*.json")]:
        said = json.loads(path.read_text())
        path.write_text(json.dumps({**said, "at": said["at"] - fleetlock.STALE - 1} if "at" in said else said))


@pytest.fixture(autouse=True)
def no_beats(monkeypatch):
    """Of the rollouts in this process: who is stalled here, only waits."""
    monkeypatch.setattr(heartbeat, "BEAT", 3600.0)


def wait_stale(yard):
    end = time.monotonic() + 30
    while live(yard, "web1") or live(yard, "web2"):
        assert time.monotonic() < end, "the lock does not go stale"
        time.sleep(0.1)


def test_a_stalled_operator_whose_lock_was_taken_over_changes_nothing_any_more(two, yard, operator):
    stalled = operator("deploy", "1.1", beat=0.3)
    go_stale(yard, 6.0)
    time.sleep(7.0)  # longer than the lock lives without a beat
    with pytest.raises(Refused, match="locked by"):
        two.rollout("deploy", "2.0").run()
    os.kill(stalled.pid, signal.SIGSTOP)
    wait_stale(yard)
    go_stale(yard, fleetlock.STALE)
    a_minute_later(yard)
    two.rollout("deploy", "2.0").run()
    before = [verbs(yard, name) for name in ("web1", "web2")]
    os.kill(stalled.pid, signal.SIGCONT)
    out, _ = stalled.communicate("go on\n", 60)
    said = json.loads(out.splitlines()[-1])
    assert (stalled.returncode, said["error"]) == (6, "unknown") and "taken over by" in said["message"] and "(deploy 2.0)" in said["message"]
    assert "what is served next is up to" in said["effect"] and said["details"]["hosts"]["web2"]["status"] == "overtaken"
    assert serving(yard) == ["2.0"] * 2
    after = [verbs(yard, name)[len(early):] for name, early in zip(("web1", "web2"), before)]
    states = [yard.engine(name, {"verb": "observe"})["state"] for name in ("web1", "web2")]
    assert [each["generations"][0]["status"] for each in states] == ["good"] * 2
    assert all(verb in ("observe", "lock", "activate") for each in after for verb in each), after


def test_after_an_operator_was_killed_the_next_one_goes_on_once_the_lock_is_stale(two, yard, operator):
    killed = operator("deploy", "1.1")
    killed.kill()
    killed.wait()
    with pytest.raises(Refused, match=r"locked by .* \(deploy 1.1\)"):
        two.rollout("deploy", "1.1").run()
    a_minute_later(yard)
    two.rollout("deploy", "1.1").run()
    assert serving(yard) == ["1.1"] * 2


@contextlib.contextmanager
def stalled(two, yard, phase, verb="deploy", version="1.1"):
    """A rollout, of 1.1, that stands still before a phase while its lock goes stale, and goes on in the end: what it came to."""
    hold = Hold(phase)
    thread, ended = started(two.rollout(verb, version, progress=hold))
    assert hold.there.wait(60)
    a_minute_later(yard)
    yield ended
    hold.go.set()
    thread.join(60)


def test_a_rollout_that_was_overtaken_before_its_first_switch_is_refused(two, yard):
    with stalled(two, yard, "wave 1") as ended:
        two.rollout("deploy", "2.0").run()
    assert isinstance(ended[0], Refused) and "taken over by" in ended[0].message and ended[0].effect == "no host was switched; 2.0 is served everywhere"
    assert serving(yard) == ["2.0"] * 2


def test_what_was_switched_before_it_was_overtaken_is_left_to_the_one_who_has_the_lock(two, quick, yard):
    """Somebody else has web2 only: the stalled one does not touch web1 either, which has gone back by itself."""
    with stalled(two, yard, "wave 2") as ended:
        quick("web2").rollout("deploy", "2.0").run()
    assert isinstance(ended[0], OutcomeUnknown) and serving(yard) == ["1.0", "2.0"]
    assert [each["status"] for each in ended[0].details["hosts"].values()] == ["overtaken"] * 2
    assert "revert" not in verbs(yard, "web1")


def test_the_one_who_takes_a_stale_lock_over_fences_hosts_it_has_nothing_to_do_on_too(two, yard):
    """It goes forward on web1 alone: web2 has not come to the stalled one's release yet."""
    two.rollout("deploy", "1.1").run()
    with stalled(two, yard, "wave 2", "rollback", "") as ended:
        two.rollout("deploy", "1.1").run()
    assert isinstance(ended[0], OutcomeUnknown) and "taken over by" in ended[0].message, ended
    assert serving(yard) == ["1.1"] * 2 and not [name for name in ("web1", "web2") if "revert" in verbs(yard, name)]
    two.rollout("deploy", "2.0").run()  # at once: the lock of the second has ended on both


def test_a_failed_rollout_releases_everywhere_and_one_that_leaves_at_once_does_not(two, yard):
    broken = {"error": "failed-undone", "message": "it does not start"}
    yard.order("web1", {"verb": "activate", "error": broken})
    with pytest.raises(Exception, match="it does not start"):
        two.rollout("deploy", "1.1").run()
    assert [live(yard, name) for name in ("web1", "web2")] == [False] * 2

    class Leave(Silent):
        def phase(self, text):
            if text.startswith("wave 1"):
                raise KeyboardInterrupt
    with pytest.raises(Exception, match="interrupted"):
        two.rollout("deploy", "1.1", progress=Leave()).run()
    assert [live(yard, name) for name in ("web1", "web2")] == [True] * 2


def test_a_beat_goes_beside_an_order_over_the_same_connection(fleet, load):
    env, opened = load("web1"), []
    job = env.job("status")
    run = HostRun(next(iter(env.hosts)), dataclasses.replace(job, open=lambda host: opened.append(job.open(host)) or opened[-1]))
    run.observe()
    fleet.order("web1", {"verb": "observe", "sleep": 2.0})
    slow = threading.Thread(target=run.observe)
    slow.start()
    while json.loads((fleet.prefix("web1") / "orders.json").read_text() or "[1]"):  # until the slow one has begun
        time.sleep(0.05)
    assert run.aside("lock", {"lock": {"number": 1, "token": "a" * 16}})["lock"]["live"]
    slow.join()
    assert len(opened) == 1 and run.error is None
    run.close()
    assert [verb for verb, *_ in fleet.log("web1")] == ["observe", "lock", "observe"]
