"""The engine with a fault at its Nth mutating call. Calls of the engine's own process count; pip's own are its own.

Modes: kill (SIGKILL before the call), after (SIGKILL after it), torn (half of a write, then SIGKILL), ENOSPC and EIO (the call fails),
ENOSPC+ and EIO+ (it and every later one fail), EROFS+ (the disk turns read-only: what removes and changes modes fails too), pause (the
call comes late; the tries for a lock count too).
"""

import builtins
import errno
import fcntl
import io
import os
import select
import signal
import subprocess

CALLS = ("rename", "replace", "symlink", "link", "mkdir", "unlink", "remove", "rmdir", "fsync", "write", "fchmod", "fchown", "chmod",
         "chown", "lchown", "truncate", "ftruncate", "kill", "killpg")
#: What an operating system may refuse for want of room or by a bad disk.
MAY_FAIL = {"rename", "replace", "symlink", "link", "mkdir", "fsync", "write", "open", "syncfs"}
NEVER_FAIL = {"kill", "killpg", "exec", "watchdog"}
MODES = ("kill", "after", "torn", "ENOSPC", "EIO", "ENOSPC+", "EIO+", "EROFS+")
REAL_KILL = os.kill


class Handle:
    """A file open for writing, whose writes are calls of their own."""

    def __init__(self, file, points):
        self._file, self._points = file, points

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *why):
        return self._file.__exit__(*why)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __iter__(self):
        return iter(self._file)

    def write(self, payload):
        def half():
            self._file.write(payload[:len(payload) // 2])
            self._file.flush()
        return self._points.meet("write", lambda: self._file.write(payload), half)


class Points:
    """at: which call meets the fault, 0 for none; count: how many were met. pause: seconds, of the mode of that name."""

    def __init__(self, at, mode, pause=0.0):
        self.at, self.mode, self.pause, self.count = at, mode, pause, 0
        self.names = []

    def meet(self, name, go, half=None):
        if self._passes(name, half):
            return go()
        self.count += 1
        self.names.append(name)
        if self.count != self.at and not (self.mode.endswith("+") and 0 < self.at < self.count):
            return go()
        if self.mode == "pause":
            select.select([], [], [], self.pause)
            return go()
        if self.mode == "torn":
            half()
        if self.mode == "after":
            go()
        if self.mode in ("kill", "after", "torn"):
            REAL_KILL(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self.mode.rstrip("+"))
        raise OSError(number, os.strerror(number))

    def _passes(self, name, half):
        """Whether this call is none that the mode is about."""
        if self.mode == "torn":
            return half is None
        if self.mode in ("kill", "after", "pause"):
            return False
        return name in NEVER_FAIL if self.mode.startswith("EROFS") else name not in MAY_FAIL

    def install(self):
        """Into this process, for good."""
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        real_open, real_file, real_popen = os.open, io.open, subprocess.Popen

        def os_open(path, flags, *rest, **words):
            if flags & (os.O_CREAT | os.O_TRUNC):
                return self.meet("open", lambda: real_open(path, flags, *rest, **words))
            return real_open(path, flags, *rest, **words)

        def file_open(file, mode="r", *rest, **words):
            if not (isinstance(mode, str) and set(mode) & set("wax+")) or str(file) == os.devnull:
                return real_file(file, mode, *rest, **words)
            opened = real_file(file, mode, *rest, **words) if isinstance(file, int) else \
                self.meet("open", lambda: real_file(file, mode, *rest, **words))
            return Handle(opened, self)

        class Popen(real_popen):
            def __init__(inner, *rest, **words):
                self.meet("exec", lambda: super(Popen, inner).__init__(*rest, **words))
        os.open, io.open, builtins.open, subprocess.Popen = os_open, file_open, file_open, Popen
        if self.mode == "pause":
            fcntl.flock = self._wrapped("flock", fcntl.flock)
        import weft.durable
        synced = weft.durable._syncfs
        weft.durable._syncfs = lambda fd: self.meet("syncfs", lambda: synced(fd))

    def _wrapped(self, name, real):
        def call(*args, **words):
            if name == "write":
                if args[0] in (1, 2):
                    return real(*args, **words)
                return self.meet(name, lambda: real(*args), lambda: real(args[0], bytes(args[1])[:len(args[1]) // 2]))
            return self.meet(name, lambda: real(*args, **words))
        return call
