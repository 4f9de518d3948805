"""The same members give the same bytes."""

import io
import tarfile

import pytest

from weft.errors import Refused
from weft.release import sdist


def packed(path, order, mtime, uid, mode):
    with tarfile.open(path, "w:gz") as out:
        for name in order:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid, info.uname, info.mode = 3, mtime, uid, f"user{uid}", mode
            out.addfile(info, io.BytesIO(b"abc"))
    return path


def test_order_times_owners_and_modes_do_not_matter(tmp_path):
    one = packed(tmp_path / "one.tar.gz", ["a-1/x", "a-1/y"], 1000.5, 0, 0o644)
    two = packed(tmp_path / "two.tar.gz", ["a-1/y", "a-1/x"], 2000, 1000, 0o600)
    for path in (one, two):
        sdist.repack(path, 1700000000)
    assert one.read_bytes() == two.read_bytes()
    assert int.from_bytes(one.read_bytes()[4:8], "little") == 1700000000, "gzip's own time"
    with tarfile.open(one) as archive:
        assert [(m.name, m.mtime, m.mode, m.uname) for m in archive] == [("a-1/x", 1700000000, 0o644, ""), ("a-1/y", 1700000000, 0o644, "")]


def test_executables_links_and_long_names_stay(tmp_path):
    path, long = tmp_path / "a.tar.gz", "a-1/" + "long/" * 60 + "x"
    with tarfile.open(path, "w:gz") as out:
        for name, kind, mode in (("a-1/run", tarfile.REGTYPE, 0o755), (long, tarfile.REGTYPE, 0o644), ("a-1/link", tarfile.SYMTYPE, 0o777)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname = kind, mode, "run" if kind == tarfile.SYMTYPE else ""
            out.addfile(info, io.BytesIO(b""))
    sdist.repack(path, 1)
    with tarfile.open(path) as archive:
        assert archive.getmember("a-1/run").mode == 0o755 and archive.getmember("a-1/link").linkname == "run" and archive.getmember(long)
    assert sdist.unpack(path, tmp_path / "out") == tmp_path / "out/a-1"


def test_a_member_outside_is_refused(tmp_path):
    path = packed(tmp_path / "evil.tar.gz", ["../evil"], 0, 0, 0o644)
    with pytest.raises(Refused) as caught:
        sdist.unpack(path, tmp_path / "out")
    assert caught.value.message == "evil.tar.gz holds '../evil', which leads out of it"
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind, target", [(tarfile.SYMTYPE, "/etc"), (tarfile.SYMTYPE, "../../x"), (tarfile.LNKTYPE, "../x"), (tarfile.FIFOTYPE, "")])
def test_a_link_that_leads_outside_and_a_device_are_refused(tmp_path, kind, target):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        info = tarfile.TarInfo("a-1/x")
        info.type, info.linkname = kind, target
        out.addfile(info)
    with pytest.raises(Refused):
        sdist.unpack(path, tmp_path / "out")


@pytest.mark.parametrize("name, normal", [("Weave-Server", "weave_server"), ("a..b", "a_b"), ("zope.interface", "zope_interface")])
def test_normal(name, normal):
    assert sdist.normal(name) == normal
