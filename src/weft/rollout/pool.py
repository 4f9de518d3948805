"""Many hosts at once, boundedly; and what Ctrl-C means while they are worked on."""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator


class Stop:
    """True after the first Ctrl-C or SIGTERM. `cause` is what it would have raised, for the exit code.

    told: called once, from the thread that waits, never from a signal handler, which could interrupt a print.
    """

    def __init__(self, told: Callable[[], None] = lambda: None):
        self.cause: BaseException | None = None
        self._told: Callable[[], None] | None = told

    def __bool__(self) -> bool:
        return self.cause is not None

    def announce(self) -> None:
        """Say it, if it happened and has not been said."""
        if self and self._told:
            told, self._told = self._told, None
            told()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM: the first sets this, a second does what it always did, which is to raise."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def taken(number: int, frame: Any) -> None:
            try:
                usual = before[number]
                usual(number, frame) if callable(usual) else signal.default_int_handler(number, frame)
            except KeyboardInterrupt as pressed:
                if self:
                    raise
                self.cause = pressed
        for number in before:
            signal.signal(number, taken)
        try:
            yield
        finally:
            for number, usual in before.items():
                signal.signal(number, usual)


def each(items: Iterable[Any], work: Callable[[Any], None], parallel: int, stop: Stop, heed: bool = True) -> None:
    """Run work(item) for every item, `parallel` at once, and return when all have ended.

    When `stop` comes true, what runs is waited for, and what has not begun is not begun (unless heed is false: going back
    goes on). A second Ctrl-C raises out of here at once; the threads are daemons and end with the program.
    The first exception of a worker, which is a bug since workers keep expected errors, is raised when all have ended.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ended: queue.SimpleQueue[bool] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    bugs: list[BaseException] = []
    workers = min(parallel, waiting.qsize())
    for n in range(workers):
        threading.Thread(target=_worker, args=(waiting, work, stop if heed else None, bugs, ended), daemon=True,
                         name=f"weft-host-{n}").start()
    while workers:
        stop.announce()
        try:
            workers -= ended.get(timeout=0.2)
        except queue.Empty:
            pass
    if bugs:
        raise bugs[0]


def _worker(waiting: queue.SimpleQueue[Any], work: Callable[[Any], None], stop: Stop | None,
            bugs: list[BaseException], ended: queue.SimpleQueue[bool]) -> None:
    while not stop and not bugs:
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            break
        try:
            work(item)
        except BaseException as bug:
            bugs.append(bug)
    ended.put(True)
