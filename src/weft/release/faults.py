"""What stands against a release, each with its fix. Pure; all of it is collected before anything is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Sequence

from weft.release import changelog, version
from weft.release.observe import Seen


@dataclass(frozen=True)
class Frame:
    """What does not depend on the repository's state: names, target, today."""

    app: str
    version: str
    tag: str
    template: str
    branch_rule: str
    store: str
    loads: str
    target: str
    date: str


@dataclass(frozen=True)
class Fault:
    """Something to mend before a release, and how."""

    message: str
    fix: str


def of_tree(seen: Seen, frame: Frame) -> Iterator[Fault]:
    state = seen.state
    if not state.head:
        yield Fault("the repository has no commit", "commit the project first")
    if not state.branch:
        yield Fault(f"no branch is checked out (HEAD is {state.head[:12]})", "git switch BRANCH")
    elif frame.branch_rule and state.branch != frame.branch_rule:
        yield Fault(f"the branch is {state.branch}; [tool.weft] branch allows only {frame.branch_rule}",
                    f"git switch {frame.branch_rule}")
    if state.changed:
        yield Fault(f"changed and not committed: {_some(state.changed)}", "commit or stash it")
    if seen.untracked:
        yield Fault(f"in a package but not in version control: {_some(seen.untracked)}",
                    "git add it, name it in .gitignore, or move it away")
    if not state.identity:
        yield Fault("git does not know who you are", "git config user.name 'Your Name'; git config user.email you@example.org")


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:8]) + (f" and {len(paths) - 8} more" if len(paths) > 8 else "")


def of_remote(seen: Seen) -> Iterator[Fault]:
    remote = seen.remote
    if remote and remote.error:
        yield Fault(f"{remote.name} gave no answer: {remote.error}", f"git ls-remote {remote.name}")
    resumed = seen.unfinished and remote and remote.head == seen.unfinished.commit
    if seen.relation in ("behind", "diverged") and not resumed:
        what = "is behind" if seen.relation == "behind" else "has diverged from"
        yield Fault(f"{seen.state.branch} {what} {remote.name}/{remote.branch} ({remote.head[:12]})",
                    f"git pull --{'ff-only' if seen.relation == 'behind' else 'rebase'} {remote.name} {remote.branch}")


def of_version(seen: Seen, frame: Frame, tagged: str) -> Iterator[Fault]:
    if seen.unfinished and seen.unfinished.version != frame.version:
        yield Fault(f"{seen.unfinished.version} is tagged but not published yet",
                    f"inv release --version {seen.unfinished.version}")
    if tagged:
        yield from _tag_faults(seen, frame, tagged)
    else:
        yield from _order_faults(seen, frame)
    texts = {place.text for place in seen.places}
    if not texts:
        yield Fault("the project does not say its version anywhere", 'set version_file in [tool.weft], or write __version__ = "…"')
    elif len(texts) > 1:
        yield Fault("the version is written in several places that differ: "
                    + ", ".join(f"{place} says {place.text}" for place in seen.places),
                    "make them agree, or set version_file in [tool.weft]")


def _tag_faults(seen: Seen, frame: Frame, tagged: str) -> Iterator[Fault]:
    where = [name for name, tags in (("here", seen.state.tags),
                                     (f"on {seen.remote.name}" if seen.remote else "", seen.remote.tags if seen.remote else {}))
             if frame.tag in tags]
    yield Fault(f"the tag {frame.tag} exists {' and '.join(where)} ({tagged[:12]})",
                "release another version; a published number is never used twice")


def _order_faults(seen: Seen, frame: Frame) -> Iterator[Fault]:
    tags = [*seen.state.tags, *(seen.remote.tags if seen.remote else ())]
    for what, newest in (("tag", version.newest(version.of_tags(tags, frame.template))),
                         ("version in the store", version.newest(seen.released))):
        if newest and not version.above(frame.version, newest):
            yield Fault(f"{frame.version} is not above {newest}, the last {what}",
                        f"--version {version.bumped(newest, 'patch')} or above")


def of_changelog(seen: Seen, frame: Frame) -> Iterator[Fault]:
    if not seen.changelog:
        yield Fault("there is no changelog", f"write CHANGELOG.md with a section: ## {frame.version} - {frame.date}")
        return
    section = changelog.section_for(seen.changelog_text, frame.version)
    if section is None:
        yield Fault(f"{seen.changelog} has no section for {frame.version}", "add one with what changed, or one named Unreleased")
    elif changelog.empty(section):
        yield Fault(f"{seen.changelog}:{section.at + 1}: the section {section.label} is empty", "write what changed")


def of_store(seen: Seen, frame: Frame) -> Iterator[Fault]:
    if seen.obstacle:
        yield Fault(f"the store {frame.store} cannot take a release: {seen.obstacle}",
                    "mend it, or set artifacts in [tool.weft]")


def of_project(seen: Seen) -> Iterator[Fault]:
    for path in seen.missing:
        yield Fault(f"[tool.weft] names {path}, which is not in version control", f"git add {path}, and commit it")
    if not seen.test:
        yield Fault("there are no tests", 'write tests/, or set test = ["command", "argument"] in [tool.weft]')
