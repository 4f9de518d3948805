"""Other programs: their answers, their last lines, and that nothing of them goes on alone."""

import os
import sys

import pytest

from tests.processes import ended
from weft.release import run


def test_ask(tmp_path):
    assert run.ask(["sh", "-c", "pwd"], tmp_path) == f"{tmp_path}\n"


def test_ask_fails_with_the_last_lines(tmp_path):
    with pytest.raises(run.CommandFailed) as error:
        run.ask(["sh", "-c", "echo why >&2; exit 3"], tmp_path)
    assert (str(error.value), error.value.code, error.value.tail) == ("sh -c 'echo why >&2; exit 3' failed (exit 3)", 3, ["why"])


def test_ask_for_a_program_that_is_not_there(tmp_path):
    with pytest.raises(run.CommandFailed) as error:
        run.ask(["no-such-program"], tmp_path)
    assert error.value.code == 127 and error.value.tail == ["no-such-program: No such file or directory"]


def test_ask_ends_in_time(tmp_path):
    with pytest.raises(run.CommandFailed) as error:
        run.ask(["sleep", "20"], tmp_path, timeout=0.1)
    assert error.value.tail == ["no answer within 0.1 s"]


def test_watch_hands_on_each_line_and_keeps_the_last(tmp_path):
    lines = []
    with pytest.raises(run.CommandFailed) as error:
        run.watch(["sh", "-c", "for i in $(seq 100); do echo line $i; done; exit 1"], tmp_path, log=lines.append)
    assert len(lines) == 100 and error.value.tail == [f"line {n}" for n in range(71, 101)]


def test_watch_leaves_no_child(tmp_path):
    run.watch(["sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $! > pid"], tmp_path)
    pid = int((tmp_path / "pid").read_text())
    assert ended(pid)


def test_watch_ends_the_group_when_it_is_interrupted(tmp_path):
    def interrupt(line):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        run.watch(["sh", "-c", "sleep 60 & echo $! > pid; echo go; wait"], tmp_path, log=interrupt)
    assert ended(int((tmp_path / "pid").read_text()))


def test_the_environment_redirects_neither_git_nor_python(monkeypatch):
    for name in ("PYTHONPATH", "GIT_DIR", "GIT_INDEX_FILE", "SETUPTOOLS_SCM_PRETEND_VERSION", "KEPT"):
        monkeypatch.setenv(name, "x")
    env = run.environment({"MORE": "y"})
    assert (env["KEPT"], env["MORE"]) == ("x", "y")
    assert not {"PYTHONPATH", "GIT_DIR", "GIT_INDEX_FILE", "SETUPTOOLS_SCM_PRETEND_VERSION"} & set(env)


def test_shown():
    assert run.shown([sys.executable, "-m", "x y"]) == f"{os.path.basename(sys.executable)} -m 'x y'"
