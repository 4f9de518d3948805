"""requirements.lock as a text: exact versions with the hashes of their files; and whether it covers what is required."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from weft.release.names import normal

Pins = Mapping[str, tuple[str, frozenset[str]]]
"""Normal name -> (version, sha256 digests of the files that are allowed)."""

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


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


@dataclass(frozen=True)
class Uncovered:
    """A requirement that a lock does not meet. locked: the version it has instead, "" for none."""

    name: str
    wanted: str
    locked: str = ""

    def __str__(self) -> str:
        return f"{self.wanted} ({self.locked} is locked)" if self.locked else self.wanted


def uncovered(requires: Sequence[str], python: str, pins: Pins) -> list[Uncovered]:
    """The requirements, of those that count on that Python, which no pin meets."""
    from packaging.requirements import Requirement
    found = []
    for each in map(Requirement, requires):
        if each.marker and not each.marker.evaluate({"python_version": python, "python_full_version": f"{python}.0", "extra": ""}):
            continue
        name, (version, _) = normal(each.name), pins.get(normal(each.name), ("", frozenset()))
        if not version or not each.specifier.contains(version, prereleases=True):
            found.append(Uncovered(name, str(each), version))
    return found


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
