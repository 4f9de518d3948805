"""What the tests' own settings name is there."""

from pathlib import Path

import pytest

from tests import conftest

TESTS = Path(conftest.__file__).parent
FILES = {path.relative_to(TESTS.parent).as_posix() for path in TESTS.rglob("test_*.py")}


@pytest.mark.parametrize("name", conftest.LONGEST)
def test_what_starts_first(name):
    assert any(path == name or path.startswith(f"{name}/") for path in FILES)


@pytest.mark.parametrize("part", conftest.SLOW)
def test_what_is_slow(part):
    assert any(part in path for path in FILES)


class Node:
    """A worker that runs nothing."""

    def __init__(self):
        self.sent, self.shutting_down = [], False

    def send_runtest_some(self, indices):
        self.sent += indices

    def shutdown(self):
        self.shutting_down = True


def test_the_longest_are_handed_out_first_and_a_file_stays_together(pytestconfig):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install pytest-xdist")
    from xdist.remote import Producer
    nodeids = [f"tests/test_{name}.py::test_{number}" for name in "ab" for number in range(9)]
    nodeids += [f"tests/system/{name}.py::test" for name in ("test_a", "eight/test_b")] + [f"tests/host/test_zoo.py::{number}" for number in "123"]

    class Option:
        loadscopereorder = True
        tx = ["popen"]
        px = numprocesses = None

    class Config:
        option = Option

        def getvalue(self, name):
            return {"dist": "loadfile"}.get(name) or getattr(Option, name)
    node, scheduler = Node(), conftest.pytest_xdist_make_scheduler(Config(), Producer("test"))
    scheduler.add_node(node)
    scheduler.add_node_collection(node, nodeids)
    scheduler.schedule()
    assert [nodeids[at] for at in node.sent] == nodeids[-5:], "a worker has two files to begin with"
    for at in node.sent[:4]:
        scheduler.mark_test_complete(node, at)
    assert [nodeids[at] for at in node.sent[5:]] == nodeids[:9]
