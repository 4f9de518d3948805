"""What a store shows to readers who have no weft: the pages of `simple/`, and each wheel's metadata beside it (PEP 658)."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Mapping

from weft.errors import Refused, UsageError
from weft.stores import common, space
from weft.values import Artifact, Release, app_name

SIMPLE = "simple"
_PAGE = re.compile(r"simple/(?:\.?[a-z0-9][a-z0-9-]*/)?[a-z0-9][a-z0-9-]*(?:\.[a-z0-9]+)?", re.ASCII)
_MARK = re.compile(r"(?P<version>[^~]+)~(?P<word>[a-z]+)\.json", re.ASCII)


def descriptions(release: Release, files: Mapping[str, Any]) -> dict[str, bytes]:
    """File name -> bytes of the .metadata that lies beside each wheel that the package index offers; what is no wheel has none."""
    from weft.stores import wheels
    found = {}
    for artifact in release.of_kind("wheel", "dependency"):
        with contextlib.suppress(ValueError), files[artifact.name].open("rb") as file:
            found[f"{artifact.name}.metadata"] = wheels.metadata(file)
    return found


class Shown:
    """For a store with a `space`, and its releases in `folder`s of it."""

    space: space.Space

    def page(self, name: str) -> bytes | None:
        """A page of the package index, such as simple/shop/index.html; None when there is none."""
        try:
            return space.read(self.space, page_name(name), common.BIGGEST_PAGE, f"{self}/{name}")
        except FileNotFoundError:
            return None

    def pages(self, folder: str = "") -> list[str]:
        """What lies in simple/, or in simple/FOLDER: names, folders with a '/' at the end."""
        return sorted(name for name in self.space.names(f"{SIMPLE}/{folder}" if folder else SIMPLE) if not name.startswith(space.TEMP))

    def show(self, name: str, content: bytes | None) -> None:
        """Give a page this content, whole, whatever it had. None: remove it; its folder stays, somebody may be writing there."""
        if content is None:
            self.space.delete(page_name(name))
        else:
            self.space.replace(page_name(name), content)

    def described(self, app: str, version: str, wheel: Artifact, mend: bool = False) -> bytes | None:
        """The .metadata beside a wheel of a release; None where there is none. mend: make it from the wheel, if that can be done."""
        name = f"{self.folder(app, version)}/{wheel.name}.metadata"  # type: ignore[attr-defined]
        try:
            return space.read(self.space, name, common.BIGGEST_MANIFEST, f"{self}/{name}")
        except FileNotFoundError:
            return self._described_anew(app, version, wheel, name) if mend else None

    def _described_anew(self, app: str, version: str, wheel: Artifact, name: str) -> bytes | None:
        from weft.stores import wheels
        try:
            with self.open(app, version, wheel) as file:  # type: ignore[attr-defined]
                raw = wheels.metadata(file)
            self.space.replace(name, raw)
        except (Refused, OSError, ValueError):  # damaged, or somebody else's folder: offered without
            return None
        return raw

    def marked(self, app: str) -> dict[str, dict[str, str]]:
        """All marks of an application's releases: version -> word -> text."""
        found: dict[str, dict[str, str]] = {}
        for name in sorted(self.space.names(app_name(app))):
            match = _MARK.fullmatch(name)
            if match and match["word"] in common.MARKS and common.is_version(match["version"]):
                text = space.read(self.space, f"{app}/{name}", common.BIGGEST_MANIFEST, f"{self}/{app}/{name}")
                found.setdefault(match["version"], {})[match["word"]] = text.decode(errors="replace")
        return found


def page_name(name: str) -> str:
    """A page of the package index, such as simple/index.html or simple/shop/index.json. Raises UsageError."""
    if not _PAGE.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a page of the package index", "such as simple/shop/index.html")
    return name
