"""What a person at the host sees, and how they are asked. With --json nothing of it is shown, but one object at the end."""

from __future__ import annotations

import json
import os
import select
import sys
import time

from weft.errors import WeftError
from weft.typing import Any, Iterable


class Screen:
    """json: whether a machine reads."""

    def __init__(self, json: bool = False):
        self.json = json

    def say(self, lines: Iterable[str]) -> None:
        """Lines for people, at once."""
        if not self.json:
            _print("\n".join(lines), sys.stdout)

    def event(self, said: dict[str, Any]) -> None:
        """What the engine tells while it works: a line for each step that has ended."""
        if said.get("event") == "step" and said["state"] != "start":
            self.say([f"  {said['text']} ({said['seconds']:.1f} s)" + (" FAILED" if said["state"] == "failed" else "")])
        elif said.get("event") == "log":
            self.say([said["text"]])

    def ask(self, question: str, seconds: float) -> str:
        """"yes", "no", or "" where nobody is there or nobody answers for so long."""
        if self.json or not sys.stdin.isatty():
            return ""
        _print(question, sys.stdout, end=" ")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([sys.stdin], [], [], left)[0]:
                line = sys.stdin.readline()
                return "" if not line else "yes" if line.strip().lower() in ("y", "yes") else "no"
        _print("", sys.stdout)
        return ""

    def end(self, said: dict[str, Any]) -> None:
        """The one object of --json."""
        if self.json:
            _print(json.dumps(said, sort_keys=True), sys.stdout)

    def fail(self, error: WeftError) -> None:
        """As docs/reference/exit-codes.md has it: three lines on standard error, or the object."""
        if self.json:
            return self.end(error.to_json())
        first, *rest = error.lines()
        sys.stdout.flush()
        details = [f"  {each}" for each in error.details] if isinstance(error.details, list) else []
        _print("\n".join([red(first, sys.stderr), *details, *rest]), sys.stderr)


def red(text: str, stream: Any) -> str:
    """On a terminal that wants colour; NO_COLOR (any value) and TERM=dumb say no."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\033[31m{text}\033[0m"


def _print(text: str, stream: Any, end: str = "\n") -> None:
    """Somebody who has gone away does not stop the work: it is finished or undone all the same."""
    try:
        stream.write(text + end)
        stream.flush()
    except (BrokenPipeError, ValueError, OSError):
        if stream is sys.stdout:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")
