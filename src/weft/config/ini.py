"""The application's settings: layers of ini merged into one text, each value with its origin.

Later layers win, secrets are the last. Inside a file, `key[PROD] = …` replaces `key = …` where the variant is PROD, and is dropped otherwise.
A single layer without variants is passed on byte for byte, comments and all.
"""

from __future__ import annotations

import io
import re

from weft.errors import Refused
from weft.typing import TYPE_CHECKING, Mapping, Sequence

if TYPE_CHECKING:
    import configparser  # elsewhere where it is used: most looks at a host render nothing (ADR 21)

_VARIANT = re.compile(r"(.+?)\s*\[([A-Za-z0-9_.-]+)\]")

Sections = Mapping[str, Mapping[str, str]]


def parse(text: str, origin: str) -> configparser.RawConfigParser:
    """Keys keep their case, values are not interpolated. Raises Refused naming the file and line."""
    import configparser
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text, origin)
    except configparser.Error as error:
        raise Refused(f"{origin} is not a valid ini file: {_wrong(error)}") from None
    return parser


def _wrong(error: configparser.Error) -> str:
    """Where and what, without the line itself: it may hold a secret."""
    import configparser
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} comes before the first [section]"
    if isinstance(error, configparser.DuplicateOptionError):
        return f"line {error.lineno}: {error.option} is in [{error.section}] twice"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: [{error.section}] is there twice"
    numbers = ", ".join(str(number) for number, _line in getattr(error, "errors", ()))
    return f"line {numbers} is not `key = value`" if numbers else type(error).__name__


def resolve(parser: configparser.RawConfigParser, variant: str) -> bool:
    """Apply `key[VARIANT]` in place; whether there were any."""
    found = False
    for section in [parser.default_section, *parser.sections()]:
        own = parser.defaults() if section == parser.default_section else parser._sections[section]  # type: ignore[attr-defined]
        for key in list(own):
            match = _VARIANT.fullmatch(key)
            if match:
                found = True
                value = own.pop(key)
                if match[2] == variant:
                    own[match[1]] = value
    return found


def render(base: str, environment: Sections, drop_ins: Sequence[tuple[str, str]], variant: str, last: Sections | None = None) -> tuple[str, dict[str, str]]:
    """The effective ini and the origin of each "section.key".

    base: the release's default ini.  environment: [settings] of the environment.  drop_ins: (path, text), in order.  last: the secrets' values.
    """
    merged = parse(base, "the release's default settings")
    varied = resolve(merged, variant)
    origins = {f"{section}.{key}": "release" for section in merged.sections() for key in merged[section]}
    layers = [("environment", environment)]
    for path, text in drop_ins:
        parser = parse(text, path)
        resolve(parser, variant)
        layers.append((path, {name: dict(own(parser, name)) for name in [parser.default_section, *parser.sections()]}))
    layers.append(("secret", last or {}))
    changed = False
    for origin, sections in layers:
        changed = _overlay(merged, origin, sections, origins) or changed
    return (_write(merged) if changed or varied else base), origins


def own(parser: configparser.RawConfigParser, section: str) -> Mapping[str, str]:
    """A section's own values, without those that [DEFAULT] lends it."""
    if section == parser.default_section:
        return parser.defaults()
    return parser._sections[section]  # type: ignore[attr-defined]


def holds(value: str) -> bool:
    """Whether an ini gives a value back as it was."""
    import configparser
    written = configparser.RawConfigParser()
    written.read_dict({"section": {"key": value}})
    out = io.StringIO()
    written.write(out)
    try:
        return parse(out.getvalue(), "").get("section", "key") == value
    except (Refused, configparser.Error):
        return False


def _overlay(merged: configparser.RawConfigParser, origin: str, sections: Sections, origins: dict[str, str]) -> bool:
    changed = False
    for section, values in sections.items():
        if values and section != merged.default_section and not merged.has_section(section):
            merged.add_section(section)
        for key, value in values.items():
            merged.set(section, key, str(value))
            origins[f"{section}.{key}"] = origin
            changed = True
    return changed


def _write(merged: configparser.RawConfigParser) -> str:
    out = io.StringIO()
    out.write("# Rendered by weft from the release's defaults, the environment and the drop-ins in /etc.\n"
              "# Do not edit: put changes into a drop-in, they survive every deploy.\n\n")
    merged.write(out)
    return out.getvalue()
