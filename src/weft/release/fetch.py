"""The wheelhouse: one wheel for each pin of each target, its hash checked by pip; what has no wheel is built here, once."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Sequence

from weft import durable
from weft.errors import Refused
from weft.release import run, tools, wheel
from weft.release.names import normal
from weft.release.pins import Pins, written
from weft.release.target import Target

Log = Callable[[str], None]
_EPOCH = 1_577_836_800
"""The time that wheels built here of others' sdists bear: 2020-01-01, in seconds since 1970."""
_YANKED = re.compile(r"is a yanked version: '([^']+)' candidate \(version (\S+) at ")
_CHANGED = "look at what changed there; if it is right: inv lock, then commit requirements.lock"


@dataclass
class House:
    """place: its files.  built: copies of those that were built here and serve any Python.

    pythons: file name -> for which Pythons.  made: the files that were built here.  yanked: normal name -> "loom 1.1: why" of
    what the index has taken back.
    """

    place: Path
    built: Path
    pythons: dict[str, list[str]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    yanked: dict[str, str] = field(default_factory=dict)

    def create(self) -> None:
        self.place.mkdir(parents=True)
        self.built.mkdir()

    def take(self, spot: Path, pins: Pins, target: Target, log: Log) -> Pins:
        """Bring in one target's wheels. spot: a directory to work in. The pins with the hashes of just these files.

        Raises CommandFailed; Refused for files of other hashes, and for what has no wheel and cannot be built here.
        """
        if not pins:
            return {}
        said: list[str] = []
        got = _downloaded(spot, pins, target, self.built, lambda line: (said.append(line), log(line)))
        self.yanked.update(_taken_back(said))
        names = {digest: name for name, (_, digests) in pins.items() for digest in digests}
        digests = {path: durable.sha256(path) for path in got}
        source = [path for path in got if path.suffix != ".whl"]
        wheels = [path for path in got if path not in source] + _built(spot, source, target, log)
        lacking = sorted(set(pins) - {normal(path.name.split("-")[0]) for path in wheels})
        if lacking:
            raise Refused(f"no wheel of {', '.join(lacking)} for {target}", "choose another version, or release on such a machine")
        taken: dict[str, set[str]] = {name: set() for name in pins}
        for path, digest in digests.items():
            taken[names.get(digest, normal(path.name.split("-")[0]))].add(digest)
        for path in wheels:
            taken[normal(path.name.split("-")[0])].add(durable.sha256(path))
            self._keep(path, target, path not in digests)
        return {name: (pins[name][0], frozenset(found)) for name, found in taken.items()}

    def _keep(self, path: Path, target: Target, made: bool) -> None:
        place = self.place / path.name
        if place.exists() and durable.sha256(place) != durable.sha256(path):
            raise Refused(f"{path.name} is another file for {target} than for the other Pythons", "release for one Python")
        shutil.copyfile(path, place)
        self.pythons.setdefault(path.name, []).append(target.python)
        if made:
            self.made.add(path.name)
            if path.name.endswith("-none-any.whl"):
                shutil.copyfile(path, self.built / path.name)


def _downloaded(spot: Path, pins: Pins, target: Target, built: Path, log: Log) -> list[Path]:
    """The very files that the pins allow, wheels where there are such."""
    got = spot / "got"
    (spot / "wanted").write_text(written({target.python: pins}), encoding="utf-8")
    near = ["--find-links", str(built)] if any(built.iterdir()) else []
    elsewhere = [] if target.builder else target.for_pip()
    _watched([*tools.pip_for(target), "download", "--quiet", "--no-input", "--no-deps", "--require-hashes", *elsewhere, *near,
              "--dest", str(got), "--requirement", str(spot / "wanted")], log)
    return sorted(got.iterdir())


def _taken_back(said: Sequence[str]) -> dict[str, str]:
    """What pip warns of: normal name -> "loom 1.1: why it was yanked"."""
    found = {}
    for line, following in zip(said, [*said[1:], ""]):
        match = _YANKED.search(line)
        if match:
            why = following.partition("Reason for being yanked: ")[2].strip()
            found[normal(match[1])] = f"{match[1]} {match[2]}" + (f": {why}" if why and why != "<none given>" else "")
    return found


def _built(spot: Path, source: Sequence[Path], target: Target, log: Log) -> list[Path]:
    """A wheel of each sdist, with the same bytes each time."""
    if not source:
        return []
    made = spot / "made"
    _watched([*tools.pip_for(target), "wheel", "--quiet", "--no-input", "--no-deps", "--wheel-dir", str(made), *map(str, source)], log)
    for path in made.iterdir():
        wheel.repack(path, _EPOCH)
    return sorted(made.iterdir())


def _watched(argv: Sequence[str], log: Log) -> None:
    """pip, building what has no wheel so that it comes out the same each time. Raises Refused for files of other hashes."""
    try:
        run.watch(argv, Path.cwd(), run.environment({"SOURCE_DATE_EPOCH": str(_EPOCH), "PYTHONHASHSEED": "0"}), log)
    except run.CommandFailed as error:
        if "DO NOT MATCH THE HASHES" not in "\n".join(error.tail):
            raise
        raise Refused("the index has other files than requirements.lock names", _CHANGED, details={"output": error.tail}) from None
