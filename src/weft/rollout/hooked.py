"""A rollout's phases with the hooks around them, and what their failures mean: docs/how-to/hooks.md has the table.

Once a host's before_switch has begun, its after_switch is owed: it runs whatever becomes of the host, of the rollout and of the person
at the terminal, for what was drained must be undrained.
"""

from __future__ import annotations

import shlex
import threading
import time
from typing import Any, Callable, Sequence

from weft.errors import Refused, WeftError
from weft.rollout import hooks, unsafe
from weft.rollout.hookrun import Commands, HookFailed
from weft.rollout.hooks import Hooks
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import Stop, each


class Hooked:
    """One rollout's. warnings: what failed where nothing could be undone, in words. notes: what else an error should tell of.
    on: it goes on with what was begun, so that hosts which are there already are its own too."""

    def __init__(self, plan: Hooks, runs: Sequence[HostRun], verb: str, progress: Any, stop: Stop, on: bool = False):
        self.on = on
        self.plan, self.runs, self.verb, self.progress, self.stop = plan, runs, verb, progress, stop
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.trouble: WeftError | None = None
        self._commands, self._lock = Commands(), threading.Lock()
        self._owed: dict[str, HostRun] = {}
        self._ending: set[str] = set()
        self._back: set[str] = set()
        self._leaving = False

    def faults(self) -> list[WeftError]:
        """What refuses the rollout before any change."""
        absent = self.plan.absent([hooks.of_host(self.plan.fixed, run, self.verb) for run in self.runs])
        return [Refused(text, "correct the command, or put the program there") for text in absent]

    # -- once a deploy -------------------------------------------------------------------------------------------

    def once(self, name: str, result: str = "", heed: bool = True) -> None:
        """The commands of a deploy, one after the other. Raises HookFailed."""
        values = {**hooks.told(self.plan.fixed, [run for run in self.runs if run.plan], self.verb), "result": result}
        for vector in self.plan.of(name):
            argv = hooks.expand(vector, values)
            self.progress.phase(f"{name}: {shlex.join(argv)}")
            # in a thread, so that a Ctrl-C is told meanwhile, and a second one leaves
            each([argv], lambda argv: self._run(name, name, argv, values, lambda text: self.progress.phase(f"  {text}")), 1, self.stop, heed)

    def after_switch(self) -> HookFailed | None:
        """The deploy's after_switch; its failure."""
        try:
            self.once("after_switch", "switched")
        except HookFailed as error:
            self.trouble = error
            for run in self.runs:
                run.error = error if run.status == "switched" else run.error
            return error
        return None

    def end(self) -> None:
        """after_deploy when all is well, on_rollback when hosts went back; their failures are warnings."""
        switched = [run for run in self.runs if run.status == "switched"]
        if self._back:
            self._gently(lambda: self.once("on_rollback", "failed", heed=False))
        elif not self.stop and switched and all(run.status in ("switched", "current") for run in self.runs):
            done = list(self.runs) if self.on else switched
            each(done, lambda run: self._gently(lambda: self._host(run, "after_deploy")), len(done), self.stop)
            self._gently(lambda: self.once("after_deploy", "switched"))

    # -- once a host ---------------------------------------------------------------------------------------------

    def stage(self, run: HostRun) -> None:
        try:
            self._host(run, "before_stage")
        except HookFailed as error:
            run.status, run.error = "failed", Refused(error.message, error.hint, details=error.details)
        else:
            run.stage()

    def switch(self, run: HostRun) -> None:
        """before_switch, the switch, after_switch."""
        with self._lock:
            self._owed[run.host.name] = run
        begun = False
        try:
            self._host(run, "before_switch")
            begun = True
            run.switch()
            if run.status == "lost" and self.plan.of("host.after_switch") and not self.stop:
                run.settle()  # what after_switch is told must be true
        except HookFailed as error:
            run.status, run.error = "failed", error
        finally:
            self._settled(run)
        if begun and run.status == "failed" and run.error and run.error.code not in (2, 3):
            self._went_back(run)

    def _settled(self, run: HostRun) -> None:
        """after_switch, unless a second Ctrl-C has taken it over. A switched host goes back at the first failure; what is left of the
        commands runs then all the same."""
        if not self._take(run):
            return
        try:
            for vector in self.plan.of("host.after_switch"):
                self._ended(run, vector)
        finally:
            with self._lock:
                self._ending.discard(run.host.name)

    def _ended(self, run: HostRun, vector: Sequence[str]) -> None:
        try:
            self._vector(run, "after_switch", vector)
        except HookFailed as error:
            if run.status != "switched":
                return self._warn(error)
            if not unsafe.stays(run, error):
                run.error, run.status = error, "lost"
                run.settle()

    def keep(self, run: HostRun) -> None:
        """Confirm for good what was held; it may have gone back by itself meanwhile."""
        run.keep()
        if run.status == "failed":
            self._went_back(run)

    def back(self, run: HostRun) -> None:
        """Take a host back that was switched, or whose answer was lost."""
        run.settle() if run.status == "lost" else run.revert()
        if run.held and run.status == "switched":  # it goes back by itself, if not by a word: until then it is asked
            run.status = "lost"
            run.settle()
            run.status = "reverted" if run.status == "failed" else run.status
        if run.status in ("failed", "reverted"):
            self._went_back(run)

    def _went_back(self, run: HostRun) -> None:
        with self._lock:
            first, _ = run.host.name not in self._back, self._back.add(run.host.name)
        if first:
            self._gently(lambda: self._host(run, "on_rollback"))

    # -- after a second Ctrl-C -----------------------------------------------------------------------------------

    def leave(self) -> str:
        """What runs is ended but for after_switch, and every one that is owed is run now. What still is owed, in words: a third Ctrl-C ends this too."""
        self._leaving = True
        owed = [run for run in self.runs if run.host.name in self._owed and self._take(run)]
        self._commands.end(["", *(run.host.name for run in owed)])
        late = sorted(self._ending) if self.plan.of("host.after_switch") else []
        if not late:
            return ""
        self.progress.phase(f"after_switch of {', '.join(late)} is still to run (again: leave at once)")
        try:
            each(owed, self._last, max(1, len(owed)), Stop(), heed=False)
            while self._ending:  # those that had begun by themselves
                time.sleep(0.05)
        except KeyboardInterrupt:
            pass
        left = sorted(self._ending)
        return f"; after_switch did not run to its end for {', '.join(left)}" if left else ""

    def _last(self, run: HostRun) -> None:
        for vector in self.plan.of("host.after_switch"):
            self._gently(lambda: self._vector(run, "after_switch", vector))
        with self._lock:
            self._ending.discard(run.host.name)

    def _take(self, run: HostRun) -> bool:
        """Whether it is the caller who runs this host's after_switch."""
        with self._lock:
            mine = self._owed.pop(run.host.name, None) is not None
            self._ending |= {run.host.name} if mine else set()
            return mine

    # -- one command ---------------------------------------------------------------------------------------------

    def _host(self, run: HostRun, name: str) -> None:
        for vector in self.plan.of(f"host.{name}"):
            self._vector(run, name, vector)

    def _vector(self, run: HostRun, name: str, vector: Sequence[str]) -> None:
        values, host = hooks.of_host(self.plan.fixed, run, self.verb), run.host.name
        if name in ("after_switch", "on_rollback"):
            values["result"] = values["result"] or "failed"
        elif self._leaving:
            raise HookFailed(f"{host}: {name}: interrupted")
        self.progress.host(host, {"event": "phase", "verb": name})
        failed = True
        try:
            self._run(f"host.{name}", f"{host}: {name}", hooks.expand(vector, values), values,
                      lambda text: self.progress.host(host, {"event": "log", "text": f"{name}: {text}"}))
            failed = False
        except HookFailed as error:
            self.progress.host(host, {"event": "error", "text": error.message})
            raise
        finally:
            self.progress.host(host, {"event": "end", "verb": name, "failed": failed})

    def _run(self, key: str, what: str, argv: Sequence[str], values: dict[str, str], tell: Callable[[str], Any]) -> None:
        environment = hooks.environment(key.removeprefix("host."), values)
        self._commands.run(what, argv, environment, self.plan.seconds[key], self.plan.root, tell, values.get("host", ""))

    def _gently(self, work: Callable[[], None]) -> None:
        try:
            work()
        except HookFailed as error:
            self._warn(error)

    def _warn(self, error: WeftError) -> None:
        with self._lock:
            self.warnings.append("\n".join([error.message, *(f"    {line}" for line in (error.details or ())[-20:])]))
        self.progress.phase(f"warning: {error.message}")

    def told(self, error: WeftError) -> WeftError:
        """An error with the warnings beside it."""
        if self.warnings or self.notes:
            error.message = "\n".join([error.message, *(f"besides: {text}" for text in [*self.notes, *self.warnings])])
            if isinstance(error.details, dict) and self.warnings:
                error.details["warnings"] = self.warnings
        return error


def stopped(error: HookFailed, kind: type[WeftError], effect: str, details: dict[str, Any]) -> WeftError:
    """A deploy's hook that stops it, with its last lines. kind: Refused, where nothing has changed, or FailedUndone."""
    message = "\n".join([error.message, *(f"    {line}" for line in (error.details or ())[-20:])])
    return kind(message, error.hint, effect, details)
