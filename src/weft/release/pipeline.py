"""Observe, decide, apply: one release from the words of a command to its read-back.

Everything before the step that a plan marks as the point of no return is undone by deleting two directories; after it
there is only forward, and the same command goes on where this one stopped.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Callable, Iterator, Protocol, Sequence

from weft.config.load import is_project
from weft.errors import FailedUndone, Interrupted, NeedsHands, OutcomeUnknown, Refused, WeftError
from weft.plan import Plan, Step
from weft.release import decide, lockfile, news, observe, run, scratch, unfinished, upload, vendor
from weft.release.decide import Wish
from weft.release.faults import Fault, Frame
from weft.release.observe import Project, Seen
from weft.release.target import shown, targets
from weft.release.vcs import SendHalf, SendRefused, SendUnknown
from weft.stores.common import words_of

_MOVES = {"hook": "mend what the hook shows, then run the same command again",
          "test": "mend what the tests show, commit, and run the same command again",
          "build": "mend what the build shows, commit, and run the same command again",
          "lock": "see that the index can be reached and has every dependency, then run the same command again",
          "verify": "the wheel lacks something that the repository has: mend the packaging, commit, run the same command again",
          "push": "see what the remote says, then run the same command again"}
_UNDONE = "undone: your repository and the remote are as they were, nothing is published"
_TROUBLE = (run.CommandFailed, SendRefused, OSError, WeftError)


class Report(Protocol):
    """Who shows a release's progress."""

    def begin(self, number: int, of: int, step: Step) -> None: ...

    def end(self, ok: bool, tail: Sequence[str]) -> None:
        """tail: a failing command's last lines."""

    def log(self, line: str) -> None: ...

    def warn(self, text: str) -> None: ...


@dataclass(frozen=True)
class Proposal:
    """What a release would do: the plan, the changelog's entry that it publishes, and what it was decided by."""

    project: Project
    seen: Seen
    frame: Frame
    plan: Plan

    @property
    def done(self) -> bool:
        return not self.plan.steps

    @property
    def before(self) -> str:
        """The version the code says now."""
        return self.seen.places[0].text if self.seen.places else ""

    @property
    def changelog(self) -> str:
        from weft.release.changelog import section_for
        section = section_for(self.seen.changelog_text, self.frame.version)
        return self.frame.entry or (section.body if section else "")


def propose(project: Project, wish: Wish, today: date) -> Proposal:
    """Reads only. Raises Refused with every fault, or UsageError for words that name no version."""
    try:
        seen = observe.observe(project)
        wished = decide.target(seen, wish, project.config["tag"])
        frame = _frame(project, wished, today)
        frame = replace(frame, channel=wish.channel or frame.channel,
                        **decide.vendored(seen, wish, wished, vendor.words(project.config["vendor"])))
        there = observe.published(project, wished)
        look = upload.outlook(project, wished, there.release)
        frame = replace(frame, repository=look.repository, clashes=look.faults)
        decision = decide.decide(seen, there, frame)
        if decision.plan and seen.news and any(step.kind == "news" for step in decision.plan.steps):
            frame = replace(frame, entry=news.draft(project.root, seen.news, wished, frame.date))
            decision = decide.decide(seen, there, frame)
    except run.CommandFailed as error:
        raise Refused(f"{error}: {' '.join(error.tail)}") from None
    if decision.faults:
        raise _refused(frame, decision.faults)
    return Proposal(project, seen, frame, decision.plan)


def _frame(project: Project, wished: str, today: date) -> Frame:
    config = project.config
    loads = f"import {config['callable']}" if config["callable"] else f"import it, compile {config['entry']}"
    return Frame(project.app, wished, project.tag(wished), config["tag"], config["branch"], str(project.store), loads,
                 shown(targets(project.config)), today.isoformat(), config["verify_reproducible"], config["channel"], strict=config["strict_metadata"], vcs=project.repo.name,
                 unfit=project.repo.unfit(project.tag(wished)), hooks=observe.hooks(project), how=words_of(project.store))


def _refused(frame: Frame, faults: Sequence[Fault]) -> Refused:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"{frame.app} {frame.version} cannot be released: {count}"]
    for number, fault in enumerate(faults, 1):
        lines += [f"{number:>3}. {fault.message}", f"     mend: {fault.fix}"]
    return Refused("\n".join(lines), "mend that, then run the same command again",
                   details=[{"message": fault.message, "next": fault.fix} for fault in faults])


def release(project: Project, wish: Wish, today: date, report: Report, agree: Callable[[Proposal], None]) -> Proposal:
    """Do it. agree: shown the proposal before anything changes; raises to stop.

    Raises Refused (nothing changed), FailedUndone (nothing is left), NeedsHands or OutcomeUnknown (the same command
    goes on), Interrupted.
    """
    upload.wanted(project.config)
    with lockfile.held(project.repo.data):
        unfinished.settle(project)
        proposal = propose(project, wish, today)
        if not proposal.done:
            agree(proposal)
            scratch.sweep(project.repo.data, project.store, {proposal.seen.unfinished_at})
            _apply(proposal, report)
        scratch.sweep(project.repo.data, project.store)
    return proposal


def _apply(proposal: Proposal, report: Report) -> None:
    seen, plan = proposal.seen, proposal.plan
    from weft.release import steps
    work = steps.Work(proposal.project, seen.remote, report.log, report.warn)
    if plan.steps[0].kind != "scratch":
        work.place, work.note = seen.unfinished_at, seen.unfinished
    progress = _Progress(proposal, work, sent=bool(seen.unfinished) or not any(step.commit for step in plan.steps))
    with progress.explained():
        for number, step in enumerate(plan.steps, 1):
            progress.step = step
            with _shown(report, number, len(plan.steps), step):
                steps.RUN[step.kind](work, **step.args)
            progress.sent |= step.commit


@contextmanager
def _shown(report: Report, number: int, of: int, step: Step) -> Iterator[None]:
    report.begin(number, of, step)
    try:
        yield
    except BaseException as error:
        report.end(False, getattr(error, "tail", ()))
        raise
    report.end(True, ())


@dataclass
class _Progress:
    """Where a run is, and so what an error means. sent: past the point of no return."""

    proposal: Proposal
    work: Any
    sent: bool
    step: Step | None = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt as error:
            raise self._interrupted(error) from error
        except SendUnknown as error:
            raise OutcomeUnknown(f"whether {self._what} arrived is not known: {error}", self._again,
                                 "nothing is published yet; nothing of it is lost") from None
        except SendHalf as error:
            raise self._unfinished(error) from None
        except _TROUBLE as error:
            raise (self._unfinished(error) if self.sent else self._undone(error)) from None
        except BaseException:
            if not (self.sent or self.step and self.step.commit):
                self._clean()
            raise

    @property
    def _what(self) -> str:
        frame = self.proposal.frame
        remote = self.work.remote
        return f"the tag {frame.tag} on {remote.name}" if remote else f"the tag {frame.tag} in your repository"

    @property
    def _label(self) -> str:
        """The step as an error names it: of the project's own commands, where they stand."""
        return self.step.args.get("phase", self.step.kind)

    @property
    def _again(self) -> str:
        return f"inv release --version {self.proposal.frame.version} finds out, and finishes it"

    def _clean(self) -> None:
        if self.work.place is not None:
            scratch.remove(self.work.place, self.proposal.project.store, self.work.note)

    def _undone(self, error: Exception) -> FailedUndone:
        self._clean()
        hint = getattr(error, "hint", "") or _MOVES.get(self.step.kind, "mend that, then run the same command again")
        return FailedUndone(f"{self._label}: {_said(error)}", hint, _UNDONE,
                            _details(error))

    def _unfinished(self, error: Exception) -> NeedsHands:
        hint = f"inv release --version {self.proposal.frame.version} finishes it"
        return NeedsHands(f"{self._label}: {_said(error)}", hint, self._reached(), _details(error))

    def _reached(self) -> str:
        frame, store = self.proposal.frame, self.proposal.project.store
        if self.step.commit:
            return f"{self.work.remote.name} has one of the tag {frame.tag} and its branch, and lacks the other; nothing is published yet"
        try:
            there = frame.version in store.versions(frame.app)
        except (WeftError, OSError):
            return f"{self._what} is there; whether {frame.store} has {frame.version} cannot be seen now"
        return f"{self._what} is there; " + (f"{store.path(frame.app, frame.version)} is published" if there else
                                             f"{frame.store} has no {frame.version} yet")

    def _interrupted(self, error: KeyboardInterrupt) -> Interrupted:
        if self.step is not None and self.step.commit:
            return Interrupted(f"interrupted: whether {self._what} arrived is not known", self._again, "nothing is published yet")
        if self.sent:
            return Interrupted(f"interrupted during {self.step.kind}", self._again, self._reached())
        self._clean()
        return Interrupted(f"interrupted during {self.step.kind if self.step else 'start'}", "run the same command again",
                           _UNDONE)


def _said(error: Exception) -> str:
    if isinstance(error, run.CommandFailed):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'the disk'}: {error.strerror}"
    return f"refused: {error}" if isinstance(error, SendRefused) and not isinstance(error, SendHalf) else str(error)


def _details(error: Exception) -> Any:
    return {"output": list(error.tail)} if isinstance(error, run.CommandFailed) else getattr(error, "details", None)


def open_project(start: Path) -> Project:
    """The project that a directory lies in: the nearest upwards with weft.toml or [tool.weft], else `start`'s own."""
    return observe.open_project(next(filter(is_project, (start, *start.parents)), start))
