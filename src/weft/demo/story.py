"""The demo's acts: a project, two releases, deploys under load, a broken release, the way back, and the figures."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from weft.demo import apache
from weft.demo.screen import Screen
from weft.errors import FailedUndone

NAME = "hello"
# Works wherever it is tested and released, and not on the server: the kind of fault that only a host shows.
BROKEN = '\nimport os\nif "WEFT_SETTINGS" in os.environ and "WEFT_VERSION" in os.environ:\n    import only_on_the_developers_machine\n'


class Story:
    """One run in `scratch`; `close` ends what it started."""

    def __init__(self, scratch: Path, screen: Screen):
        self.scratch, self.screen = scratch, screen
        self.project, self.prefix = scratch / NAME, scratch / "host"
        self.port = _free_port()
        self.load: subprocess.Popen[str] | None = None
        self.switches: list[tuple[str, str]] = []
        # The demo's own identity, wherever git knows none.
        for role in ("AUTHOR", "COMMITTER"):
            os.environ.setdefault(f"GIT_{role}_NAME", "weft demo")
            os.environ.setdefault(f"GIT_{role}_EMAIL", "demo@localhost")

    def tool(self, name: str) -> str:
        beside = Path(sys.executable).parent / name
        return str(beside) if beside.exists() else (shutil.which(name) or name)

    def inv(self, *words: str) -> str:
        return self.screen.run([self.tool("inv"), *words], self.project)

    def fab(self, *words: str, expect: int = 0) -> str:
        return self.screen.run([self.tool("fab"), *words], self.project, expect)

    def tell(self) -> dict[str, Any]:
        """The whole demo; the load's report."""
        self.prefix.mkdir(parents=True)
        self.prefix.chmod(0o755)
        self.screen.heading("A server")
        self.screen.line(f"  {apache.provide(self.prefix, self.screen.line, self.screen.live)}")
        self.make_project()
        self.release_twice()
        self.screen.heading("A host: a private Apache under a directory, no root, no SSH; then the first deploy")
        self.fab("setup")
        self.deploy("0.1.0")
        self.start_load()
        self.screen.heading("The new release, while users ask all the time")
        self.deploy("0.2.0")
        self.break_it()
        self.screen.heading("The way back: the release before is still warm")
        self.switch("rollback", "0.1.0")
        self.fab("status")
        return self.stop_load()

    def make_project(self) -> None:
        self.screen.heading("A new project")
        self.screen.run([self.tool("weft"), "new", NAME], self.scratch)
        self.edit("deploy/local.toml", r'prefix = ".*"', f'prefix = "{self.prefix}"\npython = "{apache.python()}"')
        self.edit("deploy/local.toml", r"port = \d+", f"port = {self.port}\ndoors = [{_free_port()}, {_free_port()}]")
        version = subprocess.run([apache.python(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        self.edit("pyproject.toml", r'python = "3\.\d+"', f'python = "{version}"')
        self.commit("Where this machine's host lies")

    def edit(self, name: str, pattern: str, text: str) -> None:
        path = self.project / name
        old = path.read_text()
        new, found = re.subn(pattern, lambda _match: text, old, count=1)
        assert found, f"{name}: {pattern} is not there"
        path.write_text(new)

    def commit(self, message: str) -> None:
        subprocess.run(["git", "commit", "-q", "-a", "-m", message], cwd=self.project, check=True)

    def release_twice(self) -> None:
        self.screen.heading("Two releases: tests, tag, sdist, wheel, checks, and one rename into the artifact directory")
        self.inv("release", "--version", "0.1.0", "--yes")
        self.edit(f"src/{NAME}/app.py", "This is ", "Newer! This is ")
        self.note("The page says that it is newer.")
        self.inv("release", "--version", "0.2.0", "--yes")

    def note(self, text: str) -> None:
        """A changelog entry for what is changed now, and a commit of both."""
        path = self.project / "CHANGELOG"
        old = path.read_text()
        at = old.index("## ")
        path.write_text(f"{old[:at]}## [Unreleased]\n\n- {text}\n\n{old[at:]}")
        self.commit(text)

    def deploy(self, version: str) -> None:
        self.switch("deploy", version, "--version", version)

    def switch(self, verb: str, version: str, *words: str) -> None:
        start = time.monotonic()
        output = self.fab(verb, *words)
        took = re.search(r"(\d+) ms", output)
        self.switches.append((f"{verb} {version}", f"{time.monotonic() - start:.1f} s in all, switch {took[1] if took else '?'} ms"))

    def break_it(self) -> None:
        self.screen.heading("A release whose import fails on the server")
        with (self.project / f"src/{NAME}/app.py").open("a") as handle:
            handle.write(BROKEN)
        self.note("It works on my machine.")
        self.inv("release", "--version", "0.3.0", "--yes")
        self.fab("deploy", "--version", "0.3.0", expect=FailedUndone.code)
        self.switches.append(("deploy 0.3.0", "refused by the host's import check, users saw nothing"))

    def start_load(self) -> None:
        self.screen.progress = self.scratch / "load.json"
        base = f"http://127.0.0.1:{self.port}"
        self.load = subprocess.Popen(
            [sys.executable, "-m", "weft.testing.load", f"{base}/health", "--seconds", "110", "--clients", "4", "--rate", "200",
             "--slow", "/slow?seconds=4:2", "--post", "/echo:20000", "--version-json", "version", "--json",
             "--progress", str(self.screen.progress)], stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)

    def stop_load(self) -> dict[str, Any]:
        assert self.load
        self.load.send_signal(signal.SIGTERM)
        self.screen.live("  waiting for the last requests")
        output = self.load.communicate(timeout=90)[0]
        self.load = None
        return json.loads(output.splitlines()[-1])  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the load and the private Apache; the files stay."""
        if self.load:
            self.load.kill()
            self.load.wait()
        pidfile = self.prefix / "var/run/httpd.pid"
        if pidfile.exists():
            _stop(int(pidfile.read_text()))


def _stop(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            os.kill(pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        pass


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
