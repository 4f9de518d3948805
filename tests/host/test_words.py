"""What an operator on the host may type, and what is said to what is not understood."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.host.bench_host import SOURCE
from weft.errors import Interrupted, UsageError
from weft.host import words
from weft.host.screen import Screen


def weft_host(*said, stdin=subprocess.DEVNULL):
    return subprocess.run([sys.executable, "-m", "weft.host", *said], capture_output=True, text=True, stdin=stdin, timeout=60,
                          env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin", "COLUMNS": "100", "NO_COLOR": "1"})


@pytest.mark.parametrize("said, message", [
    (["instal", "shop", "x"], "unknown command 'instal'; did you mean 'install'?"),
    (["roll-back", "shop"], "unknown command 'roll-back'; did you mean 'rollback'?"),
    (["status", "shop", "--jsn"], "'--jsn' is not understood; did you mean '--json'?"),
    (["rollback", "shop", "--too=1.0"], "'--too' is not understood; did you mean '--to'?"),
    (["rollback", "shop", "1.0"], "'1.0' is not understood"), (["status"], "weft-host status: the following arguments are required: APP"),
    (["recover"], "recover what?"), (["recover", "shop", "--all"], "recover what?"), (["--json"], "which command?"),
])
def test_words_that_are_not_understood_are_named(said, message):
    with pytest.raises(UsageError) as error:
        words.parse(said)
    assert error.value.message.startswith(message) and error.value.hint


def test_each_command_has_an_example_that_is_understood():
    for each in words.COMMANDS:
        assert words.parse(each.example.split()[1:]).command == each.name


def test_help_shows_every_example_and_a_usage_error_has_its_code():
    done = weft_host("--help")
    assert done.returncode == 0 and all(f"  {each.example}\n" in done.stdout for each in words.COMMANDS)
    assert "example:\n  weft-host pin shop 1.1.3" in weft_host("pin", "--help").stdout
    done = weft_host("statsu", "shop")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[:2] == ["unknown command 'statsu'; did you mean 'status'?", "now:  nothing was contacted, nothing changed"]
    done = weft_host("status", "../x", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"], done.stderr) == (2, "usage", "")


def test_a_request_on_standard_input_does_not_wait_for_the_words():
    code = "import sys; from weft.host import __main__; print([m for m in ('argparse', 'difflib', 'weft.host.words', 'urllib.request') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}"], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_its_own_code(number, code):
    with pytest.raises(Interrupted, match=number.name) as error:
        words._stopped(number, None)
    assert error.value.to_json()["code"] == code


def test_who_is_asked_at_a_terminal_answers_or_does_not(monkeypatch, capsys):
    here, there = os.openpty()
    monkeypatch.setattr("sys.stdin", os.fdopen(there, "r"))
    for typed, answer in ((b"y\n", "yes"), (b"Yes\n", "yes"), (b"\n", "no"), (b"yesterday\n", "no"), (b"\x04", "")):
        os.write(here, typed)
        assert Screen().ask("Keep it? [y/N]", 60) == answer
    assert Screen().ask("Keep it? [y/N]", 0.01) == "" and Screen(json=True).ask("Keep it?", 60) == ""
    assert capsys.readouterr().out.startswith("Keep it? [y/N] ")
    os.close(here)
