"""What every task of inv and fab has around its body: errors become their lines and their exit code.

    @task(help={...})
    @shell.command
    def status(c, json=False): ...

A body may return a JSON object; with `--json` it is printed as the one line of standard output, `code` 0 added.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json as jsonlib
import os
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Iterator

from weft.errors import Interrupted, WeftError

# What Fabric, paramiko and weft have loaded is garbage at the end, and nobody's: to look for it takes a command another 0.07 s.
atexit.register(gc.freeze)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that one way of stopping serves both."""


def command(body: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a task's body: a WeftError becomes its lines on standard error and SystemExit(its code).

    With the keyword `json` true it becomes one JSON object, the last line of standard output, instead. Ctrl-C ends with
    130 and SIGTERM with 143; an Interrupted that the body raises says what is left behind. A bug keeps its traceback.
    """
    @functools.wraps(body)
    def wrapped(*args: Any, **words: Any) -> Any:
        with translated(bool(words.get("json"))), terminable():
            said = body(*args, **words)
        if words.get("json"):
            print_json({"code": 0, **(said or {})})
        return said
    return wrapped


@contextmanager
def translated(json: bool = False) -> Iterator[None]:
    """The translation alone, for what is no task: `weft new`, a script."""
    try:
        yield
    except WeftError as error:
        _fail(error, json)
    except KeyboardInterrupt as error:
        stopped = Interrupted("interrupted")
        stopped.code = _code(error)
        _fail(stopped, json)
    except Exception as error:
        if not json:
            raise
        traceback.print_exc()
        _fail(WeftError(f"a bug in weft: {type(error).__name__}: {error}", "please report it with the traceback"), json)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM stops the body as Ctrl-C does, and the exit code tells which it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except Interrupted as error:
        error.code = _code(error.__cause__ or error.__context__)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: Any) -> None:
    raise _Terminated


def _code(error: BaseException | None) -> int:
    return 143 if isinstance(error, _Terminated) else 130


def _fail(error: WeftError, json: bool) -> None:
    sys.stdout.flush()
    if json:
        print_json(error.to_json())
    else:
        print("\n".join(_coloured(error)), file=sys.stderr, flush=True)
    raise SystemExit(error.code) from None


def print_json(said: dict[str, Any]) -> None:
    """One object, one line, on standard output."""
    print(jsonlib.dumps(said, sort_keys=True), flush=True)


def colour(stream: Any) -> bool:
    """Whether a stream is a terminal that wants colour; NO_COLOR (any value) and TERM=dumb say no."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def _coloured(error: WeftError) -> list[str]:
    first, *rest = error.lines()
    return [f"\033[31m{first}\033[0m" if colour(sys.stderr) else first, *rest]
