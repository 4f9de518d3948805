"""A wheel with the same bytes wherever it is made: order, times, modes and compression are fixed."""

from __future__ import annotations

import csv
import io
import os
import time
import zipfile
from pathlib import Path

from weft import durable
from weft.errors import Refused

_EARLIEST = 315532800
"""1980-01-01, before which a zip archive knows no time; seconds since 1970."""


def repack(path: Path, epoch: int) -> None:
    """Rewrite a wheel in place; epoch: the time of every member, seconds since 1970.

    The members' contents stay as they are, RECORD's too but for the order of its lines. RECORD goes last, with the
    rest of .dist-info before it, as the wheel format recommends. Raises Refused for a wheel that names a file twice.
    """
    with zipfile.ZipFile(path) as source:
        members = [member for member in source.infolist() if not member.is_dir()]
        contents = {member.filename: source.read(member) for member in members}
    if len(contents) != len(members):
        raise Refused(f"{path.name} holds a file twice", "mend what the build backend packs")
    fresh = durable.temp_name(path)
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for member in sorted(members, key=_place):
            raw = contents[member.filename]
            target.writestr(_plain(member, epoch), sorted_record(raw) if _is_record(member.filename) else raw)
    os.replace(fresh, path)


def _place(member: zipfile.ZipInfo) -> tuple[int, str]:
    name = member.filename
    inside = name.split("/")[0].endswith(".dist-info")
    return (2 if _is_record(name) else 1 if inside else 0, name)


def _is_record(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(".dist-info/RECORD")


def _plain(member: zipfile.ZipInfo, epoch: int) -> zipfile.ZipInfo:
    plain = zipfile.ZipInfo(member.filename, time.gmtime(max(epoch, _EARLIEST))[:6])
    executable = member.external_attr >> 16 & 0o100
    plain.external_attr = (0o100755 if executable else 0o100644) << 16
    plain.compress_type, plain.create_system = zipfile.ZIP_DEFLATED, 3
    return plain


def sorted_record(raw: bytes) -> bytes:
    """RECORD with its lines by path, its own line last."""
    rows = [row for row in csv.reader(io.StringIO(raw.decode("utf-8"))) if row]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(sorted(rows, key=lambda row: (_is_record(row[0]), row)))
    return out.getvalue().encode("utf-8")
