"""What Apache loads, without Apache; tests/develop/test_run.py has the real one."""

import io
import pkgutil

import pytest

APPLICATION = '''
def _application(environ, start_response):
    if environ["PATH_INFO"] == "/early":
        raise KeyError("sku")
    start_response("200 OK", [])
    return parts(environ["PATH_INFO"])

class parts(list):
    closed = False
    def __init__(self, path): super().__init__([b"one", path])
    def __iter__(self):
        yield self[0]
        if self[1] == "/late":
            raise LookupError("after the first part")
    def close(self): parts.closed = True

application = _application
'''


def load(tmp_path, text):
    (tmp_path / "entry.wsgi").write_text(text)
    space = {"__name__": "_mod_wsgi", "__file__": str(tmp_path / "develop.wsgi")}
    source = pkgutil.get_data("weft.develop", "entry.py").decode().replace("@ROOT@", str(tmp_path))
    exec(compile(source, str(tmp_path / "develop.wsgi"), "exec"), space)
    return space["application"]


def ask(application, path="/", host="localhost:8000", address="127.0.0.1"):
    """(status, body, log)"""
    seen, log = [], io.StringIO()

    def start_response(status, headers, *error):
        seen.append(status)
        if error and len(seen) > 1 and sent:
            raise error[0][1]
    sent = []
    answer = application({"PATH_INFO": path, "HTTP_HOST": host, "REMOTE_ADDR": address, "wsgi.errors": log}, start_response)
    try:
        for part in answer:
            sent.append(part)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    return seen[-1], b"".join(sent).decode(), log.getvalue()


def test_a_good_answer_is_passed_on_and_closed(tmp_path):
    application = load(tmp_path, APPLICATION)
    assert ask(application) == ("200 OK", "one", "")
    assert application({"PATH_INFO": "/"}, lambda *_: None).answer.closed


def test_an_exception_is_told_in_the_log_and_to_who_is_near(tmp_path):
    application = load(tmp_path, APPLICATION)
    status, body, log = ask(application, "/early")
    assert status.startswith("500") and body == log and body.endswith("KeyError: 'sku'\n") and "develop.wsgi" not in body
    with pytest.raises(LookupError):  # part of another answer was sent: the server cuts it
        ask(application, "/late")


@pytest.mark.parametrize("host, address, near", [
    ("localhost:8000", "127.0.0.1", True), ("127.0.0.1:8000", "127.0.0.1", True), ("[::1]:8000", "::1", True), ("[::1]", "::1", True), ("shop.localhost:8000", "127.0.0.1", True),
    ("localhost", "127.0.0.1", True), ("evil.example.org:8000", "127.0.0.1", False), ("localhost.example.org", "127.0.0.1", False), ("", "127.0.0.1", False),
    ("localhost:8000", "10.0.0.1", False)])
def test_who_is_near(tmp_path, host, address, near):
    status, body, _log = ask(load(tmp_path, "raise KeyError('sku')\n"), host=host, address=address)
    assert status.startswith("500") and ("KeyError: 'sku'" in body) == near and ("the terminal" in body) == (not near)


def test_a_traceback_begins_in_the_application(tmp_path, capsys):
    _status, body, _log = ask(load(tmp_path, "import importlib\nimportlib.import_module('json.nowhere')\n"))
    assert body == "ModuleNotFoundError: No module named 'json.nowhere'\n" or body.splitlines()[-1].startswith("ModuleNotFoundError")
    assert "entry.wsgi" not in body and "importlib" not in body and capsys.readouterr().err == body


def test_what_weft_found_is_told_without_a_traceback(tmp_path):
    assert ask(load(tmp_path, "error = ImportError('no')\nerror.weft = 'settings: line 3\\n'\nraise error\n"))[1] == "settings: line 3\n"


def test_an_import_that_ends_the_interpreter_is_told_too(tmp_path):
    assert ask(load(tmp_path, "raise SystemExit(3)\n"))[1].endswith("SystemExit: 3\n")
