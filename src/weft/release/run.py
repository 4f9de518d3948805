"""Start other programs: quick ones whose answer is wanted, long ones whose output is watched."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from pathlib import Path
from typing import Callable, Mapping, Sequence

KEPT = 30
"""Lines of a failing command's output that are shown."""

_STRANGE = ("HG", "HGEDITOR", "HGPLAINEXCEPT", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "SOURCE_DATE_EPOCH", "__PYVENV_LAUNCHER__")
_STRANGE_PREFIX = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE",
                   "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_QUARANTINE", "SETUPTOOLS_SCM_PRETEND")


class CommandFailed(Exception):
    """A program ended with another code than 0. tail: its last lines."""

    def __init__(self, argv: Sequence[str], code: int, tail: Sequence[str]):
        super().__init__(f"{shown(argv)} failed (exit {code})")
        self.argv, self.code, self.tail = list(argv), code, list(tail)


def shown(argv: Sequence[str]) -> str:
    """A command as a person would type it, the interpreter's path shortened."""
    import shlex
    first = os.path.basename(argv[0]) if os.path.isabs(argv[0]) else argv[0]
    return shlex.join([first, *argv[1:]])


def environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """The caller's environment without what would redirect git or Python, plus `extra`."""
    kept = {name: value for name, value in os.environ.items()
            if name not in _STRANGE and not name.startswith(_STRANGE_PREFIX)}
    return {**kept, **extra}


HELD: set[int] = set()
"""Descriptors that quick programs inherit. A lock stays taken until the last of them has ended: when a release is killed
during its push, the push itself goes on, and a second release must not begin beside it."""


def ask(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60,
        ok: Sequence[int] = (0,)) -> str:
    """Standard output of a quick program. Raises CommandFailed; a timeout (seconds) counts as failure."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, timeout=timeout,
                              capture_output=True, encoding="utf-8", errors="surrogateescape", pass_fds=tuple(HELD))
    except subprocess.TimeoutExpired:
        raise CommandFailed(argv, -1, [f"no answer within {timeout:g} s"]) from None
    except OSError as error:
        raise CommandFailed(argv, 127, [f"{argv[0]}: {error.strerror}"]) from None
    if done.returncode not in ok:
        raise CommandFailed(argv, done.returncode, (done.stderr or done.stdout).splitlines()[-KEPT:])
    return done.stdout


def watch(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None,
          log: Callable[[str], None] = lambda line: None) -> list[str]:
    """Run a long program in a process group of its own, each line of its output to `log`; the last lines are returned.

    Raises CommandFailed. Whatever ends the wait (Ctrl-C too) ends the whole group: no child goes on alone.
    """
    tail: deque[str] = deque(maxlen=KEPT)
    try:
        child = subprocess.Popen(argv, cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, umask=0o022,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                 encoding="utf-8", errors="replace")
    except OSError as error:
        raise CommandFailed(argv, 127, [f"{argv[0]}: {error.strerror}"]) from None
    try:
        for line in child.stdout:
            tail.append(line.rstrip("\n"))
            log(tail[-1])
        code = child.wait()
    finally:
        _end(child)
    if code != 0:
        raise CommandFailed(argv, code, tail)
    return list(tail)


def _end(child: subprocess.Popen) -> None:
    """Whoever is left of the child's group: background children that a test forgot, or all of it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
    child.stdout.close()
