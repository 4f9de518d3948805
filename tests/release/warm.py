"""`python -m build`, twine, venv and unittest without the start of an interpreter: forked from a process that has imported them.

The very same modules run, by runpy, with the same words, environment, umask and directory, in a session of their own, as
weft.release.run.watch has it. Only for sweeps of many releases, in which the starts would be most of the time.
"""

import os
import runpy
import signal
import subprocess
import sys
import time
from collections import deque

import pyproject_hooks

from weft.release import run

_WARM = ("build", "twine", "unittest", "venv")
_cold = run.watch


def up():
    """Import what they import, and let weft start them so."""
    import build.__main__  # noqa: F401
    import twine.__main__  # noqa: F401
    import twine.commands.check  # noqa: F401
    import unittest.main  # noqa: F401
    import venv  # noqa: F401

    import build.env  # noqa: F401
    import readme_renderer.rst  # noqa: F401
    run.watch = watch


def watch(argv, cwd, env=None, log=lambda line: None):
    """run.watch, for these programs."""
    if argv[:2] != [sys.executable, "-m"] or argv[2] not in _WARM:
        return _cold(argv, cwd, env, log)
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        _program(argv[2:], cwd, run.environment() if env is None else env, theirs)
    os.close(theirs)
    tail = deque(maxlen=run.KEPT)
    with open(ours, encoding="utf-8", errors="replace") as said:
        for line in said:
            tail.append(line.rstrip("\n"))
            log(tail[-1])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if code:
        raise run.CommandFailed(argv, code, tail)
    return list(tail)


def _hook(cmd, cwd=None, extra_environ=None):
    """pyproject_hooks.default_subprocess_runner without the start of an interpreter, for a backend that needs nothing in its environment:
    the program of pyproject_hooks that calls the backend, with the same words, in the group of the build."""
    pid = os.fork()
    if not pid:
        _end(lambda: _called(list(map(str, cmd[1:])), cwd, extra_environ or {}))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise subprocess.CalledProcessError(code, cmd)


def _called(words, cwd, more):
    os.chdir(cwd or os.curdir)
    os.environ.update(more)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


def _program(words, cwd, env, out):
    def named():
        os.setsid()
        os.umask(0o022)
        os.chdir(cwd)
        for number in (1, 2):
            os.dup2(out, number)
        os.close(out)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # not what a test runner has put there
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
        sys.argv = list(words)
        for name in [each for each in sys.modules if each.split(".")[0] == "tests"]:
            del sys.modules[name]  # the project has tests of its own
        sys.path[:0] = [str(cwd), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
        pyproject_hooks.default_subprocess_runner = _hook
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    _end(named)


def _end(work):
    """The end of this process with what `work` says, as an interpreter's."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1 if stop.code else 0
        isinstance(stop.code, str) and print(stop.code, file=sys.stderr)
    except BaseException:
        import traceback
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
