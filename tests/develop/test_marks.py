import json
import os
import signal
import subprocess

from tests.processes import ended
from weft.develop import marks
from weft.develop.marks import PATIENCE, Seen, decide
from weft.host.layout import Layout
from weft.host.processes import Mark

OLD, NEW = Mark(1, "ready", 3), Mark(2, "ready", 4)


def test_what_serves_an_older_generation_is_asked_to_end_once():
    assert decide(Seen((OLD, NEW)), 4, {}, {2}, 0.0) == marks.Orders(frozenset({1}))
    assert decide(Seen((OLD, NEW)), 4, {1: 0.0}, {2}, PATIENCE).end == frozenset()


def test_what_does_not_heed_it_is_killed():
    assert decide(Seen((OLD,)), 4, {1: 0.0}, set(), PATIENCE).kill == frozenset()
    assert decide(Seen((OLD, NEW)), 4, {1: 0.0}, {2}, PATIENCE + 0.1).kill == frozenset({1})


def test_only_what_ended_by_itself_in_its_import_has_died():
    importing = Mark(5, "starting", 4)
    assert decide(Seen(gone=(importing,)), 4, {}, set(), 0.0).died
    assert not decide(Seen(gone=(importing,)), 4, {5: 0.0}, set(), 0.0).died  # it was asked to
    assert not decide(Seen(gone=(importing,)), 5, {}, set(), 0.0).died  # there is a newer save
    assert not decide(Seen(gone=(NEW,)), 4, {}, set(), 0.0).died
    assert not decide(Seen(alive=(importing,)), 4, {}, set(), 0.0).died


def test_each_process_is_told_of_once_and_when_it_is_through():
    assert decide(Seen((OLD, NEW, Mark(5, "starting", 4), Mark(6, "failed", 4))), 4, {}, {2}, 0.0).news == (Mark(6, "failed", 4),)


def test_marks_of_the_living_and_of_the_gone(tmp_path):
    layout = Layout("shop", str(tmp_path))
    layout.run("a").mkdir(parents=True)
    children = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    try:
        children[1].send_signal(signal.SIGKILL)
        assert ended(children[1].pid)
        for pid, state in ((children[0].pid, "ready"), (children[1].pid, "starting"), (1, "ready")):
            (layout.run("a") / str(pid)).write_text(json.dumps({"state": state, "generation": 7}))
        (layout.run("a") / "12.tmp").write_text("half")
        seen = marks.look(layout, os.getpid(), os.geteuid())
        assert [mark.pid for mark in seen.alive] == [children[0].pid] and {mark.pid for mark in seen.gone} == {children[1].pid, 1}
        assert marks.look(layout, os.getpid(), os.geteuid()).gone == ()
    finally:
        for child in children:
            child.kill()
            child.wait()
