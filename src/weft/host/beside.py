"""A watchdog without a start of Python: the engine that begins a trial becomes it, in a copy of its process."""

from __future__ import annotations

import contextlib
import os
import signal

from weft.host import watchdog
from weft.typing import Mapping, NoReturn

NAME = "weft-watchdog"
"""What `ps` calls it; its words are those of the engine that it was."""


def start(words: list[str], environment: Mapping[str, str]) -> None:
    """The watchdog in a copy of this process, which has all in memory that a start of Python would load once more. It keeps nothing of it open, neither the host's
    lock nor the connection, and is none of its session. Once this returns, it outlives this process. Raises OSError where it does not come about."""
    heard, tell = os.pipe()
    if not os.fork():
        _detached(words, environment, tell)
    os.close(tell)
    with open(heard, "rb", buffering=0) as answer:
        if answer.read(1) != b".":
            raise OSError("the process that undoes a switch did not start")


def _detached(words: list[str], environment: Mapping[str, str], tell: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.chdir("/")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(environment)
        with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as name:
            name.write(NAME)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.write(tell, b".")
        os.closerange(3, 1 + max(map(int, os.listdir("/proc/self/fd"))))
        code = watchdog.main(words)
    finally:
        os._exit(code)
