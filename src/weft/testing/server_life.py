"""An application's life on a real server under a prefix, for `weft.testing.server_behaviour`: its host, its pages, its load, and what is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from weft.host import processes, program
from weft.host.commands import ids
from weft.host.layout import Layout
from weft.rollout import zipapp
from weft.testing.load import Load
from weft.testing.private_host import PYTHON, HostUnderPrefix

PAGES = ('if environ["PATH_INFO"] == "/slow": __import__("time").sleep(3)\n'
         '    if environ["PATH_INFO"] == "/say": print(f"said by {VERSION}", file=__import__("sys").stderr, flush=True)')
BROKEN = "import os\nif not os.environ.get('WEFT_CHECK_GENERATION'): raise KeyError('only where it is served')"
RECORD = "WEFT_SERVERS_RECORD"
"""The variable with the file that the figures are added to."""


class Life(HostUnderPrefix):
    """An application's host, with a page that takes 3 s and one that writes to the log. Its limits are for a machine that is starved."""

    def __init__(self, tools: Path, server: str, app: str = "shop", beside: Life | None = None):
        """tools: where pip is kept with its byte code, which each application would pay for anew."""
        super().__init__(server, app, beside)
        self.tools = tools
        self.site.update(confirm=180, health={**self.site["health"], "timeout": 120})
        self.engine = self.files / "weft-host"
        if not self.engine.exists():  # as set-up installs it, with the servers of other packages in it
            self.engine.write_bytes(program.compiled(zipapp.build().read_bytes(), self.engine))

    def argv(self) -> list[str]:
        return [PYTHON, "-IS", str(self.engine), "--prefix", str(self.prefix)]

    def first(self, version: str) -> None:
        if self.tools.exists():
            shutil.copytree(self.tools, self.root / "tools", symlinks=True, dirs_exist_ok=True)
        self.good(version)
        if not self.tools.exists():
            shutil.copytree(self.root / "tools", self.tools, symlinks=True)

    def good(self, version: str) -> float:
        """Deploy it. Milliseconds of the switch: from the rename until the site answered from the new slot."""
        release, content = self.release(version, inside=PAGES)
        code, last, base = self.stage(release, content)
        assert code == 0, last
        code, last, _ = self.call("activate", generation=last["result"]["generation"], base=base)
        assert code == 0, last
        self.ok("confirm", generation=last["result"]["generation"])
        return float(last["result"]["switch_ms"])

    def said(self) -> list[str]:
        """What the application has written to its log, as `fab logs` shows it."""
        return [event["text"] for event in self.call("logs", lines=1000, errors=True)[2] if event["event"] == "line" and "said by" in event["text"]]

    def load(self) -> Load:
        """With bodies that the application does not read, and two slow requests always in flight."""
        return Load(f"http://127.0.0.1:{self.port}/", clients=4, seconds=300, rate=60, host_header="shop.test", slow=[("/slow", 2)],
                    post=("/", 100_000), version_json="version").start()

    def pidfiles(self) -> list[Path]:
        """Of the servers of this host."""
        return list((self.prefix / "var/run").glob("*.pid"))

    def processes(self) -> dict[str, set[int]]:
        """Marked pids by slot of the server that runs now, not of what it was before a reload."""
        uid, alive = ids(Layout(self.app, str(self.prefix)), self.site["account"])[0], set()
        for pidfile in self.pidfiles():
            alive |= processes.children(processes.parent_pid(str(pidfile)), uid)
        return {slot: {int(p.name) for p in (self.root / "run" / slot).iterdir() if p.name.isdigit()} & alive for slot in "ab"}

    def left(self) -> list[str]:
        """What is named like the application below the prefix, but what the test itself made and what remembers the newest index."""
        found = [p for p in self.prefix.rglob("*") if self.files not in (p, *p.parents) and (p.name == self.app or p.name.startswith((f"{self.app}.", f"{self.app}-")))]
        return sorted(str(p) for p in found if p.parent != self.prefix / "var/lib/weft")


def named(word: str) -> list[str]:
    """Pids of the processes that have it in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [place.parent.name] if word.encode() in place.read_bytes() else []
    return found


def until(condition: Callable[[], Any], seconds: float = 180) -> None:
    """Wait for it, at most so long."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition(), f"not so after {seconds} s"


def record(server: str, promise: str, said: dict[str, Any]) -> None:
    """Add what was seen to the file that the variable names; nothing without one."""
    if not os.environ.get(RECORD):
        return
    path = Path(os.environ[RECORD])
    known = json.loads(path.read_text()) if path.exists() else {}
    known.setdefault(server, {})[promise] = said
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
