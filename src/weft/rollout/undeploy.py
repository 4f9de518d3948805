"""`fab undeploy`: the application off the hosts, all at once, under the fleet's lock."""

from __future__ import annotations

from typing import Any

from weft.errors import NeedsHands, Refused, WeftError
from weft.rollout import heartbeat, verdict
from weft.rollout.environment import Environment
from weft.rollout.hostrun import HostRun
from weft.rollout.pool import each
from weft.rollout.run import Progress, Rollout

SLACK = 180.0
"""Seconds that a host may need beyond its longest request."""


class Undeploy:
    """`look`, then `run` once somebody has said yes."""

    def __init__(self, environment: Environment, progress: Progress, verb: str = "undeploy"):
        self.environment, self.verb = environment, verb
        self.rollout = Rollout(environment.hosts, environment.job(verb), environment.policy, progress)
        self.results: dict[str, dict[str, Any]] = {}

    def show(self, progress: Progress) -> None:
        """What a person sees from now on."""
        self.rollout.progress = progress
        for run in self.rollout.runs:
            run.event = progress.host

    def look(self) -> str:
        """What is served now, in words. Raises Refused where a host cannot be reached, or somebody else is at work."""
        runs = self.rollout.runs
        with self.rollout.stop.listening():
            self._each(HostRun.observe)
            taken = heartbeat.free(self.rollout)
        if self.rollout.stop:
            raise self.rollout.stop.cause  # type: ignore[misc]
        faults = taken + [run.error for run in runs if run.error]
        if faults:
            raise verdict.refused(faults, runs)
        return verdict.served(runs)

    def run(self, purge: bool) -> dict[str, dict[str, Any]]:
        """What was done and kept on each host. Raises NeedsHands where only some came to the end of it."""
        return self.order({"purge": purge})

    def order(self, words: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The verb on every host, with these words. Raises NeedsHands as `run` does."""
        def one(run: HostRun) -> None:
            try:
                self.results[run.host.name] = run._call(self.verb, words, limit=run.site["longest_request"] + SLACK)
            except WeftError as error:
                run.error = error

        with self.rollout.stop.listening(), heartbeat.kept(self.rollout):
            self._each(one)
        self.rollout.close()
        errors = [run.error for run in self.rollout.runs if run.error]
        if errors or self.rollout.stop:
            raise self._failed(errors)
        return {run.host.name: self.results[run.host.name] for run in self.rollout.runs}

    def _each(self, work: Any) -> None:
        each(self.rollout.runs, work, self.environment.policy.parallel, self.rollout.stop)

    def _failed(self, errors: list[WeftError]) -> WeftError:
        done = ", ".join(run.host.name for run in self.rollout.runs if run.host.name in self.results)
        left = ",".join(run.host.name for run in self.rollout.runs if run.host.name not in self.results)
        again = f"fab {self.verb}{self.environment.access.again} --limit {left}"
        effect = f"off {done}" if done else ""
        if not errors:
            stopped = verdict.interrupted(self.rollout.job, self.rollout.runs)
            stopped.effect, stopped.hint = effect or "nothing changed", again if left else ""
            stopped.__cause__ = self.rollout.stop.cause
            return stopped
        said = verdict.refused(errors, [])
        if not done and all(isinstance(error, Refused) for error in errors):
            return said
        return NeedsHands(said.message, said.hint or again, f"{effect or 'not known'}; on the others the next command, or the timer, goes on where it had begun",
                          {"hosts": self.results})
