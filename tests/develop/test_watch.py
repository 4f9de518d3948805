import os

import pytest

from weft.develop.watch import Tree, Watch, changed


def names(root, **words):
    return sorted(os.path.relpath(path, root) for path in Tree((root,), **words).seen())


def test_code_templates_and_settings_count_and_what_is_made_does_not(tmp_path):
    for name in ("src/shop/app.py", "src/shop/page.html", "etc/shop.ini", "deploy/local.toml", "wsgi/shop.wsgi", "src/shop/build/step.py",
                 "db.sqlite3", "src/shop/.app.py.swp", "src/shop/.#app.py", ".git/hook.py", "src/shop/__pycache__/app.py", "node_modules/a.html", "build/lib/app.py",
                 "env/pyvenv.cfg", "env/lib/site.py", "artifacts/shop/1.0/shop.ini", "static/app.css", "data.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "src/shop/nowhere.py").symlink_to("gone")
    assert names(tmp_path) == ["deploy/local.toml", "etc/shop.ini", "src/shop/app.py", "src/shop/build/step.py", "src/shop/page.html", "wsgi/shop.wsgi"]
    assert names(tmp_path, patterns=("*.json",), files=(tmp_path / "static", tmp_path / "absent")) == ["data.json", "static"]
    assert names(tmp_path, ignored=("shop", "*.toml")) == ["etc/shop.ini", "wsgi/shop.wsgi"]


def test_a_change_is_one_of_time_size_or_file(tmp_path):
    path, tree = tmp_path / "app.py", Tree((tmp_path,))
    path.write_text("one")
    before = tree.seen()
    assert changed(before, tree.seen()) == []
    seen = path.stat()
    (tmp_path / "new").write_text("two")
    os.utime(tmp_path / "new", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    os.rename(tmp_path / "new", path)  # as editors save: of the same size, and here of the same time
    assert changed(before, tree.seen()) == [str(path)]
    path.unlink()
    assert changed(before, tree.seen()) == [str(path)] and changed({}, before) == [str(path)]


class Fake:
    """A tree that says what it is told, and takes `cost` seconds for it."""

    def __init__(self, *said, cost=0.0):
        self.said, self.now, self.cost = list(said), 0.0, cost

    def seen(self):
        self.now += self.cost
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def watch(fake):
    return Watch(fake, 0.25, fake.clock, fake.sleep)


def test_several_changes_in_a_row_are_one():
    a, b, c = ({name: (1, 1, 1)} for name in "abc")
    fake = Fake({}, a, {**a, **b}, {**a, **b, **c})
    there = watch(fake)
    assert there.changes() == []  # not yet
    fake.now = 0.25
    assert there.changes() == ["a", "b", "c"]
    fake.now += 1
    assert there.changes() == []


def test_a_file_that_changes_all_the_time_is_not_waited_for_for_ever():
    fake = Fake({}, *({"a": (n, 1, 1)} for n in range(1000)))
    there = watch(fake)
    fake.now = 1
    assert there.changes() == ["a"]


@pytest.mark.parametrize("cost, after", [(0.0, 0.25), (0.1, 2.0)])
def test_a_large_tree_is_looked_at_seldom(cost, after):
    fake = Fake({}, cost=cost)
    there = watch(fake)
    assert there.next == pytest.approx(cost + after)
