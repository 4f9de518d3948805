"""What stands against a release, each with its fix. Pure; all of it is collected before anything is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterator, Mapping, Sequence

from weft.release import changelog, vendor, version
from weft.release.observe import Seen
from weft.release.vcs import WORDS, Words
from weft.stores.common import Words as StoreWords


CHANNELS = ("dev", "prod")


@dataclass(frozen=True)
class Frame:
    """What does not depend on the repository's state: names, target, today.

    rebuild: build twice and compare.  channel: dev or prod.  entry: the changelog's entry where it is made from fragments.
    strict: metadata must be without warnings.  repository: the package index that the files are to be uploaded to, "" for none.  clashes: what stands against that.
    vcs: git or hg.  unfit: why no tag can be named so.  hooks: "before_test" and so on -> commands.
    vendor: what of the dependencies is to lie in the store.  chosen: what --vendor said, () for nothing; kept: it said so to the run before.
    how: the store's own words for what it does.
    """

    app: str
    version: str
    tag: str
    template: str
    branch_rule: str
    store: str
    loads: str
    target: str
    date: str
    rebuild: bool = False
    channel: str = "dev"
    entry: str = ""
    strict: bool = True
    repository: str = ""
    clashes: Sequence[tuple[str, str]] = ()
    vcs: str = "git"
    unfit: str = ""
    hooks: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    vendor: Sequence[str] = (vendor.ALL,)
    chosen: Sequence[str] = ()
    kept: bool = False
    how: StoreWords = StoreWords()

    @property
    def words(self) -> Words:
        return WORDS[self.vcs]


@dataclass(frozen=True)
class Fault:
    """Something to mend before a release, and how."""

    message: str
    fix: str


def of_tree(seen: Seen, frame: Frame) -> Iterator[Fault]:
    state, words = seen.state, frame.words
    if not state.head:
        yield Fault("the repository has no commit", "commit the project first")
    if not state.branch:
        yield Fault(f"no branch is checked out (HEAD is {state.head[:12]})", words.switch.format(branch="BRANCH"))
    elif not _allowed(state.branch, frame.branch_rule):
        yield Fault(f"the branch is {state.branch}; [tool.weft] branch allows only {frame.branch_rule}",
                    words.switch.format(branch=frame.branch_rule.split(",")[0].strip()))
    if state.changed:
        yield Fault(f"changed and not committed: {_some(state.changed)}", words.keep)
    if seen.untracked:
        yield Fault(f"in a package but not in version control: {_some(seen.untracked)}", words.add)
    for path in seen.nested:
        yield Fault(f"{path} is a {words.nested}, whose files would be missing in the release", "commit its files here, or require it as a dependency")
    yield from (Fault(*each) for each in state.trouble)
    if not state.identity:
        yield Fault(f"{frame.vcs} does not know who you are", words.identity)


def _allowed(branch: str, rule: str) -> bool:
    """Whether a branch's name is one of the rule's, which are separated by commas and may be patterns; "" allows any."""
    from fnmatch import fnmatchcase
    return not rule or any(fnmatchcase(branch, each.strip()) for each in rule.split(","))


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:8]) + (f" and {len(paths) - 8} more" if len(paths) > 8 else "")


def of_remote(seen: Seen, frame: Frame) -> Iterator[Fault]:
    remote = seen.remote
    if remote and remote.error:
        yield Fault(f"{remote.name} gave no answer: {remote.error}", frame.words.ask.format(remote=remote.name))
    if seen.lacking == "merge":
        yield Fault(f"{remote.name} has the tag {seen.unfinished.tag}, and {remote.branch} went on without its commit",
                    frame.words.unite.format(remote=remote.name, branch=remote.branch, tag=seen.unfinished.tag))
    yield from (Fault(*each) for each in (remote.trouble if remote else ()))
    resumed = seen.unfinished and remote and remote.head in (seen.unfinished.commit, seen.unfinished.tag_id)
    if seen.relation in ("behind", "diverged") and not resumed:
        what = "is behind" if seen.relation == "behind" else "has diverged from"
        yield Fault(f"{seen.state.branch} {what} {remote.name}/{remote.branch} ({remote.head[:12]})",
                    (frame.words.pull if seen.relation == "behind" else frame.words.merge).format(
                        remote=remote.name, branch=remote.branch))


def of_version(seen: Seen, frame: Frame, tagged: str) -> Iterator[Fault]:
    if seen.unfinished and seen.unfinished.version != frame.version:
        yield Fault(f"{seen.unfinished.version} is {'pushed in part' if seen.lacking else 'tagged'} but not published yet",
                    f"inv release --version {seen.unfinished.version}")
    if frame.unfit:
        yield Fault(frame.unfit, 'set tag = "v{version}" in [tool.weft]')
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
    if seen.newest:
        if not version.above(frame.version, seen.newest):
            yield Fault(f"{frame.version} is not above {seen.newest}, the last tag of this branch",
                        f"--version {version.bumped(seen.newest, 'patch')} or above")
        return
    tags = [*seen.state.tags, *(seen.remote.tags if seen.remote else ())]
    for what, newest in (("tag", version.newest(version.of_tags(tags, frame.template))),
                         ("version in the store", version.newest(seen.released))):
        if newest and not version.above(frame.version, newest):
            yield Fault(f"{frame.version} is not above {newest}, the last {what}",
                        f"--version {version.bumped(newest, 'patch')} or above")


def of_changelog(seen: Seen, frame: Frame) -> Iterator[Fault]:
    if seen.news and seen.news.fragments:
        if not seen.news.argv:
            yield Fault(f"{seen.news.directory} has news fragments, but towncrier is not installed", "pip install towncrier")
        return
    if seen.news and not (seen.changelog and changelog.section_for(seen.changelog_text, frame.version)):
        yield Fault(f"{seen.news.directory} has no news fragment, and {seen.news.filename} no section for {frame.version}",
                    f"write what changed, such as {seen.news.directory}/+change.{seen.news.kind}.rst")
        return
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


def of_signing(seen: Seen) -> Iterator[Fault]:
    if seen.signing:
        yield Fault(*seen.signing)


def of_lock(seen: Seen, frame: Frame) -> Iterator[Fault]:
    for each in seen.shut_out:
        yield Fault(f"[tool.weft] python names {each}", "correct one of them")
    yield from _addressed(seen.requires or ())
    yield from _vendored(seen, frame)
    if frame.channel != "prod":
        return
    if not seen.locked and seen.requires != []:
        yield Fault("requirements.lock is not in version control, and the channel prod releases only what is pinned",
                    "inv lock, then commit requirements.lock")
    elif seen.unpinned:
        yield Fault(f"requirements.lock does not cover what the project requires: {_some(seen.unpinned)}",
                    "inv lock, then commit requirements.lock")


def _addressed(requires: Sequence[str]) -> Iterator[Fault]:
    """What is required from an address of its own: no version and hash on an index fix it."""
    for each in requires:
        name, at, _address = each.partition(" @ ")
        if at:
            yield Fault(f"the project requires {name.strip()} from an address, which cannot be locked", f"require a released version of {name.strip()}")


def _vendored(seen: Seen, frame: Frame) -> Iterator[Fault]:
    """A name that can be known to be wrong before anything is resolved."""
    complete = seen.locked and not seen.unpinned or seen.requires == []
    lacking = vendor.unknown(frame.vendor, seen.pinned) if complete else ()
    if lacking:
        yield Fault(f"vendor: {', '.join(lacking)}: not among the dependencies", f"all, none, or of: {vendor.known(seen.pinned)}")


def of_upload(frame: Frame) -> Iterator[Fault]:
    yield from (Fault(message, fix) for message, fix in frame.clashes)


def of_project(seen: Seen, frame: Frame) -> Iterator[Fault]:
    for path in seen.missing:
        yield Fault(f"[tool.weft] names {path}, which is not in version control", frame.words.add_path.format(path=path))
    if not seen.test:
        yield Fault("there are no tests", 'write tests/, or set test = ["command", "argument"] in [tool.weft]')
    for where, program in seen.unrunnable:
        yield Fault(f"[tool.weft] {where} runs {program}, which is no program here", f"install it, or correct {where}")
