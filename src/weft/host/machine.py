"""One transaction of the engine: lock, recover, observe, decide, apply."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import time

from weft import durable
from weft.durable import read_json
from weft.errors import NeedsHands, OutcomeUnknown, Refused
from weft.host import decide, fingerprint, fleetlock, health, kept, lock, migrate, recover, room, secrets, trial, trust, window
from weft.host.observe import host_faults, observe
from weft.host.request import ELSEWHERE, Request
from weft.host.state import Fault, HostState
from weft.host.work import Work
from weft.journal import Journal
from weft.plan import Plan
from weft.record import replace
from weft.servers import before, find
from weft.typing import TYPE_CHECKING, Any, Callable, Iterator
from weft.values import Generation, Release

if TYPE_CHECKING:
    from weft.apply import Tell


class Machine:
    """Answers one request. tell gets the events; watchdog is called before a flip with the generation's number."""

    def __init__(self, request: Request, tell: Tell, watchdog: Callable[[int], None]):
        self.request, self.tell, self.watchdog = request, tell, watchdog
        self.layout, self.site = request.layout, request.site
        self.work = Work(self.layout, self.site, request.release, None, request.files, request.stream)
        self.journal = Journal(self.layout.state / "journal.jsonl")
        self.clean = secrets.cleaner(self.layout, self.site, request.secrets)

    def answer(self) -> dict[str, Any]:
        """The result of the request's verb. A disk that is full or broken is no bug; what it left is said."""
        try:
            with self.disk_told(self.request.verb):
                module = ELSEWHERE.get(self.request.verb, ("",))[0]
                return importlib.import_module(module).answer(self) if module else getattr(self, self.request.verb)()
        except Exception as error:
            self.clean(error)
            raise

    @contextlib.contextmanager
    def disk_told(self, what: str) -> Iterator[None]:
        """Raises OutcomeUnknown for a disk that is full, broken or read-only."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
                raise
            raise OutcomeUnknown(f"{what}: {error}", "mend the disk, then run the same command again", self.served()) from error

    # -- reading -------------------------------------------------------------------------------------------------

    def state(self) -> HostState:
        seen = observe(self.layout, self.site)
        return replace(seen, kept=kept.listing(self.layout), pins=kept.pins(self.layout), lock=fleetlock.shown(fleetlock.read(self.layout.state)),
                       migrated=migrate.records(self.layout), trial=trial.read(self.layout))

    def served(self) -> str:
        """For messages: what this host serves now."""
        state = self.state()
        live = state.generation(state.live)
        if live and live.release == before.RELEASE:
            return f"the site that was here before weft ({state.adopted}) is served"
        if not live or not live.number:
            return "no release is served, the placeholder answers"
        return f"{live.version} (generation {live.number}) is served"

    def observe(self) -> dict[str, Any]:
        with contextlib.suppress(Refused, OSError), self.locked():
            pass  # recovery starts every command; a busy host is looked at as it is
        state = self.state()
        release = decide.own_part(state, self.request.release) if self.request.release else None
        faults = self._faults(state)
        plan: Plan | None = None
        way: dict[str, Any] = {}
        if self.request.rollback is not None and not faults and not decide.there_already(state, self.request.rollback):
            from weft.host import goback
            way = goback.seen(self, state)
            plan, faults = way["plan"], way["faults"]
        elif release:
            faults += trust.check(self.layout, release, self.request.proof)
            faults += [*decide.deploy_faults(state, release), *secrets.faults(self.layout, self.site)] if state.set_up else []
            plan = None if faults else self._deploy_plan(state, release)
        missing = [a.sha256 for a in release.for_host() if a.sha256 not in state.cached] if release else []
        near = self._near(missing) if missing and self.site.artifacts else {}
        looks = self.request.release is None and self.request.rollback is None  # a deploy asks every host, and needs no words on its server
        seen = {**state.to_json(), **({"server": find(self.site.server).about(self.site)} if looks else {})}
        return {"state": seen, "faults": [f.__dict__ for f in faults], "missing": missing,
                "plan": plan.to_json() if plan else None, **{key: way[key] for key in ("from", "to") if way}, **near, **window.asked(self.request, state)}

    def _near(self, missing: list[str]) -> dict[str, Any]:
        from weft.host import near
        found, why = near.within_reach(self.site, self.request.need_release(), missing)
        if why:
            self.tell({"event": "log", "text": f"not all can be taken from the artifact store here: {why}"})
        return {"near": found}

    def _faults(self, state: HostState) -> list[Fault]:
        found = host_faults(self.layout, self.site, state)
        if self.request.differs:
            found.append(Fault(f"the environment is not what this host was set up with: {', '.join(self.request.differs)}",
                               f"run `{self.layout.setup_command}` for this host"))
        return found

    def room_faults(self, state: HostState, release: Release) -> list[Fault]:
        """Once its files are in the cache."""
        return decide.room_faults(state, *room.unpacked(self.layout.cache / a.sha256 for a in decide.unpacks(state, release)))

    def _deploy_plan(self, state: HostState, release: Release) -> Plan | None:
        """Stage and activation in one, as they will run; None: nothing to do."""
        digest = ""
        if release.id in state.sealed:
            from weft.host import settings
            digest = fingerprint.digest(self.layout, settings.render(self, release))
            if decide.nothing_to_do(state, release, digest):
                return None
        first = decide.stage(state, release, digest, self.request.by)
        ready = decide.reusable(state, release, digest)
        generation = ready or Generation(decide.next_number(state), release.id, str(release.version), digest, "staged")
        second = decide.activate(state, generation)
        return Plan(first.subject, first.base, first.target, first.steps + second.steps)

    def verify(self) -> dict[str, Any]:
        """File by file, what is not as it was put here."""
        from weft.host import audit
        return {"drift": audit.audit(self.layout, self.site), "state": self.state().to_json()}

    # -- acting --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self, verb: str = "") -> Iterator[None]:
        """The one writer on this host for this application; the kernel frees it when we end. Recovery comes first. verb: what it is for, if not the request's."""
        with lock.held(self.layout, self.request.by, verb or self.request.verb, 5.0, lambda: fleetlock.check(self.layout.state, self.request)):
            recover.recover(self.layout, self.journal)
            with fleetlock.order(self.layout.state, self.request, self.tell):
                if trial.over(self.layout):  # the lock that it was held for has ended with this very order, which may take its place
                    recover.recover(self.layout, self.journal)
                yield

    def lock(self) -> dict[str, Any]:
        """A heartbeat, a release or a freeze of the fleet's lock, and what it is then."""
        if self.request.lock and not fleetlock.renewed(self.layout.state, self.request.lock):
            with self.locked():
                pass
        return {"lock": fleetlock.shown(fleetlock.read(self.layout.state))}

    def setup(self) -> dict[str, Any]:
        from weft.host import setup
        state_folder = self.layout.state
        state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.locked():
            did = setup.prepare(self.work, self.request.deploy_user, self.request.authorized_key)
            self.site = self.work.site
            did += trust.install(self.layout, *self.request.signers)
            recover.keep_site(self.layout, self.request.said_site)
            setup.show_ini(self.work)
        self._wait_answers()
        return {"did": did, "state": self.state().to_json()}

    def _wait_answers(self) -> None:
        """Until the site answers at all: a release, or the placeholder's 503."""
        end = time.monotonic() + self.site.health.timeout
        while not (answer := health.ask(self.site.port, self.site, 5)).release and time.monotonic() < end:
            time.sleep(0.1)
        if not answer.release:
            raise NeedsHands(f"the site was set up but does not answer by weft: {answer.error or answer.status}",
                             "another site may answer for this name and port; look at `apache2ctl -S` on the host",
                             "the site's configuration is in place")

    def stage(self) -> dict[str, Any]:
        request = self.request
        whole = request.need_release()
        with self.locked():
            state = self.state()
            self.work.whole, release = whole, decide.own_part(state, whole)
            self.work.release = release
            decide.stale(state, request.base)
            self.refuse([*self._faults(state), *trust.check(self.layout, release, request.proof), *decide.deploy_faults(state, release),
                         *secrets.faults(self.layout, self.site)])
            trust.remember(self.layout, request.proof)
            fetch = [a.sha256 for a in release.for_host() if a.sha256 not in state.cached]
            if fetch or request.files:
                self.apply(decide.fetch(state, fetch))
                state = self.state()
            self.refuse(self.room_faults(state, release))
            kept.keep(self.layout, release, request.proof)
            from weft.host import settings
            self.work.settings = settings.render(self, release)
            plan = decide.stage(state, release, fingerprint.digest(self.layout, self.work.settings, make=True), request.by)
            self.apply(plan)
            recover.keep_site(self.layout, request.said_site)
            number = next(s.args["generation"] for s in plan.steps if s.kind == "check")
            return {"generation": number, "state": self.state().to_json()}

    def refuse(self, faults: list[Any]) -> None:
        if faults:
            raise Refused("; ".join(f.message for f in faults), " ; ".join(dict.fromkeys(f.next for f in faults if f.next)),
                          f"nothing changed; {self.served()}")

    def apply(self, plan: Plan) -> dict[str, Any]:
        from weft.apply import run
        from weft.host import goback, installer, stage, switch
        work = self.work
        actions = {"fetch": stage.Fetch(work), "cached": goback.Cached(work), "tools": installer.Tools(work), "layer": stage.Layer(work),
                   "release": stage.InstallRelease(work), "generation": stage.MakeGeneration(work),
                   "check": stage.ImportCheck(work), "point": switch.Point(work), "restart": switch.Restart(work),
                   "ready": switch.Ready(work), "door": switch.Door(work), "flip": switch.Flip(work),
                   "watch": switch.Watch(work)}
        return run(plan, actions, self.journal, self.tell, self.served, self.clean)

    def activate(self) -> dict[str, Any]:
        with self.locked():
            state = self.state()
            decide.stale(state, self.request.base)
            generation = state.generation(self.request.generation)
            if not generation:
                raise Refused(f"there is no generation {self.request.generation} here", "stage it first")
            decide.unfit(state, generation)
            return self._switch(state, generation)

    def rollback(self) -> dict[str, Any]:
        with self.locked():
            state = self.state()
            decide.stale(state, self.request.base)
            self.on_trial(state)  # before anything is installed
            from weft.host import goback
            return self._switch(*goback.bring(self, state))

    def on_trial(self, state: HostState) -> None:
        if state.trial:
            held = f"wait until its rollout has ended; to keep it now, on the host: weft-host confirm {state.app}"
            raise Refused(f"generation {state.trial['generation']} is on trial: it is neither confirmed nor undone yet",
                          held if state.trial.get("held") else f"wait {trial.seconds_left(state.trial):.0f} s, until it goes back by itself")

    def _switch(self, state: HostState, generation: Generation) -> dict[str, Any]:
        self.on_trial(state)
        start = time.monotonic()
        self.watchdog(generation.number)  # before the flip: an engine that is killed right after it must not leave it undone
        try:
            results = self.apply(decide.activate(state, generation))
        except Exception as error:
            self.history(self.request.verb, generation, f"failed: {error}", start)
            raise
        self.history(self.request.verb, generation, "pending", start)
        return {"generation": generation.number, "status": "pending", "switch_ms": results["flip"], "seen": results.get("watch", {}),
                "deadline": round(trial.seconds_left(trial.read(self.layout))), "state": self.state().to_json()}

    def history(self, verb: str, generation: Generation, result: str, start: float) -> None:
        Journal(self.layout.state / "history.jsonl").append(
            verb, by=self.request.by, generation=generation.number, version=generation.version, result=result,
            seconds=round(time.monotonic() - start, 2))

    def revert(self) -> dict[str, Any]:
        """Undo a generation that is on trial or was confirmed; not live any more: nothing to undo."""
        start, number = time.monotonic(), self.request.generation
        with self.locked():
            state = self.state()
            generation = state.generation(number)
            if generation and state.live == number:
                self.journal.append("reverting", generation=number)
                if trial.go_back(self.layout, "reverted") or self._flip_back(state, generation):
                    self.history("revert", generation, "reverted", start)
            return {"state": self.state().to_json()}

    def _flip_back(self, state: HostState, generation: Generation) -> bool:
        """A confirmed generation: activate the one that was served before it, at once; the placeholder needs no health.

        Whether one was: before generation 0 there was nothing."""
        last = read_json(self.layout.last)
        if last.get("generation") != generation.number:
            last = {"previous": generation.previous}
        before = state.generation(last["previous"])
        if before == generation:
            return False
        if not before:
            raise NeedsHands(f"the generation before {generation.number} is gone", "deploy another version", self.served())
        plan = decide.activate(state, before)
        if not before.number:
            plan = Plan(plan.subject, plan.base, plan.target, tuple(s for s in plan.steps if s.kind not in ("door", "watch")))
        self.watchdog(before.number)
        self.apply(plan)
        trial.confirm(self.layout, previous=before.previous, reverts=generation.number, reverts_to="good" if last.get("was") == "good" else "bad")
        return True
