"""What a person sees while a rollout runs: a live line a host on a terminal, plain lines for a log, nothing for --json.

Plain lines carry no time of their own: what keeps them (journal, CI) adds it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, Sequence, TextIO

from weft.rollout.hostrun import HostRun
from weft.rollout.tables import plan_lines

VERBS = {"observe": "looking", "stage": "staging", "migrate": "migrating", "activate": "switching", "rollback": "switching back",
         "confirm": "confirming", "revert": "going back", "setup": "setting up", "undeploy": "taking off", "enable": "enabling", "disable": "disabling"}


class Silent:
    """For --json: standard output belongs to the one object at the end."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_exc: Any) -> None:
        pass

    def phase(self, text: str) -> None:
        """Nothing is shown."""

    def host(self, name: str, event: dict[str, Any]) -> None:
        """Nothing is shown."""

    def plans(self, runs: Sequence[HostRun]) -> None:
        """Nothing is shown."""


class Plain(Silent):
    """One line an event, whole: hosts work at once, lines never mix."""

    def __init__(self, stream: TextIO):
        self.stream, self._lock = stream, threading.Lock()

    def phase(self, text: str) -> None:
        self.line(text)

    def plans(self, runs: Sequence[HostRun]) -> None:
        for text in plan_lines(runs):
            self.line(text)

    def host(self, name: str, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "step" and event["state"] == "done":
            self.line(f"{name}: {event['text']} ({event['seconds']:.1f} s)")
        elif kind == "step" and event["state"] == "failed":
            self.line(f"{name}: failed: {event['text']}")
        elif kind == "log":
            self.line(f"{name}: {event['text']}")
        elif kind == "error":
            self.line(f"{name}: failed: {_first(event['text'], name)}")
        elif kind == "end" and event["verb"] == "confirm" and not event["failed"]:
            self.line(f"{name}: {'held on trial until the rollout ends' if event.get('held') else 'confirmed'}")

    def line(self, text: str) -> None:
        """Write one line, or several that belong together."""
        with self._lock:
            self.stream.write(text + "\n")
            self.stream.flush()


class Live(Plain):
    """A table under the lines: host, what it does, the step, seconds so far; gone when it ends."""

    def __init__(self, stream: TextIO):
        super().__init__(stream)
        self.rows: dict[str, dict[str, Any]] = {}
        self.live: Any = None

    def __enter__(self) -> Live:
        from rich.console import Console
        from rich.live import Live as RichLive
        self.live = RichLive(get_renderable=self.table, console=Console(file=self.stream, highlight=False),
                             refresh_per_second=8, transient=True, redirect_stdout=False, redirect_stderr=False)
        self.live.start()
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.live.stop()

    def line(self, text: str) -> None:
        self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def host(self, name: str, event: dict[str, Any]) -> None:
        row = self.rows.setdefault(name, {"verb": "", "step": "", "since": time.monotonic()})
        if event["event"] == "phase":
            row.update(verb=event["verb"], step="", since=time.monotonic())
        elif event["event"] == "step" and event["state"] == "start":
            row["step"] = f"{event['n']}/{event['of']} {event['text']}"
        elif event["event"] == "end":
            row.update(verb="", step="failed" if event["failed"] else "")
        if event["event"] in ("error", "log") or event.get("state") == "failed":
            super().host(name, event)

    def table(self) -> Any:
        """The renderable; called by rich's own thread."""
        from rich.table import Table
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, row in list(self.rows.items()):
            busy = row["verb"]
            elapsed = f"{time.monotonic() - row['since']:.1f} s" if busy else ""
            table.add_row(name, VERBS.get(busy, busy), row["step"], elapsed,
                          style="red" if row["step"] == "failed" else "" if busy else "dim")
        return table


def progress(json: bool, stream: TextIO | None = None) -> Any:
    """The one that fits: silent for --json, live on a terminal, plain otherwise (also with TERM=dumb)."""
    stream = stream or sys.stdout
    if json:
        return Silent()
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return Live(stream)
    return Plain(stream)


def _first(text: str, name: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line[len(name) + 2:] if line.startswith(f"{name}: ") else line
