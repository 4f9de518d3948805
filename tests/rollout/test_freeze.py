import dataclasses
from functools import partial

import pytest

from weft.errors import OutcomeUnknown, Refused
from weft.rollout import freeze, survey, tables
from weft.rollout.environment import Environment

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts(quick, yard, monkeypatch):
    """hosts(limit): an environment with everything in it, without SSH, and rollouts on it."""
    real = Environment.job

    def made(limit="web1,web2"):
        env = quick(limit)
        monkeypatch.setattr(Environment, "job", lambda self, *words, **more: dataclasses.replace(real(self, *words, **more), open=partial(env.channel)))
        return env
    return made


def test_a_freeze_refuses_until_it_is_ended(hosts, yard):
    env = hosts()
    assert freeze.freeze(env.env, "moving") == ["web1", "web2"] == freeze.freeze(env.env, "moving")
    with pytest.raises(Refused) as caught:
        env.rollout("deploy", "1.0").run()
    said = caught.value
    assert said.message.startswith(f"web1, web2: frozen by {env.env.request['by']} since 20") and said.message.endswith(": moving")
    assert said.hint.startswith("when it may go on again: fab unlock") and said.code == 3
    states, _errors = survey.look(env.env)
    assert any(line.startswith("web1, web2: frozen by ") and line.endswith(": moving (fab unlock)") for line in tables.status(states))
    with pytest.raises(Refused, match="frozen by .*: moving"):
        freeze.freeze(env.env, "something else")
    assert freeze.thaw(env.env) == ["web1", "web2"] and freeze.thaw(env.env) == []
    env.rollout("deploy", "1.0").run()
    assert [yard.serves(name) for name in ("web1", "web2")] == ["1.0"] * 2


def test_a_freeze_of_some_hosts_stands_for_them_alone(hosts, yard):
    freeze.freeze(hosts("web2").env, "moving")
    hosts("web1").rollout("deploy", "1.0").run()
    with pytest.raises(Refused, match="web2: frozen"):
        hosts().rollout("deploy", "1.1").run()
    freeze.freeze(hosts("web1").env, "moving too")
    assert freeze.thaw(hosts("web2").env) == ["web2"]
    with pytest.raises(Refused, match="web1: frozen"):
        hosts().rollout("deploy", "1.1").run()


def test_a_rollout_that_goes_on_is_neither_frozen_nor_unlocked(hosts, yard):
    env, lock = hosts(), {"number": 4, "token": "a" * 16, "why": "deploy 1.1", "env": "production"}
    yard.engine("web2", {"verb": "lock", "lock": lock})
    for work in (lambda: freeze.freeze(env.env, "moving"), lambda: freeze.thaw(env.env)):
        with pytest.raises(Refused, match=r"web2: locked by test@here \(deploy 1.1\)"):
            work()
    assert [yard.engine(name, {"verb": "observe"})["state"]["lock"].get("number") for name in ("web1", "web2")] == [None, 4]


def test_hosts_that_cannot_be_frozen_are_named_and_the_same_again_freezes_them(hosts, yard):
    env = hosts()
    yard.order("web2", {"verb": "lock", "complain": "x", "exit": 9})
    with pytest.raises(OutcomeUnknown) as caught:
        freeze.freeze(env.env, "moving")
    assert caught.value.effect == "frozen: web1; not known: web2" and caught.value.hint == "run the same command again"
    assert freeze.freeze(env.env, "moving") == ["web1", "web2"]
    yard.order("web2", {"verb": "observe", "complain": "x", "exit": 9})
    with pytest.raises(OutcomeUnknown, match="web2: ") as caught:
        freeze.thaw(env.env)
    assert caught.value.effect == "free: web1; not known: web2"
    assert freeze.thaw(env.env) == ["web2"]
