"""A release's progress: one live line a step on a terminal, plain lines that a log can keep otherwise."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Sequence, TextIO

from weft.plan import Step
from weft.tasks import shell

_TICK = 0.1
_STILL = 30.0
_OWN = ("test", "hook")


class Live:
    """Implements weft.release.pipeline.Report. stream: where to; clock: seconds, for the elapsed time.

    The output of the project's own commands (its tests and hooks) is shown as it comes, each line with its step and time;
    when quiet, only the last lines of a failing one are.
    """

    def __init__(self, stream: TextIO | None = None, clock: Any = time.monotonic, quiet: bool = False):
        self.quiet, self.streams = quiet, False
        self.stream = stream or sys.stderr
        self.clock = clock
        self.terminal = self.stream.isatty()
        self.colour = shell.colour(self.stream)
        self.head, self.started, self.last = "", 0.0, ""
        self.ticker: threading.Thread | None = None
        self.stop = threading.Event()
        self.warnings: list[str] = []

    def begin(self, number: int, of: int, step: Step) -> None:
        self.head, self.started, self.last = f"{number:>2}/{of} {step.kind:<8}", self.clock(), ""
        self.streams = step.kind in _OWN and not self.quiet
        self.stop = threading.Event()
        self.ticker = threading.Thread(target=self._tick, args=(self.stop, self.head), daemon=True)
        self.ticker.start()

    def end(self, ok: bool, tail: Sequence[str] = ()) -> None:
        self.stop.set()
        self.ticker.join()
        mark = self._paint("32", "done") if ok else self._paint("31", "failed")
        self._line(f"{self.head} {mark} {self._elapsed()}")
        for line in () if self.streams else tail:
            self._line(f"      | {line}")

    def log(self, line: str) -> None:
        self.last = line.strip()
        if self.streams:
            self._line(f"{self.head} {self._elapsed():>6} | {line}")

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self._line(f"{self._paint('33', 'warning:')} {text}")

    def _tick(self, stop: threading.Event, head: str) -> None:
        """On a terminal the line is redrawn; in a log a long step says now and then that it still runs."""
        while not stop.wait(_TICK if self.terminal else _STILL):
            if self.terminal:
                self._write(f"\r\033[K{head} {self._elapsed()}  {self.last}"[:_width()])
            else:
                self._line(f"{head} still running, {self._elapsed()}")

    def _elapsed(self) -> str:
        return f"{self.clock() - self.started:.1f} s"

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def _line(self, text: str) -> None:
        self._write(("\r\033[K" if self.terminal else "") + text + "\n")

    def _write(self, text: str) -> None:
        """A reader that has gone away (a closed pipe) stops no release."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            pass


def _width() -> int:
    import shutil
    return shutil.get_terminal_size().columns + len("\r\033[K") - 1
