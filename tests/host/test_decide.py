"""The engine's decisions: pure, so every case is a line."""

from dataclasses import replace

import pytest

from tests.test_values import WHEEL, release
from weft.errors import Refused
from weft.host import decide, wayback
from weft.host.state import HostState, Kept
from weft.values import Artifact, Generation

INSTALLER = Artifact("tools/pip-26-py3-none-any.whl", "installer", 5, "b" * 64)
DEPENDENCY = Artifact("wheelhouse/x-1-py3-none-any.whl", "dependency", 5, "d" * 64)
RELEASE = release(artifacts=(WHEEL, INSTALLER, DEPENDENCY))
PLACEHOLDER = Generation(0, "placeholder", "0", "", "good")
EMPTY = HostState("shop", "web1", "0.1.0", True, 0, "a", {"a": 0, "b": 0}, {}, (PLACEHOLDER,), disk_free=1 << 34, python="3.11")


def gen(number, version, status="good", previous=None, settings=""):
    return Generation(number, f"{version}-aaaaaa", version, settings, status, previous=number - 1 if previous is None else previous)


def served(live, *generations, slot="a", other=0):
    return replace(EMPTY, live=live, slot=slot, slots={slot: live, "b" if slot == "a" else "a": other},
                   generations=tuple(sorted([*generations, PLACEHOLDER], key=lambda g: -g.number)),
                   sealed=frozenset(g.release for g in generations))


def kinds(plan):
    return [s.kind for s in plan.steps]


def test_first_stage_does_everything_once():
    assert kinds(decide.stage(EMPTY, RELEASE, "", "me")) == ["fetch", "tools", "layer", "release", "generation", "check"]


def test_same_lock_needs_no_layer_and_sealed_release_only_a_generation():
    assert kinds(decide.stage(replace(EMPTY, layers=frozenset([RELEASE.layer])), RELEASE, "", "me")) == [
        "fetch", "tools", "release", "generation", "check"]
    here = replace(EMPTY, sealed=frozenset([RELEASE.id]), cached=frozenset(a.sha256 for a in RELEASE.for_host()))
    assert kinds(decide.stage(here, RELEASE, "", "me")) == ["generation", "check"]


def test_a_generation_that_is_just_that_is_used_again():
    one = Generation(1, RELEASE.id, "1.0", "", "good", previous=0)
    here = replace(EMPTY, generations=(one, PLACEHOLDER), sealed=frozenset([RELEASE.id]), cached=frozenset(a.sha256 for a in RELEASE.for_host()))
    plan = decide.stage(here, RELEASE, "", "me")
    assert kinds(plan) == ["check"] and plan.steps[0].args == {"generation": 1}
    assert kinds(decide.stage(here, RELEASE, "other settings", "me")) == ["generation", "check"]


def test_activate_uses_the_idle_slot_and_keeps_what_is_warm():
    state = served(2, gen(1, "1.0"), gen(2, "1.1"), slot="b", other=1)
    assert kinds(decide.activate(state, gen(1, "1.0"))) == ["ready", "door", "flip", "watch"]
    plan = decide.activate(state, gen(3, "1.2"))
    assert kinds(plan) == ["point", "restart", "door", "flip", "watch"]
    assert {s.args.get("slot") for s in plan.steps if s.kind != "watch"} == {"a"}
    assert [s.kind for s in plan.steps if s.commit] == ["flip"]


@pytest.mark.parametrize("state, to, number", [
    (served(2, gen(1, "1.0"), gen(2, "1.1")), "", 1),
    (served(3, gen(1, "1.0"), gen(2, "1.1", "bad"), gen(3, "1.2", previous=1)), "", 1),
    (served(3, gen(1, "1.0"), gen(2, "1.1", "bad"), gen(3, "1.2", previous=2)), "", 1),
    (served(1, gen(1, "1.0", previous=0), gen(2, "1.1"), gen(3, "1.2")), "1.2", 3),
    (served(3, gen(1, "1.0"), gen(2, "1.0", settings="x"), gen(3, "1.1")), "1.0", 2),
])
def test_rollback_follows_the_record(state, to, number):
    assert wayback.way(state, to).generation.number == number


@pytest.mark.parametrize("state, to, says", [
    (EMPTY, "", "there is no earlier release to go back to"),
    (served(1, gen(1, "1.0", previous=0)), "", "there is no earlier release to go back to"),
    (served(1, gen(1, "1.0", previous=0)), "1.0", "1.0 is served already"),
    (served(2, gen(1, "1.0", "bad"), gen(2, "1.1")), "1.0", "1.0 went bad on this host"),
    (served(2, gen(2, "1.1", previous=2)), "", "no earlier release"),
])
def test_rollback_refuses(state, to, says):
    with pytest.raises(Refused, match=says):
        wayback.way(state, to)


def test_a_host_that_serves_the_version_already_has_nothing_to_do():
    assert decide.there_already(served(1, gen(1, "1.0", previous=0)), "1.0")
    assert not decide.there_already(served(1, gen(1, "1.0", "pending", previous=0)), "1.0")
    assert not decide.there_already(served(2, gen(1, "1.0"), gen(2, "1.1")), "1.0") and not decide.there_already(EMPTY, "")


@pytest.mark.parametrize("number, says", [(2, "generation 2 is served already"), (0, "generation 0 has no release"), (3, "generation 3 has no release")])
def test_what_cannot_be_switched_to_is_refused(number, says):
    state = replace(served(2, gen(1, "1.0"), gen(2, "1.1"), gen(3, "1.2")), sealed=frozenset(["1.0-aaaaaa", "1.1-aaaaaa"]))
    decide.unfit(state, state.generation(1))
    with pytest.raises(Refused, match=says):
        decide.unfit(state, state.generation(number))


def test_faults_before_anything_is_sent():
    assert decide.deploy_faults(EMPTY, RELEASE) == []
    assert "built for Python 3.12, the host's is 3.11" in decide.deploy_faults(EMPTY, release(pythons="3.12", artifacts=RELEASE.artifacts))[0].message
    assert "the disk has 1 MB free" in decide.deploy_faults(replace(EMPTY, disk_free=1 << 20), RELEASE)[0].message
    assert "carries no installer" in decide.deploy_faults(EMPTY, release())[0].message


def test_prune_keeps_five_good_ones_what_runs_and_the_way_back():
    all_of_them = [gen(n, f"1.{n}") for n in range(1, 10)]
    old, releases, _ = decide.prunable(served(9, *all_of_them, other=8))
    assert sorted(old) == [1, 2, 3, 4] and sorted(releases) == [f"1.{n}-aaaaaa" for n in (1, 2, 3, 4)]
    gone_back = served(2, *all_of_them, other=9)
    old, _, _ = decide.prunable(gone_back)
    assert 1 not in old and 2 not in old, "the way back of a rolled back host stays"


def test_a_release_for_several_pythons():
    whole = release(pythons=("3.10", "3.12"), artifacts=(WHEEL, INSTALLER, DEPENDENCY))
    assert decide.own_part(EMPTY, whole) is whole
    fault = decide.deploy_faults(EMPTY, whole)[0]
    assert fault.message == "shop 1.0 was built for Python 3.10 and 3.12, the host's is 3.11"
    assert fault.next == 'release it with [tool.weft] python = ["3.10", "3.11", "3.12"]'
    host = replace(EMPTY, python="3.12")
    assert decide.own_part(host, whole) == whole.part("3.12") and decide.deploy_faults(host, whole.part("3.12")) == []


def kept(version, status="good", files=("f",)):
    return Kept(f"{version}-aaaaaa", version, status, "2026-01-01T00:00:00Z", files=files)


@pytest.mark.parametrize("change, to, force, source, number", [
    ({"slots": {"a": 3, "b": 1}}, "1.0", (), "slot", 1),
    ({}, "1.0", (), "installed", 1),
    ({"sealed": frozenset(), "kept": (kept("1.0"),), "cached": frozenset("f")}, "1.0", (), "cache", 1),
    ({"kept": (kept("0.9"),), "cached": frozenset("f")}, "0.9", (), "cache", None),
    ({"kept": (kept("0.9"),)}, "0.9", (), "store", None),
    ({"kept": (kept("0.9", ""),), "cached": frozenset("f")}, "0.9", (), "store", None),
    ({"kept": (kept("0.9", "bad"),), "cached": frozenset("f")}, "0.9", ("bad",), "cache", None),
    ({"sealed": frozenset()}, "", (), "store", 1),
    ({}, "1.1", ("bad",), "installed", 2),
    ({}, "7.7", (), "store", None),
])
def test_a_rollback_takes_the_nearest_way(change, to, force, source, number):
    state = replace(served(3, gen(1, "1.0"), gen(2, "1.1", "bad"), gen(3, "1.2")), **change)
    found = wayback.way(state, to, force)
    assert (found.source, found.generation.number if found.generation else None) == (source, number)


def test_what_went_bad_is_refused_with_the_way_to_force_it():
    state = replace(served(2, gen(1, "1.0", "bad"), gen(2, "1.1")), kept=(kept("0.9", "bad"),), cached=frozenset("f"))
    for version in ("1.0", "0.9"):
        with pytest.raises(Refused) as refused:
            wayback.way(state, version)
        assert f"--to {version} --force-bad" in refused.value.hint


def test_five_releases_are_kept_and_not_five_generations_of_one():
    releases = [gen(n, f"1.{n}") for n in range(1, 6)]
    again = [Generation(n, "1.5-aaaaaa", "1.5", f"settings {n}", "good", previous=n - 1) for n in range(6, 12)]
    old, gone, _ = decide.prunable(served(11, *releases, *again, other=10))
    assert gone == [] and sorted(old) == [5, 6, 7, 8, 9]


def test_what_is_pinned_stays():
    state = replace(served(9, *(gen(n, f"1.{n}") for n in range(1, 10)), other=8), pins={"1.1": {}})
    old, gone, _ = decide.prunable(state)
    assert 1 not in old and sorted(gone) == ["1.2-aaaaaa", "1.3-aaaaaa", "1.4-aaaaaa"]


def test_the_cache_remembers_as_many_releases_again_as_are_installed():
    state = replace(served(9, gen(9, "2.9")), kept=(*(kept(f"1.{n}") for n in range(8)), kept("0.1", ""), kept("2.9")), pins={"1.7": {}})
    assert decide.forgettable(state) == ["1.5-aaaaaa", "1.6-aaaaaa", "0.1-aaaaaa"]


def test_the_part_that_a_host_took_is_found_again_in_the_signed_manifest(tmp_path):
    from weft.host import kept as memory
    from weft.host.layout import Layout
    from weft.host.trust import Proof
    whole = release(pythons=("3.11", "3.12"), artifacts=RELEASE.artifacts)
    here, layout = whole.part("3.12"), Layout("shop", str(tmp_path))
    layout.state.mkdir(parents=True)
    memory.keep(layout, here, Proof(whole.text(), "signature"))
    assert memory.load(layout, here.id) == (here, Proof(whole.text(), "signature"))
    memory.note(layout, here.id, Generation(1, here.id, "1.0", "", "good"))
    assert [(k.release, k.version, k.status) for k in memory.listing(layout)] == [(here.id, "1.0", "good")]
    with pytest.raises(Refused, match="cannot be read"):
        memory.load(layout, "1.0-000000")
