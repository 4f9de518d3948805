from weft.rollout.command import Output, exit_code, words
from weft.rollout.logs import HOLD, Merge, shown

import io
import pytest

from weft.errors import UsageError


def line(at, text):
    return {"event": "line", "at": at, "log": "error", "text": text}


def test_all_lines_by_time():
    given = []
    merge = Merge(False, lambda host, event: given.append((host, event["text"])))
    for host, event in (("web1", line(3.0, "c")), ("web2", line(1.0, "a")), ("web1", line(2.0, "b")), ("web1", line(2.0, "b2")), ("web1", {"event": "alive"})):
        merge.heard(host, event)
    assert given == []
    merge.end()
    assert given == [("web2", "a"), ("web1", "b"), ("web1", "b2"), ("web1", "c")]


def test_a_line_that_is_followed_waits_for_an_earlier_one_for_a_moment():
    given, now = [], [0.0]
    merge = Merge(True, lambda host, event: given.append(event["text"]), lambda: now[0])
    merge.heard("web1", line(2.0, "b"))
    now[0] = HOLD / 2
    merge.heard("web2", line(1.0, "a"))
    assert given == []
    now[0] = 2 * HOLD
    merge.heard("web1", {"event": "alive"})
    assert given == ["a", "b"]


def test_a_line_has_its_host_and_its_time():
    said = shown("web1", 6, line(1_000_000_000.25, "boom"))
    assert said.startswith("web1    2001-09-09") or said.startswith("web1    2001-09-08")
    assert said.endswith(".250  error   boom")


def test_output_of_several_hosts_has_their_names_and_never_half_a_line():
    streams = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    output = Output(streams, 4)
    for host, name, text in (("web1", "stdout", "a\nb"), ("web2", "stdout", "x\n"), ("web1", "stdout", "c\n"), ("web2", "stderr", "no end")):
        output.heard(host, {"event": "output", "stream": name, "text": text})
    output.end()
    assert streams["stdout"].getvalue() == "web1  a\nweb2  x\nweb1  bc\n" and streams["stderr"].getvalue() == "web2  no end\n"


def test_the_words_of_a_command():
    assert words("python -c 'import shop; print(1)' \"a b\"") == ["python", "-c", "import shop; print(1)", "a b"]
    for wrong in ("", "  ", "echo 'x", "''"):
        with pytest.raises(UsageError):
            words(wrong)
    assert exit_code({"web1": {"exit": 0}, "web2": {"exit": 3}, "web3": {"exit": 4}}) == 3
