"""The phases of a rollout over all its hosts: observe, show, stage, waves, and the way back.

Between two phases stands a barrier: no host goes on before all hosts have come so far.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, NamedTuple, Protocol, Sequence

from weft.errors import FailedUndone, Refused, WeftError
from weft.record import replace
from weft.rollout import absent, budget, exact, heartbeat, held, hooked, marks, migration, pause, soak, unsafe, verdict
from weft.rollout.budget import Policy
from weft.rollout.hooked import Hooked
from weft.rollout.hookrun import HookFailed
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job
from weft.rollout.pool import Stop, each


class Progress(Protocol):
    """What a person sees while it runs; rollout/show.py has a live one, a plain one and a silent one. Thread-safe."""

    def phase(self, text: str) -> None:
        """A new phase of all hosts."""

    def host(self, name: str, event: dict[str, Any]) -> None:
        """An event of one host: the engine's own, or {"event": "phase" | "end" | "error"} from here."""

    def plans(self, runs: Sequence[HostRun]) -> None:
        """What will be done, before anything is."""


class Wave(NamedTuple):
    """healthy: how many hosts served well before the first one."""

    number: int
    runs: Sequence[HostRun]
    healthy: int


class Rollout:
    """One `fab deploy` or `fab rollback`. `run` returns when nothing is in flight any more."""

    def __init__(self, hosts: Iterable[Host], job: Job, policy: Policy, progress: Progress):
        self.job, self.policy, self.progress = job, policy, progress
        self.stop = Stop(lambda: progress.phase("interrupted: nothing new is started, what is in flight is finished "
                                                "(again: leave at once)"))
        self.runs = [HostRun(host, job, progress.host) for host in hosts]
        self.hooked = Hooked(job.hooks, self.runs, job.verb, progress, self.stop, job.on)
        self.begun = False  # whether any host may have been changed
        self.settled = False  # whether all are what is wanted already
        self.absent: list[HostRun] = []  # those that were left out
        self.paused: pause.Paused | None = None
        self.wave: Wave | None = None  # the last one; None again once hosts were taken back for its failures

    def run(self, plan_only: bool = False) -> dict[str, Any]:
        """The result for `--json`. Raises the error that the exit code comes from.

        Refused or a bug before anything was changed, FailedUndone, NeedsHands, OutcomeUnknown, Interrupted.
        """
        try:
            with self.stop.listening():
                self._run(plan_only)
        except KeyboardInterrupt as pressed:
            left = migration.left(self.runs) + self.hooked.leave()
            held.left(self.runs)
            raise self._told(verdict.interrupted(self.job, self.runs, left)) from (self.stop.cause or pressed)
        except WeftError as error:
            self.close()
            raise self._told(error)
        except BaseException:
            self.close()
            raise
        self.close()
        if self.stop:
            raise self._told(verdict.interrupted(self.job, self.runs)) from self.stop.cause
        said = verdict.planned(self.runs) if plan_only else self._judged()
        return absent.judge(self.job, self.runs, self.absent, said, plan_only)

    def _judged(self) -> dict[str, Any]:
        if self.paused and pause.clean(self.runs):
            said = {"hosts": verdict.hosts(self.runs), "paused": pause.told(self.job, self.runs, self.paused)}
            return {**said, "warnings": self.hooked.warnings} if self.hooked.warnings else said
        try:
            said = verdict.judge(self.job, self.runs, self.hooked.trouble)
        except WeftError as error:
            marks.after(self, error)
            raise self._told(error)
        return {**said, "warnings": self.hooked.warnings} if self.hooked.warnings else said

    def _told(self, error: WeftError) -> WeftError:
        """An error with all that is to be told beside it."""
        return self.hooked.told(absent.told(error, self.absent))

    def close(self) -> None:
        """End all connections. After a second Ctrl-C they are left to the end of the program."""
        self.each(self.runs, HostRun.close, heed=False)

    def _run(self, plan_only: bool) -> None:
        self.observe(plan_only)
        self.settled = not self.todo and not self.stop
        if self.stop or self.settled:
            return
        self.progress.plans(self.runs)
        migration.announce(self)
        if plan_only:
            return
        with heartbeat.kept(self):
            if self.unstaged:
                self._hook("before_stage", Refused, "nothing changed")
                self.begun = True
                self.stage()
            if not self.stop and not (self.job.on and len(self.todo) < len(self.runs)):  # else it ran before the canary, such as a backup
                self._hook("before_switch", FailedUndone, "no host was switched")
            self.begun = True
            if not self.stop:
                migration.run(self)
            if not self.stop:
                self.switch()
            held.end(self)
            self.hooked.end()

    def _hook(self, name: str, kind: type[WeftError], effect: str) -> None:
        """One of the deploy's own that stands before any switch. Raises `kind` where it fails."""
        try:
            self.hooked.once(name)
        except HookFailed as error:
            raise hooked.stopped(error, kind, f"{effect}; {verdict.served(self.runs)}", {"hosts": verdict.hosts(self.runs)})

    @property
    def todo(self) -> list[HostRun]:
        """The hosts that are not yet what is wanted."""
        return [run for run in self.runs if run.status != "current"]

    @property
    def unstaged(self) -> list[HostRun]:
        """Those that get the release, and are not ready for it."""
        return [run for run in self.todo if run.fetches and run.status != "staged"]

    def observe(self, plan_only: bool = False) -> None:
        """All hosts at once. Raises one error with all faults of all hosts, and of the release in its store."""
        self.progress.phase(f"looking at {_count(self.runs)}")
        self.each(self.runs, HostRun.observe)
        self.absent = absent.leave_out(self.job, self.runs)
        for run in self.absent:
            self.progress.phase(f"left out: {run.error.message}")
        locked = heartbeat.free(self, plan_only)
        if self.stop:
            return
        faults = locked + self._from_store()
        faults += [run.error for run in self.runs if run.error]
        faults += verdict.faults(self.runs) + verdict.uneven(self.job, self.runs) + unsafe.faults(self.job, self.runs) + exact.faults(self.job, self.runs) + self.hooked.faults()
        if self.job.payload and (faults or self.todo):
            faults += _raised(self.job.payload.verify)
            faults += _raised(self._bring) if not faults else []
        if faults:
            raise verdict.refused(faults, self.runs)

    def _from_store(self) -> list[WeftError]:
        """Hosts that go back to what they have no more are asked once more, with the release from the store. What the store has against it."""
        lacking = [run for run in self.runs if run.source == "store" and not run.error]
        versions = {run.target for run in lacking}
        if not self.job.store or len(versions) != 1:
            return []
        self.progress.phase(f"looking into the store: {_count(lacking)} no longer ha{'s' if len(lacking) == 1 else 've'} {lacking[0].target}")
        try:
            self.job = replace(self.job, payload=self.job.store(lacking[0].target))
        except WeftError as error:
            return [error]
        for run in lacking:
            run.job = self.job
        self.each(lacking, HostRun.observe)
        return []

    def _bring(self) -> None:
        """What some host needs and the store has not, before any host is changed."""
        payload, missing = self.job.payload, {digest for run in self.todo for digest in run.missing}
        lacking = payload.lacking(missing)
        if lacking:
            self.progress.phase(f"fetching {len(lacking)} wheel{'s' if len(lacking) != 1 else ''} that the store has not, by hash")
            payload.bring(missing)

    def stage(self) -> None:
        """All hosts at once; what is served does not change. Raises if one of them is not ready."""
        fetching = self.unstaged
        self.progress.phase(f"staging on {_count(fetching)}")
        self.each(fetching, self.hooked.stage)
        for again in heartbeat.contest(self, fetching):
            self.each(again, HostRun.stage)
        failed = [run for run in self.runs if run.status == "failed"]
        if failed and not self.stop:
            raise verdict.not_staged(self.job, self.runs)

    def switch(self) -> None:
        """Wave after wave; when a budget is spent, the policy says which of those that were switched go back."""
        cut, of = pause.rest(self.job, self.runs, self.policy.sizes)
        last = of if not held.begin(self, sum(len(hosts) for _n, hosts in cut)) and not self.job.hooks.commands and not soak.needed(self) else 0
        by_host, healthy = {run.host: run for run in self.runs}, sum(map(budget.well, self.runs))
        for n, hosts in cut:
            wave, names = [by_host[host] for host in hosts], ", ".join(host.name for host in hosts)
            self.progress.phase(f"wave {n} of {of}: {names}" + (" (canary)" if n == 1 and of > 1 else ""))
            self.job.lock.ending(len(wave) if n == last else 0)
            self.wave = Wave(n, wave, healthy)
            if why := self._wave(wave, n, healthy):
                return self.back(wave, why)
            self.paused = pause.due(self.job, wave, n, of, self.policy.pause)
            if self.stop or self.paused:
                return
        if trouble := self.hooked.after_switch():
            self.back(self.runs, trouble.message)

    def _wave(self, wave: Sequence[HostRun], n: int, healthy: int) -> str:
        """Switch a wave, and let it soak. Why no other may follow, "" while one may."""
        self.each(wave, self.hooked.switch)
        why = "" if self.stop else budget.tripped(self.runs, n, self.policy, healthy)
        if why or self.stop:
            return why
        self.each([run for run in self.runs if run.status == "lost"], self.hooked.back, heed=False)
        soak.after(self, wave, n == 1)
        return "" if self.stop else budget.tripped(self.runs, n, self.policy, healthy)

    def back(self, wave: Sequence[HostRun], why: str) -> None:
        """Every host that this rollout has switched, or those of the last wave, or none; and every one whose answer was lost."""
        policy = budget.HALT if unsafe.deploying(self.job) else self.policy.on_failure
        going = {budget.ALL: self.runs, budget.WAVE: wave, budget.HALT: []}[policy]
        self.wave = None
        gone = [run for run in self.runs if run.status == "lost" or run.status == "switched" and run in going]
        self.job.lock.ending(0)
        self.progress.phase(f"{why}: {policy}" + (" (it is not rollback_safe)" if policy != self.policy.on_failure else ""))
        if gone:
            self.progress.phase(f"going back on {_count(gone)}")
            self.each(gone, self.hooked.back, heed=False)

    def each(self, runs: Sequence[HostRun], work: Callable[[HostRun], Any], heed: bool = True) -> None:
        """work(run) for all of them, as many at once as the policy says."""
        each(runs, work, self.policy.parallel, self.stop, heed)


def _raised(work: Callable[[], Any]) -> list[WeftError]:
    try:
        work()
    except WeftError as error:
        return [error]
    return []


def _count(runs: Sequence[HostRun]) -> str:
    return runs[0].host.name if len(runs) == 1 else f"{len(runs)} hosts"
