"""One host's part in a rollout: its phases, and what is known of it in the end.

No method raises for what can go wrong with a host: the error is kept and the status says what it means.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable

from weft.errors import FailedUndone, NeedsHands, Refused, UsageError, WeftError
from weft.plan import Plan
from weft.record import field, record
from weft.rollout.access import Channel
from weft.rollout.fleetlock import barred, fenced
from weft.rollout.inventory import Host
from weft.rollout.job import Job
from weft.rollout.spare import Spare

# How often a confirmation is tried, each time after a fresh login; the seconds between tries; and how many seconds
# past its deadline a host that does not answer is still asked.
TRIES, PAUSE, GRACE = 3, 1.0, 5.0
# No generation has this number: to revert it changes nothing, but waits for the host's lock and tells the state.
NONE = -1


@record
class HostRun:
    """status, as it goes on: "" → "current" (nothing to do) | "planned" → "staged" → "switching" → "switched";
    "failed" (refused or undone, serves what it served), "lost" (to be settled), "reverted" (was taken back),
    "stuck" (needs hands), "unknown" (not reached any more), "overtaken" (somebody else has the fleet's lock now).

    source, target: of a rollback, from where ("slot", "installed", "cache", "store") and to which version.
    before, state: what observe saw first and what was heard last.  seconds: worked on this host.
    seen: what users got through the switch, as the host counted it.
    hold: whether its confirmation is for as long as the rollout's lock is alive (ADR 18); held: whether it is on trial so.
    """

    host: Host
    job: Job
    event: Callable[[str, dict[str, Any]], None] = lambda name, event: None
    status: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    source: str = ""
    target: str = ""
    missing: list[str] = field(default_factory=list)
    faults: list[dict[str, str]] = field(default_factory=list)
    generation: int = NONE
    error: WeftError | None = None
    seconds: float = 0.0
    switch_ms: float = 0.0
    deadline: float = 0.0
    seen: dict[str, Any] = field(default_factory=dict)
    drift: dict[str, list[str]] = field(default_factory=dict)
    hold: bool = False
    held: bool = False
    migrating: bool = False
    migrated: bool = False
    _channel: Channel | None = None
    _second: Spare | None = None

    @property
    def site(self) -> dict[str, Any]:
        """The environment as this host needs it."""
        return self.job.request_of(self.host.name)["site"]

    def observe(self) -> None:
        """Look, and have the plan made. Whatever is wrong becomes an error that refuses the rollout."""
        try:
            said = self._call("observe", {**self._wish(), **({"window": 1} if self.job.watched else {}), **({"hold": True} if self.job.holds else {})})
        except WeftError as error:
            return self._already(error)
        self.state = self.before = said["state"]
        near = set(said.get("near", ()))
        self.faults, self.missing = said["faults"], [digest for digest in said["missing"] if digest not in near]
        self.source, self.target = said.get("from", self.source), said.get("to", self.target)
        self.plan = Plan.from_json(said["plan"]) if said["plan"] else None
        self.status = "planned" if self.plan else "current"
        ready = self.plan.ready() if self.plan and self.job.on else None
        if ready is not None:
            self.generation, self.status = ready, "staged"

    def _wish(self) -> dict[str, Any]:
        if self.job.verb == "rollback" and not self.fetches:
            return {"release": None, "rollback": {"to": self.job.to}, **self._force()}
        return self.job.payload.wish() if self.job.payload else {"release": None}

    def _force(self) -> dict[str, Any]:
        return {"force": list(self.job.force)} if self.job.force else {}

    @property
    def fetches(self) -> bool:
        """Whether this host gets the release from the store, for a deploy or because it has it no more."""
        return bool(self.job.payload) and (self.job.verb == "deploy" or self.source == "store")

    def _already(self, error: WeftError) -> None:
        """A host that serves already what is rolled back to refuses; in a fleet that is no fault but nothing to do."""
        self.error, self.status = error, "failed"
        if self.job.verb == "rollback" and self.job.to and self._channel:
            self.look(keep=True)
            live = live_of(self.state)
            if live.get("version") == self.job.to and live.get("status") == "good":
                self.before, self.error, self.status = self.state, None, "current"

    def verify(self) -> None:
        """Have the host compare everything sealed with its seal; `drift` by tree."""
        try:
            said = self._call("verify", {})
        except WeftError as error:
            self.error, self.status = error, "failed"
            return
        self.state, self.drift = said["state"], said["drift"]

    def stage(self) -> None:
        """Everything up to a generation that could be served. A failure leaves what is served as it is."""
        payload = self.job.payload
        try:
            said = self._call("stage", {**payload.wish(), "base": self.before["live"], "files": payload.announce(self.missing)}, payload.streams(self.missing))
        except WeftError as error:
            self.error, self.status = error, "failed"
            return
        self.generation, self.state, self.status = said["generation"], said["state"], "staged"

    def migrate(self) -> None:
        """The release's migration, here for all hosts. A failure leaves what is served as it is."""
        self.migrating = True
        try:
            self.state = self._call("migrate", {"generation": self.generation}, limit=self.job.site["migrate"]["timeout"] + 60.0)["state"]
        except WeftError as error:
            self.error, self.status = error, "failed"
            return
        finally:
            self.migrating = False
        self.migrated = True

    def switch(self) -> None:
        """Activate, log in anew, and confirm."""
        self.status = "switching"
        back = self.job.verb == "rollback" and not self.fetches
        wish = {"to": self.job.to, **self._force()} if back else {"generation": self.generation}
        try:
            said = self._call("rollback" if back else "activate", {**wish, "base": self.before["live"]}, limit=self.job.slow)
        except WeftError as error:
            return self._failed(error)
        self.generation, self.state = said["generation"], said["state"]
        self.switch_ms, self.deadline = said.get("switch_ms", 0.0), said["deadline"]
        self.seen = said.get("seen", {})
        self._confirm({"hold": True} if self.hold else {})

    def keep(self) -> None:
        """Confirm for good what was held. Over the connection that there is: that the host can be reached after its switch is known."""
        self._confirm({}, self._call)

    def _confirm(self, how: dict[str, Any], call: Callable[..., dict[str, Any]] | None = None) -> None:
        for left in reversed(range(TRIES)):
            try:
                said, call = (call or self._proven)("confirm", {"generation": self.generation, **how}, limit=120.0), None
                self.state, self.status, self.held, self.deadline = said["state"], "switched", bool(how), said.get("deadline", self.deadline)
                return
            except WeftError as error:
                call = None
                if not left or isinstance(error, (FailedUndone, NeedsHands)) or fenced(error):
                    return self._failed(error, lost=not isinstance(error, (FailedUndone, NeedsHands)))
            time.sleep(PAUSE)

    def _failed(self, error: WeftError, lost: bool = False) -> None:
        self.error = error
        if barred(error):
            self.status = "overtaken" if fenced(error) else "failed"
            return
        if isinstance(error, NeedsHands):
            self.status = "stuck"
        elif lost or not isinstance(error, (Refused, UsageError, FailedUndone)):
            self.status = "lost"
        else:
            self.status = "failed"
        if self.status != "lost":
            self.look()
            if self.status == "failed" and self.state.get("live") != self.before["live"]:
                self.status = "stuck"

    def settle(self) -> None:
        """Take back, until it is known that the old release serves or that nobody can be asked any more."""
        kept, end = self.error, time.monotonic() + self.patience + GRACE
        self.revert()
        while self.status == "lost" and time.monotonic() < end:
            time.sleep(PAUSE)
            self.revert()
        self.status = {"reverted": "failed", "lost": "unknown"}.get(self.status, self.status)
        self.error = kept if self.status != "stuck" else self.error

    @property
    def patience(self) -> float:
        """Seconds within which it goes back by itself if nobody confirms it."""
        return self.deadline if self.held else max(self.deadline, self.job.site["confirm"])

    def revert(self) -> None:
        """Take back what was switched here, confirmed or not. A host that refuses or is away keeps its status."""
        try:
            if self.status == "lost":
                self.state = self._fresh("revert", {"generation": NONE}, self.job.slow)["state"]
            if self.state["live"] != self.before["live"]:
                self._take_back(self.state["live"])
        except NeedsHands as error:
            self.error, self.status = error, "stuck"
        except WeftError as error:
            self.error, self.status = error, "overtaken" if fenced(error) else self.status
        else:
            self.status = "reverted"
            self.event(self.host.name, {"event": "log", "text": f"serves {serves(self.state)} again"})

    def _take_back(self, live: int) -> None:
        """`revert` knows the way back of a trial, and of a deploy; a confirmed rollback is undone by switching again."""
        if self.generation not in (NONE, live):
            raise NeedsHands(f"{self.host.name}: generation {live} is served, which this rollout did not bring", "fab status")
        if self.job.verb == "deploy" or self.fetches or live_of(self.state).get("status") == "pending":
            self.state = self._fresh("revert", {"generation": live}, self.job.slow)["state"]
        else:
            wish = {"generation": self.before["live"], "base": live}
            number = self._fresh("activate", wish, self.job.slow)["generation"]
            self.state = self._fresh("confirm", {"generation": number})["state"]
        if self.state["live"] != self.before["live"]:
            raise NeedsHands(f"{self.host.name} went back to {serves(self.state)} instead of {serves(self.before)}", "fab status")

    def look(self, keep: bool = False) -> None:
        """What is served now, over the open connection if `keep`; where nobody answers, the last word stays."""
        try:
            self.state = (self._call if keep else self._fresh)("observe", {"release": None})["state"]
        except WeftError:
            pass

    def close(self) -> None:
        second, self._second = self._second, None
        if second:
            second.drop()
        if self._channel:
            self._channel.close()
            self._channel = None

    def _proven(self, verb: str, wish: dict[str, Any], limit: float = 120.0) -> dict[str, Any]:
        """Once a login that was begun after the switch has succeeded, over the connection whose engine waits; else over a fresh one."""
        second, self._second = self._second, None
        if not (reached := second and second.take()):
            return self._fresh(verb, wish, limit)
        with contextlib.closing(reached):
            return self._call(verb, wish, limit=limit)

    def _fresh(self, verb: str, wish: dict[str, Any], limit: float = 120.0) -> dict[str, Any]:
        self.close()
        return self._call(verb, wish, limit=limit)

    def _call(self, verb: str, wish: dict[str, Any], files: Any = (), limit: float = 900.0) -> dict[str, Any]:
        start, name, failed, request = time.monotonic(), self.host.name, True, {}
        self.event(name, {"event": "phase", "verb": verb})
        try:
            request = {"verb": verb, **self.job.request_of(name), **self.job.lock.words(name, verb), **wish}
            self._channel = self._channel or self.job.open(self.host)
            result = self._channel.exec(request, files, self._heard, limit)
            self.job.lock.heard(name, request)
            failed = False
            return result
        except WeftError as error:
            self.job.lock.heard(name, request, error)
            if verb != "observe":  # what observe finds is told all at once, by the error that refuses the rollout
                self.event(name, {"event": "error", "text": error.message})
            raise
        finally:
            self.seconds += time.monotonic() - start
            self.event(name, {"event": "end", "verb": verb, "failed": failed, **({"held": True} if verb == "confirm" and wish.get("hold") else {})})

    def _heard(self, event: dict[str, Any]) -> None:
        """Once the host says that it has switched, the login is begun that is to prove that it can still be reached: nothing of it is older."""
        self.event(self.host.name, event)
        if event.get("kind") == "flip" and event.get("state") == "done" and self._second is None:
            self._second = Spare(self._channel.again if self._channel else lambda: self.job.open(self.host), lambda login: login.close())

    def aside(self, verb: str, wish: dict[str, Any], limit: float = 10.0) -> dict[str, Any]:
        """A small request beside what is under way, over the same connection where there is one; nothing is shown of it. Raises as `exec` does."""
        channel = self._channel or self.job.open(self.host)
        try:
            return channel.exec({"verb": verb, **self.job.request_of(self.host.name), **wish}, limit=limit)
        finally:
            if channel is not self._channel:
                channel.close()


def live_of(state: dict[str, Any]) -> dict[str, Any]:
    """The record of the generation that a host serves; {} where it serves none."""
    return next((each for each in state.get("generations", ()) if each["number"] == state.get("live")), {})


def serves(state: dict[str, Any]) -> str:
    """The version that a host serves, in words; generation 0 is the placeholder of `fab setup`, or what it has adopted."""
    live = live_of(state)
    if state.get("adopted") and live.get("number") == 0:
        return f"the site before weft ({state['adopted']})"
    return live["version"] if live.get("number") else "nothing yet" if state else "unknown"
