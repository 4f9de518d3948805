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
from typing import Callable, Mapping, Sequence

from weft import durable
from weft.errors import Refused
from weft.plan import canonical
from weft.release import run, tools
from weft.release.sdist import normal
from weft.release.target import Target

Log = Callable[[str], None]
Pins = Mapping[str, tuple[str, frozenset[str]]]
"""Normal name -> (version, sha256 digests of the files that are allowed)."""

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NOTHING = "# no dependencies\n"


@dataclass(frozen=True)
class Locked:
    """text: requirements.lock.  wheels: the wheelhouse's files.  fresh: made now, not taken from the cache."""

    text: str
    wheels: Sequence[Path]
    fresh: bool


def locked(requires: Sequence[str], target: Target, pinned: str, log: Log, upgrade: bool = False) -> Locked:
    """The lock for these requirements, from the cache when the same was asked before.

    pinned: the text of the project's own requirements.lock, whose versions are kept; "" without one.
    upgrade: ask the index again.  Raises CommandFailed, or Refused for what cannot be locked.
    """
    if not requires:
        return Locked(NOTHING, (), False)
    pins = {} if upgrade else {name: version for name, (version, _) in parse(pinned).items()}
    place = tools.cache() / "locks" / _key(requires, target, pins)
    if upgrade or not _sound(place):
        _make(place, requires, target, pins, log)
        return _read(place, True)
    return _read(place, False)


def _key(requires: Sequence[str], target: Target, pins: Mapping[str, str]) -> str:
    content = canonical([1, sorted(requires), target.python, target.platform, sorted(pins.items())])
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


def _make(place: Path, requires: Sequence[str], target: Target, pins: Mapping[str, str], log: Log) -> None:
    """Resolve and fetch beside `place`, then give the result its name; two at once do no harm."""
    fresh = durable.temp_name(place)
    fresh.mkdir(parents=True)
    try:
        (fresh / "in").write_text("\n".join(requires) + "\n", encoding="utf-8")
        (fresh / "pins").write_text("".join(f"{name}=={version}\n" for name, version in sorted(pins.items())), encoding="utf-8")
        found = resolve(fresh, target, log)
        _fetch(fresh, found, target, log)
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


def parse(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """The pins of a requirements file with hashes."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        match = _PIN.match(line.split(" #")[0].strip())
        if match:
            found[normal(match[1])] = (match[2], frozenset(_HASH.findall(line)))
    return found


def written(pins: Pins) -> str:
    """requirements.lock: names, versions and hashes; nothing of where they were found."""
    blocks = []
    for name, (version, hashes) in sorted(pins.items()):
        lines = [f"{name.replace('_', '-')}=={version}", *(f"    --hash=sha256:{digest}" for digest in sorted(hashes))]
        blocks.append(" \\\n".join(lines) + "\n")
    return "".join(blocks)


def _fetch(place: Path, pins: Pins, target: Target, log: Log) -> None:
    """One wheel for each pin, its hash checked by pip; what has none is built here when here is the target."""
    house, lock = place / "wheelhouse", place / "requirements.lock"
    house.mkdir()
    lock.write_text(written(pins), encoding="utf-8")
    words = ["wheel", "--wheel-dir"] if target.here else ["download", *target.for_pip(), "--dest"]
    run.watch([*tools.pip(), words[0], "--quiet", "--no-input", "--no-deps", "--require-hashes", *words[1:], str(house),
               "--requirement", str(lock)], place, log=log)
    wheels = {normal(wheel.name.split("-")[0]): wheel for wheel in house.iterdir()}
    lacking = sorted(set(pins) - set(wheels))
    if lacking:
        raise Refused(f"no wheel of {', '.join(lacking)} for {target}", "choose another version, or release on such a machine")
    built = {name: (version, hashes | {durable.sha256(wheels[name])}) for name, (version, hashes) in pins.items()}
    durable.write(lock, written(built))
