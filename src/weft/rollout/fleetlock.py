"""The fleet's lock as one rollout has it: who else has it, and what each order carries of it. Nothing here talks to a host.

The hosts keep the lock (weft.host.fleetlock); all of a scope are looked at before a rollout, so the number of a new lock is one more than any that
was seen. It rides on the orders that there are anyway, and its release on the last confirmation: a lock that is released on one host is over
on all, which whoever comes next tells the others.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any, Iterable, Mapping

from weft.errors import Refused, WeftError
from weft.host import fleetlock
from weft.host.fleetlock import ORDERS
from weft.host.report import locked


class FleetLock:
    """why: such as "deploy 1.1.4".  wait: seconds to wait for somebody else's.  number: 0 until `begin`; then every order carries it.
    held: hosts that have taken it; tried: those too that may have, since the order failed after it.  lost: the refusal by which it was found to be somebody else's now; then nothing is sent any more.
    ended: hosts that know of its end.  closing: whether a confirmation ends it on its host.
    abandoned: one was seen that went stale without an end: whoever had it may only be stalled, and must be fenced off on every host."""

    def __init__(self, why: str = "", env: str = "", wait: float = 0.0):
        self.why, self.env, self.wait = why, env, wait
        self.token, self.number = secrets.token_hex(8), 0
        self.held: set[str] = set()
        self.tried: set[str] = set()
        self.lost: WeftError | None = None
        self.ended: set[str] = set()
        self.released = False
        self.closing = False
        self.abandoned = False
        self._highest, self._left = 0, 0
        self._after: dict[str, tuple[int, str]] = {}
        self._mutex = threading.Lock()

    @property
    def rank(self) -> tuple[int, str]:
        """Of two that begin at the same moment, the higher one goes on."""
        return self.number, self.token

    def saw(self, locks: Mapping[str, Mapping[str, Any]], taken: Mapping[str, Any]) -> None:
        """The locks of all hosts, and those of them that are somebody's."""
        self._highest = max((each["number"] for each in locks.values() if each), default=0)
        over = _over(locks)
        self.abandoned = any(each and not each["live"] and not each["released"] and _id(each) not in over for each in locks.values())
        self._after = {name: _id(each) for name, each in locks.items() if each and each["live"] and name not in taken}

    def begin(self) -> None:
        self.number = self._highest + 1

    def ending(self, hosts: int) -> None:
        """All that is left of the rollout are the confirmations of so many hosts; the last one releases."""
        with self._mutex:
            self._left = hosts

    def words(self, host: str, verb: str) -> dict[str, Any]:
        """What an order carries of it. Raises what it was lost by."""
        if not self.number or verb not in ORDERS:
            return {}
        if self.lost:
            raise self.lost
        return {"lock": self.ask(host, "release" if verb == "confirm" and (self.closing or self._left == 1) else "take")}

    def ask(self, host: str, act: str) -> dict[str, Any]:
        """The field `lock` of a request to a host."""
        after = self._after.get(host)
        return {"number": self.number, "token": self.token, "why": self.why, "env": self.env, **({"act": act} if act != "take" else {}),
                **({"after": list(after)} if after else {})}

    def heard(self, host: str, request: Mapping[str, Any], error: WeftError | None = None) -> None:
        """What came of an order."""
        ask = request.get("lock")
        if not ask:
            return
        with self._mutex:
            if not barred(error):
                self.tried.add(host)
            if error is None:
                self.held.add(host)
                over = ask.get("act") == "release"
                if over or "verb" in request:  # a beat that comes after the end brings nothing back
                    self.released = over
                    self.ended = self.ended | {host} if over else self.ended - {host}
                self._left -= request.get("verb") == "confirm"
            elif fenced(error):
                self.lost = error

    def met(self, errors: Iterable[WeftError | None]) -> list[dict[str, Any]]:
        """The locks that refusals name, where this one has hosts too and goes before all of them; else []."""
        locks = [barred(error) for error in errors if error and barred(error)]
        mine = self.held and not self.lost and all(_id(each) < self.rank for each in locks)
        return locks if mine else []


def barred(error: WeftError | None) -> dict[str, Any]:
    """The lock that a refusal names; {} for any other error."""
    said = error.details if error is not None and isinstance(error.details, dict) else {}
    return said["lock"] if isinstance(said.get("lock"), dict) and "fenced" in said else {}


def fenced(error: WeftError | None) -> bool:
    """Whether an order was refused because the lock has been taken over since."""
    return bool(barred(error)) and bool(error and error.details["fenced"])


def taken(locks: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The hosts whose lock is somebody's, with it. A rollout's that was released on a host is over on all of them: it is the fleet's."""
    over = _over(locks)
    return {name: each for name, each in locks.items() if each and each["live"] and (each["freeze"] or _id(each) not in over)}


def refusals(locks: Mapping[str, Mapping[str, Any]], again: str = "") -> list[Refused]:
    """One for each lock, naming its hosts. again: what a command in a hint repeats."""
    out = []
    for names, lock in _grouped(locks):
        error = fleetlock.refusal(dict(lock))
        out.append(Refused(f"{names}: {error.message}", error.hint + (again if lock["freeze"] else ""), details=error.details))
    return out


def notes(locks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """For `fab status`: who has the fleet, or has frozen it."""
    said = []
    for names, lock in _grouped(taken(locks)):
        said.append(f"{names}: {'frozen' if lock['freeze'] else 'locked'} {locked(lock)}" + (" (fab unlock)" if lock["freeze"] else ""))
    return said


def _grouped(locks: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Each lock once, with the names of its hosts."""
    groups: dict[tuple[int, str], list[str]] = {}
    for name, lock in locks.items():
        groups.setdefault(_id(lock), []).append(name)
    return [(", ".join(names), locks[names[0]]) for names in groups.values()]


def _over(locks: Mapping[str, Mapping[str, Any]]) -> set[tuple[int, str]]:
    """The locks that some host knows to have been released."""
    return {(number, token) for each in locks.values() if each for number, token in each["over"]}


def _id(lock: Mapping[str, Any]) -> tuple[int, str]:
    return lock["number"], lock["token"]
