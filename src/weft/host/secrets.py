"""The secrets of an application's settings on the host: those of a request, those of root's own files, and those it has already."""

from __future__ import annotations

import functools
import os
import stat
from pathlib import Path

from weft.durable import read_json
from weft.errors import Refused, WeftError
from weft.host.layout import Layout
from weft.host.observe import slot_generation
from weft.host.state import Fault
from weft.secret import Hidden, Secret
from weft.servers import Site, valid_sections
from weft.typing import Any, Callable, Iterator, Mapping

KEPT = "kept"
"""In the place of secrets: those of the generation that is served, for who has no others."""
MOST = 64 << 10

Given = Mapping[str, Mapping[str, Secret]]


def parse(said: Any) -> Given | str:
    """Of a request. Raises Refused, without a value."""
    if said == KEPT:
        return KEPT
    if said is None:
        return {}
    if not valid_sections(said):
        raise Refused("secrets are not a table of sections, keys and texts")
    return {section: {key: Secret(value) for key, value in values.items()} for section, values in said.items()}


def gather(layout: Layout, site: Site, given: Given | str) -> dict[str, dict[str, Secret]]:
    """All that belong into a generation's settings. Raises Refused for a file that is not root's alone."""
    found = {section: dict(values) for section, values in (_kept(layout) if isinstance(given, str) else given).items()}
    for section, key, path in _files(layout, site):
        found.setdefault(section, {})[key] = _read(layout, path, f"{section}.{key}")
    return found


def faults(layout: Layout, site: Site) -> list[Fault]:
    """What is wrong with the files that hold secrets."""
    found = []
    for section, key, path in _files(layout, site):
        try:
            _read(layout, path, f"{section}.{key}")
        except Refused as error:
            found.append(Fault(error.message, error.hint))
    return found


def _files(layout: Layout, site: Site) -> Iterator[tuple[str, str, str]]:
    for section, values in site.secret_files.items():
        for key, path in values.items():
            yield section, key, f"{layout.prefix}{path}"


def _read(layout: Layout, path: str, name: str) -> Secret:
    """What one file holds, without the line end. Only root can have written it, and nobody else reads it."""
    said = f"the secret {name}: {path}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f"{said}: {error.strerror}", f"on the host: put it there, and `{_sudo(layout)}chmod 600 {path}`") from None
    with os.fdopen(fd, "rb") as file:
        seen, owner = os.fstat(fd), 0 if layout.privileged else os.geteuid()
        if not stat.S_ISREG(seen.st_mode):
            raise Refused(f"{said} is no regular file", "on the host: put the secret into a file")
        if seen.st_uid != owner:
            raise Refused(f"{said} belongs to account {seen.st_uid}", f"on the host: `{_sudo(layout)}chown {owner} {path}`")
        if seen.st_mode & 0o077:
            raise Refused(f"{said} is open to others than its owner (mode {stat.S_IMODE(seen.st_mode):o})", f"on the host: `{_sudo(layout)}chmod 600 {path}`")
        payload = file.read(MOST + 1)
    try:
        text = payload.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    from weft.config import ini
    if not text or len(payload) > MOST or not ini.holds(text):
        raise Refused(f"{said} holds nothing that an ini can hold", "put one text into it, UTF-8, 64 KiB at the most, without empty space around it")
    return Secret(text)


def _sudo(layout: Layout) -> str:
    return "" if layout.prefix else "sudo "


def _kept(layout: Layout) -> Given:
    """Those in the settings of the generation that is served."""
    return _of(layout, slot_generation(layout, os.path.basename(os.readlink(layout.live))))


def _of(layout: Layout, number: int) -> Given:
    names = read_json(layout.generation(number) / "record.json").get("secrets") or []
    text = _text(layout.sealed_settings(number)) if names else ""
    if not text:
        return {}
    from weft.config import ini
    parser, found = ini.parse(text, f"the settings of generation {number}"), {}
    for section, key in names:
        if parser.has_option(section, key):
            found.setdefault(section, {})[key] = Secret(parser.get(section, key))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def hidden(layout: Layout, site: Site, given: Given | str) -> Hidden:
    """Every secret that is known here: of the request, of all generations, of root's files and drop-ins. Raises nothing."""
    found = Hidden()
    for path in sorted(layout.drop_ins.glob("*.ini")) if os.access(layout.drop_ins, os.R_OK) else ():
        _add_drop_in(found, path)
    sources = [given] if not isinstance(given, str) else []
    numbers = os.listdir(layout.root / "generations") if (layout.root / "generations").is_dir() else []
    for read in [lambda: gather(layout, site, {}), *(lambda n=int(number): _of(layout, n) for number in numbers if number.isdigit())]:
        try:
            sources.append(read())
        except (WeftError, OSError, ValueError, TypeError):
            continue
    for each in sources:
        for values in each.values():
            for value in values.values():
                found.add(value.reveal())
    return found


def cleaner(layout: Layout, site: Site, given: Given | str) -> Callable[[BaseException], None]:
    """What takes them out of an error's words, in place; it looks for them when the first error has come."""
    @functools.lru_cache(maxsize=1)
    def known() -> Hidden:
        return hidden(layout, site, given)

    def clean(error: BaseException) -> None:
        if isinstance(error, Exception):
            known().clean(error)
    return clean


def _add_drop_in(found: Hidden, path: Path) -> None:
    """Its longer values: what is as short as "true" or "8080" is no secret, and stands in many a text."""
    from weft.config import ini
    try:
        parser = ini.parse(_text(path), str(path))
    except WeftError:
        return
    for section in [parser.default_section, *parser.sections()]:
        for value in ini.own(parser, section).values():
            if len(value or "") >= 6:
                found.add(value)
