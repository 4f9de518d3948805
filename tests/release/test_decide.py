"""The decision alone: made-up sights in, versions and plans out; no repository is needed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from weft.errors import Refused
from weft.release import decide
from weft.release.decide import Wish
from weft.release.faults import Frame
from weft.release.observe import Published, Seen
from weft.release.scratch import Note
from weft.release.vcs import Remote, State
from weft.release.version import Place

HEAD, SENT = "a" * 40, "b" * 40
SEEN = Seen(state=State(HEAD, "main", "A <a@example.org>"), remote=Remote("origin", "main", HEAD), relation="same",
            places=[Place("src/app/__init__.py", 1, "1.1.3")], changelog="CHANGELOG.md", changelog_text="## 1.1.4\n\n- new\n",
            released=[], obstacle="", untracked=[], missing=[], test=["true"], locked=False)
NOTE = Note("1.1.4", SENT, "1.1.4", "c" * 40, "main", HEAD, "/srv/artifacts/app/.staging")
FRAME = Frame("app", "1.1.4", "1.1.4", "{version}", "", "/srv/artifacts", "import app:application", "Python 3.11 on x", "2024-05-06")


def tagged(*tags, **changes):
    return replace(SEEN, state=replace(SEEN.state, tags={tag: HEAD for tag in tags}), **changes)


@pytest.mark.parametrize("seen, wish, version", [
    (SEEN, Wish("2.0"), "2.0"),
    (SEEN, Wish(), "1.1.3"),
    (tagged("1.1.2"), Wish(), "1.1.3"),
    (tagged("1.1.3"), Wish(bump="minor"), "1.2.0"),
    (tagged("1.1.2"), Wish(bump="patch"), "1.1.3"),
    (tagged("1.1.9", "1.1.10"), Wish(bump="patch"), "1.1.11"),
    (replace(SEEN, released=["1.5"]), Wish(bump="patch"), "1.5.1"),
    (replace(SEEN, remote=replace(SEEN.remote, tags={"1.7": HEAD})), Wish(bump="patch"), "1.7.1"),
    (replace(SEEN, places=[Place("x", 1, "1.1.4.dev0")]), Wish(), "1.1.4"),
    (replace(SEEN, unfinished=NOTE), Wish(bump="major"), "1.1.4"),
    (replace(SEEN, unfinished=NOTE), Wish(), "1.1.4")])
def test_target(seen, wish, version):
    assert decide.target(seen, wish, "{version}") == version


@pytest.mark.parametrize("seen, wish, message, hint", [
    (tagged("1.1.3"), Wish(), "which version? 1.1.3 is the last one, and the code declares no newer",
     "inv release with --version 1.1.4, or one of: --bump patch (1.1.4), --bump minor (1.2.0), --bump major (2.0.0)"),
    (replace(SEEN, places=[]), Wish(), "which version? The code declares none", "inv release --version 0.1.0"),
    (replace(SEEN, places=[Place("", 0, "")]), Wish(bump="patch"), "there is no version to count from", "inv release --version 0.1.0")])
def test_words_that_leave_it_open(seen, wish, message, hint):
    with pytest.raises(Refused) as error:
        decide.target(seen, wish, "{version}")
    assert (error.value.message, error.value.hint) == (message, hint)


def kinds(seen, there=Published(), frame=FRAME):
    decision = decide.decide(seen, there, frame)
    assert decision.faults == (), decision.faults
    return [step.kind for step in decision.plan.steps]


MIDDLE = ["test", "build", "lock", "verify", "stage"]
LAST = ["publish", "index", "forward", "readback"]


def test_a_fresh_release():
    assert kinds(SEEN) == ["scratch", "edit", "tag", *MIDDLE, "push", *LAST]


def test_exactly_one_point_of_no_return_and_only_forward_after_it():
    steps = decide.decide(SEEN, Published(), FRAME).plan.steps
    assert [step.kind for step in steps if step.commit] == ["push"]


def test_staged_and_sent_is_only_published():
    seen = replace(SEEN, remote=replace(SEEN.remote, head=SENT, tags={"1.1.4": SENT}), relation="behind", unfinished=NOTE, staged=True)
    assert kinds(seen) == LAST


def test_sent_but_not_staged_is_built_again_from_the_tag():
    seen = replace(SEEN, remote=replace(SEEN.remote, head=SENT, tags={"1.1.4": SENT}), relation="behind", unfinished=NOTE)
    plan = decide.decide(seen, Published(), FRAME).plan
    assert [step.kind for step in plan.steps] == ["scratch", *MIDDLE, *LAST]
    assert plan.steps[0].args == {"commit": SENT, "tag": "1.1.4", "tag_id": "c" * 40, "branch": "main", "base": HEAD,
                                  "version": "1.1.4", "vendor": []}


@pytest.mark.parametrize("note, behind, said", [
    (NOTE, True, ["index", "forward", "readback"]), (NOTE, False, []), (replace(NOTE, tag="1.1.5"), True, [])])
def test_published_and_behind_the_branch_is_brought_forward(note, behind, said):
    seen = replace(SEEN, remote=replace(SEEN.remote, head=SENT, tags={"1.1.4": SENT}), unfinished=note, behind=behind)
    assert kinds(seen, Published(SimpleNamespace(commit=SENT))) == said


KEPT = replace(SEEN, chosen={"1.1.4": ["loom"], "1.1.3": ["none"]})
SENT_SO = replace(KEPT, remote=replace(SEEN.remote, head=SENT, tags={"1.1.4": SENT}), relation="behind", unfinished=NOTE)


@pytest.mark.parametrize("seen, said, vendor, chosen, kept", [
    (SEEN, None, ("all",), (), False), (SEEN, ["none"], ("none",), ("none",), False),
    (KEPT, None, ("loom",), ("loom",), True), (KEPT, ["none"], ("none",), ("none",), False), (KEPT, ["loom"], ("loom",), ("loom",), False),
    (SENT_SO, None, ("loom",), ("loom",), True), (SENT_SO, ["none"], ("none",), ("none",), False)])
def test_what_a_killed_run_was_told_counts_for_its_version(seen, said, vendor, chosen, kept):
    assert decide.vendored(seen, Wish("1.1.4", vendor=said), "1.1.4", ("all",)) == {"vendor": vendor, "chosen": chosen, "kept": kept}
    assert decide.vendored(seen, Wish("1.1.5", vendor=said), "1.1.5", ("all",))["vendor"] == (tuple(said) if said else ("all",))


def test_the_plan_says_whose_choice_it_is():
    frame = replace(FRAME, **decide.vendored(KEPT, Wish("1.1.4"), "1.1.4", ("all",)))
    steps = {step.kind: step for step in decide.decide(KEPT, Published(), frame).plan.steps}
    assert steps["lock"].text.endswith("; the store gets of the wheels loom, the others are locked by hash and fetched by `fab deploy`"
                                       "; --vendor loom, as the run before was told")
    assert steps["lock"].args["vendor"] == ["loom"] == steps["scratch"].args["vendor"]


def test_what_is_staged_and_sent_cannot_be_chosen_anew():
    staged = replace(SENT_SO, staged=True)
    assert decide.vendored(staged, Wish("1.1.4", vendor=["loom"]), "1.1.4", ("all",))["vendor"] == ("loom",)
    for seen, was in ((staged, "loom"), (replace(staged, chosen={}), "all")):
        with pytest.raises(Refused) as error:
            decide.vendored(seen, Wish("1.1.4", vendor=["none"]), "1.1.4", ("all",))
        assert error.value.lines() == [f"1.1.4 is past its point of no return, and staged with --vendor {was}", "now:  nothing changed",
                                       "next: inv release --version 1.1.4, without --vendor, finishes it"]


def test_a_tag_by_hand_on_the_declared_version_is_pushed_and_published():
    seen = tagged("1.1.4", places=[Place("x", 1, "1.1.4")])
    assert kinds(seen) == ["scratch", *MIDDLE, "push", *LAST]


def test_tags_here_and_there_that_differ():
    seen = replace(tagged("1.1.4", places=[Place("x", 1, "1.1.4")]), remote=replace(SEEN.remote, tags={"1.1.4": SENT}))
    faults = decide.decide(seen, Published(), FRAME).faults
    assert [fault.message for fault in faults] == [f"the tag 1.1.4 exists here and on origin ({SENT[:12]})"]


def test_a_setuptools_scm_project_has_no_edit_and_no_commit():
    seen = replace(SEEN, places=[Place("", 0, "")])
    assert kinds(seen) == ["scratch", "tag", *MIDDLE, "push", *LAST]


def test_places_that_differ():
    seen = replace(SEEN, places=[Place("pyproject.toml", 3, "1.1.3"), Place("app/__init__.py", 1, "1.1.2")])
    assert [fault.message for fault in decide.decide(seen, Published(), FRAME).faults] == [
        "the version is written in several places that differ: pyproject.toml:3 says 1.1.3, app/__init__.py:1 says 1.1.2"]


def test_deciding_twice_gives_the_same_digest():
    assert decide.decide(SEEN, Published(), FRAME).plan.digest() == decide.decide(SEEN, Published(), FRAME).plan.digest()
