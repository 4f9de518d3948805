"""The sessions of one SSH connection: the one whose engine waits for another request, or a new one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from weft.rollout import prompt

WINDOW = 4 << 20
REFUSED, AGAIN = 2.0, 0.1
"""A host that takes one session a connection (MaxSessions) is asked again for so many seconds, so often: the one before is just being closed."""

FRESH = 60.0
"""Seconds that an engine is counted on to wait for another request. It does for ten minutes: none may end just as it is asked."""


class Sessions:
    """connection: Fabric's, open.  timeout: seconds for the answer to an opening or a start."""

    def __init__(self, connection: Any, timeout: float):
        self._connection, self._timeout = connection, timeout
        self._kept: Any = None
        self._since = 0.0
        self._closed = False
        self._mutex = threading.Lock()

    def take(self, command: str) -> tuple[Any, bool]:
        """An open one, and whether a command was started in it, of late or with its opening. Raises what paramiko raises where none is to be had."""
        with self._mutex:
            kept, self._kept = self._kept, None
        if kept is not None:
            if _lives(kept) and time.monotonic() - self._since < FRESH:
                return kept, True
            kept.close()
        return self._opened(command)

    def keep(self, channel: Any) -> None:
        """One whose engine waits for another request, for the next `take`."""
        with self._mutex:
            if self._kept is None and not self._closed:
                self._kept, self._since = channel, time.monotonic()
                return
        channel.close()

    def start(self, channel: Any, command: str) -> None:
        """In an open one. Whether it was started is seen by what it says; where that has to be waited for, socket.timeout where nobody answers: paramiko
        itself would wait for ever."""
        if prompt.begin(channel, command):
            return
        silent = threading.Event()

        def end() -> None:
            silent.set()
            with contextlib.suppress(OSError, EOFError):  # a connection that has ended meanwhile says so to whoever waits
                channel.close()
        late = threading.Timer(self._timeout, end)
        late.daemon = True
        late.start()
        try:
            channel.exec_command(command)
        except Exception:
            if silent.is_set():
                raise socket.timeout(f"no sign of life for {self._timeout:g} s") from None
            raise
        finally:
            late.cancel()

    def close(self) -> None:
        with self._mutex:
            kept, self._kept, self._closed = self._kept, None, True
        if kept is not None:
            kept.close()

    def _opened(self, command: str) -> tuple[Any, bool]:
        from paramiko.ssh_exception import ChannelException
        end = time.monotonic() + REFUSED
        while True:
            try:
                return prompt.opened(self._connection.transport, command, WINDOW, self._timeout)
            except ChannelException:
                if time.monotonic() > end or self._closed:
                    raise
                time.sleep(AGAIN)


def _lives(channel: Any) -> bool:
    return not (channel.closed or channel.eof_received or channel.exit_status_ready())
