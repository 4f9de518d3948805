import os
import signal
import threading
import time

import pytest

from weft.rollout.pool import Stop, each


def until(holds):
    """Wait for it; a busy machine may need long."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def press_when(*moments):
    """Ctrl-C at each of them, in their order."""
    def press():
        for moment in moments:
            until(moment)
            os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=press, daemon=True).start()


def test_all_are_done_and_never_more_than_allowed_at_once():
    busy, most, done, lock = set(), [], [], threading.Lock()

    def work(n):
        with lock:
            busy.add(n)
            most.append(len(busy))
        time.sleep(0.01)
        with lock:
            busy.remove(n)
            done.append(n)
    each(range(20), work, 4, Stop())
    assert sorted(done) == list(range(20)) and max(most) == 4
    each([], work, 4, Stop())


def test_a_bug_in_a_worker_is_raised_when_the_others_have_ended():
    done, both = [], threading.Barrier(2)

    def work(n):
        both.wait(5)
        if n == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        done.append(n)
    with pytest.raises(ZeroDivisionError):
        each(range(2), work, 2, Stop())
    assert done == [1]


def test_ctrl_c_finishes_what_runs_and_starts_nothing_new():
    begun, ended, told = [], [], []
    stop = Stop(lambda: told.append(True))

    def work(n):
        begun.append(n)
        until(lambda: told)
        ended.append(n)
    press_when(lambda: len(begun) == 2)
    with stop.listening():
        each(range(6), work, 2, stop)
    assert stop and isinstance(stop.cause, KeyboardInterrupt) and told == [True]
    assert sorted(begun) == sorted(ended) == [0, 1]


def test_going_back_goes_on_after_one_ctrl_c():
    begun, ended, stop = [], [], Stop()

    def work(n):
        begun.append(n)
        until(lambda: n == 0 or stop)
        ended.append(n)
    press_when(lambda: len(begun) == 2)
    with stop.listening():
        each(range(4), work, 1, stop, heed=False)
    assert stop and ended == [0, 1, 2, 3]


def test_the_second_ctrl_c_leaves_at_once():
    begun, ended, stop, go = [], [], Stop(), threading.Event()

    def work(n):
        begun.append(n)
        go.wait(60)
        ended.append(n)
    press_when(lambda: begun, lambda: stop)
    with pytest.raises(KeyboardInterrupt), stop.listening():
        each([1], work, 1, stop)
    assert begun == [1] and ended == []
    go.set()


def test_afterwards_signals_do_what_they_did():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop().listening():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
