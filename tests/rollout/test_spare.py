"""What is opened before it is needed: taken once, never left open, and no failure where it does not come about."""

import threading

from weft.rollout.spare import Spare


def test_it_is_made_at_once_and_taken_once():
    closed = []
    spare = Spare(lambda: "made", closed.append)
    assert spare.take() == "made" and spare.take() is None
    spare.drop()
    assert closed == []


def test_one_that_does_not_come_about_is_none():
    def open():
        raise OSError("refused")
    assert Spare(open, lambda made: None).take() is None


def test_one_that_nobody_takes_is_closed_also_when_it_comes_later():
    may, closed, gone = threading.Event(), [], threading.Event()

    def open():
        may.wait(60)
        return "made"
    spare = Spare(open, lambda made: (closed.append(made), gone.set()))
    spare.drop()
    assert closed == []
    may.set()
    assert gone.wait(60) and closed == ["made"]
    ready = Spare(lambda: "made", closed.append)
    ready._thread.join(60)
    ready.drop()
    assert closed == ["made", "made"]
