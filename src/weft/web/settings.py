"""The index's settings: the ini that WEFT_SETTINGS names, each value overridable as WEFT_INDEX_<KEY>."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Mapping

from weft.config import ini
from weft.errors import UsageError

SECTION = "index"


@dataclass(frozen=True)
class Settings:
    """store: directory or file:// URL.  title: the heading.  url: the index's public address, "" for the request's.

    root: what a relative `store` is relative to.
    """

    store: str = "/srv/artifacts"
    title: str = "Released artifacts"
    url: str = ""
    root: Path = Path("/")


KEYS = tuple(each.name for each in fields(Settings) if each.name != "root")


def read(environ: Mapping[str, str]) -> Settings:
    """From the ini and the environment. Raises UsageError or Refused, naming the file, for what is unreadable
    or unknown."""
    named = environ.get("WEFT_SETTINGS", "")
    values = _from_ini(Path(named)) if named else {}
    for key in KEYS:
        value = environ.get(f"WEFT_INDEX_{key.upper()}")
        if value:
            values[key] = value
    root = Path(named).resolve().parent if named else Path.cwd()
    return Settings(root=root, **values)


def _from_ini(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{path}: {reason}", "WEFT_SETTINGS names the index's settings, an ini file") from None
    parser = ini.parse(text, str(path))
    ini.resolve(parser, "")  # a deploy has resolved the variants; here, in a checkout, the plain values apply
    unknown = [f"[{name}]" for name in parser.sections() if name != SECTION]
    values = dict(parser[SECTION]) if parser.has_section(SECTION) else {}
    unknown += [key for key in values if key not in KEYS]
    if unknown:
        raise UsageError(f"{path}: unknown: {', '.join(unknown)}", f"known in [{SECTION}]: {', '.join(KEYS)}")
    return {key: value for key, value in values.items() if value}
