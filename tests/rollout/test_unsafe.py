"""Releases that are not rollback_safe: a deploy of one that fails halts, and a way back across one is asked for in words."""

import dataclasses
import inspect
import shutil

import pytest
from invoke import Context

from weft.errors import FailedUndone, NeedsHands, Refused
from weft.host.unsafe import crossed
from weft.release.publish import Parts, manifest
from weft.rollout import soak
from weft.rollout.environment import Environment
from weft.tasks import deploy
from weft.testing.fleet import publish

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hurry")]
BROKEN = {"verb": "activate", "error": {"error": "failed-undone", "message": "the application failed to start"}}


@pytest.fixture
def two(yard, quick):
    """Two hosts that serve 1.0; the store has 3.0, which is not rollback_safe, and 3.1, which is."""
    publish(yard.root / "store", "3.0", safe=False)
    publish(yard.root / "store", "3.1")
    quick("web1,web2").rollout("deploy", "1.0").run()

    def rollout(verb, version="", to="", more="", unsafe=False, limit="web1,web2"):
        made = quick(limit, more).rollout(verb, version, to)
        made.job = dataclasses.replace(made.job, unsafe=unsafe)
        return made
    yield rollout
    for version in ("3.0", "3.1"):
        shutil.rmtree(yard.root / "store/shop" / version)


def raised(kind, rollout):
    with pytest.raises(kind) as caught:
        rollout.run()
    assert type(caught.value) is kind
    return caught.value


def served(yard):
    return [yard.serves("web1"), yard.serves("web2")]


def test_a_deploy_of_one_that_fails_halts_with_the_next_commands(two, yard):
    yard.order("web2", BROKEN)
    halted = two("deploy", "3.0")
    assert not halted.job.holds and two("deploy", "3.1").job.holds, "what is held goes back by itself"
    error = raised(NeedsHands, halted)
    assert served(yard) == ["3.0", "1.0"]
    assert error.hint == "to go on: fab deploy --version 3.0; to go back: fab rollback --force-unsafe --limit web1"
    two("deploy", "3.0").run()
    yard.order("web2", BROKEN)
    raised(FailedUndone, two("deploy", "3.1"))  # the next one goes back by itself again
    assert served(yard) == ["3.0"] * 2


def test_a_host_of_one_whose_hook_fails_after_its_switch_stays(two, yard):
    more = '[hooks.host]\nafter_switch = ["false"]'
    error = raised(NeedsHands, two("deploy", "3.0", more=more))
    assert served(yard) == ["3.0", "1.0"] and "web1 does not go back by itself" in error.message
    assert "fab rollback --force-unsafe --limit web1" in error.hint
    raised(FailedUndone, two("deploy", "2.0", more=more, limit="web2"))
    assert served(yard) == ["3.0", "1.0"]


def test_a_pause_names_the_way_back_with_its_word(two, yard):
    said = two("deploy", "3.0", more='pause = "canary"').run()
    assert said["paused"]["next"].endswith("to go back: fab rollback --force-unsafe --limit web1") and served(yard) == ["3.0", "1.0"]


def test_a_host_of_one_that_turns_bad_while_it_soaks_stays(two, yard, monkeypatch):
    monkeypatch.setattr(soak, "EVERY", 0.05)
    yard.order("web1", {"verb": "observe"}, {"verb": "observe", "window": {"traffic": "9 of 90 requests failed after the switch"}})
    error = raised(NeedsHands, two("deploy", "3.0", more="soak = 0.1"))
    assert served(yard) == ["3.0", "1.0"] and "web1 does not go back by itself" in error.message
    assert "fab rollback --force-unsafe --limit web1" in error.hint


def test_a_way_back_across_one_is_asked_for_in_words(two, yard):
    two("deploy", "3.0").run()
    error = raised(Refused, two("rollback"))
    assert "web1, web2: 3.0 is not rollback_safe" in error.message and "fab rollback --force-unsafe" in error.hint
    assert "fab deploy --version 1.0 --force-unsafe" in raised(Refused, two("deploy", "1.0")).hint
    two("deploy", "3.1").run()
    assert "fab rollback --to 1.0 --force-unsafe" in raised(Refused, two("rollback", to="1.0")).hint
    two("rollback").run()  # from 3.1 to 3.0 none is crossed
    assert served(yard) == ["3.0"] * 2
    two("rollback", to="1.0", unsafe=True).run()
    assert served(yard) == ["1.0"] * 2


def state(*chain, live=None, unsafe=("x",)):
    """Generations of versions, oldest first; one that ends with ! is unsafe."""
    made = [{"number": n, "version": each.rstrip("!"), "release": "x" if each.endswith("!") else "y", "previous": n - 1} for n, each in enumerate(chain, 1)]
    return {"generations": made[::-1], "live": live or len(made), "unsafe": list(unsafe)}


@pytest.mark.parametrize("seen, to, back, found", [
    (state("1", "2!"), "1", True, ["2"]), (state("1", "2!", "3"), "1", True, ["2"]), (state("1", "2!", "3"), "2", True, []), (state("1!", "2"), "1", True, []),
    (state("1", "2!", "3!"), "1", True, ["3", "2"]), (state("1", "2!", live=1), "0", True, []), (state("1", "2!"), "0.9", True, ["2"]),
    (state("1", "2!"), "3", False, []), (state("1", "2!"), "1", False, ["2"]), (state("1", "2!"), "2", False, []), (state("1", "2!", unsafe=()), "1", True, []),
    ({}, "1", True, []), ({"live": None, "generations": []}, "1", True, []),
])
def test_what_a_way_crosses(seen, to, back, found):
    assert crossed(seen, to, back) == found


@pytest.mark.parametrize("name, words", [("rollback", {"to": "1.0"}), ("deploy", {"version": "1.0"}), ("plan", {"version": "1.0"})])
def test_the_word_reaches_the_rollout(monkeypatch, capsys, name, words):
    """As `--force-unsafe` of each task."""
    asked = []

    class Asked:
        def job(self, *more, **named):
            asked.append(inspect.signature(Environment.job).bind(self, *more, **named).arguments.get("unsafe", False))
            raise Refused("enough")

    monkeypatch.setattr(deploy, "load", lambda *more: Asked())
    for unsafe in (False, True):
        with pytest.raises(SystemExit):
            getattr(deploy, name)(Context(), force_unsafe=unsafe, **words)
    assert asked == [False, True]


def test_the_manifest_of_a_release_says_it(tmp_path):
    wheel = tmp_path / "shop-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    made = [manifest("shop", "1.0", "c", "1.0", 0, Parts(["3.11"]), "shop:app", "", {wheel.name: ("wheel", wheel)}, {}, "", safe) for safe in (True, False)]
    assert [(each.format, each.rollback_safe) for each in made] == [(2, True), (3, False)]
