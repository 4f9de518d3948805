"""Waiting for the fleet's lock, keeping it alive while a rollout lasts, and giving it back."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Iterator, Sequence

from weft.errors import WeftError
from weft.rollout import fleetlock
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import Stop, each

BEAT = 15.0
"""Seconds between two beats; a rollout that is shorter has none, its orders are enough."""
LOOK, PATIENCE = 2.0, 20.0
"""Seconds between two looks at a lock that is waited for; and for how long one that began at the same moment may take to give way."""


def free(rollout: Any, only_look: bool = False) -> list[WeftError]:
    """Whose the lock is, once as much was waited as was asked for; [] where it is nobody's."""
    lock, told = rollout.job.lock, ""
    end = time.monotonic() + lock.wait
    while found := taken(rollout):
        said = fleetlock.refusals(found, rollout.job.again)
        if only_look:
            for error in said:
                rollout.progress.phase(f"{error.message}; a deploy would be refused")
            return []
        if rollout.stop or time.monotonic() >= end or any(run.error for run in rollout.runs):
            return said
        if said[0].message != told:
            told = said[0].message
            rollout.progress.phase(f"waiting for {max(0.0, end - time.monotonic()):.0f} s at the most: {told}")
        _pause(rollout.stop, min(LOOK, max(0.05, end - time.monotonic())))
        each(rollout.runs, HostRun.observe, rollout.policy.parallel, rollout.stop)
    return []


def taken(rollout: Any) -> dict[str, Any]:
    """The hosts in scope whose lock is somebody's. One that seems to be may have been released on a host out of scope: then those are asked."""
    locks = {run.host.name: run.state.get("lock") or {} for run in rollout.runs if run.state}
    found = fleetlock.taken(locks)
    if found and rollout.job.others and not any(lock["freeze"] for lock in found.values()):
        others = [HostRun(host, rollout.job) for host in rollout.job.others]
        each(others, _looked, rollout.policy.parallel, rollout.stop)
        still = fleetlock.taken({**{run.host.name: run.state.get("lock") or {} for run in others}, **locks})
        found = {name: lock for name, lock in found.items() if name in still}
    rollout.job.lock.saw(locks, found)
    return found


def _looked(run: HostRun) -> None:
    run.look()
    run.close()


def contest(rollout: Any, runs: Sequence[HostRun]) -> Iterator[list[HostRun]]:
    """Of two rollouts that begin at the same moment each may have some of the hosts: the one of the lower rank gives way, the other tries those again."""
    end, told = time.monotonic() + PATIENCE, False
    while (met := rollout.job.lock.met(run.error for run in runs)) and not rollout.stop and time.monotonic() < end:
        if not told:
            rollout.progress.phase(f"{met[0]['owner']} ({met[0]['why']}) began at the same moment and gives way")
            told = True
        _pause(rollout.stop, 0.5)
        again = [run for run in runs if fleetlock.barred(run.error)]
        for run in again:
            run.error, run.status = None, "planned"
        yield again


@contextmanager
def kept(rollout: Any) -> Iterator[None]:
    """Take the lock with the orders that follow, keep it alive, and release it in the end; whoever leaves at once leaves it to go stale."""
    rollout.job.lock.begin()
    _fence(rollout)
    ended = threading.Event()
    threading.Thread(target=_beat, args=(rollout, ended), daemon=True, name="weft-heartbeat").start()
    try:
        yield
    finally:
        ended.set()
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
            if any(fleetlock.barred(run.error) for run in rollout.runs):  # what they serve now may be another's doing
                each(rollout.runs, HostRun.look, rollout.policy.parallel, Stop(), heed=False)
            _release(rollout)


def _fence(rollout: Any) -> None:
    """Hosts that get no order take the lock too where it was abandoned: else whoever was stalled could go on on them. Best effort."""
    idle = [run for run in rollout.runs if run.status == "current"] if rollout.job.lock.abandoned else []
    rollout.job.lock.tried.update(run.host.name for run in idle)
    each(idle, lambda run: _tell(run, "take"), rollout.policy.parallel, rollout.stop)


def _beat(rollout: Any, ended: threading.Event) -> None:
    while not ended.wait(BEAT) and not rollout.job.lock.lost:
        each([run for run in rollout.runs if run.status != "current"], lambda run: _tell(run, "take", run.held), rollout.policy.parallel, Stop(), heed=False)


def _tell(run: HostRun, act: str, again: bool = False) -> bool:
    """Whether the host has heard it. One that cannot be reached goes on being tried: the next order tells what is wrong. again: over another connection,
    where the one that is open has died."""
    wish = {"lock": run.job.lock.ask(run.host.name, act)}
    try:
        run.aside("lock", wish)
    except WeftError as error:
        run.job.lock.heard(run.host.name, wish, error)
        if not again or fleetlock.barred(error):
            return False
        run.close()
        return _tell(run, act)
    return True


def _release(rollout: Any) -> None:
    """On one host where all went well, else on all that have it. Best effort: it goes stale by itself."""
    lock = rollout.job.lock
    holding = [run for run in rollout.runs if run.host.name in lock.tried - lock.ended]
    if all(run.status in ("current", "switched") for run in rollout.runs):
        if not lock.released:
            any(_tell(run, "release") for run in holding[:3])
        return
    each(holding, lambda run: _tell(run, "release"), rollout.policy.parallel, Stop(), heed=False)


def _pause(stop: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not stop and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
