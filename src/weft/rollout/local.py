"""transport = "local": the same engine as a process here, under a prefix, without root and without SSH."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import threading
from typing import Any, BinaryIO, Iterable

from weft.errors import OutcomeUnknown, Refused
from weft.rollout.inventory import Host
from weft.rollout.access import Access
from weft.rollout.wire import Answer, Event, Feeder, line


class LocalChannel:
    """A process a request. It has a session of its own, so that a Ctrl-C here leaves it to finish what it does."""

    def __init__(self, host: Host, access: Access):
        self.host, self.access, self.user = host, access, getpass.getuser()
        self._process: subprocess.Popen[bytes] | None = None

    def exec(self, request: dict[str, Any], files: Iterable[BinaryIO] = (), on_event: Event | None = None,
             limit: float = 900.0) -> dict[str, Any]:
        answer = Answer(self.host.name, on_event)
        with self._start() as process:
            self._process = process
            feeder = Feeder(process.stdin.write, process.stdin.close, line(request), files)
            listener = threading.Thread(target=_drain, args=(process.stderr, answer.complain), daemon=True)
            listener.start()
            ended = threading.Event()
            late = threading.Timer(limit, _end, (process, ended))
            late.start()
            try:
                while block := os.read(process.stdout.fileno(), 1 << 16):
                    answer.feed(block)
                process.wait()
            finally:
                late.cancel()
            listener.join(5)
        feeder.check()
        if ended.is_set() and answer.said is None:
            raise OutcomeUnknown(f"{self.host.name}: no answer in {limit:g} s; the engine was ended", "fab status")
        return answer.result(process.returncode, self.user, request.get("verb") == "setup")

    def _start(self) -> subprocess.Popen[bytes]:
        argv = [self.access.python_of(self.host), str(self.access.engine()), "--prefix", str(self.access.prefix)]
        try:
            return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    start_new_session=True)
        except OSError as error:
            raise Refused(f"{self.host.name}: {argv[0]} cannot be started: {error.strerror}",
                          "give the right `python` in the environment") from None

    def again(self) -> LocalChannel:
        """There is nobody to log in to."""
        return LocalChannel(self.host, self.access)

    def hang_up(self) -> None:
        """The engine is told by a signal: it ends what it has started."""
        if self._process:
            self._process.terminate()

    def close(self) -> None:
        """Nothing is kept open."""


def _drain(stream: BinaryIO, take: Any) -> None:
    while block := stream.read1(1 << 16):
        take(block)


def _end(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    ended.set()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
