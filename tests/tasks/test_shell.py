"""The shell around every task: lines or one JSON object, and the exit code."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from weft.errors import Interrupted, Refused, UsageError
from weft.tasks import shell


def run(body, **words):
    with pytest.raises(SystemExit) as left:
        shell.command(body)(None, **words)
    return left.value.code


def refuse(c, json=False):
    raise Refused("the loom is in use", "wait for it")


def test_lines_on_standard_error(capsys):
    assert run(refuse) == 3
    assert capsys.readouterr() == ("", "the loom is in use\nnow:  nothing changed\nnext: wait for it\n")


def test_one_json_object_as_the_last_line_of_standard_output(capsys):
    assert run(refuse, json=True) == 3
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    assert json.loads(out) == {"code": 3, "error": "refused", "message": "the loom is in use", "effect": "nothing changed",
                               "next": "wait for it"}


def test_a_result_is_returned_and_with_json_printed(capsys):
    body = shell.command(lambda c, json=False: {"version": "1.1.4"})
    assert body(None) == {"version": "1.1.4"} and capsys.readouterr().out == ""
    body(None, json=True)
    assert capsys.readouterr().out == '{"code": 0, "version": "1.1.4"}\n'


def test_no_result_is_code_0(capsys):
    shell.command(lambda c, json=False: None)(None, json=True)
    assert capsys.readouterr().out == '{"code": 0}\n'


@pytest.mark.parametrize("error, code", [(UsageError("x"), 2), (Interrupted("x"), 130)])
def test_codes(error, code, capsys):
    def body(c):
        raise error
    assert run(body) == code


def test_ctrl_c(capsys):
    def body(c):
        raise KeyboardInterrupt
    assert run(body) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_keeps_its_traceback(capsys):
    def body(c, json=False):
        return 1 / 0
    with pytest.raises(ZeroDivisionError):
        shell.command(body)(None)
    assert run(body, json=True) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["message"] == "a bug in weft: ZeroDivisionError: division by zero" and "Traceback" in err


def test_the_signature_stays_what_invoke_reads():
    from invoke import task

    @task
    @shell.command
    def deploy(c, version="", json=False):
        """Deploy."""
    assert [argument.name for argument in deploy.get_arguments()] == ["version", "json"] and deploy.__doc__ == "Deploy."


@pytest.mark.parametrize("inner, said", [("ready(); time.sleep(600)", "interrupted\n"), (
    "\n        try: ready(); time.sleep(600)\n        except KeyboardInterrupt as e: raise Interrupted('stopped', 'go on', 'the old one serves') from e",
    "stopped\nnow:  the old one serves\nnext: go on\n")])
def test_sigterm_is_143(inner, said):
    text = textwrap.dedent("""
        import time
        from weft.errors import Interrupted
        from weft.tasks import shell
        @shell.command
        def body(c):
            ready = lambda: print("ready", flush=True)
            INNER
        body(None)
    """).replace("INNER", inner.replace("\n        ", "\n    "))
    child = subprocess.Popen([sys.executable, "-c", text], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert child.communicate()[1] == said and child.returncode == 143


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch):
    class Terminal:
        def isatty(self):
            return True
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert shell.colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not shell.colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not shell.colour(Terminal())
