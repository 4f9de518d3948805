"""What the demo shows: headings, the commands' own lines, and one live line while something takes time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Sequence

from weft.errors import NeedsHands


class Screen:
    """Live line and colour on a terminal only; NO_COLOR is honoured. progress: the file that the load writes."""

    def __init__(self, out: IO[str] = sys.stdout):
        self.out, self.live_there = out, False
        self.terminal = out.isatty()
        self.colour = self.terminal and not os.environ.get("NO_COLOR")
        self.progress: Path | None = None
        self.lock = threading.Lock()

    def line(self, text: str = "", style: str = "") -> None:
        with self.lock:
            self._wipe()
            self.out.write((f"\x1b[{style}m{text}\x1b[0m" if style and self.colour else text) + "\n")
            self.out.flush()

    def heading(self, text: str) -> None:
        self.line()
        self.line(f"== {text}", "1")

    def live(self, text: str) -> None:
        """Replaces the live line; nothing where there is no terminal."""
        if self.terminal:
            with self.lock:
                self._wipe()
                self.out.write(text[:shutil.get_terminal_size().columns - 1])
                self.out.flush()
                self.live_there = True

    def _wipe(self) -> None:
        if self.live_there:
            self.out.write("\r\x1b[K")
            self.live_there = False

    def load_line(self) -> str:
        """What the load has seen up to now, "" while there is none."""
        try:
            seen = json.loads(self.progress.read_text()) if self.progress else {}
        except (OSError, ValueError):
            seen = {}
        if not seen:
            return ""
        versions = "  ".join(f"{version}: {count}" for version, count in sorted(seen.get("versions", {}).items()))
        return f"requests {seen['sent']}  failed {seen['failed']}  answers by version  {versions}"

    def run(self, argv: Sequence[str], cwd: Path, expect: int = 0) -> str:
        """Show a command and its lines as they come. Raises NeedsHands where it ends with another code."""
        words = ["inv" if w.endswith("/inv") else "fab" if w.endswith("/fab") else "weft" if w.endswith("/weft") else w for w in argv]
        self.line(f"$ {' '.join(words)}", "36")
        process = subprocess.Popen(list(argv), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        ticker = threading.Thread(target=self._tick, args=(process,), daemon=True)
        ticker.start()
        lines = []
        assert process.stdout
        for text in process.stdout:
            lines.append(text.rstrip("\n"))
            self.line("  " + lines[-1])
        code = process.wait()
        ticker.join()
        if code != expect:
            raise NeedsHands(f"{' '.join(words)} ended with {code}, expected {expect}", "please report it with the lines above",
                             "the demo's files are kept")
        return "\n".join(lines)

    def _tick(self, process: subprocess.Popen[str]) -> None:
        start = time.monotonic()
        while process.poll() is None:
            self.live(f"  {time.monotonic() - start:5.1f} s  {self.load_line()}")
            time.sleep(0.2)
        with self.lock:
            self._wipe()
