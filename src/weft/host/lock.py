"""The host's one lock an application: a flock, which cannot stick, with a note of who holds it.

A holder that is stopped or hangs past the end of a trial would keep the host from going back, and one that was stopped before its switch
would keep everybody out: whoever wants the lock then ends it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import time
from pathlib import Path

from weft.errors import Refused
from weft.host import trial
from weft.typing import Any, Callable, Iterator
from weft.values import when
from weft.host.layout import Layout
from weft.host.observe import names

GRACE = 5.0
"""Seconds past the end of a trial after which a holder of the lock is ended."""
LEASE = 60.0
"""Seconds, on the boot clock, that a holder has the lock at the least, also one that is stopped (SIGSTOP)."""


def idle(lock: Path) -> bool:
    """Whether nobody holds the lock now."""
    try:
        with lock.open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextlib.contextmanager
def held(layout: Layout, by: str, verb: str, wait: float, allowed: Callable[[], None] = lambda: None) -> Iterator[None]:
    """The one writer on this host for this application; the kernel frees it when we end. wait in seconds. allowed: raises for who need not wait,
    asked before, and again where it was in vain: what keeps us out may be another's rollout by then.

    Raises Refused naming who holds it, or why it cannot be taken."""
    path = layout.state / "lock"
    if not path.parent.is_dir():
        raise Refused(f"{layout.app} has not been set up here", f"run `{layout.setup_command}` for this host")
    allowed()
    fd = _opened(path)
    try:
        try:
            take(fd, time.monotonic() + wait, layout)
        except Refused:
            allowed()
            raise
        _note(fd, {"by": by, "verb": verb, "pid": os.getpid(), "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                   "taken": trial.now()})
        yield
    finally:
        os.close(fd)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refused(f"the host's lock cannot be taken: {error}", "mend the disk, then run the same command again") from None


class Locked(Refused):
    """Another command is at work on this application."""


def _note(fd: int, said: dict[str, Any]) -> None:
    """Who holds it, for people: on a disk that is full the lock is the kernel's all the same."""
    try:
        os.ftruncate(fd, 0)
        os.write(fd, json.dumps(said).encode())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise


def take(fd: int, deadline: float, layout: Layout) -> None:
    """Wait for it until `deadline` on the monotonic clock. Raises Refused naming who holds it, doing what, since when.

    A holder that was stopped all the while, and has had its lease, is ended then."""
    asleep = True
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if trial.over(layout, GRACE):
                for pid in holders(layout.state / "lock") - {os.getpid()}:
                    end(pid)
            asleep = asleep and stopped(_read_lock(fd))
            if time.monotonic() > deadline:
                said = _read_lock(fd)
                if asleep and trial.now() - said.get("taken", trial.now()) > LEASE:
                    end(said["pid"])
                    deadline += GRACE
                    continue
                raise Locked(f"locked by {said.get('by', 'somebody')} ({said.get('verb', '?')}) since {when(said.get('since', '?'))}",
                              "wait until it is done, then run the command again") from None
            time.sleep(0.05)


def holders(lock: Path) -> set[int]:
    """Pids of the processes that hold the lock, as far as we may see: they have its file open (so does who waits for it), and the
    kernel's table of locks names them. That table is not asked for the file: on an overlay it has another name there."""
    wanted = os.stat(lock)
    return {pid for pid in _locking() if any(_same(f"/proc/{pid}/fd/{fd}", wanted) for fd in names(Path(f"/proc/{pid}/fd")))}


def _locking() -> set[int]:
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    return {int(line.split()[4]) for line in lines if line.split()[1:4] == ["FLOCK", "ADVISORY", "WRITE"]}


def _same(path: str, wanted: os.stat_result) -> bool:
    try:
        seen = os.stat(path)
    except OSError:
        return False
    return (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino)


def stopped(note: dict[str, Any]) -> bool:
    """Whether the process that has signed the lock does not run until somebody lets it; one that is traced is somebody's business."""
    try:
        return Path(f"/proc/{note['pid']}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except (OSError, KeyError, IndexError):
        return False


def end(pid: int) -> None:
    """Kill a process that holds the lock: SIGKILL reaches a stopped one too, and nothing half done is lost by it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _read_lock(fd: int) -> dict[str, Any]:
    """The note, {} where it is that of a holder who has ended: the next one has not signed yet."""
    try:
        said = json.loads(os.pread(fd, 4096, 0))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and os.path.isdir(f"/proc/{said.get('pid')}") else {}
