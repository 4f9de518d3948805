"""Any filesystem of fsspec's: one that can create only is a store, one that looks first and then writes is refused before anything is there."""

import os

import pytest

from tests.stores import filesystems
from tests.stores.filesystems import Looking, LookingByInfo, Replacing
from weft.errors import Refused, UsageError
from weft.stores import open_store
from weft.testing.store_goods import Goods


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", [Looking, LookingByInfo, Replacing])
def test_one_that_looks_first_is_refused_before_anything_is_uploaded(kind, tmp_path):
    with filesystems.registered(kind):
        store = open_store(f"{kind.protocol}://{tmp_path}/store", None)
        assert store.apps() == [] and store.obstacle(1) == ""
        with pytest.raises(Refused) as error:
            Goods(tmp_path / "goods").stage(store)
        assert error.value.lines() == [
            f"{kind.protocol}://{tmp_path}/store: {kind.__name__} looks whether a name is free and then writes, so that two publishers could both be first",
            "now:  nothing changed", "next: use a shared directory, s3:// or sftp://, or a filesystem that creates only in one request"]
        for act in (lambda: store.put_if("index.json", b"x", None),):
            with pytest.raises(Refused, match="looks whether a name is free"):
                act()
    assert not (tmp_path / "store").exists() or files(tmp_path / "store") == []


def test_fsspec_s_own_disk_is_one_of_those(tmp_path):
    with pytest.raises(Refused, match="LocalFileSystem looks whether a name is free"):
        Goods(tmp_path / "goods").stage(open_store(f"local://{tmp_path}/store", None))


def test_it_is_tried_once_for_all(tmp_path, monkeypatch):
    with filesystems.registered(filesystems.Linking):
        store = open_store(f"linking://{tmp_path}/store", None)
        tried = []
        monkeypatch.setattr(store.space, "_prove", lambda prove=store.space._prove: tried.append(1) or prove())
        Goods(tmp_path / "goods").publish(store)
        store.put_if("index.json", b"x", None)
    assert tried == [1] and not [name for name in files(tmp_path / "store") if "weft-tmp" in name]


def test_a_filesystem_whose_package_is_missing(monkeypatch):
    """fsspec knows gs:// and says what is missing; weft passes that on."""
    import sys
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(Refused) as error:
        open_store("gs://bucket/place", None)
    assert error.value.message.startswith("gs://bucket/place: ") and "gcsfs" in error.value.message
    assert error.value.hint == "install the package that it names"


def test_an_address_that_a_filesystem_does_not_like():
    with pytest.raises((UsageError, Refused)) as error:
        open_store("github://no-such-form", None)
    assert "github://no-such-form" in error.value.message


def test_a_secret_in_the_environment_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_TOKEN", "t0ken-of-the-test")

    class Telling(filesystems.Linking):
        protocol = "telling"

        def ls(self, *_, **__):
            raise PermissionError("bad token t0ken-of-the-test")
    with filesystems.registered(Telling), pytest.raises(Refused) as error:
        open_store(f"telling://{tmp_path}", None).apps()
    assert error.value.message == f"telling://{tmp_path}: PermissionError: bad token ***" and os.environ["SOME_TOKEN"]
