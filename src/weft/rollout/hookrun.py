"""Run a hook's command: no shell, what it says passed on line by line, ended at its deadline."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import IO, Any, Callable, Mapping, Sequence

from weft.errors import FailedUndone

LINES, WIDTH = 40, 500
"""How many of the last lines an error keeps, and how long a line may be."""
PATIENCE = 2.0
"""Seconds between SIGTERM and SIGKILL at the deadline."""


class HookFailed(FailedUndone):
    """A command that did not end with 0; `details` are its last lines."""


class Commands:
    """What runs now, by whom it is for. Each has a session of its own: a Ctrl-C at the terminal is for weft, which lets it finish."""

    def __init__(self) -> None:
        self._running: dict[subprocess.Popen[bytes], str] = {}
        self._lock = threading.Lock()

    def run(self, what: str, argv: Sequence[str], environment: Mapping[str, str], seconds: float, cwd: Path,
            tell: Callable[[str], Any], who: str = "") -> None:
        """Returns when it has ended with 0. Raises HookFailed otherwise, also where it could not be started or was late."""
        command = f"{what}: {shlex.join(argv)}"
        hint = "mend what the hook shows, then run the same command again"
        try:
            # relative to the project, as the check before had it; a name without a slash is looked for in PATH
            program = str(cwd / argv[0]) if "/" in argv[0] else argv[0]
            process = subprocess.Popen([program, *argv[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
                                       env=dict(environment), start_new_session=True)
        except (OSError, ValueError) as error:
            raise HookFailed(f"{command} cannot be started: {getattr(error, 'strerror', None) or error}", hint) from None
        kept: deque[str] = deque(maxlen=LINES)
        reader = threading.Thread(target=_read, args=(process.stdout, kept, tell), daemon=True)
        reader.start()
        said = self._wait(process, seconds, who)
        reader.join(1.0)  # what it has left running may keep the pipe open
        if said:
            raise HookFailed(f"{command} {said}", hint, details=list(kept))

    def _wait(self, process: subprocess.Popen[bytes], seconds: float, who: str) -> str:
        """How it failed, "" where it did not."""
        with self._lock:
            self._running[process] = who
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"was not done after {seconds:g} s and was ended"
        finally:
            with self._lock:
                del self._running[process]
        return "" if code == 0 else f"failed (exit {code})" if code > 0 else f"was ended by {signal.Signals(-code).name}"

    def end(self, whose: Sequence[str]) -> None:
        """End what runs for these hosts, "" for the deploy."""
        with self._lock:
            running = [process for process, who in self._running.items() if who in whose]
        for process in running:
            _signal(process, signal.SIGTERM)


def _read(stream: IO[bytes] | None, kept: deque[str], tell: Callable[[str], Any]) -> None:
    while stream and (line := stream.readline(WIDTH)):
        text = "".join(each if each.isprintable() else " " for each in line.decode("utf-8", "replace").rstrip())
        if text:
            kept.append(text)
            tell(text)


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
