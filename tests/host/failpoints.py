"""The engine with a fault at its Nth mutating call: `python -m tests.host.failpoints N MODE COUNT ENGINE-ARGUMENTS...`.

MODE: kill (SIGKILL before the call), after (SIGKILL after it), ENOSPC or EIO (the call fails). N = 0 only counts; the number of
calls is written to the file COUNT when the engine ends. Calls of this process count; pip's own are its own.
"""

import builtins
import errno
import io
import os
import signal
import sys

CALLS = ("rename", "replace", "symlink", "link", "mkdir", "unlink", "remove", "rmdir", "fsync", "write", "fchmod", "fchown", "chmod",
         "chown", "lchown", "ftruncate", "kill", "killpg")
# What an operating system may refuse for want of room or by a bad disk.
MAY_FAIL = {"rename", "replace", "symlink", "link", "mkdir", "fsync", "write", "open"}


class Points:
    def __init__(self, at, mode):
        self.at, self.mode, self.count = at, mode, 0

    def wrap(self, name, real):
        def call(*args, **kwargs):
            if name == "write" and args[0] in (1, 2):
                return real(*args, **kwargs)
            return self.meet(name, lambda: real(*args, **kwargs))
        return call

    def meet(self, name, go):
        if self.mode in ("ENOSPC", "EIO") and name not in MAY_FAIL:
            return go()
        self.count += 1
        if self.count != self.at:
            return go()
        if self.mode == "kill":
            os.kill = REAL_KILL
            REAL_KILL(os.getpid(), signal.SIGKILL)
        if self.mode == "after":
            result = go()
            REAL_KILL(os.getpid(), signal.SIGKILL)
            return result
        number = getattr(errno, self.mode)
        raise OSError(number, os.strerror(number))

    def install(self):
        for name in CALLS:
            setattr(os, name, self.wrap(name, getattr(os, name)))
        real = io.open

        def opened(file, mode="r", *args, **kwargs):
            if isinstance(mode, str) and set(mode) & set("wax+") and not isinstance(file, int) and str(file) != os.devnull:
                return self.meet("open", lambda: real(file, mode, *args, **kwargs))
            return real(file, mode, *args, **kwargs)
        io.open = builtins.open = opened


REAL_KILL = os.kill


def main():
    at, mode, count = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    from weft.host import __main__ as engine
    points = Points(at, mode)
    points.install()
    # The watchdog is a process of its own: it starts without faults.
    engine.engine_argv = lambda prefix: [sys.executable, "-m", "weft.host", *(["--prefix", prefix] if prefix else [])]
    try:
        engine.main(sys.argv[4:])
    finally:
        number = points.count
        points.at = -1
        fd = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(fd, str(number).encode())
        os.close(fd)


if __name__ == "__main__":
    main()
