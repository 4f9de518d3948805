"""One engine for several requests: as the program that hosts have, over its standard input."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from weft.rollout import zipapp

ROOT = Path(__file__).parents[2]
SITE = {"server": "express", "account": "nobody", "python": sys.executable, "hostname": "shop.test", "aliases": [], "port": 8123, "doors": [8124, 8125],
        "processes": 1, "threads": 1, "longest_request": 10, "variant": "", "settings": {}, "watch": 0.1, "max_errors": 1.0, "confirm": 30,
        "health": {"path": "/", "contains": "", "good": 2, "timeout": 10}}


@pytest.fixture
def program(tmp_path):
    """A host's own copy, which can be replaced."""
    return shutil.copy(zipapp.build(), tmp_path / "weft-host")


@pytest.fixture
def engine(program, tmp_path):
    process = subprocess.Popen([sys.executable, "-I", program, "--prefix", str(tmp_path / "host")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def ask(process, **words):
    request = {"protocol": 1, "verb": "observe", "app": "shop", "by": "anna@desk", "site": SITE, "release": None, **words}
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_it_answers_until_its_input_ends(engine):
    for _ in range(3):
        said = ask(engine)
        assert said["more"] is True and said["result"]["state"]["app"] == "shop"
    engine.stdin.close()
    assert engine.stdout.read() == b"" and engine.wait(60) == 0


def test_an_error_is_its_last_answer(engine):
    ask(engine)
    said = ask(engine, verb="dance")
    assert said["error"]["error"] == "refused" and "more" not in said
    assert engine.stdout.read() == b"" and engine.wait(60) == 3


def test_one_that_was_replaced_between_two_requests_does_nothing_more(engine, program):
    ask(engine)
    shutil.copy(program, f"{program}.new")
    shutil.move(f"{program}.new", program)
    said = ask(engine)
    assert said["error"]["message"] == "this host's engine was replaced after the last request" and said["error"]["code"] == 3
    assert engine.wait(60) == 3


@pytest.mark.parametrize("asked", [0, 1])
def test_one_that_nobody_asks_any_more_ends(tmp_path, asked):
    """An operator's machine that has lost its power says nothing, not even that."""
    start = "import sys; sys.path[:0] = [sys.argv[1]]; from weft.host import __main__ as engine; engine.IDLE = 1.0; engine.main(sys.argv[2:])"
    argv = [sys.executable, "-c", start, str(ROOT / "src"), "--prefix", str(tmp_path / "host")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for _ in range(asked):
            assert ask(process)["more"] is True
        assert process.wait(60) == 0 and process.stdout.read() == b""
