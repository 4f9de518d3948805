"""One command in the application's environment: its release, its settings, its account, never root's. No shell is started."""

from __future__ import annotations

import codecs
import os
import selectors
import shutil
import subprocess
import time
from pathlib import Path

from weft.errors import Interrupted, Refused
from weft.host import commands, launch, secrets
from weft.host.layout import Layout
from weft.host.logs import gone
from weft.host.observe import read_json
from weft.typing import Any, Callable

LATE = 124
"""The exit code of a command whose time was up, as timeout(1) has it."""
LONGEST = 86_400
_BLOCK, _PAUSE, _SIGN = 1 << 15, 0.2, 1.0


def answer(machine: Any) -> dict[str, Any]:
    """Its output is told as it comes; the result has its exit code, 128 + N where a signal ended it, 124 where its time was up."""
    argv, timeout = words(machine.request.words)
    layout = machine.layout
    generation = Path(os.path.realpath(layout.live / "generation"))
    record = read_json(generation / "record.json")
    if not record.get("number"):
        raise Refused(f"no release of {layout.app} is served here", "fab deploy --version X", machine.served())
    allow(layout)
    start, hidden = time.monotonic(), secrets.hidden(layout, machine.site, {})
    out = {name: Stream(name, machine.tell, hidden.text) for name in ("stdout", "stderr")}
    exit = run(layout, machine.site.account, launch.vector(layout.app, generation, argv), launch.own(commands.environment()), timeout, out, machine.tell)
    return {"exit": exit, "version": str(record.get("version", "")), "seconds": round(time.monotonic() - start, 3)}


def allow(layout: Layout) -> None:
    """A host that takes signed releases only runs nothing that nobody has signed, unless root has allowed it. Raises Refused."""
    if layout.allowed_signers.exists() and not layout.run_allowed.exists():
        raise Refused(f"this host takes signed releases only, and nobody has signed a command ({layout.allowed_signers})",
                      f"to allow it, on the host: {'' if layout.prefix else 'sudo '}touch {layout.run_allowed}")


def words(said: dict[str, Any]) -> tuple[list[str], float]:
    """argv, timeout in seconds. Raises Refused."""
    argv, timeout = said.get("argv"), said.get("timeout", 600)
    if not isinstance(argv, list) or not argv or not all(isinstance(each, str) and "\0" not in each for each in argv) or not argv[0]:
        raise Refused("argv is not a list of words")
    if type(timeout) not in (int, float) or not 0 < timeout <= LONGEST:
        raise Refused(f"timeout is not a number of seconds up to {LONGEST}")
    return argv, timeout


class Stream:
    """What a command writes to one of its outputs, told in whole lines as far as they come: a secret is not to be cut in two."""

    def __init__(self, name: str, tell: Callable[[dict[str, Any]], None], clean: Callable[[str], str]):
        self.name, self.tell, self.clean = name, tell, clean
        self.decode = codecs.getincrementaldecoder("utf-8")("replace")
        self.rest = ""

    def feed(self, block: bytes) -> None:
        """b"": it has ended."""
        whole, end, self.rest = (self.rest + self.decode.decode(block, final=not block)).rpartition("\n")
        self._say(whole + end)
        if not block or len(self.rest) > _BLOCK:
            self.flush()

    def flush(self) -> None:
        """A question without a line end is not kept for long."""
        self._say(self.rest)
        self.rest = ""

    def _say(self, text: str) -> None:
        if text:
            self.tell({"event": "output", "stream": self.name, "text": self.clean(text)})


def run(layout: Layout, account: str, argv: list[str], env: dict[str, str], timeout: float, out: dict[str, Stream],
        tell: Callable[[dict[str, Any]], None]) -> int:
    """Its exit code. Whatever is left of its session is ended with it, and all of it when nobody listens any more."""
    try:
        process = subprocess.Popen(_bound(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", env=env,
                                   start_new_session=True, **_become(layout, account))
    except OSError as error:
        raise Refused(f"{argv[0]} cannot be started: {error.strerror}", "name a program of the release's virtualenv, or of the host") from None
    try:
        late = _listen(process, time.monotonic() + timeout, out, tell)
    finally:
        commands.end(process)
        process.stdout.close()  # type: ignore[union-attr]
        process.stderr.close()  # type: ignore[union-attr]
    if late:
        return LATE
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _become(layout: Layout, account: str) -> dict[str, Any]:
    """The account before anything else is run: with its environment, whose PATH begins with what the release brought, root starts nothing."""
    if not layout.privileged:
        return {}
    uid, gid = commands.ids(layout, account)
    return {"user": uid, "group": gid, "extra_groups": []}


def _bound(argv: list[str]) -> list[str]:
    """It ends with the engine, and cannot win privileges."""
    setpriv = shutil.which("setpriv", path=commands.environment()["PATH"])
    return [setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--", *argv] if setpriv and commands.may_die_with_us() else argv


def _listen(process: subprocess.Popen[bytes], deadline: float, out: dict[str, Stream], tell: Callable[[dict[str, Any]], None]) -> bool:
    """Tell both streams until the command has ended; whether its time was up before. Raises Interrupted when nobody listens."""
    sign = time.monotonic()
    with selectors.DefaultSelector() as both:
        for name in out:
            both.register(getattr(process, name), selectors.EVENT_READ, out[name])
        while both.get_map() and time.monotonic() < deadline:
            ready = both.select(_PAUSE)
            for key, _ in ready:
                block = os.read(key.fd, _BLOCK)
                key.data.feed(block)
                if not block:
                    both.unregister(key.fileobj)
            if not ready:
                for each in out.values():
                    each.flush()
                if process.poll() is not None:
                    return False  # a child of it holds its output; that child is ended with it
            if time.monotonic() - sign > _SIGN:
                tell({"event": "alive"})
                sign = time.monotonic()
            if gone():
                raise Interrupted("nobody listens any more: the command was ended")
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return True
    return False
