"""Mercurial's command server: one process runs all commands, since each start of `hg` costs a tenth of a second."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Mapping, Sequence

from weft.release import run
from weft.release.run import CommandFailed

_HEAD = struct.Struct(">cI")
_END_OF_INPUT = struct.pack(">I", 0)


_PATIENCE = 10.0
"""Seconds that a command which is stopped in the middle has to roll its transaction back."""


class Server:
    """`hg serve --cmdserver pipe` for the repository `top` (None: for none); it ends with this process, or with `close`.

    It inherits the descriptors that are held when it starts (run.HELD), so that a release's lock stays taken until a push
    that outlives the release has come to its end.
    """

    def __init__(self, top: Path | None, env: Mapping[str, str]):
        argv = ["hg", "serve", "--cmdserver", "pipe", "--config", "ui.interactive=False", "--config", "ui.timeout=60",
                *(["-R", str(top)] if top else [])]
        self.held, self._errors = frozenset(run.HELD), tempfile.TemporaryFile()
        try:
            self._child = subprocess.Popen(argv, cwd=top or os.sep, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=self._errors, bufsize=0, pass_fds=tuple(self.held))
        except OSError as error:
            raise CommandFailed(["hg"], 127, [f"hg: {error.strerror}"]) from None
        self._greeted, self._busy = False, False

    def ask(self, words: Sequence[str], timeout: float, ok: Sequence[int] = (0,)) -> str:
        """Standard output of `hg words`. Raises CommandFailed; after a timeout (seconds) the server is gone."""
        deadline = time.monotonic() + timeout
        self._busy = True
        try:
            code, out, everything = self._said(words, deadline)
        except (TimeoutError, OSError, EOFError) as error:
            self.close()
            why = [f"no answer within {timeout:g} s"] if isinstance(error, TimeoutError) else ["the command server ended", *self._last]
            raise CommandFailed(["hg", *words], -1, why) from None
        except BaseException:
            self.close()  # interrupted: a half-read answer is of no use to the next question
            raise
        self._busy = False
        if code not in ok:
            raise CommandFailed(["hg", *words], code, everything.splitlines()[-run.KEPT:])
        return out

    def _said(self, words: Sequence[str], deadline: float) -> tuple[int, str, str]:
        if not self._greeted:
            self._message(deadline)
            self._greeted = True
        payload = b"\0".join(os.fsencode(word) for word in words)
        self._child.stdin.write(b"runcommand\n" + struct.pack(">I", len(payload)) + payload)
        return self._answer(deadline)

    def _answer(self, deadline: float) -> tuple[int, str, str]:
        """Exit code, standard output, and all that was written, in its order: what a hook says comes as output."""
        said: list[tuple[bytes, bytes]] = []
        while True:
            channel, content = self._message(deadline)
            if channel == b"r":
                out, everything = (b"".join(text for name, text in said if name in names) for names in ((b"o",), (b"o", b"e")))
                return struct.unpack(">i", content)[0] & 0xFF, os.fsdecode(out), os.fsdecode(everything)
            if channel in (b"I", b"L"):
                self._child.stdin.write(_END_OF_INPUT)
            else:
                said.append((channel, content))

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

    @property
    def _last(self) -> list[str]:
        """What the server wrote to standard error before it ended."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace").splitlines()[-run.KEPT:]

    def close(self) -> None:
        """An idle server is killed; one in the middle of a command may first roll back what it had begun."""
        if self._busy:
            self._child.terminate()
            try:
                self._child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                pass
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()

    def __del__(self) -> None:
        if getattr(self, "_child", None) is not None and not self._child.stdout.closed:
            self.close()
