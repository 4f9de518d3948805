"""The steps of the two-slot switch: warm and check the idle slot, flip one symlink, watch."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from weft import durable
from weft.durable import read_json
from weft.errors import FailedUndone, Refused
from weft.host import health, processes, traffic, trial
from weft.host.commands import application_frames, ids, run
from weft.host.work import Work
from weft.record import replace
from weft.servers import SLOTS, Site, before, find
from weft.typing import Any


class Point:
    """Point the idle slot at a generation, by rename; it only ever changes while no user is served from it."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, slot: str, generation: int) -> None:
        layout = self.work.layout
        if layout.live.resolve() == layout.slot(slot).resolve():
            raise Refused(f"slot {slot} serves users; it is not changed")
        self._loads(slot, generation)
        durable.link(layout.slot(slot) / "generation", f"../../generations/{generation}")

    def _loads(self, slot: str, generation: int) -> None:
        """Raises Refused where the server starts each slot by a text of its own and has nothing for the Python that the release was made with."""
        site, adapter = self.work.site, find(self.work.site.server)
        own = str(self.work.layout.generation(generation) / "release" / "venv" / "bin" / "python")
        lacks = adapter.missing(replace(site, python=own)) if adapter.renew(site, slot) else []
        if lacks:
            raise Refused(lacks[0][0], lacks[0][1])

    def undo(self, slot: str, generation: int) -> None:
        """The idle slot may hold anything; the next deploy points it elsewhere."""


class Restart:
    """End the idle slot's processes, after their last requests, and wait for new ones that hold the generation."""

    def __init__(self, work: Work):
        self.work = work
        self.adapter = find(work.site.server)

    def do(self, slot: str, generation: int) -> None:
        layout, site = self.work.layout, self.work.site
        parent = processes.parent_pid(self.adapter.pidfile(site))
        uid = ids(layout, site.account)[0]
        old = {m.pid for m in processes.marks(layout, slot, parent, uid)}
        began = time.time()
        by = 0 if self.renew(slot) or self.restart(slot) else signal.SIGTERM  # where the server itself ends them they are only waited for
        left = processes.terminate(old, parent, uid, site.longest_request + 10, by)
        left = left and processes.terminate(left, parent, uid, 10, signal.SIGKILL)  # stopped, or deaf: no request may last so long
        if left:
            raise Refused(f"{len(left)} processes of the idle slot can't be ended, not by SIGKILL either",
                          "wait, then run the same command again")
        wait_ready(self.work, slot, generation, began)

    def renew(self, slot: str) -> bool:
        """Write again what the server starts the slot by, always with a newer time: it sees whole seconds. Whether there was anything."""
        files = self.adapter.renew(self.work.site, slot)
        for path, text in files.items():
            old = os.stat(path).st_mtime if os.path.exists(path) else 0.0
            durable.write(Path(path), text)
            newer = max(int(old) + 1, int(time.time()))
            os.utime(path, (newer, newer))
        return bool(files)

    def restart(self, slot: str) -> bool:
        """Have the server do it, where it has a command for that. Whether it has."""
        argv = self.adapter.restart(self.work.site, slot)
        if argv:
            run(argv, f"the server does not start slot {slot} anew", self.work.layout, timeout=60)
        return bool(argv)

    def undo(self, slot: str, generation: int) -> None:
        """The idle slot's processes serve nobody."""


def wait_ready(work: Work, slot: str, generation: int, began: float = 0.0) -> None:
    """Until all processes of the slot are ready with this generation. A process that came up while the slot was being
    pointed holds another one: it is sent away once more. Raises FailedUndone with a failed process's traceback.

    began: when it was started anew; a server that tells when a slot has begun to accept must tell of a later time."""
    site, layout = work.site, work.layout
    adapter = find(site.server)
    uid = ids(layout, site.account)[0]
    deadline, ready = time.monotonic() + site.health.timeout, False
    while time.monotonic() < deadline:
        parent = processes.parent_pid(adapter.pidfile(site))
        marks = processes.marks(layout, slot, parent, uid)
        failed = [m for m in marks if m.state == "failed" and m.generation == generation]
        if failed:
            raise FailedUndone(f"the application failed to start: {failed[0].text.strip().splitlines()[-1]}",
                               "mend the release; its traceback is above", details=application_frames(failed[0].text.splitlines())[-25:])
        strays = {m.pid for m in marks if m.generation != generation}
        if strays:
            processes.terminate(strays, parent, uid, 0)
        ready = sum(m.state == "ready" and m.generation == generation for m in marks) >= site.processes
        if ready and _accepts(adapter.accepting(site, slot), began):
            return
        if adapter.lazy and not ready:
            health.ask(door_port(site, slot), site, 1)
        time.sleep(0.02)
    if ready:
        raise FailedUndone(f"the processes of slot {slot} are ready, but in {site.health.timeout} s the server did not say that it accepts requests there",
                           "look whether the server runs with its configuration of now: start it again", details=tail(adapter.error_log(site, slot)))
    raise FailedUndone(f"the processes of slot {slot} were not ready after {site.health.timeout} s",
                       f"look into {adapter.error_log(site, slot)} on the host", details=tail(adapter.error_log(site, slot)))


def _accepts(said: float | None, began: float) -> bool:
    return said is None or bool(said) and said >= int(began)


def tail(path: str, lines: int = 15) -> list[str]:
    """The last lines of a log, [] where it can't be read."""
    try:
        with Path(path).open("rb") as handle:
            handle.seek(max(0, handle.seek(0, 2) - 16384))
            return handle.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


class Ready:
    """The idle slot still holds the generation, warm: only see that its processes are there."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, slot: str, generation: int) -> None:
        wait_ready(self.work, slot, generation)

    def undo(self, slot: str, generation: int) -> None:
        pass


def door_port(site: Site, slot: str) -> int:
    """Where a slot answers by itself."""
    return site.before.port if site.before and slot == before.RELEASE else site.doors["ab".index(slot)]


class Door:
    """Ask health at the slot's own door: good answers in a row that name the release."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, slot: str, release: str) -> None:
        site = self.work.site
        said = health.wait_good(door_port(site, slot), site, release)
        if said:
            raise FailedUndone(f"the candidate is not healthy: GET {site.health.path}: {said}",
                               "mend the release or [health] in deploy/NAME.toml",
                               details=tail(find(site.server).error_log(site, slot)))

    def undo(self, slot: str, release: str) -> None:
        pass


class Flip:
    """The commit: note the trial, then one rename and a directory fsync."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, slot: str, generation: int) -> float:
        """Milliseconds until the site answered from the new slot."""
        layout, site = self.work.layout, self.work.site
        trial.begin(layout, slot, generation, site.watch + site.confirm)
        start = time.monotonic()
        durable.link(layout.live, f"slots/{slot}")
        release = read_json(layout.generation(generation) / "record.json")["release"]
        while health.ask(site.port, site, 5).release != release and time.monotonic() - start < 2:
            time.sleep(0.002)
        took = (time.monotonic() - start) * 1000
        durable.link(layout.root / "current", f"generations/{generation}", sync=False)
        return round(took, 1)

    def undo(self, slot: str, generation: int) -> None:
        """Back to the slot before, which was not touched and is warm."""
        trial.go_back(self.work.layout, note="undone at once")


class Watch:
    """Ask the site itself for a while, and look at what users get and at the processes, compared with before."""

    def __init__(self, work: Work):
        self.work = work

    def do(self, release: str) -> dict[str, Any]:
        """What users got, before and after, and how long the site's answers to us took."""
        site, layout = self.work.site, self.work.layout
        new = trial.live_slot(layout)
        old = trial.read(layout).get("previous_slot") or next(slot for slot in SLOTS if slot != new)
        watcher = traffic.Watcher(layout, (new, old), find(site.server).pidfile(site), ids(layout, site.account)[0], layout.live.lstat().st_mtime)
        took: list[float] = []
        said = health.watch(site.port, site, release, lambda: "" if release == before.RELEASE else watcher.fault(site.max_errors), took=took)
        if said:
            raise FailedUndone(f"after the switch: {said}", "mend the release", details=tail(find(site.server).error_log(site, new)))
        was, now = watcher.requests()
        return {"before": was.__dict__, "after": now.__dict__, "ms": {"median": round(sorted(took)[len(took) // 2], 1), "most": round(max(took), 1)}}

    def undo(self, release: str) -> None:
        pass
