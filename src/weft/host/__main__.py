"""weft-host: requests on standard input, events and one answer to each on standard output."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from weft.errors import Interrupted, Refused, UsageError, WeftError
from weft.host import commands, lock, recover, trial
from weft.host.layout import Layout
from weft.host.machine import Machine
from weft.host.request import Request, read
from weft.journal import Journal
from weft.typing import Any


IDLE = 600.0
"""Seconds that an engine waits for a request: an operator's machine that is gone sends no end of its input."""
_secrets: list[str] = []
"""The verbs of requests that had secrets in them: no process that stays for longer than this one is to have them in its memory."""


def say(line: dict[str, Any]) -> None:
    """One JSON line. An operator who has gone away does not stop the work: it is finished or undone all the same."""
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError, OSError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Exits with 0 or the error's code; the last line says the same."""
    os.umask(0o022)
    words = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        say({"result": _dispatch(words)})
    except WeftError as error:
        say({"error": error.to_json()})
        sys.exit(error.code)
    except Exception as error:
        import traceback
        say({"error": {"code": 1, "error": "error", "message": f"a bug in weft: {type(error).__name__}: {error}",
                       "effect": "", "next": "please report it, with the traceback",
                       "details": traceback.format_exc().splitlines()}})
        sys.exit(1)


def alone() -> None:
    """`main`, for a process that does nothing else: once all is said it ends at once, and the interpreter is not taken down piece by piece."""
    try:
        main()
        code: Any = 0
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            raise
    for out in (sys.stdout, sys.stderr):
        try:
            out.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


def _interrupted(_signal: int, _frame: Any) -> None:
    raise Interrupted("the engine was ended (SIGTERM)")


def _dispatch(words: list[str]) -> dict[str, Any]:
    """The result of a request; words of a person print theirs and end here."""
    prefix = ""
    if words[:1] == ["--prefix"] and len(words) > 1:
        prefix, words = os.path.abspath(words[1]), words[2:]
    if not words and sys.stdin.isatty():
        raise UsageError("standard input is a terminal; a request is a line of JSON", "weft-host --help")
    if not words or words == ["--setup"]:
        return _serve(prefix, setting_up=bool(words))
    if words[0] == "--watchdog" and len(words) == 3:
        return watch_over(Layout(words[1], prefix), int(words[2]))
    from weft.host.words import run  # and argparse, which a request on standard input need not wait for
    run(words, prefix, lambda request, number: start_watchdog(request, number))
    sys.exit(0)


def _serve(prefix: str, setting_up: bool) -> dict[str, Any]:
    """The answer to the only request, or, once there are no more, no return. One process for the phases of a rollout: its start costs a host
    more than most of them do. Between two of them it holds nothing, and an error is the last answer."""
    if setting_up:
        return _answer(prefix, True)
    program = _program()
    _asked()
    while True:
        answer = _answer(prefix)
        say({"result": answer, "more": True})
        if answer.get("plan") and _program() == program:
            _prepare()
        if not _asked():
            sys.exit(0)
        if _program() != program:  # what it would import from now on is another engine's
            raise Refused("this host's engine was replaced after the last request", "run the same command again")


def _prepare() -> None:
    """Load what carries out a plan, while the operator's machine makes up its mind. A look without one ends without it."""
    from weft import apply  # noqa: F401
    from weft.host import goback, installer, settings, stage, switch  # noqa: F401


def _asked() -> bool:
    """Whether there is another request, once there is one or the input has ended. Ends the engine where nothing comes."""
    signal.signal(signal.SIGALRM, lambda _signal, _frame: sys.exit(0))
    signal.setitimer(signal.ITIMER_REAL, IDLE)
    try:
        return bool(sys.stdin.buffer.peek(1))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _program() -> tuple[int, ...]:
    """What tells the file that this engine was started from from one that was put in its place."""
    try:
        seen = os.stat(sys.argv[0])
    except OSError:
        return ()
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns


def _answer(prefix: str, setting_up: bool = False) -> dict[str, Any]:
    request = read(sys.stdin.buffer, prefix, setting_up)
    _secrets.extend([request.verb] if request.secrets else [])
    if not prefix and os.geteuid() != 0:
        raise Refused("the engine needs root on a host", "call it through sudo, or give it a --prefix of your own")
    try:
        return Machine(request, say, lambda number: start_watchdog(request, number)).answer()
    finally:
        if setting_up:
            from weft.host.setup import remove_temporary
            remove_temporary()


def engine_argv(prefix: str) -> list[str]:
    """How to start this engine again."""
    start = [sys.executable, "-IS", os.path.abspath(sys.argv[0])] if _packed() else [sys.executable, "-m", "weft.host"]
    return start + (["--prefix", prefix] if prefix else [])


def _packed() -> bool:
    """Whether this is the program that hosts have."""
    return os.path.isfile(sys.argv[0]) and not sys.argv[0].endswith(".py")


def start_watchdog(request: Request, generation: int) -> None:
    """A process of its own that outlives this connection and undoes the generation if nobody confirms it."""
    start, words = engine_argv(request.layout.prefix), ["--watchdog", request.layout.app, str(generation)]
    environment = commands.environment("PYTHONPATH")
    try:
        if _packed() and not (_secrets or request.secrets):
            from weft.host import beside
            return beside.start([*start[3:], *words], environment)
        import subprocess
        subprocess.Popen([*start, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True, cwd="/", env=environment)
    except OSError as error:
        raise Refused(f"the process that goes back if nobody confirms could not be started: {error}",
                      "see what runs on this host (ps) and how many processes it may have; then run the same command again", "nothing was switched") from error


def watch_over(layout: Layout, generation: int) -> dict[str, Any]:
    """Wait for the trial that the engine is about to begin, sleep until it is over, one way or the other; recovery does the rest."""
    while trial.read(layout).get("generation") != generation and not lock.idle(layout.state / "lock"):
        time.sleep(0.2)
    while (left := trial.seconds_left(trial.read(layout))) > 0:
        time.sleep(min(left + 0.05, 1.0))
    while True:  # a disk that is full or broken now may not be so later
        try:
            with lock.held(layout, "watchdog", "recover", wait=600):
                recover.recover(layout, Journal(layout.state / "journal.jsonl"))
                return {"trial": "over"}
        except (WeftError, OSError):
            if not layout.state.is_dir():
                return {"trial": "gone"}
            time.sleep(1.0)


if __name__ == "__main__":
    main()
