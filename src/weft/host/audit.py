"""Compare what weft has put on a host with what it was when it was put there, owners and modes too. Reads only, and reads it all."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from weft.durable import read_json, sha256
from weft.host import fingerprint, sealing
from weft.host.commands import ids
from weft.host.layout import Layout, seal
from weft.host.observe import changed_files, names
from weft.servers import Site, find
from weft.servers.before import RELEASE as BEFORE
from weft.typing import Iterator

ENGINE = Path("/usr/local/sbin/weft-host")
NOTE = Path("/etc/weft/engine.sha256")
"""The digest of the engine that set-up has installed, and of what it was made from."""
OTHERS = 0o022


def audit(layout: Layout, site: Site) -> dict[str, list[str]]:
    """Drift by part: "releases/1.1.4-3f9a2c" -> ["changed venv/lib/...", ...]; what is as it was has an empty list."""
    found: dict[str, list[str]] = {}
    for folder in ("releases", "layers", "tools"):
        for name in sorted(names(layout.root / folder)):
            place = layout.root / folder / name
            if seal(place).exists():
                found[f"{folder}/{name}"] = [*sealing.drift(place), *_foreign(layout, place)]
    for name in sorted(filter(str.isdigit, names(layout.root / "generations")), key=int):
        found[f"generations/{name}"] = list(_generation(layout, site, layout.generation(int(name))))
    if layout.live.is_symlink():
        found["site"] = list(_site(layout, site))
    if not layout.prefix:
        found["engine"] = list(_engine())
    return found


def _owner(layout: Layout) -> int:
    """Whose everything is that the application may not write: root's; under a prefix, whose that is."""
    return layout.state.stat().st_uid if layout.prefix and layout.state.is_dir() else 0


def _foreign(layout: Layout, place: Path) -> Iterator[str]:
    """Files of a sealed tree that are another account's, and the tree's own folder and lists, which are not in its list."""
    owner = _owner(layout)
    for folder, dirs, files in os.walk(place):
        for path in (Path(folder, name) for name in sorted([*dirs, *files])):
            yield from _owned(path, owner, str(path.relative_to(place)))
    yield from _plain(place, owner, ".")
    for name in (sealing.LIST, "SEAL"):
        yield from _writable(place / name, name)


def _owned(path: Path, owner: int, name: str) -> Iterator[str]:
    uid = path.lstat().st_uid
    if uid != owner:
        yield f"owner {_account(uid)} (was {_account(owner)}) {name}"


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _writable(path: Path, name: str) -> Iterator[str]:
    """Where others than the owner may write."""
    if path.exists() and path.stat().st_mode & OTHERS:
        yield f"mode {stat.S_IMODE(path.stat().st_mode):o} {name}"


def _plain(path: Path, owner: int, name: str) -> Iterator[str]:
    """Owner and mode of what must be there, and is the owner's alone to write."""
    if not os.path.lexists(path):
        yield f"missing {name}"
        return
    yield from _owned(path, owner, name)
    if not path.is_symlink():
        yield from _writable(path, name)


def _generation(layout: Layout, site: Site, place: Path) -> Iterator[str]:
    """The settings are root's and the application's to read, and what the record says."""
    owner, record = _owner(layout), read_json(place / "record.json")
    yield from _plain(place / "record.json", owner, "record.json")
    release, settings = str(record.get("release", "")), place / "settings.ini"
    if release != BEFORE and (not (place / "release").is_symlink() or os.readlink(place / "release") != f"../../releases/{release}"):
        yield "changed release"
    if not record.get("settings"):
        yield from ["added settings.ini"] if os.path.lexists(settings) else []
        return
    yield from _plain(settings, owner, "settings.ini")
    if settings.is_file():
        yield from ["changed settings.ini"] if not fingerprint.same(layout.state, str(record["settings"]), settings.read_bytes()) else []
        seen, group = settings.stat(), ids(layout, site.account)[1]
        if seen.st_mode & 0o7:
            yield f"mode {stat.S_IMODE(seen.st_mode):o} (was 640) settings.ini"
        if layout.privileged and seen.st_gid != group:
            yield f"group {seen.st_gid} (was {group}) settings.ini"


def _site(layout: Layout, site: Site) -> Iterator[str]:
    """The server's files and the entry that its processes load."""
    for each in changed_files(site):
        path, _, why = each.partition(" (")
        yield f"missing {path}" if why else f"changed {path}"
    for path in sorted(find(site.server).files(site)):
        if os.path.lexists(path):
            yield from _plain(Path(path), _owner(layout), path)


def _engine() -> Iterator[str]:
    """The program that the sudo rule lets an account run as root."""
    yield from _plain(ENGINE, 0, str(ENGINE))
    if ENGINE.is_file() and NOTE.is_file() and [sha256(ENGINE)] != NOTE.read_text().split()[:1]:
        yield f"changed {ENGINE}"
