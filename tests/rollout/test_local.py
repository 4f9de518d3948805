import io
import os
import sys

import pytest

from weft.errors import OutcomeUnknown, Refused
from weft.rollout import transport
from weft.rollout.inventory import Host
from weft.rollout.access import Access


@pytest.fixture
def channel(tmp_path):
    def channel(program, python=sys.executable):
        (tmp_path / "engine.py").write_text(f"import json, os, sys, time\n{program}\n")
        return transport.open(Host("here"), Access("local", python, prefix=tmp_path, engine=lambda: tmp_path / "engine.py"))
    return channel


def test_a_ctrl_c_here_does_not_reach_the_engine(channel):
    said = channel("print(json.dumps({'result': {'session': os.getsid(0), 'argv': sys.argv[1:]}}))").exec({"verb": "observe"})
    assert said["session"] != os.getsid(0)
    assert said["argv"][0] == "--prefix"


def test_files_arrive_and_both_streams_are_read(channel):
    run = channel("sys.stderr.write('x' * 1000000); n = len(sys.stdin.buffer.read()); print(json.dumps({'result': {'n': n}}))")
    assert run.exec({"verb": "stage"}, [io.BytesIO(bytes(5 << 20))])["n"] > 5 << 20


def test_an_engine_that_never_answers_is_ended(channel):
    with pytest.raises(OutcomeUnknown) as caught:
        channel("time.sleep(60)").exec({"verb": "observe"}, limit=0.5)
    assert caught.value.message == "here: no answer in 0.5 s; the engine was ended"


def test_an_engine_that_somebody_killed_was_not_ended_for_want_of_an_answer(channel):
    with pytest.raises(OutcomeUnknown) as caught:
        channel("os.kill(os.getpid(), 9)").exec({"verb": "observe"}, limit=60)
    assert caught.value.message == "here: the connection was lost before the engine's answer"


def test_a_python_that_is_not_there(channel):
    with pytest.raises(Refused) as caught:
        channel("", "/nowhere/python3").exec({"verb": "observe"})
    assert caught.value.message == "here: /nowhere/python3 cannot be started: No such file or directory"


def test_an_engine_with_a_bug_shows_its_traceback(channel):
    with pytest.raises(Exception, match="(?s)here: a bug in weft's engine\nTraceback.*ZeroDivisionError") as caught:
        channel("1 / 0").exec({"verb": "observe"})
    assert caught.value.code == 1
