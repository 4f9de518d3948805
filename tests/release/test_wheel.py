"""The same members give the same wheel, and an installer still accepts it."""

import base64
import csv
import hashlib
import io
import zipfile

import pytest

from weft.errors import Refused
from weft.release import wheel

FILES = {"a/run.sh": b"#!/bin/sh\n", "a/__init__.py": b"x = 1\n", "a-1.dist-info/METADATA": b"Metadata-Version: 2.1\n",
         "a-1.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}


def digest(raw):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()


def packed(path, order, when, mode, compression=zipfile.ZIP_STORED, extra=b""):
    record = "".join(f"{name},{digest(FILES[name])},{len(FILES[name])}\r\n" for name in order) + "a-1.dist-info/RECORD,,\r\n"
    with zipfile.ZipFile(path, "w") as out:
        for name, raw in [("a-1.dist-info/RECORD", record.encode()), *((name, FILES[name]) for name in order)]:
            info = zipfile.ZipInfo(name, when)
            info.external_attr, info.compress_type, info.extra = (mode | (0o111 if name.endswith(".sh") else 0)) << 16, compression, extra
            info.create_system = 0 if extra else 3
            out.writestr(info, raw)
    return path


def test_order_times_modes_extra_fields_and_compression_do_not_matter(tmp_path):
    one = packed(tmp_path / "one.whl", list(FILES), (2024, 5, 6, 1, 2, 4), 0o100644)
    two = packed(tmp_path / "two.whl", list(reversed(FILES)), (1999, 1, 1, 0, 0, 0), 0o100660, zipfile.ZIP_DEFLATED,
                 b"UT\x05\x00\x01\x00\x00\x00\x00")
    assert one.read_bytes() != two.read_bytes()
    for path in (one, two):
        wheel.repack(path, 1700000000)
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert [(m.filename, m.date_time, m.external_attr >> 16, m.extra, m.create_system) for m in archive.infolist()] == [
            (name, (2023, 11, 14, 22, 13, 20), mode, b"", 3) for name, mode in (
                ("a/__init__.py", 0o100644), ("a/run.sh", 0o100755), ("a-1.dist-info/METADATA", 0o100644),
                ("a-1.dist-info/WHEEL", 0o100644), ("a-1.dist-info/RECORD", 0o100644))]


def test_record_stays_right(tmp_path):
    path = packed(tmp_path / "one.whl", list(FILES), (2024, 5, 6, 1, 2, 4), 0o100644)
    wheel.repack(path, 0)
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("a-1.dist-info/RECORD").decode())))
        assert rows.pop() == ["a-1.dist-info/RECORD", "", ""] and len(rows) == len(FILES)
        assert all(digest(archive.read(name)) == said and len(archive.read(name)) == int(size) for name, said, size in rows)
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0), "zip knows no earlier time"


def test_a_file_named_twice_is_refused(tmp_path):
    path = tmp_path / "a-1.whl"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a/x.py", "1")
        with pytest.warns(UserWarning):
            out.writestr("a/x.py", "2")
    with pytest.raises(Refused, match="^a-1.whl holds a file twice$"):
        wheel.repack(path, 0)
