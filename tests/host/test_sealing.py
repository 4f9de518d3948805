import os

import pytest

from weft.host import sealing


@pytest.fixture
def sealed(tmp_path):
    tree = tmp_path / "release"
    (tree / "lib").mkdir(parents=True)
    (tree / "lib/a.py").write_text("a = 1\n")
    (tree / "lib/b.py").write_text("b = 1\n")
    (tree / "python").symlink_to("/usr/bin/python3")
    sealing.close(tree, {"release": "1.0-abcdef"})
    return tree


def test_nothing_changed(sealed):
    assert sealing.drift(sealed) == []


def test_every_kind_of_change_is_named(sealed):
    (sealed / "lib/a.py").write_text("a = 2\n")
    (sealed / "lib/b.py").unlink()
    (sealed / "lib/c.py").write_text("")
    (sealed / "python").unlink()
    (sealed / "python").symlink_to("/tmp/python3")
    assert sealing.drift(sealed) == ["changed lib/a.py", "missing lib/b.py", "added lib/c.py", "changed python"]


def test_a_mode_is_a_change_and_time_is_none(sealed):
    os.utime(sealed / "lib/a.py", (1, 1))
    assert sealing.drift(sealed) == []
    (sealed / "lib/a.py").chmod(0o666)
    assert sealing.drift(sealed) == ["mode 666 (was 644) lib/a.py"]


def test_the_list_cannot_be_rewritten_to_hide_a_change(sealed):
    (sealed / "lib/a.py").write_text("a = 2\n")
    os.chmod(sealed / sealing.LIST, 0o644)
    import json
    (sealed / sealing.LIST).write_text(json.dumps(sealing.listing(sealed), sort_keys=True, indent=0))
    assert sealing.drift(sealed) == [f"changed {sealing.LIST}"]
