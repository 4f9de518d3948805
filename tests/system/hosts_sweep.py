"""Who owns a fleet, noted on disk, and the removal of what fleets of dead owners left.

A fleet normally tidies up itself, also when its owner is killed. Only when owner and keeper are killed together do a directory
and perhaps a client process stay; the next fleet to start removes them. Needs root.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

#: Only root can write here, so that what the sweep reads was written by a fleet and not by another user of the machine.
BASE = Path("/run/weft-fleets")
PREFIX = "fleet-"
#: Set for every process started in the operator's network; tells the sweep which ones a dead fleet has left.
MARK = "WEFT_FLEET"
KEEPER_SECONDS = 5


def sweep() -> list[str]:
    """Remove what fleets of dead owners left, and end what still runs of them; returns their ids."""
    swept = []
    for directory in BASE.glob(PREFIX + "*"):
        try:
            owner = json.loads((directory / "owner.json").read_text())
        except FileNotFoundError:
            _remove_old(directory)
            continue
        if _alive(owner["owner"]):
            continue
        deadline = time.monotonic() + KEEPER_SECONDS
        while _alive(owner["keeper"]) and time.monotonic() < deadline:
            time.sleep(0.02)  # it has noticed, and tidies up itself
        identity = directory.name.removeprefix(PREFIX)
        left = [owner["keeper"][0]] if _alive(owner["keeper"]) else []
        for pid in left + _marked(identity):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)
        swept.append(identity)
    return swept


def _remove_old(directory: Path) -> None:
    """Remove a fleet's directory without an owner, unless it is being made, or being removed, just now."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - directory.stat().st_mtime > 60:
            shutil.rmtree(directory, ignore_errors=True)


def _marked(identity: str) -> list[int]:
    """The processes that were started in the operator's network of fleet `identity`."""
    mark, found = f"{MARK}={identity}".encode(), []
    for pid in _numbers():
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def write_owner(directory: Path, owner: int, keeper: int | None) -> None:
    """Note who is responsible, by number and start time, since numbers are used again."""
    fresh = directory / "owner.json.new"
    fresh.write_text(json.dumps({"owner": [owner, _started(owner)], "keeper": [keeper, _started(keeper)] if keeper else None}))
    fresh.rename(directory / "owner.json")


def in_session(leader: int) -> list[int]:
    """The processes of the session that process `leader` started."""
    return [pid for pid in _numbers() if _fields(pid)[3:4] == [str(leader)]]


def _started(pid: int) -> str | None:
    """When process `pid` started, in the kernel's ticks; None when there is none or it is a zombie."""
    fields = _fields(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def _fields(pid: int) -> list[str]:
    """What `/proc/<pid>/stat` says, from the state on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _alive(who: list | None) -> bool:
    return who is not None and who[1] is not None and _started(who[0]) == who[1]
