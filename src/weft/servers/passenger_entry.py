"""Written by weft for @APP@, slot @SLOT@: what Passenger loads. `fab setup` writes it again; it is the same for every release.

A release that cannot be imported does not end its process at once: the word that it leaves of itself counts as long as it lives, and Passenger
would start the next one and the next. It answers 500 to everybody, and ends after an answer, at the earliest after some seconds.
"""

import logging
import os
import sys
import time
import traceback

PATIENCE = 5
"""Seconds that a process which has failed stays at least."""
os.environ["WEFT_SLOT"] = "@SLOT@"
for name in ("WEFT_SHOW", "WEFT_PLACE"):  # of the request that this process was started for
    os.environ.pop(name, None)
# Passenger's loader has its own directory and the working one there.
sys.path[:] = [path for path in sys.path if path not in (os.getcwd(), os.path.dirname(os.path.abspath(sys.argv[0])))]
os.chdir("/")


class _Timed:
    """A stream whose lines begin with their time, in whole seconds since 1970: Passenger notes none. `fab logs` sorts by it."""

    def __init__(self, stream):
        self.stream, self.rest, self.begins = stream, "", True

    def write(self, text):
        """A line goes out as a whole: Passenger takes what it gets at once for one."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self._out(line + "\n")
        if lines:
            self.stream.flush()
        return len(text)

    def _out(self, piece):
        self.stream.write("[%d] %s" % (time.time(), piece) if self.begins and piece != "\n" else piece)
        self.begins = piece.endswith("\n")

    def flush(self):
        if self.rest:
            self._out(self.rest)
            self.rest = ""
        self.stream.flush()

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self.stream, name)


sys.stdout, sys.stderr = _Timed(sys.stdout), _Timed(sys.stderr)
for _handler in logging.root.handlers:  # Passenger's loader writes there what an application raises
    _handler.stream = sys.stderr


def _failed(began):
    """An application that says so."""
    def gone():
        yield b"The application failed to start.\n"
        if time.monotonic() - began > PATIENCE:
            raise KeyboardInterrupt  # by which Passenger's loader ends, with the answer sent

    def answer(environ, start_response):
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
        return gone()
    return answer


# In the log of all: by this line `fab logs` knows whose the process was when it has gone.
print("@ROOT@/entry.wsgi: slot @SLOT@ starts", file=sys.stderr, flush=True)
_space = {"__name__": "weft_entry", "__file__": "@ROOT@/entry.wsgi"}
try:
    with open("@ROOT@/entry.wsgi", "rb") as _handle:
        exec(compile(_handle.read(), "@ROOT@/entry.wsgi", "exec"), _space)
    application = _space["application"]
except BaseException:
    traceback.print_exc()
    application = _failed(time.monotonic())
