"""Verbs of the fake engine that need no release: logs, a command and undeploy, made up of what a test has put beside its state.

DIR/lines.json is a list of [at, log, text]; with `follow` what is added to it comes too; DIR/followed is there when that has ended. A command is really run, in DIR, with the version that
is live as WEFT_VERSION.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from weft.errors import Refused
from weft.host.logs import gone


class Talk:
    """Mixed into FakeEngine."""

    prefix: Path
    request: dict[str, Any]
    state: dict[str, Any]
    say: Any

    def logs(self) -> dict[str, Any]:
        told = self._lines(0, self.request.get("lines", 50))
        try:
            while self.request.get("follow") and not gone():
                told = self._lines(told, 0)
                self.say({"event": "alive"})
                time.sleep(0.1)
        finally:
            (self.prefix / "followed").touch()
        return {"lines": told}

    def _lines(self, told: int, most: int) -> int:
        path = self.prefix / "lines.json"
        lines = json.loads(path.read_text()) if path.exists() else []
        if self.request.get("errors"):
            lines = [each for each in lines if each[1] == "error" or each[2].startswith("5")]
        for at, log, text in lines[-most:] if most else lines[told:]:
            self.say({"event": "line", "at": at, "log": log, "text": text})
        return len(lines)

    def undeploy(self) -> dict[str, Any]:
        """Under the lock, as the real one."""
        was = self.state["set_up"]
        self.state.update(set_up=False, live=None, generations=[], trial=None)
        return {"did": ["removed the application"] if was else [], "kept": [] if self.request.get("purge") else ["the drop-ins"]}

    def enable(self) -> dict[str, Any]:
        """A host has one link, which is a file here."""
        link, verb = self.prefix / "disabled", self.request["verb"]
        if link.exists() == (verb == "disable"):
            return {"did": []}
        link.touch() if verb == "disable" else link.unlink()
        return {"did": [f"{verb}d /etc/shop.link"]}

    disable = enable

    def command(self, version: str) -> dict[str, Any]:
        """`run`."""
        if not version:
            raise Refused("no release is served here", "fab deploy --version X")
        done = subprocess.Popen(self.request["argv"], cwd=self.prefix, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={"PATH": os.environ["PATH"], "WEFT_VERSION": version})
        (self.prefix / "command.pid").write_text(str(done.pid))
        for line in done.stdout or ():
            self.say({"event": "output", "stream": "stdout", "text": line})
        return {"exit": done.wait(), "version": version, "seconds": 0.0}
