"""Run a command on the host as some account, bounded in time, with nothing left behind."""

from __future__ import annotations

import errno
import functools
import os
import pwd
import signal
import time

from weft.errors import Refused, WeftError
from weft.host import orphans
from weft.host.layout import Layout
from weft.typing import TYPE_CHECKING, Callable, Mapping, Sequence

if TYPE_CHECKING:
    import subprocess  # elsewhere where it is used: most looks at a host run nothing (ADR 23)

INSTALLER = "weft-install"
READY = "weft: ready"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def environment(*kept: str) -> dict[str, str]:
    """What a process of ours gets of our own environment: paths, and these variables; the rest is the operator's."""
    return {**_ENVIRONMENT, **{name: os.environ[name] for name in kept if name in os.environ}}


class CommandFailed(WeftError):
    """A command ended otherwise than with 0; `details` are its last lines."""

    code, name = 4, "failed-undone"


def ids(layout: Layout, account: str) -> tuple[int, int]:
    """uid and gid of an account; one's own where accounts are not switched."""
    if not layout.privileged:
        return os.geteuid(), os.getegid()
    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


@functools.lru_cache(maxsize=None)
def may_cut_network() -> bool:
    """Whether this machine lets us start a process without a network; some containers do not."""
    return _succeeds("unshare", "--net")


ALONE = ("unshare", "--net", "--pid", "--fork", "--kill-child")
"""Without a network, and as the first process of a set that the kernel ends with it: nothing of it stays behind, whatever it forks."""


@functools.lru_cache(maxsize=None)
def may_be_alone() -> bool:
    return _succeeds(*ALONE)


DIE = ("setpriv", "--pdeathsig", "KILL")
"""The kernel ends a child with the engine that started it."""


@functools.lru_cache(maxsize=None)
def may_die_with_us() -> bool:
    """Whether there is a setpriv that does that; as root there must be one."""
    import shutil
    return _succeeds(*DIE) if shutil.which(DIE[0]) else False


def _succeeds(*words: str) -> bool:
    import subprocess
    return subprocess.run([*words, "--", "true"], capture_output=True, check=False, env=_ENVIRONMENT).returncode == 0


def _as_account(argv: Sequence[str], layout: Layout, account: str, network: bool) -> list[str]:
    """The argument vector that runs another as an account, for good: it can't win privileges again."""
    if not account:
        return list(argv)
    if not layout.privileged:
        return [*DIE, "--", *argv] if may_die_with_us() else list(argv)
    uid, gid = ids(layout, account)
    become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs", *DIE[1:], "--", *argv]
    cut = not network and may_cut_network()
    if not network and not cut and not layout.prefix:
        raise Refused("this machine does not let a process be cut off from the network, and wheels are installed without one",
                      "on the host, as root, `unshare --net -- true` must succeed: a container needs CAP_SYS_ADMIN for it")
    if not cut:
        return become
    return [*DIE, "--", *ALONE, "--", *become] if may_be_alone() else ["unshare", "--net", "--", *become]


def run(argv: Sequence[str], what: str, layout: Layout, account: str = "", timeout: float = 600,
        environment: Mapping[str, str] | None = None, cwd: str = "/", network: bool = True, ready: Callable[[], None] | None = None) -> str:
    """Its output. account: "" stays who we are. timeout in seconds. Raises CommandFailed with its last lines.

    ready: called when it has said READY on a line, after which it waits for the end of its input; what this raises ends it too.
    It gets a session of its own, and whatever is left of that is killed at the end: an orphan must not go on writing."""
    import subprocess
    try:
        process = subprocess.Popen(_as_account(argv, layout, account, network), stdin=subprocess.PIPE if ready else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   cwd=cwd, env={**_ENVIRONMENT, **(environment or {}), **(orphans.mark(layout) if account else {})}, start_new_session=True)
    except OSError as error:
        raise CommandFailed(f"{what}: {argv[0]}: {error.strerror}") from None
    try:
        begun = _until_ready(process, ready, timeout) if ready else b""
        output = (begun + process.communicate(timeout=timeout)[0]).decode("utf-8", "replace")
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{what}: not done after {timeout:.0f} s", details=_tail((late.output or b"").decode("utf-8", "replace"))) from None
    finally:
        end(process)
    if process.returncode:
        full = os.strerror(errno.ENOSPC) in output
        raise CommandFailed(f"{what}: {_last_line(output) or _ended(process.returncode)}", "make room on the host, then run the same command again" if full else "",
                            details=_tail(output))
    return output


def _until_ready(process: subprocess.Popen[bytes], ready: Callable[[], None], timeout: float) -> bytes:
    """What it said before that. Where it ended without, `ready` is not called."""
    import select
    import subprocess
    assert process.stdout is not None
    said, late = b"", time.monotonic() + timeout
    while not (said.endswith(b"\n") and said.splitlines()[-1] == READY.encode()):
        if not select.select([process.stdout], [], [], max(0, late - time.monotonic()))[0]:
            raise subprocess.TimeoutExpired(process.args, timeout, said)
        if not (more := os.read(process.stdout.fileno(), 1 << 16)):
            return said
        said += more
    ready()
    return said[:-len(READY) - 1]


def end(process: subprocess.Popen[bytes]) -> None:
    """The process and whatever is left of its session, at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _ended(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""


def application_frames(lines: Sequence[str]) -> list[str]:
    """A traceback without the frames that lead into the application: those of weft's entry and of Python's runner."""
    out: list[str] = []
    skipping = False
    for line in lines:
        frame = line.startswith('  File "')
        if frame:
            skipping = any(f'"{name}"' in line for name in ("<string>", "<frozen runpy>")) or '/entry.wsgi"' in line
        elif not line.startswith("    "):
            skipping = False
        if not skipping:
            out.append(line)
    return out


def _tail(output: str, lines: int = 40) -> list[str]:
    return [line[:500] for line in output.splitlines()[-lines:]]
