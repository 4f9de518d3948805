"""Mercurial's command server: one process answers many questions, since each start of `hg` costs a tenth of a second."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import time
from pathlib import Path
from typing import Mapping, Sequence

from weft.release.run import CommandFailed

_HEAD = struct.Struct(">cI")
_END_OF_INPUT = struct.pack(">I", 0)


class Server:
    """`hg serve --cmdserver pipe` in `top`; it ends with this process, or with `close`."""

    def __init__(self, top: Path, env: Mapping[str, str]):
        argv = ["hg", "serve", "--cmdserver", "pipe", "--config", "ui.interactive=False", "-R", str(top)]
        try:
            self._child = subprocess.Popen(argv, cwd=top, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, bufsize=0)
        except OSError as error:
            raise CommandFailed(["hg"], 127, [f"hg: {error.strerror}"]) from None
        self._greeted = False

    def ask(self, words: Sequence[str], timeout: float, ok: Sequence[int]) -> str:
        """Standard output of `hg words`. Raises CommandFailed; after a timeout (seconds) the server is gone."""
        deadline = time.monotonic() + timeout
        try:
            if not self._greeted:
                self._message(deadline)
                self._greeted = True
            payload = b"\0".join(os.fsencode(word) for word in words)
            self._child.stdin.write(b"runcommand\n" + struct.pack(">I", len(payload)) + payload)
            code, out, err = self._answer(deadline)
        except (TimeoutError, OSError, EOFError) as error:
            self.close()
            why = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else "the command server ended"
            raise CommandFailed(["hg", *words], -1, [why]) from None
        except BaseException:
            self.close()  # interrupted: a half-read answer is of no use to the next question
            raise
        if code not in ok:
            raise CommandFailed(["hg", *words], code, (err or out).splitlines())
        return out

    def _answer(self, deadline: float) -> tuple[int, str, str]:
        said = {b"o": b"", b"e": b""}
        while True:
            channel, content = self._message(deadline)
            if channel == b"r":
                return (struct.unpack(">i", content)[0] & 0xFF, *(os.fsdecode(said[each]) for each in (b"o", b"e")))
            if channel in (b"I", b"L"):
                self._child.stdin.write(_END_OF_INPUT)
            elif channel in said:
                said[channel] += content

    def _message(self, deadline: float) -> tuple[bytes, bytes]:
        channel, size = _HEAD.unpack(self._read(_HEAD.size, deadline))
        return channel, b"" if channel in (b"I", b"L") else self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        got = b""
        while len(got) < size:
            if not select.select([self._child.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            block = self._child.stdout.read(size - len(got))
            if not block:
                raise EOFError
            got += block
        return got

    @property
    def open(self) -> bool:
        return self._child.poll() is None

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()

    def __del__(self) -> None:
        if getattr(self, "_child", None) is not None and not self._child.stdout.closed:
            self.close()
