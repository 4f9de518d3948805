"""News fragments: a changelog entry that towncrier makes of one small file a change."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from weft.config.load import read_toml
from weft.release import changelog, run

_TYPES = ("feature", "bugfix", "doc", "removal", "misc")


@dataclass(frozen=True)
class News:
    """What towncrier is told. directory, filename: relative to the project.  fragments: paths, sorted.

    argv: towncrier, () when it is not installed.  kind: one of the kinds of change that the project knows.
    """

    directory: str
    filename: str
    fragments: Sequence[str]
    argv: Sequence[str]
    kind: str = "feature"


def find(root: Path) -> News | None:
    """The project's fragments; None when it does not use towncrier. Raises UsageError for a file that is no TOML."""
    said = _configured(root)
    if said is None:
        return None
    package = said.get("package", "").replace(".", "/")
    places = [said["directory"]] if said.get("directory") else \
        [f"{said.get('package_dir', '.')}/{package}/newsfragments"] if package else ["newsfragments"]
    directory, types = Path(places[0]).as_posix(), _types(said)
    return News(directory, said.get("filename", "NEWS.rst"), tuple(_fragments(root, directory, types)), tuple(_towncrier()),
                "feature" if "feature" in types else types[0])


def _configured(root: Path) -> Mapping[str, Any] | None:
    for name in ("towncrier.toml", "pyproject.toml"):
        if (root / name).is_file():
            said = read_toml(root / name).get("tool", {}).get("towncrier")
            if said is not None:
                return said
    return None


def _types(said: Mapping[str, Any]) -> list[str]:
    """The kinds of change that a fragment's name may bear."""
    listed = [str(each.get("directory", each.get("name", ""))).lower() for each in said.get("type", ())]
    return listed + [name.lower() for name in said.get("fragment", {})] or list(_TYPES)


def _fragments(root: Path, directory: str, types: Sequence[str]) -> list[str]:
    found = [path for path in (root / directory).rglob("*") if path.is_file()]
    return sorted(path.relative_to(root).as_posix() for path in found if set(types) & set(path.name.lower().split(".")[1:]))


def _towncrier() -> list[str]:
    if importlib.util.find_spec("towncrier"):
        return [sys.executable, "-m", "towncrier"]
    elsewhere = shutil.which("towncrier")
    return [elsewhere] if elsewhere else []


def draft(root: Path, news: News, version: str, date: str) -> str:
    """The entry as towncrier will write it, without its heading; nothing is written. Raises CommandFailed."""
    said = run.ask([*news.argv, "build", "--draft", "--version", version, "--date", date], root)
    section = changelog.section_for(said, version)
    return section.body if section else re.sub(r"\A\s*\n", "", said).rstrip()


def build(root: Path, news: News, version: str, date: str, log: Callable[[str], None]) -> None:
    """Write the entry and remove its fragments, as towncrier does it. Raises CommandFailed."""
    run.watch([*news.argv, "build", "--yes", "--version", version, "--date", date], root, log=log)
