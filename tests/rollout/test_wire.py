import io
import json

import pytest

from weft.errors import FailedUndone, OutcomeUnknown, Refused, UsageError, WeftError
from weft.rollout.wire import Answer, Feeder, line


def test_a_request_is_one_line_with_the_protocol_number():
    text = line({"verb": "observe", "by": "ü\n"})
    assert text.endswith(b"\n") and text.count(b"\n") == 1
    assert json.loads(text) == {"protocol": 1, "verb": "observe", "by": "ü\n"}


def test_a_request_above_4_mib_is_refused():
    with pytest.raises(UsageError, match="the protocol allows 4194304"):
        line({"x": "y" * (4 << 20)})


def answered(blocks, exit=0, complaint=b"", **more):
    events = []
    answer = Answer("web1", events.append)
    for block in blocks:
        answer.feed(block)
    answer.complain(complaint)
    return events, lambda: answer.result(exit, "deploy", **more)


def test_events_and_result_whatever_the_cut():
    text = b'Welcome!\n{"event": "log", "text": "a"}\n{"event": "log", "text": "b"}\n{"result": {"x": 1}}\n'
    for size in (1, 7, len(text)):
        events, result = answered([text[n:n + size] for n in range(0, len(text), size)])
        assert [each["text"] for each in events] == ["a", "b"]
        assert result() == {"x": 1}


def test_the_engines_error_names_the_host():
    error = FailedUndone("it broke", "mend it", "1.0 is served").to_json()
    _, result = answered([json.dumps({"error": error}).encode() + b"\n"], 4)
    with pytest.raises(FailedUndone) as raised:
        result()
    assert raised.value.lines() == ["web1: it broke", "now:  1.0 is served", "next: mend it"]


@pytest.mark.parametrize("exit, complaint, kind, message, hint", [
    (None, "", OutcomeUnknown, "web1: the connection was lost before the engine's answer", "fab status"),
    (-1, "x\ny", OutcomeUnknown, "web1: the connection was lost before the engine's answer (it said: y)", "fab status"),
    (0, "", OutcomeUnknown, "web1: the engine ended without an answer (exit 0)", "fab status"),
    (77, "", OutcomeUnknown, "web1: the engine ended without an answer (exit 77)", "fab status"),
    (137, "Killed", OutcomeUnknown, "web1: the engine ended without an answer (exit 137): Killed", "fab status"),
    (255, "sudo: unexpected child termination", OutcomeUnknown,
     "web1: the engine ended without an answer (exit 255): sudo: unexpected child termination", "fab status"),
    (127, "sh: 1: weft-host: not found", Refused, "web1 has not been set up: sh: 1: weft-host: not found", "fab setup"),
    (1, "sudo: /usr/local/sbin/weft-host: command not found", Refused,
     "web1 has not been set up: sudo: /usr/local/sbin/weft-host: command not found", "fab setup"),
    (1, "sudo: a password is required", Refused,
     "web1: sudo does not let deploy run the engine: sudo: a password is required",
     "fab setup writes the rule, which allows exactly: sudo -n /usr/local/sbin/weft-host"),
    (1, "Sorry, user deploy is not allowed to execute '/usr/local/sbin/weft-host' as root on web1.", Refused,
     "web1: sudo does not let deploy run the engine: Sorry, user deploy is not allowed to execute "
     "'/usr/local/sbin/weft-host' as root on web1.",
     "fab setup writes the rule, which allows exactly: sudo -n /usr/local/sbin/weft-host"),
    (2, "kaputt", Refused, "web1: the engine did not start (exit 2): kaputt", "fab setup"),
    (1, "Traceback (most recent call last):\nX", WeftError,
     "web1: a bug in weft's engine\nTraceback (most recent call last):\nX", "please report it with the lines above"),
])
def test_no_answer_is_told_from_what_stood_in_its_place(exit, complaint, kind, message, hint):
    _, result = answered([], exit, complaint.encode())
    with pytest.raises(WeftError) as raised:
        result()
    assert (type(raised.value), raised.value.message, raised.value.hint) == (kind, message, hint)


@pytest.mark.parametrize("exit, complaint", [(1, "Killed"), (2, "kaputt"), (127, "x: not found"), (1, "sudo: ended by a signal")])
def test_an_engine_that_had_started_is_never_told_as_one_that_did_not(exit, complaint):
    _, result = answered([b'{"event": "step", "n": 1}\n'], exit, complaint.encode())
    with pytest.raises(OutcomeUnknown) as raised:
        result()
    assert raised.value.message == f"web1: the engine ended without an answer (exit {exit}): {complaint}"


def test_while_setting_up_the_next_move_is_not_setup():
    for complaint, hint in (("sudo: a password is required", "use an account that may: fab setup --as root"),
                            ("sudo: /opt/python: command not found", "install sudo and python3 on it, or give the right "
                             "`python` in the environment; without sudo: fab setup --as root")):
        _, result = answered([], 1, complaint.encode(), setup=True)
        with pytest.raises(Refused) as raised:
            result()
        assert raised.value.hint == hint


def test_a_line_without_an_end_is_not_kept_for_ever():
    answer = Answer("web1")
    with pytest.raises(OutcomeUnknown):
        for _ in range(20):
            answer.feed(b"x" * (1 << 20))


def test_standard_error_keeps_its_end_only():
    answer = Answer("web1")
    for _ in range(100):
        answer.complain(b"x" * 1000)
    answer.complain(b"the end")
    assert len(answer.complaint) == 16 << 10 and answer.complaint.endswith("the end")


def feed(files):
    got, ended = [], []
    feeder = Feeder(got.append, lambda: ended.append(True), b"first\n", files)
    feeder.join(60)
    assert ended == [True]
    return b"".join(got), feeder


def test_files_follow_the_request_and_are_closed():
    files = [io.BytesIO(b"a" * 300000), io.BytesIO(b"b")]
    sent, feeder = feed(files)
    feeder.check()
    assert sent == b"first\n" + b"a" * 300000 + b"b"
    assert all(file.closed for file in files)


def test_a_file_that_cannot_be_read_is_told_after_the_input_has_ended():
    def files():
        yield io.BytesIO(b"a")
        raise OSError("gone")
    sent, feeder = feed(files())
    assert sent == b"first\na"
    with pytest.raises(Refused, match="a file of the release could not be read: gone"):
        feeder.check()


def test_the_input_stays_open_for_another_request_unless_it_ended_short():
    def broken():
        raise OSError("gone")
        yield
    for files, ends in (([io.BytesIO(b"a")], []), (broken(), [True])):
        ended = []
        feeder = Feeder(lambda block: None, lambda: ended.append(True), b"first\n", files, open=True)
        assert feeder.written() is not bool(ends) and ended == ends


def test_an_engine_that_stops_reading_is_no_error():
    def write(block):
        raise BrokenPipeError
    feeder = Feeder(write, lambda: None, b"first\n", [io.BytesIO(b"a")])
    feeder.join(60)
    feeder.check()
