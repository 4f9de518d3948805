import pytest

from weft import apply
from weft.errors import FailedUndone, NeedsHands, Refused
from weft.journal import Journal
from weft.plan import Plan, Step


class Recorder:
    def __init__(self, log, name, fails=None, undo_fails=None):
        self.log, self.name, self.fails, self.undo_fails = log, name, fails, undo_fails

    def do(self, **args):
        self.log.append(f"do {self.name}")
        if self.fails:
            raise self.fails
        return self.name.upper()

    def undo(self, **args):
        self.log.append(f"undo {self.name}")
        if self.undo_fails:
            raise self.undo_fails


PLAN = Plan("web1", "1", "2", (Step("a", "do a"), Step("b", "do b", {}, True), Step("c", "do c")))


def run(tmp_path, **faults):
    log, events = [], []
    actions = {n: Recorder(log, n, faults.get(n), faults.get(f"undo_{n}")) for n in "abc"}
    try:
        return apply.run(PLAN, actions, Journal(tmp_path / "j"), events.append, lambda: "1.0 is served"), log, events
    except Exception as error:
        return error, log, events


def test_all_steps_in_order_with_results_and_events(tmp_path):
    result, log, events = run(tmp_path)
    assert result == {"a": "A", "b": "B", "c": "C"} and log == ["do a", "do b", "do c"]
    assert [(e["n"], e["state"]) for e in events] == [(1, "start"), (1, "done"), (2, "start"), (2, "done"), (3, "start"), (3, "done")]
    assert [e["event"] for e in Journal(tmp_path / "j").read()] == ["plan", *["begin", "done"] * 3, "end"]


def test_a_failure_undoes_the_failing_step_and_those_before_last_first(tmp_path):
    error, log, _ = run(tmp_path, c=Refused("no", "try this"))
    assert isinstance(error, FailedUndone) and (error.message, error.hint, error.effect) == ("no", "try this", "1.0 is served")
    assert log == ["do a", "do b", "do c", "undo c", "undo b", "undo a"]


@pytest.mark.parametrize("number, cause", [(28, "make room on the host"), (122, "make room on the host"), (5, "correct the cause")])
def test_a_full_or_broken_disk_is_no_traceback(tmp_path, number, cause):
    error, _, _ = run(tmp_path, b=OSError(number, "says the kernel"))
    assert type(error) is FailedUndone and error.message == f"do b: [Errno {number}] says the kernel" and error.hint == f"{cause}, then run the same command again"


def test_a_bug_stays_a_bug_but_is_undone(tmp_path):
    error, log, _ = run(tmp_path, b=ZeroDivisionError("x"))
    assert isinstance(error, ZeroDivisionError) and log[-1] == "undo a"


def test_a_failing_undo_needs_hands(tmp_path):
    error, log, _ = run(tmp_path, c=Refused("no"), undo_b=OSError("stuck"))
    assert isinstance(error, NeedsHands) and "undoing 'do b' failed: stuck" in error.message


def test_journal_passes_over_torn_lines(tmp_path):
    journal = Journal(tmp_path / "j", clock=lambda: 1.0)
    journal.append("one")
    with (tmp_path / "j").open("a") as handle:
        handle.write('{"event": "to')
    journal.append("two")
    assert [e["event"] for e in journal.read()] == ["one", "two"]


def test_plan_digest_and_json():
    assert Plan.from_json(PLAN.to_json()) == PLAN
    assert PLAN.digest() != Plan("web1", "2", "2", PLAN.steps).digest()
    assert PLAN.describe()[1] == " 2. do b   <- point of no return"
