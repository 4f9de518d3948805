"""Migrations of a rollout over real processes: when and where they run, that they run once, and what their failure means."""

import dataclasses
import io
import os
import signal
import threading

import pytest

from tests.rollout.conftest import end_left, wait_for_order
from tests.rollout.test_heartbeat import a_minute_later
from tests.test_values import release
from weft.config.load import environment
from weft.errors import FailedUndone, Interrupted, OutcomeUnknown, Refused, WeftError
from weft.host.migrate import digest
from weft.rollout import migration
from weft.rollout.show import Plain, Silent
from weft.rollout.site import site

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hurry")]
COMMAND = ["python", "-m", "shop.migrate"]
BROKEN = {"verb": "activate", "error": {"error": "failed-undone", "message": "the application failed to start"}}


@pytest.fixture
def migrating(quick):
    """migrating(limit, command, more): the environment, with a migration."""
    def load(limit="", command=COMMAND, more=""):
        made = quick(limit, more)
        made.env = dataclasses.replace(made.env, site={**made.env.site, "migrate": {"command": list(command), "timeout": 5}})
        return made
    return load


def verbs(yard, name):
    return [verb for verb, *_ in yard.log(name)]


def migrations(yard):
    return {name: verbs(yard, name).count("migrate") for name in yard.hosts if "migrate" in verbs(yard, name)}


def raised(kind, rollout):
    with pytest.raises(kind) as caught:
        rollout.run()
    return caught.value


def test_once_on_the_canary_between_all_stages_and_the_first_switch(migrating, yard):
    hook = yard.root / "hook"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    migrating(more='[hooks]\nbefore_switch = ["./hook"]').rollout("deploy", "1.0").run()
    assert migrations(yard) == {"web1": 1}
    assert [verb for verb in verbs(yard, "web1") if verb in ("stage", "migrate", "activate")] == ["stage", "migrate", "activate"]
    begun = next(start for verb, start, _end in yard.log("web1") if verb == "migrate")
    assert all(end <= begun for name in yard.hosts for verb, _start, end in yard.log(name) if verb == "stage")
    assert all(start >= begun for name in yard.hosts for verb, start, _end in yard.log(name) if verb == "activate")


def test_the_same_release_and_command_migrate_once(migrating, yard):
    yard.order("web2", BROKEN)
    error = raised(FailedUndone, migrating().rollout("deploy", "1.0"))
    assert "besides: the database has been migrated for 1.0" in error.message
    migrating("web2").rollout("deploy", "1.0").run()  # the host that has it is out of scope
    migrating().rollout("deploy", "1.0").run()
    assert migrations(yard) == {"web1": 1}
    migrating("web3", [*COMMAND, "--all"]).rollout("deploy", "1.1").run()
    migrating("web3").rollout("rollback").run()
    migrating("web3").rollout("deploy", "1.1").run()
    assert migrations(yard) == {"web1": 1, "web3": 2}


def test_a_plan_names_it_and_runs_nothing(migrating, yard):
    out = io.StringIO()
    migrating().rollout("deploy", "1.0", progress=Plain(out)).run(plan_only=True)
    assert "once, before the first switch, on web1: python -m shop.migrate" in out.getvalue() and migrations(yard) == {}


@pytest.mark.parametrize("order, kind, says, effect", [
    ({"error": {"error": "failed-undone", "message": "the migration to 1.0 failed: locked", "next": "mend it", "details": ["waiting", "locked"]}}, FailedUndone,
     ["web1: the migration to 1.0 failed: locked", "    waiting"], "no host was switched, but the database may have changed; no release is served everywhere"),
    ({"error": {"error": "refused", "message": "web1 is busy"}}, Refused, ["web1 is busy"], "no host was switched; no release is served everywhere"),
    ({"die": "after"}, OutcomeUnknown, ["web1: "], "no host was switched, but the migration may still be at work on web1"),
])
def test_its_failure_switches_nothing_and_the_same_command_goes_on(migrating, yard, order, kind, says, effect):
    yard.order("web1", {"verb": "migrate", **order})
    error = raised(kind, migrating().rollout("deploy", "1.0"))
    assert type(error) is kind and all(each in error.message for each in says) and error.effect.startswith(effect)
    assert all("activate" not in verbs(yard, name) for name in yard.hosts)
    migrating().rollout("deploy", "1.0").run()
    assert [yard.serves(name) for name in yard.hosts] == ["1.0"] * 4


class Press(Silent):
    """Ctrl-C, so many times, once the migration is at work."""

    def __init__(self, yard, times):
        self.yard, self.times = yard, times

    def host(self, name, event):
        if event.get("verb") == "migrate" and event["event"] == "phase":
            threading.Thread(target=self._press, daemon=True).start()

    def phase(self, text):
        if text.startswith("interrupted") and self.times > 1:
            os.kill(os.getpid(), signal.SIGINT)

    def _press(self):
        wait_for_order(self.yard, "web1")
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_lets_it_end_and_switches_nothing(migrating, yard):
    yard.order("web1", {"verb": "migrate", "sleep": 0.5})
    error = raised(Interrupted, migrating().rollout("deploy", "1.0", progress=Press(yard, 1)))
    assert error.lines() == ["interrupted before anything was switched\nbesides: the database has been migrated for 1.0",
                             "now:  no release is served everywhere", "next: to go on: fab deploy --version 1.0"]
    migrating().rollout("deploy", "1.0").run()
    assert migrations(yard) == {"web1": 1} and [yard.serves(name) for name in yard.hosts] == ["1.0"] * 4


def test_a_second_ctrl_c_leaves_and_says_where_it_may_be_at_work(migrating, yard):
    yard.order("web1", {"verb": "migrate", "sleep": 600})
    rollout = migrating().rollout("deploy", "1.0", progress=Press(yard, 2))
    try:
        error = raised(Interrupted, rollout)
    finally:
        end_left(rollout.runs[0])
    assert error.lines() == ["interrupted before anything was switched", "now:  no release is served everywhere; the migration may still be at work on web1, "
                             "and the database may have changed", "next: to go on: fab deploy --version 1.0"]
    a_minute_later(yard, *yard.hosts)  # whoever leaves at once leaves the lock to go stale
    migrating().rollout("deploy", "1.0").run()
    assert migrations(yard) == {"web1": 1} and [yard.serves(name) for name in yard.hosts] == ["1.0"] * 4


def note(**changes):
    return {"migrated": [{"release": release().id, "command": digest(COMMAND), "result": "done", **changes}]}


@pytest.mark.parametrize("states, found", [
    ({}, ""), ({"web1": {}, "web2": note()}, "web2"), ({"web1": note(result="failed")}, ""), ({"web1": note(result="begun")}, ""),
    ({"web1": note(command="0")}, ""), ({"web1": note(release="1.0-abcdef")}, ""),
])
def test_who_has_migrated(states, found):
    assert migration.done_on(release(), COMMAND, states) == found


def told(place, text):
    (place / "deploy").mkdir()
    (place / "deploy/production.toml").write_text('hosts = ["web1"]\n' + text)
    return site(environment(place), "shop")


@pytest.mark.parametrize("text, says", [
    ('migrate = ["./manage"]', "'./manage' is neither a program's name nor a whole path"), ('migrate = [""]', "neither"),
    ('migrate = ["x"]\nmigrate_timeout = 0', "must be 1 or more"), ('migrate = ["x"]\nmigrate_timeout = 86401', "a day"),
])
def test_what_makes_no_sense_is_told_by_key(tmp_path, text, says):
    with pytest.raises(WeftError, match=says):
        told(tmp_path, text)


def test_the_host_is_told_what_there_is(tmp_path):
    assert told(tmp_path, 'migrate = ["flask", "db"]')["migrate"] == {"command": ["flask", "db"], "timeout": 600}
