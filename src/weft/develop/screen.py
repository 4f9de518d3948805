"""What `inv develop` shows: its own lines, and both logs as they come, without what a terminal would obey and without secrets."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import IO

from weft.host.logs import Tail, visible
from weft.secret import Hidden

MOST = 10 << 20
"""Bytes that a log may have; what was shown is dropped then."""
_ESCAPED = re.compile(r'\\\\|\\t|\\"|(?:\\x[0-9a-f]{2})+')
_QUIET = ("debug", "info", "notice")


class Screen:
    """colour: whether the stream wants it. A live line is for a terminal only."""

    def __init__(self, out: IO[str], colour: bool):
        self.out, self.colour, self.terminal = out, colour, out.isatty()
        self.gone = self._there = False

    def line(self, text: str, style: str = "") -> None:
        self._write((f"\x1b[{style}m{text}\x1b[0m" if style and self.colour else text) + "\n")

    def at(self, text: str, style: str = "") -> None:
        """With the time."""
        self.line(f"{time.strftime('%H:%M:%S')}  {text}", style)

    def live(self, text: str) -> None:
        """Replaces the live line."""
        if self.terminal:
            import shutil
            self._write(visible(text)[:shutil.get_terminal_size().columns - 1])
            self._there = True

    def _write(self, text: str) -> None:
        """Raises OSError, and remembers it, when nobody reads any more."""
        try:
            self.out.write(("\r\x1b[K" if self._there else "") + text)
            self._there = False
            self.out.flush()
        except OSError:
            self.gone = True
            raise


class Log:
    """The error log and the log of requests, as server.conf has them written. hidden: what no line may show."""

    def __init__(self, error: Path, access: Path, screen: Screen):
        self.error, self.access, self.screen, self.hidden = Tail(error), Tail(access), screen, Hidden()

    def tell(self) -> None:
        """What has come since the last time."""
        for line in self.error.read():
            level, _, text = line.partition(" ")
            if level not in _QUIET:
                self.screen.line(self.shown(text), "31" if level != "warn" else "33")
        for line in self.access.read():
            self.screen.line(*self._request(line))
        for tail in (self.error, self.access):
            if tail.at > MOST:
                os.truncate(tail.path, 0)

    def shown(self, text: str) -> str:
        return visible(self.hidden.text(unescaped(text)).expandtabs())

    def _request(self, line: str) -> tuple[str, str]:
        head, _, took = line.rpartition(" ")
        at, _, rest = head.partition(" ")
        status, _, what = rest.partition(" ")
        took = f"{int(took) / 1000:.0f} ms" if took.isdecimal() else took
        return f"{at}  {status}  {self.shown(what)}  {took}", "31" if status.startswith("5") else ""


def unescaped(text: str) -> str:
    """What Apache has written with backslashes, as it was: letters beyond ASCII, tabs, backslashes."""
    def plain(found: re.Match[str]) -> str:
        one = found[0]
        return bytes.fromhex(one.replace("\\x", "")).decode("utf-8", "replace") if one.startswith("\\x") else "\t" if one == "\\t" else one[1]
    return _ESCAPED.sub(plain, text)
