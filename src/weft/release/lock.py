"""The locked dependencies: one requirements.lock with hashes, and one wheelhouse for all targets. Made once for equal inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Collection, Mapping, Sequence

from weft import durable
from weft.errors import Refused, UsageError
from weft.plan import canonical
from weft.release import fetch, pipconf, resolve, run, tools
from weft.release.names import normal
from weft.release.pins import Pins, exact, parse, uncovered, written
from weft.release.target import Target

Log = Callable[[str], None]
Wanted = Mapping[Target, Sequence[str]]
"""What is required, a target at a time."""
NOTHING = "# no dependencies\n"


@dataclass(frozen=True)
class Locked:
    """text: requirements.lock.  wheels: the wheelhouse's files.  fresh: made now, not taken from the cache.

    pythons: file name -> the Pythons of the targets that take it.  built: the files that were built here, from an sdist.
    yanked: normal name -> "loom 1.1: why", of what the index had taken back when this was made.
    """

    text: str
    wheels: Sequence[Path]
    fresh: bool
    pythons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    built: frozenset[str] = frozenset()
    yanked: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """What is locked, for whichever target."""
        return set(parse(self.text))


@dataclass(frozen=True)
class Rules:
    """How far the project's own requirements.lock binds; its versions are kept in any case.

    files: its hashes are the only files that are taken.  strict: nothing that it does not pin.
    upgrade: the names to ask the index for again, or True for all.
    """

    files: bool = False
    strict: bool = False
    upgrade: bool | Collection[str] = False


class NotLocked(Refused):
    """What is required cannot be had for a target. tail: the last lines of what tried."""

    def __init__(self, target: Target, error: run.CommandFailed):
        super().__init__(f"what is required cannot be locked for {target}", details={"output": error.tail})
        self.tail = error.tail


def locked(wanted: Wanted, pinned: str, log: Log, rules: Rules = Rules()) -> Locked:
    """The lock for these requirements, from the cache when the same was asked before.

    pinned: the text of the project's own requirements.lock; "" without one.
    Raises Refused for what cannot be locked; UsageError for a name to upgrade that is not in it.
    """
    if not any(wanted.values()):
        return Locked(NOTHING, (), False)
    _known(rules, pinned)
    kept = {target: _kept(requires, target, parse(pinned, target.environment), rules) for target, requires in wanted.items()}
    place = tools.cache() / "locks" / _key(wanted, kept, rules)
    fresh = bool(rules.upgrade) or not _sound(place)
    if fresh:
        _make(place, wanted, kept, rules, log)
    found = _read(place, fresh)
    if rules.strict:
        _not_yanked(found, wanted)
    return found


def _not_yanked(found: Locked, wanted: Wanted) -> None:
    """Raises Refused for a version that its index has taken back, where the project does not itself require just that one."""
    meant = {name for requires in wanted.values() for name in exact(requires)}
    astray = [said for name, said in sorted(found.yanked.items()) if name not in meant]
    if astray:
        names = ",".join(name.replace("_", "-") for name in sorted(found.yanked) if name not in meant)
        raise Refused(f"requirements.lock pins what its index has yanked: {'; '.join(astray)}",
                      f"inv lock --upgrade {names}, then commit requirements.lock; or require exactly that version, if it is meant")


def _known(rules: Rules, pinned: str) -> None:
    pins = parse(pinned)
    lacking = sorted(_named(rules) - set(pins))
    if lacking:
        raise UsageError(f"{', '.join(lacking)}: not in requirements.lock", f"locked: {', '.join(sorted(pins)) or 'nothing'}")


def _named(rules: Rules) -> set[str]:
    return set() if isinstance(rules.upgrade, bool) else {normal(name) for name in rules.upgrade}


def _kept(requires: Sequence[str], target: Target, pins: Pins, rules: Rules) -> dict[str, tuple[str, frozenset[str]]]:
    """The pins that still hold: not those to be upgraded, nor those that the project's own words rule out by now."""
    if rules.upgrade is True:
        return {}
    astray = uncovered(requires, target.environment, pins)
    if rules.strict and astray:
        raise _not_pinned(astray)
    stale = _named(rules) | {each.name for each in astray}
    return {name: (version, hashes if rules.files else frozenset()) for name, (version, hashes) in pins.items() if name not in stale}


def _not_pinned(astray: Sequence[object]) -> Refused:
    return Refused(f"requirements.lock does not cover what is released: {', '.join(map(str, astray))}",
                   "inv lock, then commit requirements.lock")


def _key(wanted: Wanted, kept: Mapping[Target, Pins], rules: Rules = Rules()) -> str:
    """By the content of all that a lock is made from."""
    def row(target: Target, requires: Sequence[str]) -> list[object]:
        pins = sorted((name, version, sorted(hashes)) for name, (version, hashes) in kept.get(target, {}).items())
        return [target.python, target.platform, sorted(requires), pins]
    content = canonical([4, sorted(row(*each) for each in wanted.items()), rules.strict, pipconf.digest()])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _read(place: Path, fresh: bool) -> Locked:
    said = json.loads((place / "parts.json").read_text(encoding="utf-8"))
    return Locked((place / "requirements.lock").read_text(encoding="utf-8"), sorted((place / "wheelhouse").iterdir()), fresh,
                  said["pythons"], frozenset(said["built"]), said["yanked"])


def _sound(place: Path) -> bool:
    """Whether a cached lock is there, with one wheel for each pin of each target, of the bytes that it names."""
    try:
        found = _read(place, False)
        allowed = {digest for _name, _version, digests in _rows(found.text) for digest in digests}
        return {path.name for path in found.wheels} == set(found.pythons) \
            and {normal(name.split("-")[0]) for name in found.pythons} == found.names \
            and all(durable.sha256(path) in allowed for path in found.wheels)
    except (OSError, ValueError, KeyError):
        return False


def _rows(text: str) -> list[tuple[str, str, frozenset[str]]]:
    from weft.release.pins import rows
    return [(name, version, digests) for name, version, _marker, digests in rows(text)]


def _make(place: Path, wanted: Wanted, kept: Mapping[Target, Pins], rules: Rules, log: Log) -> None:
    """Resolve and fetch beside `place`, then give the result its name; two at once do no harm."""
    fresh = durable.temp_name(place)
    house = fetch.House(fresh / "wheelhouse", fresh / "built")
    try:
        house.create()
        # Who can build goes first: what it builds for any Python serves the others too.
        parts = {target.python: _one(fresh, house, target, wanted[target], kept[target], rules, log)
                 for target in sorted(wanted, key=lambda each: (not each.own, not each.builder)) if wanted[target]}
        durable.write(fresh / "requirements.lock", written({each.python: parts.get(each.python, {}) for each in wanted}))
        durable.write(fresh / "parts.json", json.dumps({"pythons": house.pythons, "built": sorted(house.made), "yanked": house.yanked}, sort_keys=True))
        shutil.rmtree(fresh / "built")
        shutil.rmtree(place, ignore_errors=True)
        os.rename(fresh, place)
    except OSError:
        if not _sound(place):
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _one(fresh: Path, house: fetch.House, target: Target, requires: Sequence[str], pins: Pins, rules: Rules, log: Log) -> Pins:
    """One target's part: its pins, with the hashes of just the files that are taken."""
    spot = fresh / target.python
    spot.mkdir()
    try:
        found = resolve.resolve(spot, requires, pins, target, house.built, log)
        if rules.strict and set(found) - set(pins):
            raise _not_pinned([f"{name} {found[name][0]}" for name in sorted(set(found) - set(pins))])
        return house.take(spot, {name: pins[name] if name in pins and pins[name][1] else found[name] for name in found}, target, log)
    except run.CommandFailed as error:
        raise NotLocked(target, error) from None
    finally:
        shutil.rmtree(spot, ignore_errors=True)
