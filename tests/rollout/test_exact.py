"""A rollout told which plans it may carry out."""

import dataclasses

import pytest

from weft.errors import Refused, UsageError
from weft.tasks.scope import digests

pytestmark = pytest.mark.slow


@pytest.fixture
def exactly(yard, quick):
    """A rollout of that version to two hosts that serve 1.0, of these plans only."""
    yard.fresh("1.0")

    def made(verb, version="", plans=frozenset()):
        rollout = quick("web1,web2").rollout(verb, version)
        rollout.job = dataclasses.replace(rollout.job, exactly=plans)
        return rollout
    return made


def shown(rollout):
    """The digests that a person is shown."""
    return {each["digest"] for each in rollout.run(plan_only=True)["hosts"].values()}


def test_the_plans_that_were_shown_are_carried_out(exactly, yard):
    plans = shown(exactly("deploy", "1.1"))
    assert len(plans) == 2
    exactly("deploy", "1.1", plans).run()
    assert [yard.serves("web1"), yard.serves("web2")] == ["1.1", "1.1"]


def test_another_plan_on_one_host_refuses_it_on_all(exactly, yard):
    plans = shown(exactly("deploy", "1.1"))
    plans.remove(gone := max(plans))
    with pytest.raises(Refused) as caught:
        exactly("deploy", "1.1", plans).run()
    assert caught.value.message.startswith("not the plan that was named: web") and caught.value.message.endswith(gone)
    assert caught.value.hint == "see what has changed: fab deploy --version 1.1 --plan"
    assert [yard.serves("web1"), yard.serves("web2")] == ["1.0", "1.0"]


def test_where_nothing_is_to_be_done_nothing_is_wrong(exactly):
    plans = shown(exactly("deploy", "1.1"))
    exactly("deploy", "1.1", plans).run()
    exactly("deploy", "1.1", plans).run()


def test_words_that_are_no_digest():
    assert digests("", "--exactly") == frozenset()
    assert digests("9030db5926c5, 110579f969f5", "--exactly") == {"9030db5926c5", "110579f969f5"}
    for text in ("9030db5926c", "9030DB5926C5", "9030db5926c5,", "1.1.4"):
        with pytest.raises(UsageError, match="--exactly: .* is no plan's digest"):
            digests(text, "--exactly")
