"""A rollout that pauses between two waves, and goes on from what the hosts say."""

import pytest

from tests.host.conftest import host  # noqa: F401
from tests.rollout.test_freeze import hosts  # noqa: F401
from weft.errors import FailedUndone, NeedsHands, OutcomeUnknown, Refused, UsageError
from weft.plan import Plan
from weft.rollout import onward, pause
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job
from weft.rollout.pause import Paused
from weft.rollout.show import Silent

SLOW = pytest.mark.slow
BROKEN = {"error": "failed-undone", "message": "the application failed to start", "next": "mend the release"}
ALL = "web1,web2,web3,web4"


def runs(statuses):
    return [HostRun(Host(f"w{n}"), None, status=status) for n, status in enumerate(statuses, 1)]


@pytest.mark.parametrize("text, number", [("", 0), ("canary", 1), ("0", 0), ("3", 3)])
def test_which_wave_is_meant(text, number):
    assert pause.wave(text) == number


@pytest.mark.parametrize("text", ["two", "-1", "1.5", "\u00b2", "--json"])
def test_what_is_no_wave_is_refused(text):
    with pytest.raises(UsageError, match="is no wave to pause after"):
        pause.wave(text)


def names(cut):
    return [(n, "".join(host.name[1:] for host in hosts)) for n, hosts in cut]


def test_what_goes_on_counts_the_waves_from_the_beginning():
    sizes, some = ("1", "10%", "50%", "100%"), runs(["current"] + ["staged"] * 7)
    cut, of = pause.rest(Job("deploy", {}, None, on=True), some, sizes)
    assert (names(cut), of) == ([(2, "2"), (3, "34"), (4, "5678")], 4)
    cut, of = pause.rest(Job("deploy", {}, None), some, sizes)
    assert (names(cut), of) == ([(1, "2"), (2, "3"), (3, "4"), (4, "5678")], 4), "a new deploy begins with a canary"
    cut, of = pause.rest(Job("deploy", {}, None, on=True), runs(["current", "staged", "current", "current", "staged"]), ("1", "50%", "100%"))
    assert (names(cut), of) == ([(3, "25")], 3), "a wave is over when as many hosts are there as it brings"


def locked(number, token, by):
    made = runs(["switched"])
    made[0].state = {"lock": {"number": number, "token": token, "pause": by}}
    return made


def test_a_pause_is_due_where_it_was_meant_or_is_asked_for_but_not_after_the_last_wave():
    job = Job("deploy", {}, None)
    job.lock.number, job.lock.token = 4, "a" * 16
    mine, other = locked(4, "a" * 16, "ann@desk"), locked(3, "a" * 16, "ann@desk")
    assert pause.due(job, other, 1, 3, 1) == Paused(1, 3) and pause.due(job, other, 2, 3, 1) is None
    assert pause.due(job, mine, 2, 3, 0) == Paused(2, 3, "ann@desk")
    assert pause.due(job, mine, 3, 3, 3) is None and pause.due(Job("rollback", {}, None, lock=job.lock), mine, 1, 3, 1) is None


def state(live, *generations):
    """generations: (number, version, status), newest first."""
    return {"live": live, "set_up": True, "generations": [{"number": n, "version": v, "status": s, "release": f"{v}-aa"} for n, v, s in generations]}


SERVES, READY, OLD = state(2, (2, "1.1", "good"), (1, "1.0", "good")), state(1, (2, "1.1", "staged"), (1, "1.0", "good")), state(1, (1, "1.0", "good"))
BAD = state(1, (2, "1.1", "bad"), (1, "1.0", "good"))


def test_what_was_begun_is_what_some_serve_and_others_have_staged():
    said = onward.begun({"a": SERVES, "b": READY, "c": OLD})
    assert said == ("1.1", ["a"], ["b"], ["c"]) and said.said() == "1.1: served on a, staged on b; not on c, which stay as they are"
    assert onward.begun({"a": READY, "b": OLD}, unserved=True) == ("1.1", [], ["a"], []), "nobody was switched: some were not staged yet"


@pytest.mark.parametrize("states, says, next", [
    ({"a": SERVES, "b": OLD}, "no rollout was begun that could go on", "name it: fab deploy --version X"),
    ({"a": READY, "b": READY}, "no host serves 1.1 yet", "fab resume begins with the canary"),
    ({"a": READY, "b": state(1, (3, "2.0", "staged"), (1, "1.0", "good"))}, "2 versions are staged, 1.1 and 2.0: which is meant?", "name it: fab deploy --version 2.0"),
    ({"a": BAD, "b": READY}, "1.1 went bad on a", "mend it and release it; all the same: fab deploy --version 1.1"),
    ({"a": state(3, (3, "2.0", "good"), (2, "1.1", "staged"))}, "no rollout was begun that could go on", "name it: fab deploy --version X"),
])
def test_what_is_not_clear_is_refused_with_a_table(states, says, next):
    with pytest.raises(Refused) as caught:
        onward.begun(states)
    first, heading, *rows = caught.value.message.splitlines()
    assert (first, heading.split(), len(rows), caught.value.hint) == (says, ["host", "serves", "staged"], len(states), next)


def serving(yard):
    return [yard.serves(name) for name in yard.hosts]


def goes_on(env, unserved=False):
    narrowed, begun = onward.found(env.env, unserved)
    return begun, narrowed.rollout(narrowed.job("deploy", begun.version, on=True), Silent())


@SLOW
def test_paused_after_the_canary_and_promoted_without_staging_again(hosts, yard):  # noqa: F811
    yard.fresh("1.0")
    env = hosts(ALL)
    env.env = env.env.paused("canary")
    said = env.rollout("deploy", "1.1").run()
    assert said["paused"]["text"] == "paused after wave 1 of 4: 1 of 4 hosts serve 1.1"
    assert said["paused"]["next"] == "to go on: fab promote; to go back: fab rollback --limit web1"
    assert serving(yard) == ["1.1", "1.0", "1.0", "1.0"] and {each["status"] for each in said["hosts"].values()} == {"switched", "staged"}
    begun, rollout = goes_on(hosts(ALL))
    assert (begun.version, begun.serving) == ("1.1", ["web1"])
    rollout.run()
    assert serving(yard) == ["1.1"] * 4 and [[verb for verb, *_ in yard.log(name)].count("stage") for name in yard.hosts] == [1] * 4


@SLOW
def test_a_host_that_was_out_of_its_scope_stays_as_it_is(hosts, yard):  # noqa: F811
    yard.fresh("1.0")
    env = hosts("web1,web2,web3")
    env.env = env.env.paused("1")
    env.rollout("deploy", "1.1").run()
    begun, rollout = goes_on(hosts(ALL))
    assert begun.out == ["web4"]
    rollout.run()
    assert serving(yard) == ["1.1", "1.1", "1.1", "1.0"]


@SLOW
def test_resumed_after_an_interruption_before_the_canary(hosts, yard):  # noqa: F811
    yard.fresh("1.0")
    yard.order("web1", {"verb": "activate", "error": {"error": "refused", "message": "the door is shut"}})
    with pytest.raises(FailedUndone, match="the door is shut"):
        hosts("web1,web2").rollout("deploy", "1.1").run()
    _begun, rollout = goes_on(hosts("web1,web2"), unserved=True)
    rollout.run()
    assert serving(yard) == ["1.1", "1.1", "1.0", "1.0"]


@SLOW
def test_a_second_terminal_asks_for_the_pause(hosts, yard):  # noqa: F811
    yard.fresh("1.0")
    with pytest.raises(Refused, match="no rollout goes on that could pause"):
        pause.ask(hosts(ALL).env)

    class Asks(Silent):
        def host(self, name, event):
            if (name, event.get("verb"), event["event"]) == ("web1", "activate", "phase"):
                asked.append(pause.ask(hosts(ALL).env))
    asked = []
    said = hosts(ALL).rollout("deploy", "1.1", progress=Asks()).run()
    assert asked[0]["why"] == "deploy 1.1" and said["paused"]["text"].startswith("paused after wave 1 of 4, as ") and serving(yard) == ["1.1", "1.0", "1.0", "1.0"]
    _begun, rollout = goes_on(hosts("web1,web2"))
    rollout.run()
    assert serving(yard) == ["1.1", "1.1", "1.0", "1.0"], "the word was for that rollout alone"


@SLOW
def test_a_pause_that_a_host_does_not_hear_is_told(hosts, yard):  # noqa: F811
    lock = {"number": 4, "token": "a" * 16, "why": "deploy 1.1", "env": "production"}
    yard.engine("web1", {"verb": "lock", "lock": lock})
    yard.order("web2", {"verb": "lock", "complain": "x", "exit": 9})
    with pytest.raises(OutcomeUnknown) as caught:
        pause.ask(hosts(ALL).env)
    assert caught.value.effect == "it pauses only after a wave of hosts that have heard it"
    yard.engine("web1", {"verb": "lock", "lock": {**lock, "act": "release"}})
    yard.engine("web1", {"verb": "lock", "lock": {**lock, "number": 5, "why": "rollback to 1.0"}})
    with pytest.raises(Refused, match="rollback to 1.0") as caught:
        pause.ask(hosts(ALL).env)
    assert caught.value.hint == "a rollback does not pause; Ctrl-C ends it after the hosts in flight"


@SLOW
def test_a_failure_within_the_budget_is_told_before_the_pause(quick, yard):
    yard.fresh("1.0")
    env = quick(more='waves = [1, 1, "100%"]\nmax_fail = 1\npause = "2"\n')
    yard.order("web2", {"verb": "activate", "error": BROKEN})
    with pytest.raises(NeedsHands, match="web2: the application failed to start"):
        env.rollout("deploy", "1.1").run()
    assert serving(yard) == ["1.1", "1.0", "1.0", "1.0"]


@SLOW
def test_the_hooks_are_those_of_one_deploy(hosts, quick, yard, tmp_path, monkeypatch):  # noqa: F811
    def said(word):
        return f'["sh", "-c", "echo {word} $WEFT_HOST >> {tmp_path}/said"]'
    more = f'[hooks]\nbefore_switch = {said("migrate")}\nafter_switch = {said("switched")}\nafter_deploy = {said("done")}\n[hooks.host]\nafter_deploy = {said("seen")}\n'
    yard.fresh("1.0")
    env = quick("web1,web2", more)
    env.env = env.env.paused("1")
    env.rollout("deploy", "1.1").run()
    assert (tmp_path / "said").read_text().split() == ["migrate"]
    monkeypatch.setattr(yard, "configure", lambda *words: None)
    _begun, rollout = goes_on(hosts("web1,web2"))
    rollout.run()
    *lines, last = (tmp_path / "said").read_text().splitlines()
    assert lines[:2] == ["migrate", "switched"] and sorted(lines[2:]) == ["seen web1", "seen web2"] and last == "done"


@SLOW
def test_a_real_host_says_what_it_has_staged_with_these_settings(host):  # noqa: F811
    release, content = host.release("1.0")

    def ready():
        return Plan.from_json(host.ok("observe", release=release.to_json())["plan"]).ready()
    assert ready() is None
    number = host.stage(release, content)[1]["result"]["generation"]
    assert ready() == number
    host.site["settings"] = {"shop": {"colour": "blue"}}
    assert ready() is None
