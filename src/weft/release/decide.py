"""Pure: what was seen and what is wished in; all faults, or the plan, out."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Sequence

from weft.errors import Refused, UsageError
from weft.plan import Plan, Step
from weft.release import changelog, faults, vendor, version
from weft.release.faults import Fault, Frame
from weft.release.observe import Published, Seen
from weft.values import Version


@dataclass(frozen=True)
class Wish:
    """The words of the command; None for what was not given. Raises UsageError for words that are neither."""

    version: str | None = None
    bump: str | None = None
    resume: bool = False
    channel: str | None = None
    vendor: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.resume and self.bump is not None:
            raise UsageError("--resume goes on with the version that was begun; leave --bump away", "inv release --resume")
        if self.version is not None and self.bump is not None:
            raise UsageError("give --version or --bump, not both", "inv release --version 1.1.4, or inv release --bump patch")
        if self.version is not None:
            Version(self.version)
        if self.bump is not None:
            version.bumped("0", self.bump)
        if self.vendor is not None:
            object.__setattr__(self, "vendor", vendor.words(self.vendor))
        if self.channel not in (None, *faults.CHANNELS):
            raise UsageError(f"--channel {self.channel!r} is unknown", f"known: {', '.join(faults.CHANNELS)}")


@dataclass(frozen=True)
class Decision:
    """Either faults, or a plan (without steps: it is released already)."""

    faults: Sequence[Fault] = ()
    plan: Plan | None = None


def last(seen: Seen, template: str) -> str:
    """The last version of this branch's history; without one, the newest that a tag or the store has, "" when there is none."""
    if seen.newest:
        return seen.newest
    tags = [*seen.state.tags, *(seen.remote.tags if seen.remote else ())]
    return version.newest([*version.of_tags(tags, template), *seen.released])


def target(seen: Seen, wish: Wish, template: str) -> Version:
    """The version that is wished. Raises Refused when the words leave it open."""
    if wish.resume:
        return _resumed(seen, wish)
    if wish.version:
        return Version(wish.version)
    if seen.unfinished:
        return Version(seen.unfinished.version)
    before, declared = last(seen, template), _declared(seen)
    if wish.bump:
        if not (before or declared):
            raise Refused("there is no version to count from", "inv release --version 0.1.0")
        return version.bumped(before or declared, wish.bump)
    if declared and (not before or version.above(declared, before)):
        return Version(declared)
    raise _open_choice(before or declared)


def _resumed(seen: Seen, wish: Wish) -> Version:
    """Only what is past its point of no return can be gone on with; before that a release starts anew."""
    begun = seen.unfinished.version if seen.unfinished else ""
    if begun and wish.version in (None, begun):
        return Version(begun)
    if begun:
        raise Refused(f"the release to go on with is {begun}, not {wish.version}", "inv release --resume")
    if seen.begun:
        raise Refused(f"{seen.begun} was begun, but not pushed: there is nothing to go on with",
                      f"inv release --version {seen.begun} starts it again, inv release --abort removes what is left")
    raise Refused("there is no release to go on with", "inv release --version 1.1.4, or inv status")


def _declared(seen: Seen) -> str:
    """What the code says; of 1.1.4.dev0 the release it is the way to. "" when it says nothing valid."""
    text = seen.places[0].text.split(".dev")[0] if seen.places else ""
    return text if version.valid(text) else ""


def _open_choice(before: str) -> Refused:
    if not before:
        return Refused("which version? The code declares none", "inv release --version 0.1.0")
    choices = ", ".join(f"--bump {part} ({version.bumped(before, part)})" for part in reversed(version.PARTS))
    return Refused(f"which version? {before} is the last one, and the code declares no newer",
                   f"inv release with --version {version.bumped(before, 'patch')}, or one of: {choices}")


def vendored(seen: Seen, wish: Wish, wished: str, configured: Sequence[str]) -> dict[str, Any]:
    """The frame's words about vendoring: --vendor, else what it said to a killed run of this version, else the configuration.

    Raises Refused where another choice is staged already, past the point of no return.
    """
    before = tuple(seen.chosen.get(wished, ()))
    note = seen.unfinished
    if wish.vendor and note and note.version == wished and seen.staged and set(wish.vendor) != set(before or configured):
        raise Refused(f"{wished} is past its point of no return, and staged with --vendor {vendor.said(before or configured)}",
                      f"inv release --version {wished}, without --vendor, finishes it")
    chosen = tuple(wish.vendor or before)
    return {"vendor": chosen or tuple(configured), "chosen": chosen, "kept": bool(before and not wish.vendor)}


def decide(seen: Seen, there: Published, frame: Frame) -> Decision:
    """All faults at once, or the plan."""
    tagged = _tagged(seen, frame)
    if there.release is not None:
        return _published(seen, there, frame, tagged)
    if there.burnt:
        return Decision([Fault(f"{frame.version} was released before: the index names it",
                               "release another version; a number is never used twice")])
    if tagged and _ours(seen, frame, tagged):
        found = [*faults.of_store(seen, frame), *faults.of_remote(seen, frame), *faults.of_signing(seen), *faults.of_upload(frame)]
        return Decision(found) if found else Decision(plan=_finish(seen, frame, tagged))
    found = [*faults.of_tree(seen, frame), *faults.of_remote(seen, frame), *faults.of_version(seen, frame, tagged),
              *faults.of_changelog(seen, frame), *faults.of_store(seen, frame), *faults.of_signing(seen),
              *faults.of_project(seen, frame), *faults.of_lock(seen, frame), *faults.of_upload(frame)]
    return Decision(found) if found else Decision(plan=_fresh(seen, frame))


def _tagged(seen: Seen, frame: Frame) -> str:
    """The commit that the tag names: on the remote, else here, else will name when a push that arrived in part is made whole; "" when it is free."""
    there = (seen.remote.tags.get(frame.tag, "") if seen.remote else "") or seen.state.tags.get(frame.tag, "")
    return there or (seen.unfinished.commit if seen.unfinished and seen.unfinished.tag == frame.tag else "")


def _ours(seen: Seen, frame: Frame, tagged: str) -> bool:
    """Whether the tag is this very release, so that the way is forward: noted by a run, or on the commit checked out."""
    if seen.unfinished and seen.unfinished.tag == frame.tag:
        return seen.unfinished.commit == tagged
    here = seen.state.tags.get(frame.tag, tagged) == tagged
    return here and tagged in (seen.state.head, seen.state.stem) and bool(seen.places) and all(place.text in ("", frame.version) for place in seen.places)


def _published(seen: Seen, there: Published, frame: Frame, tagged: str) -> Decision:
    if there.damage:
        return Decision([Fault(f"{frame.version} is in the store, damaged: {each}",
                               "restore the file; a version is never replaced") for each in there.damage])
    if there.release.commit != tagged:
        return Decision([Fault(f"{frame.version} is in the store already, made from commit {there.release.commit[:12]}; "
                               + (f"the tag {frame.tag} is {tagged[:12]}" if tagged else f"there is no tag {frame.tag}"),
                               "a version is never replaced: release another one")])
    if frame.clashes:
        return Decision([*faults.of_upload(frame)])
    note = seen.unfinished
    behind = note and note.tag == frame.tag and seen.behind
    left = [] if there.indexed else [_index_step(frame.version)]
    ending = [*_hooks(frame, "after_publish"), *_last_steps(seen, frame, tagged)[1:]]
    return Decision(plan=_plan(seen, frame, ending if behind else left))


def _plan(seen: Seen, frame: Frame, steps: Sequence[Step]) -> Plan:
    """The steps with the package index's where it is a target, and with the project's own commands before and after them."""
    if frame.repository:
        steps = _with_upload(steps, frame)
    around = [each for step in steps for each in (*_hooks(frame, f"before_{step.kind}"), step, *_hooks(frame, f"after_{step.kind}"))]
    return Plan(frame.app, seen.state.head, frame.version, tuple(around))


def _with_upload(steps: Sequence[Step], frame: Frame) -> list[Step]:
    """What is there already is looked at once there are bytes to compare it with; the upload is the last thing."""
    look = Step("compare", f"what {frame.repository} has of {frame.version} already must be the same bytes", {"version": frame.version})
    send = Step("upload", f"twine upload of sdist and wheel to {frame.repository}, what it lacks of them", {"version": frame.version})
    return [each for step in steps for each in ([step, look] if step.kind == "build" else [step])] + [send]


def _hooks(frame: Frame, phase: str) -> list[Step]:
    return [Step("hook", f"{phase}: {shlex.join(argv)}",
                 {"phase": phase, "argv": list(argv), "version": frame.version, "tag": frame.tag})
            for argv in frame.hooks.get(f"hooks.{phase}", ())]


def _fresh(seen: Seen, frame: Frame) -> Plan:
    head = seen.state.head
    edits = _edits(seen, frame)
    commit = [_commit(seen, frame, edits)]
    return _plan(seen, frame, [
        Step("scratch", f"clone {head[:12]} of {seen.state.branch} into the repository's own data; your files stay as they are",
             {"commit": head, "tag": "", "tag_id": "", "branch": seen.state.branch, "base": head, **_noted(frame)}),
        *edits, *commit, *_middle(seen, frame), *_push(seen, frame), *_last_steps(seen, frame, "")])


def _noted(frame: Frame) -> dict[str, Any]:
    """What a rerun cannot see anywhere else."""
    return {"version": frame.version, "vendor": list(frame.chosen)}


def _edits(seen: Seen, frame: Frame) -> list[Step]:
    changed = [place for place in seen.places if place.path and place.text != frame.version]
    steps = [Step("edit", f"{place}: version {place.text} -> {frame.version}", {"path": place.path, "version": frame.version})
             for place in changed]
    if seen.news and seen.news.fragments:
        return [*steps, _news(seen, frame)]
    if changelog.dated(seen.changelog_text, frame.version, frame.date) != seen.changelog_text:
        section = changelog.section_for(seen.changelog_text, frame.version)
        what = f"the section {section.label} becomes {frame.version}" if section.unreleased else f"the section {section.label}"
        steps.append(Step("date", f"{seen.changelog}:{section.at + 1}: {what}, dated {frame.date}",
                          {"path": seen.changelog, "version": frame.version, "date": frame.date}))
    return steps


def _news(seen: Seen, frame: Frame) -> Step:
    news = seen.news
    count = "1 fragment" if len(news.fragments) == 1 else f"{len(news.fragments)} fragments"
    return Step("news", f"towncrier build: {count} of {news.directory} into {news.filename}, dated {frame.date}",
                {"paths": [news.filename, *news.fragments], "version": frame.version, "date": frame.date})


def _commit(seen: Seen, frame: Frame, edits: Sequence[Step]) -> Step:
    section = changelog.section_for(seen.changelog_text, frame.version)
    entry = frame.entry or (section.body if section else "")
    paths = [path for step in edits for path in step.args.get("paths", [step.args.get("path")])]
    what = (f'commit "Release {frame.version}" there, annotated tag {frame.tag}' if edits
            else f"annotated tag {frame.tag} on {seen.state.head[:12]} there; no file needs a change")
    return Step("tag", what, {"tag": frame.tag, "version": frame.version, "message": f"{frame.app} {frame.version}\n\n{entry}\n",
                              "paths": paths})


def _middle(seen: Seen, frame: Frame) -> list[Step]:
    command = " ".join(seen.test)
    return [
        Step("test", f"{command}, in an export of exactly that commit", {"argv": list(seen.test)}),
        Step("build", f"sdist by `build`, then the wheel from that sdist; twine check{' --strict' * frame.strict}", {"version": frame.version}),
        *([Step("rebuild", "build both again elsewhere, with other file times: the same bytes", {})] if frame.rebuild else []),
        _lock(seen, frame),
        Step("verify", f"install into a fresh virtualenv without an index, {frame.loads}", {"version": frame.version}),
        Step("stage", frame.how.staged(frame.store),
             {"version": frame.version, "tag": frame.tag})]


def _push(seen: Seen, frame: Frame) -> list[Step]:
    remote = seen.remote
    args: dict[str, Any] = {"tag": frame.tag}
    if remote is None:
        return [Step("push", f"take the tag {frame.tag} into your repository (there is no remote)", args, commit=True)]
    if seen.lacking:
        what = frame.tag if seen.lacking == "tag" else remote.branch
        return [Step("push", f"push {what} to {remote.name}, which has only the other of {remote.branch} and {frame.tag}", args, commit=True)]
    more = " with its commits that are not there yet" if seen.relation == "ahead" else ""
    return [Step("push", f"push {remote.branch}{more} and {frame.tag} to {remote.name}, both or neither", args, commit=True)]


def _last_steps(seen: Seen, frame: Frame, tagged: str) -> list[Step]:
    branch = seen.unfinished.branch if tagged and seen.unfinished else seen.state.branch
    return [
        Step("publish", frame.how.published(f"{frame.store}/{frame.app}/{frame.version}", frame.version), {"version": frame.version}),
        _index_step(frame.version),
        Step("forward", f"bring your {branch or 'branch'} forward to the release", {"tag": frame.tag}),
        Step("readback", "compare tag, manifest and bytes", {"version": frame.version, "tag": frame.tag})]


def _lock(seen: Seen, frame: Frame) -> Step:
    strict = frame.channel == "prod"
    return Step("lock", f"requirements.lock with hashes and a wheelhouse for {frame.target}" + (", nothing but what is pinned" if strict else "")
                + vendor.told(frame.vendor) + f"; --vendor {vendor.said(frame.vendor)}, as the run before was told" * frame.kept, {"pinned": seen.locked, "strict": strict, "vendor": list(frame.vendor)})


def _index_step(version: str) -> Step:
    return Step("index", "name it in the application's index, under the next serial", {"version": version})


def _finish(seen: Seen, frame: Frame, tagged: str) -> Plan:
    """The tag is there already: only forward."""
    ending, note = _last_steps(seen, frame, tagged), seen.unfinished
    pushed = seen.remote is None or frame.tag in seen.remote.tags and not seen.lacking
    push = _hooks(frame, "after_push") if pushed else _push(seen, frame)
    if note and seen.staged:
        return _plan(seen, frame, [*push, *ending])
    base, branch = (note.base, note.branch) if note else (seen.state.head, seen.state.branch)
    again = Step("scratch", f"clone {tagged[:12]}, which is {frame.tag}, into the repository's own data",
                 {"commit": tagged, "tag": frame.tag, "tag_id": note.tag_id if note else "", "branch": branch, "base": base, **_noted(frame)})
    return _plan(seen, frame, [again, *_middle(seen, frame), *push, *ending])
