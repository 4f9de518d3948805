import io

import pytest

from weft.develop import screen
from weft.develop.screen import Log, Screen, unescaped
from weft.secret import Hidden


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path / "error.log", tmp_path / "access.log", Screen(io.StringIO(), False))
    made.tell()
    return made


def test_both_logs_as_they_come(log, tmp_path):
    (tmp_path / "error.log").write_text("notice AH00489: Apache configured\nerror   File \"app.py\", line 3\nwarn something\n")
    (tmp_path / "access.log").write_text("12:00:01 200 GET /a%20b?x=1 y 2600\n")
    log.tell()
    log.tell()
    assert log.screen.out.getvalue() == '  File "app.py", line 3\nsomething\n12:00:01  200  GET /a%20b?x=1 y  3 ms\n'


def test_no_secret_and_nothing_that_a_terminal_obeys(log, tmp_path):
    log.hidden = Hidden(["hunter-two"])
    (tmp_path / "error.log").write_text("error \\x1b[31mhunter-two|\\t|\\xc3\\xa4 \\\\x41 \\\"q\\\"\n")
    log.tell()
    assert log.screen.out.getvalue() == '\\x1b[31m***|       |ä \\x41 "q"\n'


def test_bytes_that_are_no_text_are_shown_all_the_same():
    assert unescaped("a\\xff\\xc3") == "a\ufffd\ufffd"


def test_a_log_does_not_grow_for_ever(log, tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "MOST", 40)
    (tmp_path / "access.log").write_text("12:00:01 200 GET / 2600\n" * 3)
    log.tell()
    assert (tmp_path / "access.log").stat().st_size == 0
    with open(tmp_path / "access.log", "a") as file:
        file.write("12:00:02 500 GET /b 1000\n")
    log.tell()
    assert log.screen.out.getvalue().splitlines()[3:] == ["12:00:02  500  GET /b  1 ms"]


def test_colours_and_the_live_line_are_for_a_terminal():
    plain = Screen(io.StringIO(), False)
    plain.live("moving")
    plain.line("still", "31")
    assert plain.out.getvalue() == "still\n"
    bright = Screen(io.StringIO(), True)
    bright.terminal = True
    bright.live("moving\x1b")
    bright.line("still", "31")
    assert bright.out.getvalue() == "moving\\x1b\r\x1b[K\x1b[31mstill\x1b[0m\n"
