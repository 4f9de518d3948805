"""`logs`: what the application says, of the two files that hold it, and of no other."""

import json
import os
import time

import pytest

from tests.host.light_host import serving
from weft.errors import Refused
from weft.host import logs
from weft.host.layout import Layout

HEAD = "[Thu Nov 26 21:00:0{second}.250000 2026] [{module}:error] [pid {pid}:tid 1] "


@pytest.fixture(scope="module")
def host():
    with serving("1.0") as host:
        yield host


def said(host, **words):
    done = host.ask("logs", **words)
    assert done["code"] == 0, done
    return [(each["log"], each["text"]) for each in done["events"] if each["event"] == "line"]


def pid_of(host):
    return next(int(name) for name in os.listdir(host.root / "run/a") + os.listdir(host.root / "run/b") if name.isdigit())


@pytest.mark.slow
def test_the_applications_lines_of_both_logs_by_time_and_nobody_elses(host):
    host.get()
    mine, other = pid_of(host), os.getpid()
    (host.prefix / "var/log/light.log").write_text(
        HEAD.format(second=2, module="wsgi", pid=mine) + "Traceback\n  File \"x.py\"\nKeyError: 'a\x1b[31m'\n"
        + HEAD.format(second=1, module="wsgi", pid=other) + "a neighbour's secret\nof two lines\n"
        + HEAD.format(second=3, module="core", pid=other) + f"File does not exist: {host.root}/x\n"
        + HEAD.format(second=4, module="wsgi", pid=mine) + "not yet at its end")
    at = int(time.mktime(time.strptime("2026-11-26 21:00:01", "%Y-%m-%d %H:%M:%S"))) * 1000
    (host.state / "traffic").write_text(f"{at} 200 shop-a\n{at + 2500} 502 shop-b\nnonsense\n")
    (host.state / "traffic.1").write_text(f"{at - 5000} 404 shop-a\n")
    found = said(host)
    assert [each[0] for each in found] == ["access", "access", "error", "error", "error", "error", "access"]
    assert (found[0][1], found[1][1], found[-1][1]) == ("404 slot a", "200 slot a", "502 slot b")
    text = "\n".join(each[1] for each in found)
    assert "\\x1b[31m" in text and "\x1b" not in text and "neighbour" not in text and "two lines" not in text and "not yet" not in text
    assert f"{host.root}/x" in text
    assert {each for each in said(host, errors=True) if each[0] == "access"} == {("access", "502 slot b")}
    assert len(said(host, lines=2)) == 2 and said(host, lines=0) == []


@pytest.mark.slow
def test_what_is_secret_is_not_told(host):
    host.drop_ins.joinpath("db.ini").write_text("[db]\npassword = hunter2-and-more\n")
    (host.prefix / "var/log/light.log").write_text(HEAD.format(second=2, module="wsgi", pid=pid_of(host)) + "cannot log in with hunter2-and-more\n")
    try:
        found = said(host, errors=True)
    finally:
        host.drop_ins.joinpath("db.ini").unlink()
    assert "cannot log in with ***" in json.dumps(found) and "hunter2" not in json.dumps(found)


@pytest.mark.parametrize("words", [{"lines": -1}, {"lines": True}, {"lines": 10 ** 6}, {"follow": 1}, {"errors": "yes"}])
def test_words_are_checked(words):
    with pytest.raises(Refused):
        logs.words(words)


def test_a_tail_follows_a_file_that_grows_is_emptied_or_replaced(tmp_path):
    path = tmp_path / "log"
    tail = logs.Tail(path)
    assert tail.read() == []
    path.write_text("one\ntw")
    assert tail.read() == ["one"]
    with path.open("a") as more:
        more.write("o\nthree\n")
    assert tail.read() == ["two", "three"] and tail.read() == []
    path.write_text("new\n")
    assert tail.read() == ["new"]
    (tmp_path / "other").write_text("first of another\n")
    os.replace(tmp_path / "other", path)
    assert tail.read() == ["first of another"]


def test_a_tail_reads_the_last_of_a_large_file_and_no_link_or_pipe(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 99 + b"\n" + b"y" * logs.TAIL + b"\nlast\n")
    assert logs.Tail(path).read() == ["last"]
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    assert logs.Tail(tmp_path / "link").read() == logs.Tail(tmp_path / "pipe").read() == []


def test_processes_that_have_ended_are_known_by_what_the_server_said_of_them(tmp_path):
    mine = logs.Mine(Layout("shop", str(tmp_path)))
    head = HEAD.format(second=1, module="wsgi", pid=77)
    mine.learn(f"{head}mod_wsgi (pid=77): Exception occurred processing WSGI script '{tmp_path}/var/app/shop/entry.wsgi'.")
    assert mine.take(head + "Traceback").text.endswith("Traceback")
    assert mine.take(HEAD.format(second=1, module="wsgi", pid=78) + "theirs") is None


def test_a_log_of_the_applications_own_is_told_whole_by_the_times_of_its_pieces():
    """Its last end has no time, and a piece may begin within a line."""
    own = logs.Own()
    said = ["end of what was cut off", "[1795751855] Traceback", "[1795751856] ValueError: one", "two[1795751857] ", "[1795751857] "]
    assert [(line.at, line.log, line.text) for line in map(own.take, said) if line] == [
        (1795751855.0, "error", "Traceback"), (1795751856.0, "error", "ValueError: one"), (1795751856.0, "error", "two")]


def test_a_reader_that_has_gone_is_noticed():
    here, there = os.pipe()
    assert not logs.gone(there)
    os.close(here)
    assert logs.gone(there)
    os.close(there)


def test_a_request_is_told_with_and_without_its_duration():
    from weft.host.logs import request
    told = [request(f"1795739757115 200 hello-a{took}", False) for took in ("", " 1128")]
    assert told[0] == told[1] and (told[1].log, told[1].text) == ("access", "200 slot a")
