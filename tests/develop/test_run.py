"""`inv develop` as a developer types it, on a real Apache: by an account that is not root, and once by root. The first tests come in this order, as one session."""

import contextlib
import http.client
import io
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.develop import made
from tests.host import bench_host
from tests.processes import ended
from weft.develop import run, rundir
from weft.develop.screen import Screen
from weft.errors import Refused

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(bench_host.missing()), reason=bench_host.missing() or "-")]
SOURCE = Path(__file__).parents[2] / "src"


def until(condition, seconds=180):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


class Developer:
    """A project of an account's, and one `inv develop` at a time. account: "" for who runs the tests."""

    def __init__(self, account=""):
        self.home = Path(tempfile.mkdtemp(prefix="weft-dev-", dir="/tmp"))
        self.home.chmod(0o755)
        self.root = made.make(self.home / "shop")
        (self.home / "runs").mkdir()
        self.argv = [sys.executable, "-m", "invoke", "develop"]
        if account:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)
            self.argv = [*as_account(account), python_for(account, self.home), *self.argv[1:]]
        self.process, self.lines, self.port = None, [], 0

    def inv(self, *words):
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "HOME": str(self.home), "TMPDIR": str(self.home / "runs"), "SHOP_PASSWORD": "hunter-two", "OF_MY_SHELL": "yes",
               "PIP_NO_CACHE_DIR": "1", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen([*self.argv, *words], cwd=self.root / "src", env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")

    def start(self, *words):
        """The reader of its lines goes on to their end. What still runs ends first: each test may also run alone."""
        if self.process and self.process.poll() is None:
            self.end()
        self.process, self.lines = self.inv(*words), []
        threading.Thread(target=lambda out=self.process.stdout, lines=self.lines: lines.extend(iter(out.readline, "")) or out.close(), daemon=True).start()
        until(lambda: self.process.poll() is not None or self.shows(r"serving .* at http://localhost:\d+/"))
        self.port = int(re.search(r"http://localhost:(\d+)/", self.output)[1]) if self.process.poll() is None else 0
        return self

    @property
    def output(self):
        return "".join(self.lines)

    def shows(self, pattern):
        return re.search(pattern, self.output, re.M)

    def ask(self, path="/", host="localhost"):
        """(status, body); (0, why) where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Host": f"{host}:{self.port}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def said(self):
        status, body = self.ask()
        return json.loads(body) if status == 200 else {}

    def save(self, name, text):
        """As an editor does: another file, renamed."""
        path = self.root / name
        path.with_suffix(".tmp").write_text(text, encoding="utf-8")
        os.rename(path.with_suffix(".tmp"), path)

    def app(self, **words):
        """The application with other texts in it, and whatever `more` says."""
        text = made.APPLICATION + words.pop("more", "")
        for old, new in words.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        self.save("src/shop/app.py", text)

    def end(self, by=signal.SIGINT):
        self.process.send_signal(by)
        return self.process.wait(120)

    def close(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end()
            self.process.kill()
            self.process.wait()
        for pid in ours(self.home):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home)


def ours(home):
    """Pids of the processes that have a path below it in their command line, or the test's daemon group."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [int(place.parent.name)] if str(home / "runs").encode() in place.read_bytes() else []
    return found


def as_account(account):
    who = pwd.getpwnam(account)
    return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--"]


def python_for(account, home):
    """An interpreter with weft that the account can start: this one, or where it lies in root's home the distribution's with the same packages."""
    start = [*as_account(account), "sh", "-c", '"$0" -c "import weft.tasks.release, weft.develop.run"', sys.executable]
    if subprocess.run(start, env={**os.environ, "PYTHONPATH": str(SOURCE)}, cwd="/", capture_output=True).returncode == 0:
        return sys.executable
    subprocess.run([bench_host.PYTHON, "-m", "venv", "--without-pip", str(home / "python")], check=True)
    packages = next((home / "python/lib").glob("python3*/site-packages"))
    (packages / "tests.pth").write_text(f"{SOURCE}\n{sysconfig.get_path('purelib')}\n")
    start[-1] = str(home / "python/bin/python")
    if packages.parent.name != f"python3.{sys.version_info.minor}" or subprocess.run(start, cwd="/", capture_output=True).returncode:
        pytest.skip(f"no Python that account {account} can start with weft's packages: put the checkout and its virtualenv where other accounts can read")
    return start[-1]


@pytest.fixture(scope="module")
def dev():
    account = "nobody" if os.geteuid() == 0 else ""
    here = Developer(account)
    try:
        yield here.start()
    finally:
        here.close()


def test_the_working_tree_is_served_as_a_deploy_would_serve_it(dev):
    said = dev.said()
    assert (said["word"], said["template"], said["version"], said["cwd"]) == ("first", "<p>one</p>", "1.0", "/")
    assert said["page"] == {"greeting": "hello developer", "colour": "blue", "password": "hunter-two"} and said["greeting"] == "hello developer"
    assert said["leak"] is None and said["prefix"] == str(dev.root / ".weft/develop/venv")
    assert said["uid"] == (pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid())
    assert dev.shows(r"^settings of etc/shop.ini, deploy/development.toml, variant DEVELOPMENT$")


def test_both_logs_are_live_on_the_terminal_without_secrets(dev):
    dev.ask("/?x=1")
    until(lambda: dev.shows(r"^\d\d:\d\d:\d\d  200  GET /\?x=1  \d+ ms$") and dev.shows(r"^asked for Grüße, with \*\*\*$"))
    assert "hunter-two" not in dev.output


def test_nobody_else_can_reach_it(dev):
    """Only the loopback address is listened on."""
    listening = {line.split()[1].split(":")[0] for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
                 if line.split()[3] == "0A" and line.split()[1].endswith(f":{dev.port:04X}")}
    assert listening == {"0100007F"}


@pytest.mark.parametrize("name, old, new, key, value", [
    ("src/shop/app.py", '"first"', '"second"', "word", "second"), ("src/shop/page.html", "one", "two", "template", "<p>two</p>"),
    ("etc/shop.ini", "hello developer", "good morning", "greeting", "good morning"), ("deploy/development.toml", '"blue"', '"green"', "page", "green")])
def test_a_save_is_served(dev, name, old, new, key, value):
    before = dev.said()["pid"]
    dev.save(name, (dev.root / name).read_text().replace(old, new))
    until(lambda: value in str(dev.said().get(key)))
    assert dev.said()["pid"] != before and dev.shows(rf"^\d\d:\d\d:\d\d  changed: {re.escape(name)}$")


def test_a_broken_save_is_shown_to_this_machine_and_the_next_one_mends_it(dev):
    dev.app(more="\ndef oops(\n")
    until(lambda: "SyntaxError" in dev.ask()[1])
    status, body = dev.ask()
    assert status == 500 and f'File "{dev.root}/src/shop/app.py", line' in body and body.rstrip().endswith("SyntaxError: '(' was never closed")
    assert dev.ask(host="evil.example.org") == (500, "The application is broken; the terminal of inv develop says why.\n")
    until(lambda: dev.shows(r"broken: SyntaxError: '\(' was never closed; the browser shows it until the next save"))
    dev.app(first="third")
    until(lambda: dev.said().get("word") == "third")


def test_an_exception_of_a_request_is_shown_and_the_next_request_is_served(dev):
    status, body = dev.ask("/oops")
    assert status == 500 and body.endswith("KeyError: 'sku'\n") and "develop.wsgi" not in body
    status, body = dev.ask("/halfway")
    assert status == 500 and body.endswith("LookupError: before the first byte\n")
    until(lambda: dev.shows(r"^KeyError: 'sku'$"))
    assert dev.said()["word"]


@pytest.mark.parametrize("name, text, says", [
    ("etc/shop.ini", "greeting = 1\n", "etc/shop.ini is not a valid ini file: line 1"), ("deploy/development.toml", "server = 'apache'\n", "development.toml:1: server: expected one of"),
    ("pyproject.toml", "[tool.weft]\n", "needs either callable or entry")])
def test_broken_settings_are_shown_likewise(dev, name, text, says):
    good = (dev.root / name).read_text()
    dev.save(name, text)
    until(lambda: says in dev.ask()[1])
    dev.save(name, good)
    until(lambda: dev.said().get("word"))


def test_a_process_that_dies_in_its_import_does_not_end_the_server(dev):
    dev.app(more="\nos._exit(3)\n")
    until(lambda: "the process ended while it imported the application" in dev.ask()[1])
    dev.app(first="fourth")
    until(lambda: dev.said().get("word") == "fourth")


def test_a_process_that_hangs_in_its_import_does_neither(dev):
    """No signal that can be heeded is heeded there."""
    stuck = dev.home / "runs/stuck"
    dev.app(more=f"\nopen({str(stuck)!r}, 'w').write(str(os.getpid())); time.sleep(3600)\n")
    until(lambda: stuck.exists() and stuck.read_text())
    dev.app(first="fifth")
    until(lambda: dev.said().get("word") == "fifth")
    assert ended(int(stuck.read_text()))


def test_ctrl_c_ends_it_and_leaves_nothing_but_the_virtualenv(dev):
    assert ours(dev.home)
    assert dev.end() == 130
    until(lambda: dev.lines[-1:] == ["now:  nothing is served any more; what Apache had is removed\n"])
    assert "KeyboardInterrupt" not in dev.output and str(SOURCE) not in dev.output
    assert ours(dev.home) == [] and list((dev.home / "runs").glob(rundir.PREFIX + "*")) == [] and dev.ask()[0] == 0
    assert list((dev.root / "src").rglob("*.pyc")) == [] and sorted(path.name for path in (dev.root / ".weft").iterdir()) == ["develop"]
    assert sorted(path.name for path in (dev.root / ".weft/develop").iterdir()) == [".gitignore", "lock", "venv"]


def test_a_chosen_port_and_virtualenv_and_a_kill_that_nothing_survives(dev):
    """The kernel ends Apache with who started it; the directory goes with the next run."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = dev.inv("--port", str(taken))
        output = done.communicate(timeout=180)[0]
        assert done.returncode == 3 and f"port {taken} cannot be listened on" in output and "now:  nothing changed\nnext: " in output
    dev.start("--port", str(taken), "--venv", str(dev.root / ".weft/develop/venv"))
    assert dev.port == taken and dev.said()["page"]["colour"]
    dev.process.kill()
    dev.process.wait()
    until(lambda: ours(dev.home) == [])
    left = list((dev.home / "runs").glob(rundir.PREFIX + "*"))
    assert len(left) == 1 and dev.ask()[0] == 0
    beside = dev.home / "library"
    beside.mkdir()
    dev.start("--watch", f"*.json, {beside}, !mine.*")
    assert not left[0].exists()
    (dev.root / "mine.json").write_text("{}")
    for path in (dev.root / "data.json", beside / "more.py"):
        path.write_text("{}")
        until(lambda: dev.shows(rf"changed: .*{path.name}$"))
    assert dev.end(signal.SIGTERM) == 143 and not dev.shows("mine.json")


def test_a_secret_that_is_not_to_be_had_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    root = made.make(tmp_path / "shop")
    with pytest.raises(Refused, match="the secret page.password: the variable SHOP_PASSWORD is not set"):
        run.develop(root, run.Wish(), Screen(io.StringIO(), False))
    assert not (root / ".weft").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="an Apache that root starts: sudo make test")
def test_root_serves_as_somebody_else_and_says_what_that_one_cannot_read():
    here = Developer()
    try:
        assert here.start().said()["uid"] == pwd.getpwnam("nobody").pw_uid
        here.app(first="second")
        until(lambda: here.said().get("word") == "second")
        assert here.end(signal.SIGHUP) == 130 and ours(here.home) == [] and list((here.home / "runs").glob(rundir.PREFIX + "*")) == []
        here.root.chmod(0o700)
        done = here.inv()
        output = done.communicate(timeout=180)[0]
        assert done.returncode == 3 and f"serves as nobody, who cannot read {here.root}" in output and "as the developer whose files these are" in output
        assert list((here.home / "runs").glob(rundir.PREFIX + "*")) == []
    finally:
        here.close()
