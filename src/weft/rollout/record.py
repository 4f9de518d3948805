"""What happened in a rollout, written down while it runs: a file of JSON lines in the user's state directory, for `fab report`.

The last 20 of each application and environment are kept. A disk that takes no writes stops no rollout, and known secrets are taken out.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from weft.rollout.hostrun import HostRun, serves

KEPT = 20
LINES = 40


def place(app: str, env: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the records of an application's environment lie."""
    state = environ.get("XDG_STATE_HOME") or ""
    return Path(state if os.path.isabs(state) else Path.home() / ".local/state") / "weft" / "rollouts" / f"{app}.{env}"


def last(folder: Path) -> list[dict[str, Any]]:
    """The lines of the newest record; [] where there is none."""
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        found = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue  # the last line of one that was killed
            if isinstance(said, dict):
                found.append(said)
        if found:
            return found
    return []


class Record:
    """A progress that is given on to another one. clean: takes secrets out of texts in lists and tables."""

    def __init__(self, progress: Any, folder: Path, about: dict[str, Any], clean: Callable[[Any], Any] = lambda said: said,
                 clock: Callable[[], float] = time.time):
        self.progress, self.clean, self.clock = progress, clean, clock
        self._mutex, self._file = threading.Lock(), None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(clock()))
            fd = os.open(folder / f"{stamp}-{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(fd, "w", encoding="utf-8")
            for old in sorted(folder.glob("*.jsonl"))[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError:
            pass
        self._note("begin", **about)

    def __enter__(self) -> Record:
        self.progress.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        self.progress.__exit__(*why)

    def phase(self, text: str) -> None:
        self._note("phase", text=text)
        self.progress.phase(text)

    def plans(self, runs: Sequence[HostRun]) -> None:
        self.progress.plans(runs)

    def host(self, name: str, event: dict[str, Any]) -> None:
        self._note("host", host=name, **{f"_{key}" if key in ("at", "kind", "host") else key: value for key, value in event.items()})
        self.progress.host(name, event)

    def end(self, runs: Sequence[HostRun], error: BaseException | None) -> None:
        """Each host's outcome, and why the rollout ended otherwise than well."""
        said = {"code": getattr(error, "code", 1 if error else 0), "message": getattr(error, "message", "") or (type(error).__name__ if error else "")}
        self._note("end", **said, hosts={run.host.name: outcome(run) for run in runs})
        if self._file:
            self._file.close()
            self._file = None

    def _note(self, kind: str, **said: Any) -> None:
        with self._mutex:
            if self._file is None:
                return
            try:
                self._file.write(json.dumps(self.clean({"at": round(self.clock(), 3), "kind": kind, **said}), default=str) + "\n")
                self._file.flush()
            except (OSError, ValueError):
                self._file = None


def outcome(run: HostRun) -> dict[str, Any]:
    details = run.error.details if run.error else None
    return {"status": run.status, "was": serves(run.before), "serves": serves(run.state), "switch_ms": run.switch_ms, "seconds": round(run.seconds, 2), "seen": run.seen,
            "domain": run.host.domain, "error": run.error.message if run.error else "",
            "lines": [str(each) for each in details][-LINES:] if isinstance(details, list) else []}
