"""A light host whose engine is a fresh process under strace where a fault is asked for: the kernel strikes it at its Nth call of a kind, and
the engine knows nothing of it. The calls of its own process count, as with the fail points; pip's own are its own.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.host.light_host import ROOT, LightHost

#: All that `python -m weft.host` does, once it knows the light server.
ENGINE = "from tests.host import light; light.register(); from weft.host.__main__ import main; main()"
#: A kernel has not all of them (`?`): those of one machine are another's with -at.
CALLS = ("rename", "renameat", "renameat2", "symlink", "symlinkat", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "fsync", "syncfs", "write", "chmod",
         "fchmod", "openat")
#: What has room or a disk to blame. An openat is left out: how many there are before one that creates differs from run to run.
MAY_FAIL = {*CALLS[:7], "fsync", "syncfs", "write"}
LINE = re.compile(r"(\w+)\((.*)")


@dataclass(frozen=True)
class Call:
    """The number-th call of that name."""

    name: str
    number: int


class StruckHost(LightHost):
    """`ask` with fault={"inject": "", ...} only counts; trace: strace's lines of the last such run."""

    trace = ()

    def ask(self, verb, blobs=(), fault=None, **words):
        if not fault or "inject" not in fault:
            return super().ask(verb, blobs, fault, **words)
        request = json.dumps({"protocol": 1, "verb": verb, "app": "shop", "by": "strace@here", "site": self.site, **words}).encode() + b"\n"
        log = self.tools / "strace.log"
        wanted = ["-e", f"trace={','.join(f'?{name}' for name in CALLS)}", *(["-e", f"inject={fault['inject']}"] if fault["inject"] else [])]
        done = subprocess.run(["strace", "-o", str(log), "-s", "0", *wanted, sys.executable, "-c", ENGINE, "--prefix", str(self.prefix)],
                              input=request + b"".join(blobs), stdout=subprocess.PIPE, cwd=ROOT, timeout=120,
                              env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"})
        self.trace = log.read_text().splitlines()
        self.end_watchdogs()
        lines = done.stdout.splitlines()
        return {"code": done.returncode, "last": json.loads(lines[-1]) if lines and lines[-1].startswith(b"{") and done.returncode >= 0 else {}}

    def calls(self):
        """Those of the last run that changed something on the disk, in their order."""
        seen, found = {}, []
        for name, rest in (match.groups() for line in self.trace if (match := LINE.match(line))):
            seen[name] = seen.get(name, 0) + 1
            if name == "openat" and "O_CREAT" not in rest or name == "write" and rest.startswith(("1,", "2,")):
                continue
            found.append(Call(name, seen[name]))
        return found

    def end_watchdogs(self):
        """A trial's watchdog waits for its end, beside a disk that the next point puts in another state."""
        while pids := [int(name) for name in filter(str.isdigit, os.listdir("/proc")) if self.is_watchdog(name)]:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def is_watchdog(self, pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return b"--watchdog" in words and str(self.prefix).encode() in words
