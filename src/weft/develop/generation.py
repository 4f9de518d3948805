"""The working tree as generations, as a host has them: each save is one, so that the entry of every deploy serves it and its processes say which they are."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
from pathlib import Path

from weft import durable
from weft.host.layout import Layout
from weft.servers import Site, entry_file

KEPT = 5
"""Generations that stay for processes that still end requests."""
_FAULT = "error = ImportError('the working tree cannot be served')\nerror.weft = {text!r}\nraise error\n"


def prepare(layout: Layout, site: Site, owner: tuple[int, int] | None) -> None:
    """The directories and entries. owner: uid and gid of the account that serves, None where it is ourselves."""
    for folder in (layout.root, layout.generation(1).parent, layout.slot("a"), layout.run("a")):
        folder.mkdir(parents=True)
    if owner:
        for folder in (Path(layout.prefix) / "var", layout.root.parent, *(each for each in layout.root.rglob("*")), layout.root):
            folder.chmod(0o755)
        os.chown(layout.run("a"), *owner)
    text = (pkgutil.get_data("weft.develop", "entry.py") or b"").decode().replace("@ROOT@", str(layout.root))
    files = {str(layout.root / "develop.wsgi"): text, **{str(layout.entry): each for each in entry_file(site).values()}}
    for path, content in files.items():
        durable.write(Path(path), content, sync=False)


def write(layout: Layout, number: int, entry: dict[str, str], record: str, settings: str | None, owner: tuple[int, int] | None = None) -> None:
    """One more, which processes that start from now on serve. The settings are for the account that serves and nobody else."""
    place = layout.generation(number)
    (place / "release").mkdir(parents=True)
    for folder in (place, place / "release") if owner else ():
        folder.chmod(0o755)
    durable.write(place / "release" / "entry.json", json.dumps(entry), sync=False)
    durable.write(place / "record.json", record, sync=False)
    if settings is not None:
        durable.write(place / "settings.ini", settings, 0o640 if owner else 0o600, (0, owner[1]) if owner else None, sync=False)
    durable.link(layout.slot("a") / "generation", f"../../generations/{number}", sync=False)
    shutil.rmtree(layout.generation(number - KEPT), ignore_errors=True)


def write_fault(layout: Layout, number: int, text: str, owner: tuple[int, int] | None = None) -> None:
    """One whose every answer is that text, for somebody near."""
    path = layout.root / f"fault-{number}.wsgi"
    durable.write(path, _FAULT.format(text=text), 0o644, sync=False)
    write(layout, number, {"entry": str(path)}, json.dumps({"release": "none", "version": "0"}), None, owner)
