"""The locked dependencies: requirements.lock with hashes, and a wheelhouse for the target. Made once for equal inputs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Collection, Sequence

from weft import durable
from weft.errors import Refused, UsageError
from weft.plan import canonical
from weft.release import run, tools, wheel
from weft.release.pins import Pins, parse, uncovered, written
from weft.release.sdist import normal
from weft.release.target import Target

Log = Callable[[str], None]
_EPOCH = 1_577_836_800
"""The time that wheels built here of others' sdists bear: 2020-01-01, in seconds since 1970."""
NOTHING = "# no dependencies\n"


@dataclass(frozen=True)
class Locked:
    """text: requirements.lock.  wheels: the wheelhouse's files.  fresh: made now, not taken from the cache."""

    text: str
    wheels: Sequence[Path]
    fresh: bool


@dataclass(frozen=True)
class Rules:
    """How far the project's own requirements.lock binds; its versions are kept in any case.

    files: its hashes are the only files that are taken.  strict: nothing that it does not pin.
    upgrade: the names to ask the index for again, or True for all.
    """

    files: bool = False
    strict: bool = False
    upgrade: bool | Collection[str] = False


def locked(requires: Sequence[str], target: Target, pinned: str, log: Log, rules: Rules = Rules()) -> Locked:
    """The lock for these requirements, from the cache when the same was asked before.

    pinned: the text of the project's own requirements.lock; "" without one.
    Raises CommandFailed; Refused for what cannot be locked; UsageError for a name to upgrade that is not in it.
    """
    if not requires:
        return Locked(NOTHING, (), False)
    pins = _kept(requires, target, parse(pinned), rules)
    place = tools.cache() / "locks" / _key(requires, target, pins, rules)
    if rules.upgrade or not _sound(place):
        _make(place, requires, target, pins, rules, log)
        return _read(place, True)
    return _read(place, False)


def _kept(requires: Sequence[str], target: Target, pins: Pins, rules: Rules) -> dict[str, tuple[str, frozenset[str]]]:
    """The pins that still hold: not those to be upgraded, nor those that the project's own words rule out by now."""
    if rules.upgrade is True:
        return {}
    names = {normal(name) for name in rules.upgrade or ()}
    if names - set(pins):
        raise UsageError(f"{', '.join(sorted(names - set(pins)))}: not in requirements.lock",
                         f"locked: {', '.join(sorted(pins)) or 'nothing'}")
    astray = uncovered(requires, target.python, pins)
    if rules.strict and astray:
        raise _not_pinned(astray)
    stale = names | {each.name for each in astray}
    return {name: (version, hashes if rules.files else frozenset()) for name, (version, hashes) in pins.items() if name not in stale}


def _not_pinned(astray: Sequence[object]) -> Refused:
    return Refused(f"requirements.lock does not cover what is released: {', '.join(map(str, astray))}",
                   "inv lock, then commit requirements.lock")


def _key(requires: Sequence[str], target: Target, pins: Pins, rules: Rules = Rules()) -> str:
    kept = sorted((name, version, sorted(hashes)) for name, (version, hashes) in pins.items())
    content = canonical([2, sorted(requires), target.python, target.platform, kept, rules.strict])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _read(place: Path, fresh: bool) -> Locked:
    return Locked((place / "requirements.lock").read_text(encoding="utf-8"), sorted((place / "wheelhouse").iterdir()), fresh)


def _sound(place: Path) -> bool:
    """Whether a cached lock is there, with one wheel for each pin, of the bytes that it names."""
    try:
        pins = parse((place / "requirements.lock").read_text(encoding="utf-8"))
        wheels = {normal(wheel.name.split("-")[0]): wheel for wheel in (place / "wheelhouse").iterdir()}
        return set(pins) == set(wheels) and all(durable.sha256(wheels[name]) in pins[name][1] for name in pins)
    except OSError:
        return False


def _make(place: Path, requires: Sequence[str], target: Target, pins: Pins, rules: Rules, log: Log) -> None:
    """Resolve and fetch beside `place`, then give the result its name; two at once do no harm."""
    fresh = durable.temp_name(place)
    fresh.mkdir(parents=True)
    try:
        (fresh / "in").write_text("\n".join(requires) + "\n", encoding="utf-8")
        (fresh / "pins").write_text("".join(f"{name}=={version}\n" for name, (version, _) in sorted(pins.items())), encoding="utf-8")
        found = resolve(fresh, target, log)
        if rules.strict and set(found) - set(pins):
            raise _not_pinned([f"{name} {found[name][0]}" for name in sorted(set(found) - set(pins))])
        _fetch(fresh, {name: pins[name] if name in pins and pins[name][1] else found[name] for name in found}, target, log)
        for name in ("in", "pins", "out"):
            (fresh / name).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        os.rename(fresh, place)
    except OSError:
        if not _sound(place):
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def resolve(place: Path, target: Target, log: Log) -> Pins:
    """Exact versions with hashes for `in` under the constraints `pins`: by uv where it is, else (or if it fails) by pip."""
    if tools.uv() and (target.here or target.for_uv()):
        try:
            return _by_uv(place, target, log)
        except run.CommandFailed as error:
            log(f"uv found no solution (exit {error.code}); asking pip")
    return _by_pip(place, target, log)


def _by_uv(place: Path, target: Target, log: Log) -> Pins:
    platform = ["--python-platform", target.for_uv()] if target.for_uv() else []
    binary = [] if target.here else ["--only-binary", ":all:"]
    run.watch([tools.uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--python", sys.executable,
               "--python-version", target.python, *platform, *binary, "--constraints", "pins", "--output-file", "out", "in"],
              place, log=log)
    text = (place / "out").read_text(encoding="utf-8")
    return _complete(parse(text), re.findall(r"^[^\s#-].*", text, re.M))


def _by_pip(place: Path, target: Target, log: Log) -> Pins:
    options = [] if target.here else [*target.for_pip(), "--target", "unused"]
    run.watch([*tools.pip(), "install", "--quiet", "--dry-run", "--ignore-installed", "--no-input", *options, "--report", "out",
               "--constraint", "pins", "--requirement", "in"], place, log=log)
    found = json.loads((place / "out").read_text(encoding="utf-8"))["install"]
    pins = {normal(each["metadata"]["name"]): (each["metadata"]["version"], _archive_hash(each)) for each in found}
    return _complete(pins, [each["metadata"]["name"] for each in found])


def _archive_hash(each: dict) -> frozenset[str]:
    """Of a file on an index; what is named by an address of its own has none that counts."""
    found = each["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
    return frozenset([found] if found and not each["is_direct"] else [])


def _complete(pins: Pins, lines: Sequence[str]) -> Pins:
    """Raises Refused when something came from elsewhere than an index, where no hash and version fix it."""
    loose = [line for line in lines if " @ " in line] + [name for name, (_, hashes) in pins.items() if not hashes]
    if loose:
        raise Refused(f"dependency {loose[0]!r} cannot be locked: it has no file with a hash on an index",
                      "require a released version of it")
    return pins


def _fetch(place: Path, pins: Pins, target: Target, log: Log) -> None:
    """One wheel for each pin, its hash checked by pip; what has none is built here when here is the target."""
    house, lock = place / "wheelhouse", place / "requirements.lock"
    house.mkdir()
    lock.write_text(written(pins), encoding="utf-8")
    words = ["wheel", "--wheel-dir"] if target.here else ["download", *target.for_pip(), "--dest"]
    _watched([*tools.pip(), words[0], "--quiet", "--no-input", "--no-deps", "--require-hashes", *words[1:], str(house),
              "--requirement", str(lock)], place, log)
    wheels = {normal(path.name.split("-")[0]): path for path in house.iterdir()}
    lacking = sorted(set(pins) - set(wheels))
    if lacking:
        raise Refused(f"no wheel of {', '.join(lacking)} for {target}", "choose another version, or release on such a machine")
    for name, path in wheels.items():
        if durable.sha256(path) not in pins[name][1]:
            wheel.repack(path, _EPOCH)
    built = {name: (version, hashes | {durable.sha256(wheels[name])}) for name, (version, hashes) in pins.items()}
    durable.write(lock, written(built))


def _watched(argv: Sequence[str], place: Path, log: Log) -> None:
    """pip, building what has no wheel so that it comes out the same each time. Raises Refused for files of other hashes."""
    try:
        run.watch(argv, place, run.environment({"SOURCE_DATE_EPOCH": str(_EPOCH), "PYTHONHASHSEED": "0"}), log)
    except run.CommandFailed as error:
        if "DO NOT MATCH THE HASHES" not in "\n".join(error.tail):
            raise
        raise Refused("the index has other files than requirements.lock names", "look at what changed there; if it is right: "
                      "inv lock, then commit requirements.lock", details={"output": error.tail}) from None
