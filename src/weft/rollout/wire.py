"""The operator's end of the engine's protocol: a request as bytes, an answer out of lines.

See docs/reference/engine-protocol.md. No connection here: both transports feed what they read to an `Answer`.
"""

from __future__ import annotations

import json
import threading
from typing import Any, BinaryIO, Callable, Iterable

from weft.errors import OutcomeUnknown, Refused, UsageError, WeftError, from_json
from weft.secret import revealed

PROTOCOL = 1
LARGEST = 4 << 20
BLOCK = 1 << 15
KEPT = 16 << 10
Event = Callable[[dict[str, Any]], None]


def line(request: dict[str, Any]) -> bytes:
    """One line of JSON, the only one that has secrets in it. Raises UsageError above the protocol's 4 MiB."""
    text = json.dumps({"protocol": PROTOCOL, **revealed(request)}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if len(text) > LARGEST:
        raise UsageError(f"the request to the host is {len(text)} bytes; the protocol allows {LARGEST}",
                         "make [settings] of the environment, or the release's changelog entry, smaller")
    return text


class Answer:
    """Reads what an engine writes: events are handed on as they come, result or error are kept.

    Lines that are not the protocol's (a login shell's greeting) are kept as `noise`, the end of standard error as
    `complaint`: both are for the message when there is no answer.
    """

    def __init__(self, host: str, on_event: Event | None = None):
        self.host, self.on_event = host, on_event
        self.said: dict[str, Any] | None = None
        self.started = False
        self.more = False  # whether the engine waits for another request
        self.noise, self._rest, self._complaint = "", b"", b""

    def feed(self, block: bytes) -> None:
        """Standard output, in any cut."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for each in lines:
            self._line(each)
        if len(self._rest) > LARGEST * 4:
            raise OutcomeUnknown(f"{self.host}: the engine's answer has a line without an end", "fab setup")

    def complain(self, block: bytes) -> None:
        """Standard error; the last 16 KiB are kept."""
        self._complaint = (self._complaint + block)[-KEPT:]

    @property
    def complaint(self) -> str:
        return self._complaint.decode("utf-8", "replace").strip()

    def _line(self, text: bytes) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not said.keys() & {"event", "result", "error"}:
            self.noise = (self.noise + text.decode("utf-8", "replace") + "\n")[-KEPT:]
        elif "event" in said:
            self.started = True
            if self.on_event:
                self.on_event(said)
        else:
            self.said, self.more = said, said.get("more") is True

    def result(self, exit: int | None, user: str = "", setup: bool = False) -> dict[str, Any]:
        """What the engine answered, or raise what it (or whatever stood in its place) reported.

        exit: of the remote command, None where the connection ended before it was told. setup: whether the host was
        just being set up, so that `fab setup` is no next move.
        """
        if self.said is None:
            raise no_answer(self.host, exit, self.complaint or self.noise.strip(), user, setup, self.started)
        if "error" in self.said:
            said = self.said["error"]
            raise from_json({**said, "message": f"{self.host}: {said.get('message', '')}"})
        return self.said["result"]


def no_answer(host: str, exit: int | None, complaint: str, user: str = "", setup: bool = False,
              started: bool = False) -> WeftError:
    """The error for a command that ended without a last line, told from what it wrote to standard error.

    An engine that had started, or that a signal has ended (a shell or sudo in between tells 128 and the signal's number),
    may have done anything: that is never a refusal.
    """
    last = complaint.splitlines()[-1] if complaint else ""
    if exit is None or exit < 0:
        return OutcomeUnknown(f"{host}: the connection was lost before the engine's answer"
                              + (f" (it said: {last})" if last else ""), "fab status")
    if "Traceback (most recent call last)" in complaint:
        return WeftError(f"{host}: a bug in weft's engine\n{complaint}", "please report it with the lines above")
    if started or exit > 128:
        return OutcomeUnknown(f"{host}: the engine ended without an answer (exit {exit})" + (f": {last}" if last else ""),
                              "fab status")
    if exit == 127 or "command not found" in last or "No such file" in last:
        return _absent(host, last, setup)
    if "sudo" in complaint or "not allowed" in complaint:
        return _sudo(host, last, user or "the account", setup)
    if exit == 0 or not last:
        return OutcomeUnknown(f"{host}: the engine ended without an answer (exit {exit})", "fab status")
    return Refused(f"{host}: the engine did not start (exit {exit}): {last}", "" if setup else "fab setup")


def _absent(host: str, last: str, setup: bool) -> Refused:
    if setup:
        return Refused(f"{host} cannot be set up: {last}", "install sudo and python3 on it, or give the right `python` in "
                       "the environment; without sudo: fab setup --as root")
    return Refused(f"{host} has not been set up: {last or 'there is no weft-host'}", "fab setup")


def _sudo(host: str, last: str, user: str, setup: bool) -> Refused:
    if setup:
        return Refused(f"{host}: sudo does not let {user} set it up without a password: {last}",
                       "use an account that may: fab setup --as root")
    return Refused(f"{host}: sudo does not let {user} run the engine: {last}",
                   "fab setup writes the rule, which allows exactly: sudo -n /usr/local/sbin/weft-host")


class Feeder(threading.Thread):
    """Writes a request and the files behind it, so that reading the answer never waits for the writing.

    A write that fails is no error: the engine has answered early or is gone, and the answer tells. A file that cannot be
    read is kept as `unreadable`; the input then ends short, which the engine refuses.  open: the input is left open once all is written,
    for another request.
    """

    def __init__(self, write: Callable[[bytes], Any], finish: Callable[[], Any], first: bytes,
                 files: Iterable[BinaryIO], open: bool = False):
        super().__init__(daemon=True, name="weft-feeder")
        self._write, self._finish, self._first, self._files, self._open = write, finish, first, files, open
        self.whole = False
        self.unreadable: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._write(self._first)
            for block in self._blocks():
                self._write(block)
            self.whole = self.unreadable is None
        except (OSError, EOFError, ValueError):
            pass
        finally:
            if not (self.whole and self._open):
                self._end()

    def _end(self) -> None:
        try:
            self._finish()
        except (OSError, EOFError, ValueError):
            pass

    def _blocks(self) -> Iterable[bytes]:
        try:
            for file in self._files:
                with file:
                    while block := file.read(BLOCK):
                        yield block
        except GeneratorExit:
            raise
        except Exception as error:
            self.unreadable = error

    def written(self) -> bool:
        """Whether all was written, which who has answered to all has read."""
        self.join(1.0)
        return self.whole

    def check(self) -> None:
        """Raise for a file that could not be read."""
        if isinstance(self.unreadable, WeftError):
            raise self.unreadable
        if self.unreadable:
            raise Refused(f"a file of the release could not be read: {self.unreadable}",
                          "check the artifact store: inv verify")
