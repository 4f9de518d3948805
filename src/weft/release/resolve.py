"""Exact versions with hashes for what is required: by uv where it is installed, else by pip. Both come to the same."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Callable, Sequence

from weft.errors import Refused
from weft.release import pipconf, run, tools
from weft.release.names import normal
from weft.release.pins import Pins, parse
from weft.release.target import Target

Log = Callable[[str], None]


def resolve(place: Path, requires: Sequence[str], pins: Pins, target: Target, built: Path, log: Log) -> Pins:
    """place: an empty directory to work in.  pins: versions to keep to.  built: wheels that were built for another target.

    Raises CommandFailed; Refused for what no index has.
    """
    (place / "in").write_text("\n".join(requires) + "\n", encoding="utf-8")
    (place / "pins").write_text("".join(f"{name}=={version}\n" for name, (version, _) in sorted(pins.items())), encoding="utf-8")
    near = ["--find-links", str(built)] if any(built.iterdir()) else []
    if tools.uv() and (target.builder or target.for_uv()):
        try:
            return _by_uv(place, target, near, log)
        except run.CommandFailed as error:
            log(f"uv found no solution (exit {error.code}); asking pip")
    return _by_pip(place, target, near, log)


def _by_uv(place: Path, target: Target, near: Sequence[str], log: Log) -> Pins:
    aim = ["--python", target.builder] if target.builder else \
        ["--python", sys.executable, "--python-version", target.python, "--python-platform", target.for_uv(), "--only-binary", ":all:"]
    bound = [word for path in pipconf.constraints() for word in ("--constraints", path)]
    run.watch([tools.uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--no-python-downloads", *aim, *near, *bound,
               "--constraints", str(place / "pins"), "--output-file", str(place / "out"), str(place / "in")],
              Path.cwd(), run.environment(pipconf.for_uv()), log)
    text = (place / "out").read_text(encoding="utf-8")
    return _complete(parse(text), re.findall(r"^[^\s#-].*", text, re.M))


def _by_pip(place: Path, target: Target, near: Sequence[str], log: Log) -> Pins:
    elsewhere = [] if target.builder else [*target.for_pip(), "--target", str(place / "unused")]
    run.watch([*tools.pip_for(target), "install", "--quiet", "--dry-run", "--ignore-installed", "--no-input", *elsewhere, *near,
               "--report", str(place / "out"), "--constraint", str(place / "pins"), "--requirement", str(place / "in")], Path.cwd(), log=log)
    found = json.loads((place / "out").read_text(encoding="utf-8"))["install"]
    pins = {normal(each["metadata"]["name"]): (_canonical(each["metadata"]["version"]), _archive_hash(each)) for each in found}
    return _complete(pins, [each["metadata"]["name"] for each in found])


def _canonical(version: str) -> str:
    """As uv writes it, whatever the metadata has."""
    from packaging.version import Version
    return str(Version(version))


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
