import os

import pytest

from weft import durable


def test_write_replaces_with_mode_and_leaves_no_temporary(tmp_path):
    path = tmp_path / "a"
    durable.write(path, "old", 0o600)
    durable.write(path, b"new", 0o640)
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a"]


def test_a_failing_fsync_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _fd: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError):
        durable.write(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_link_replaces_links_only(tmp_path):
    durable.link(tmp_path / "live", "slots/a")
    durable.link(tmp_path / "live", "slots/b")
    assert os.readlink(tmp_path / "live") == "slots/b"
    (tmp_path / "file").write_text("somebody's")
    with pytest.raises(FileExistsError, match="is not a symlink of weft's"):
        durable.link(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "somebody's"
    durable.link(tmp_path / "file", "x", over_file=True)
    assert os.readlink(tmp_path / "file") == "x"
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match="is not a symlink of weft's"):
        durable.link(tmp_path / "folder", "x", over_file=True)


def test_publish_never_replaces(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    durable.publish(tmp_path / "one", tmp_path / "final")
    with pytest.raises(OSError):
        durable.publish(tmp_path / "two", tmp_path / "final")
    assert (tmp_path / "final/f").read_text() == "one" and (tmp_path / "two/f").exists()


def test_every_write_is_synced_before_its_rename_and_the_directory_after(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1])
    durable.write(tmp_path / "a", "x")
    assert calls == ["fsync", "rename", "fsync"]


def test_what_is_no_object_is_read_as_nothing(tmp_path):
    path = tmp_path / "a.json"
    assert durable.read_json(path) == {}
    for text, said in (('{"a": 1}', {"a": 1}), ('{"a": ', {}), ("[1]", {}), ("\xff", {})):
        path.write_bytes(text.encode("latin-1"))
        assert durable.read_json(path) == said
