"""Hosts out of reach: they stop a rollout before anything changes, or are left out, named, and cost the exit code 6."""

import dataclasses

import pytest

from weft.errors import FailedUndone, OutcomeUnknown, Refused
from weft.rollout.access import Unreachable
from tests.rollout.conftest import needs_sshd

pytestmark = pytest.mark.slow
BROKEN = {"error": "failed-undone", "message": "the application failed to start", "next": "mend the release"}


@pytest.fixture
def without(quick, yard):
    """without(names, skip, verb, version): a rollout to hosts of which those are away."""
    yard.fresh("1.0")

    def made(names, skip, verb="deploy", version="1.1", to="", kind=Unreachable, more=""):
        env = quick(more=more)

        def open(host):
            if host.name in names:
                raise kind(f"{host.name} cannot be reached at 192.0.2.1:22: no route to host", "check that it is up")
            return env.channel(host)
        rollout = env.rollout(verb, version, to)
        rollout.job = dataclasses.replace(rollout.job, open=open, skip=skip)
        for run in rollout.runs:
            run.job = rollout.job
        return rollout
    return made


def serving(yard):
    return [yard.serves(name) for name in yard.hosts]


def test_a_host_out_of_reach_stops_a_deploy_and_the_option_is_named(without, yard):
    with pytest.raises(Refused) as caught:
        without(["web3"], skip=False).run()
    assert caught.value.message == "web3 cannot be reached at 192.0.2.1:22: no route to host"
    assert caught.value.hint == "check that it is up; --skip-unreachable goes on without it, and ends with 6"
    assert serving(yard) == ["1.0"] * 4


def test_those_out_of_reach_are_left_out_and_named(without, yard):
    rollout = without(["web1", "web3"], skip=True)
    with pytest.raises(OutcomeUnknown) as caught:
        rollout.run()
    said = caught.value
    assert said.code == 6 and said.message.splitlines() == [f"left out: {name} cannot be reached at 192.0.2.1:22: no route to host" for name in ("web1", "web3")]
    assert said.effect == "1.1 is served everywhere; not known on web1, web3"
    assert said.hint == "when they are up again: fab deploy --version 1.1 --limit web1,web3"
    assert {name: each["status"] for name, each in said.details["hosts"].items()} == {"web1": "skipped", "web2": "switched", "web3": "skipped", "web4": "switched"}
    assert serving(yard) == ["1.0", "1.1", "1.0", "1.1"]


def test_a_failure_of_the_others_comes_first_and_names_those_left_out(without, yard):
    yard.order("web2", {"verb": "activate", "error": BROKEN})
    with pytest.raises(FailedUndone) as caught:
        without(["web1"], skip=True).run()
    assert caught.value.message.splitlines()[-1].startswith("left out: web1 ") and caught.value.details["hosts"]["web1"]["status"] == "skipped"


def test_a_hook_that_fails_before_any_switch_names_them_too(without, yard):
    with pytest.raises(FailedUndone) as caught:
        without(["web1"], skip=True, more='[hooks]\nbefore_switch = ["false"]').run()
    assert caught.value.message.splitlines()[-1].startswith("left out: web1 ") and caught.value.details["hosts"]["web1"]["status"] == "skipped"


def test_a_key_that_is_not_the_hosts_stops_whatever_was_said(without, yard):
    with pytest.raises(Refused) as caught:
        without(["web3"], skip=True, kind=Refused).run()
    assert "--skip-unreachable" not in caught.value.hint and serving(yard) == ["1.0"] * 4


def test_nothing_goes_on_without_all_of_them(without, yard):
    with pytest.raises(Refused) as caught:
        without(list(yard.hosts), skip=True).run()
    assert type(caught.value) is Refused and "--skip-unreachable" not in caught.value.hint


def test_a_plan_says_6_too_and_a_rollback_goes_on(without, yard):
    with pytest.raises(OutcomeUnknown) as caught:
        without(["web1"], skip=True).run(plan_only=True)
    assert caught.value.effect.startswith("nothing changed; 1.0 is served everywhere") and caught.value.details["hosts"]["web2"]["plan"]
    without([], skip=True).run()
    with pytest.raises(OutcomeUnknown) as caught:
        without(["web1"], skip=True, verb="rollback", version="", to="1.0").run()
    assert serving(yard) == ["1.1", "1.0", "1.0", "1.0"] and caught.value.hint == "when it is up again: fab rollback --to 1.0 --limit web1"


@needs_sshd
def test_over_ssh_a_closed_port_is_out_of_reach_and_a_changed_key_is_not(load, fleet):
    from weft.rollout import ssh
    env = load()
    host = dataclasses.replace(list(env.hosts)[0], address="127.0.0.1", port=1)
    with pytest.raises(Unreachable):
        ssh.SSHChannel(host, env.access)
    keys = env.access.project_keys
    kind, other, *_ = (fleet.place / "ssh" / "client_key.pub").read_text().split()
    keys.write_text("".join(f"{line.split()[0]} {kind} {other}\n" for line in keys.read_text().splitlines()))
    with pytest.raises(Refused) as caught:
        ssh.SSHChannel(list(env.hosts)[0], env.access)
    assert not isinstance(caught.value, Unreachable)
