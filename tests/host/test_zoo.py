"""Bad releases on a real Apache: users see the old one all the time, the message says why, and the next good one is served."""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from tests import sweeps
from tests.host.bench_host import HostUnderPrefix, missing

pytestmark = pytest.mark.slow

HANGS = 4
DAEMON = "import os, sys, time\nif 'mod_wsgi' in sys.modules: "
PLAIN = '''
from shop import VERSION

def application(environ, start_response):
    {before}
    start_response({status}, {headers})
    return {body}
'''


def app(status='"200 OK"', headers="[]", body='[b"x"]', before="pass"):
    return {"more": {"shop/app.py": PLAIN.format(status=status, headers=headers, body=body, before=before)}.items()}


def text(source):
    return {"more": {"shop/app.py": source}.items()}


IMPORT = "the application cannot be imported: "
SICK = "the candidate is not healthy: GET /: "

# name: what is wrong, how the message begins or what is in it, what is in the details.
AT_IMPORT = {
    "missing module": ({"top": "import not_there"}, "ModuleNotFoundError: No module named 'not_there'", "import not_there"),
    "missing submodule": ({"top": "from shop import missing"}, "cannot import name 'missing'", "from shop import missing"),
    "syntax error": ({"top": "def (:"}, "SyntaxError: invalid syntax", "def (:"),
    "newer Python": ({"top": "type Name = int"}, "SyntaxError: invalid syntax", "type Name = int"),
    "null byte": (text("x = 1\0\n"), "null bytes", ""),
    "wrong encoding": (text("# coding: no-such-code\n"), "SyntaxError: ", ""),
    "exception": ({"top": "raise RuntimeError('no configuration')"}, "RuntimeError: no configuration", "raise RuntimeError"),
    "BaseException": ({"top": "class Odd(BaseException): pass\nraise Odd('odd')"}, "Odd: odd", "raise Odd"),
    "KeyboardInterrupt": ({"top": "raise KeyboardInterrupt"}, "", "KeyboardInterrupt"),
    "assertion": ({"top": "assert False, 'never'"}, "AssertionError: never", "assert False"),
    "missing setting": ({"top": "os.environ['SHOP_SHOP_NOT_SET']"}, "KeyError: 'SHOP_SHOP_NOT_SET'", "SHOP_SHOP_NOT_SET"),
    "missing file": ({"top": "open('/nowhere/data')"}, "FileNotFoundError", "/nowhere/data"),
    "recursion": ({"top": "def f(): return f()\nf()"}, "RecursionError", "in f"),
    "unicode": ({"top": r"b'\xff'.decode()"}, "UnicodeDecodeError", "decode"),
    "sys.exit(0)": ({"top": "import sys; sys.exit(0)"}, "it ended the process in the middle of its import", ""),
    "sys.exit(3)": ({"top": "import sys; sys.exit(3)"}, "ended with 3", ""),
    "sys.exit with a word": ({"top": "import sys; sys.exit('no licence')"}, "no licence", ""),
    "os._exit(0)": ({"top": "os._exit(0)"}, "it ended the process in the middle of its import", ""),
    "os._exit(1)": ({"top": "os._exit(1)"}, "ended with 1", ""),
    "segfault": ({"top": "import ctypes; ctypes.string_at(0)"}, "killed by SIGSEGV", ""),
    "abort": ({"top": "os.abort()"}, "killed by SIGABRT", ""),
    "killed, as for want of memory": ({"top": "os.kill(os.getpid(), 9)"}, "killed by SIGKILL", ""),
    "memory limit": ({"top": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nx = bytearray(2 << 30)"},
                     "MemoryError", "bytearray"),
    "SIGTERM to its group": ({"top": "os.killpg(0, 15)\nimport time; time.sleep(60)"}, "killed by SIGTERM", ""),
    "megabytes, then an error": ({"top": "print('x' * 5_000_000, flush=True)\nraise RuntimeError('after much')"}, "RuntimeError: after much", "after much"),
    "no application": (text("x = 1\n"), "has no attribute 'application'", ""),
    "application is no callable": (text("application = 3\n"), "the WSGI application is not callable: 3", ""),
}
HANGING = {
    "hang at import": ({"top": "import time; time.sleep(600)"}, f"not done after {HANGS} s", ""),
    "fork at import": ({"top": "import time\nif os.fork() == 0:\n    time.sleep(600)\n    os._exit(0)"}, f"not done after {HANGS} s", ""),
    "slow start": ({"top": DAEMON + "time.sleep(600)"}, "were not ready after", ""),
    "hang in health": ({"inside": "import time; time.sleep(600)"}, SICK + "no answer: timed out", ""),
    "stops itself": ({"inside": "import time; os.kill(os.getpid(), 19); time.sleep(600)"}, SICK + "no answer: timed out", ""),
}
IN_THE_SERVER = {
    "import error in the server only": ({"top": DAEMON + "import not_there"}, "the application failed to start: ModuleNotFoundError", "import not_there"),
    "sys.exit in the server only": ({"top": DAEMON + "sys.exit(0)"}, "the application failed to start: SystemExit: 0", "sys.exit(0)"),
    "status 500": ({"status": '"500 Oops"'}, SICK + "status 500", ""),
    "status 404": ({"status": '"404 Not Found"'}, SICK + "status 404", ""),
    "status 503": ({"status": '"503 Busy"'}, SICK + "status 503", ""),
    "lies about its version": ({"says": '"9.9"'}, SICK + "the answer does not contain", ""),
    "exception": ({"inside": "raise RuntimeError('not today')"}, SICK + "status 500", "RuntimeError: not today"),
    "BaseException": ({"inside": "raise BaseException('odd')"}, SICK + "status 500", "BaseException: odd"),
    "missing dependency": ({"inside": "import not_there"}, SICK + "status 500", "No module named 'not_there'"),
    "recursion": ({"inside": "f = lambda: f()\n    f()"}, SICK + "status 500", "RecursionError"),
    "segfault": ({"inside": "import ctypes; ctypes.string_at(0)"}, SICK, ""),
    "os._exit": ({"inside": "os._exit(0)"}, SICK, ""),
    "redirect for ever": (app('"302 Found"', '[("Location", "/")]', "[]"), SICK + "the answer does not contain", ""),
    "empty answer": (app(body="[]"), SICK + "the answer does not contain", ""),
    "text instead of bytes": (app(body='["text"]'), SICK + "status 500", "TypeError"),
    "header that is none": (app(headers=r'[("X-Bad\n", "x")]'), SICK + "status 500", ""),
    "header beyond latin-1": (app(headers=r'[("X-Snow", "\u2603")]'), SICK + "status 500", ""),
    "status that is none": (app(status='"fine"'), SICK + "status 500", ""),
    "no start_response": (text("def application(environ, start_response):\n    return [b'x']\n"), SICK + "status 500", ""),
    "wrong signature": (text("def application(environ):\n    return [b'x']\n"), SICK + "status 500", "TypeError"),
    "None": (app(body="None"), SICK + "status 500", "TypeError"),
}
# Odd, but nobody's business.
HARMLESS = {
    "changes its directory": {"top": "os.chdir('/tmp')"},
    "megabytes to its outputs": {"top": "import sys\nfor out in (sys.stdout, sys.stderr): print('x\\n' * 500_000, file=out)"},
    "a thread that dies": {"top": "import threading\nthreading.Thread(target=lambda: 1 / 0).start()"},
    "one that speaks as its process ends": {"top": "end = os._exit; os._exit = lambda code: (os.write(2, b'as a thread may do'), end(code))"},
    "a strange umask": {"top": "os.umask(0o777)"},
}
BY_TRAFFIC = {
    "fails on users' pages": 'if environ["PATH_INFO"] == "/page": raise RuntimeError("no such table: users")',
    "dies on users' pages": 'if environ["PATH_INFO"] == "/page": os.kill(os.getpid(), 9)',
    "dies after some requests": "application.n = getattr(application, 'n', 0) + 1\n    if application.n == 15: os._exit(0)",
}
if os.geteuid() == 0:
    AT_IMPORT["writes into its own code"] = {"top": "open(__file__, 'a')"}, "PermissionError", "open(__file__, 'a')"
    AT_IMPORT["SIGTERM to its parent"] = {"top": "os.kill(os.getppid(), 15)"}, "PermissionError", "os.getppid()"
    AT_IMPORT["removes its environment"] = {"top": "import shutil, sys; shutil.rmtree(sys.prefix)"}, "PermissionError", "rmtree"


class Users:
    """Somebody who asks all the time; answers are (version or status)."""

    def __init__(self, host):
        self.host, self.over, self.answers = host, threading.Event(), []
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.host.port}/page", headers={"Host": "shop.test"})
        while not self.over.wait(0.03):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self.answers.append(json.loads(answer.read())["version"])
            except urllib.error.HTTPError as error:
                self.answers.append(error.code)
            except OSError as error:
                self.answers.append(repr(error))

    def seen(self):
        """Every different answer since the last time, a fresh one included."""
        count = len(self.answers)
        while len(self.answers) < count + 2:
            time.sleep(0.01)
        taken, self.answers = self.answers, []
        return set(taken)


class Zoo:
    """One host for all of them, which serves one of two good releases in turn."""

    def __init__(self):
        self.host, self.number = HostUnderPrefix(), 0
        self.host.site["longest_request"] = 2
        self.host.ok("setup")
        self.good = [self.host.release(version) for version in ("0.1", "0.2")]
        self.next_good()
        self.users = Users(self.host)

    def next_good(self):
        """The other good release is deployed and served."""
        self.host.site.update(watch=0.1, max_errors=100.0)
        self.host.site["health"]["timeout"] = 60
        self.good.reverse()
        code, last = self.host.deploy(*self.good[0])
        assert code == 0, last
        assert self.host.version() == self.served

    @property
    def served(self):
        return str(self.good[0][0].version)

    def release(self, **wrong):
        self.number += 1
        return self.host.release(f"1.{os.getpid()}.{self.number}", **wrong)

    def close(self):
        self.users.over.set()
        self.users.thread.join(70)
        self.host.close()


@pytest.fixture(scope="module")
def zoo():
    if missing():
        pytest.skip(missing())
    made = Zoo()
    try:
        yield made
    finally:
        made.close()


GOES_ON = sweeps.size(4, 1)
"""After every how many bad ones a good one is deployed; the next bad one, too, is told by its own fault."""


def check(zoo, kinds, kind, timeout):
    wrong, says, details = kinds[kind]
    zoo.users.seen()
    zoo.host.site["health"]["timeout"] = timeout
    code, last = zoo.host.deploy(*zoo.release(**wrong))
    assert code == 4, last
    error = last["error"]
    assert says in error["message"] and f"{zoo.served} (generation " in error["effect"], error
    assert error["next"] and (details in "\n".join(error["details"] or []) or not details), error
    assert len(json.dumps(last)) < 40_000
    assert zoo.users.seen() == {zoo.served}
    if [*reversed(kinds)].index(kind) % GOES_ON == 0:
        zoo.next_good()


@pytest.mark.parametrize("kind", AT_IMPORT)
def test_bad_at_import(zoo, kind):
    check(zoo, AT_IMPORT, kind, 60)


@pytest.mark.parametrize("kind", HANGING)
def test_one_that_hangs(zoo, kind):
    check(zoo, HANGING, kind, HANGS)


@pytest.mark.parametrize("kind", IN_THE_SERVER)
def test_bad_in_the_server(zoo, kind):
    check(zoo, IN_THE_SERVER, kind, 3)


@pytest.mark.parametrize("kind", HARMLESS)
def test_one_that_is_only_odd_is_served(zoo, kind):
    release, content = zoo.release(**HARMLESS[kind])
    code, last = zoo.host.deploy(release, content)
    assert (code, zoo.host.version()) == (0, str(release.version)), last
    zoo.next_good()
    assert zoo.users.seen() <= {"0.1", "0.2", str(release.version)}


@pytest.mark.parametrize("kind", BY_TRAFFIC)
def test_one_that_only_users_find_out_goes_back_by_itself(zoo, kind):
    zoo.host.site.update(watch=30, max_errors=1.0)
    code, last = zoo.host.deploy(*zoo.release(inside=BY_TRAFFIC[kind]))
    assert code == 4, last
    assert "after the switch" in last["error"]["message"] and f"{zoo.served} (generation " in last["error"]["effect"], last
    zoo.users.seen()
    assert zoo.users.seen() == {zoo.served}
    zoo.next_good()


def test_settings_that_are_none(zoo):
    before = zoo.host.tree()
    code, last, _base = zoo.host.stage(*zoo.host.release("2.0", settings="[shop\ncolour = red\n"))
    assert code in (3, 4) and last["error"]["message"], last
    assert (zoo.host.version(), zoo.host.tree()) == (zoo.served, before)
    zoo.next_good()


def test_release_for_another_python(zoo):
    release = replace(zoo.release()[0], pythons=("3.9",))
    faults = zoo.host.ok("observe", release=release.to_json())["faults"]
    assert "was built for Python 3.9, the host's is 3." in faults[0]["message"]
    assert zoo.users.seen() <= {"0.1", "0.2"}
