"""requirements.lock as a text: exact versions with the hashes of their files; and whether it covers what is required."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from weft.release.names import normal

Pins = Mapping[str, tuple[str, frozenset[str]]]
"""Normal name -> (version, sha256 digests of the files that are allowed)."""

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)(?:\s*;(.*?))?(?=\s+--hash|\s*$)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def rows(text: str) -> list[tuple[str, str, str, frozenset[str]]]:
    """The lines of a requirements file with hashes that pin something: normal name, version, marker ("" without one), digests."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        match = _PIN.match(line.split(" #")[0].strip())
        if match:
            found.append((normal(match[1]), match[2], (match[3] or "").strip(), frozenset(_HASH.findall(line))))
    return found


def parse(text: str, environment: Mapping[str, str] | None = None) -> dict[str, tuple[str, frozenset[str]]]:
    """The pins of a requirements file, of those that count in that environment; None: of all lines."""
    return {name: (version, digests) for name, version, marker, digests in rows(text)
            if environment is None or not marker or _counts(marker, environment)}


def _counts(marker: str, environment: Mapping[str, str]) -> bool:
    from packaging.markers import Marker
    return Marker(marker).evaluate(dict(environment))


def written(parts: Mapping[str, Pins]) -> str:
    """requirements.lock: names, versions and hashes, with markers where the Pythons differ; nothing of where they were found.

    parts: minor version of Python -> its pins.
    """
    found: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
    for python, pins in parts.items():
        for name, (version, hashes) in pins.items():
            found.setdefault((name, version), {})[python] = hashes
    blocks = []
    for (name, version), pythons in sorted(found.items(), key=lambda each: (each[0][0], _order(min(each[1], key=_order)))):
        first = f"{name.replace('_', '-')}=={version}" + ("" if len(pythons) == len(parts) else f" ; {_marker(pythons)}")
        lines = [first, *(f"    --hash=sha256:{digest}" for digest in sorted(frozenset().union(*pythons.values())))]
        blocks.append(" \\\n".join(lines) + "\n")
    return "".join(blocks)


def _order(python: str) -> int:
    return int(python.split(".")[1])


def _marker(pythons: Iterable[str]) -> str:
    return " or ".join(f'python_version == "{each}"' for each in sorted(pythons, key=_order))


@dataclass(frozen=True)
class Uncovered:
    """A requirement that a lock does not meet. locked: the version it has instead, "" for none."""

    name: str
    wanted: str
    locked: str = ""

    def __str__(self) -> str:
        return f"{self.wanted} ({self.locked} is locked)" if self.locked else self.wanted


def uncovered(requires: Sequence[str], environment: Mapping[str, str], pins: Pins) -> list[Uncovered]:
    """The requirements, of those that count in that environment, which no pin meets."""
    if not requires:
        return []
    from packaging.requirements import Requirement
    found = []
    for each in map(Requirement, requires):
        if each.marker and not each.marker.evaluate(dict(environment)):
            continue
        name, (version, _) = normal(each.name), pins.get(normal(each.name), ("", frozenset()))
        if not version or not each.specifier.contains(version, prereleases=True):
            found.append(Uncovered(name, str(each), version))
    return found


def exact(requires: Sequence[str]) -> set[str]:
    """The normal names of those that are required in just one version."""
    from packaging.requirements import Requirement
    parsed = [Requirement(each) for each in requires]
    return {normal(each.name) for each in parsed if any(word.operator in ("==", "===") and not word.version.endswith("*") for word in each.specifier)}


def requires_python(root: Path) -> str:
    """What pyproject.toml says; "" where it says nothing, or only a build can tell."""
    from weft.config.load import read_toml
    path = root / "pyproject.toml"
    said = read_toml(path).get("project", {}).get("requires-python", "") if path.is_file() else ""
    return said if isinstance(said, str) else ""


def declared(root: Path, extras: Sequence[str]) -> list[str] | None:
    """What pyproject.toml says that the project requires; None where only a build can tell."""
    from weft.config.load import read_toml
    path = root / "pyproject.toml"
    said: dict[str, Any] = read_toml(path).get("project", {}) if path.is_file() else {}
    dynamic = said.get("dynamic", ())
    if "name" not in said or "dependencies" in dynamic or extras and "optional-dependencies" in dynamic:
        return None
    optional = {normal(name): more for name, more in said.get("optional-dependencies", {}).items()}
    return [*said.get("dependencies", ()), *(each for extra in extras for each in optional.get(normal(extra), ()))]
