"""The waiting beside a trial, as the program that hosts have: it ends by itself where the trial was confirmed, and has the whole engine do all else."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow

from tests.host.bench_host import HostUnderPrefix, missing
from weft.errors import Refused
from weft.host import __main__ as engine, beside, boot, watchdog
from weft.host.layout import Layout
from weft.rollout import zipapp


@pytest.fixture
def state(tmp_path):
    """The state directory of `shop` below a prefix, its lock free."""
    made = tmp_path / "var/lib/weft/shop"
    made.mkdir(parents=True)
    (made / "lock").touch()
    return made


@pytest.fixture(autouse=True)
def bounded():
    """One that waits for ever fails."""
    def late(_signal, _frame):
        raise AssertionError("it still waits")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(150)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def trial(state, number=3, left=600.0, **more):
    said = {"generation": number, "boot": boot.boot_id(), "deadline": boot.now() + left, **more}
    (state / "trial.new").write_text(json.dumps(said))
    (state / "trial.new").rename(state / "trial.json")


def end(state, last):
    (state / "last.json").write_text(json.dumps({"generation": last}))
    (state / "trial.json").unlink(missing_ok=True)


def run(monkeypatch, state, *naps):
    """main(), which does one of `naps` each time it sleeps; whether it came to start the engine."""
    left, started = list(naps), []
    monkeypatch.setattr(time, "sleep", lambda _seconds: left.pop(0)())
    monkeypatch.setattr(os, "spawnve", lambda *_words: started.append(True) or 0)
    monkeypatch.setattr(sys, "argv", ["weft-host", "--prefix", str(state.parents[3]), "--watchdog", "shop", "3"])
    assert watchdog.main() == 0 and left == []
    return bool(started)


def test_one_that_was_confirmed_needs_no_engine(state, monkeypatch):
    """Begun while it waits, under the lock of the engine that has started it, and ended likewise."""
    with (state / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not run(monkeypatch, state, lambda: None, lambda: trial(state), lambda: None, lambda: end(state, 3))


def test_one_that_was_held_and_then_confirmed_needs_no_engine(state, monkeypatch):
    trial(state)
    assert not run(monkeypatch, state, lambda: trial(state, left=-9.0, held=[1, "ab" * 8]), lambda: None, lambda: end(state, 3))


def test_one_that_was_held_and_then_went_back_is_for_the_whole_engine(state, monkeypatch):
    trial(state, held=[1, "ab" * 8])
    assert run(monkeypatch, state, lambda: end(state, 2))


def test_one_that_went_back_is_for_the_whole_engine(state, monkeypatch):
    trial(state)
    assert run(monkeypatch, state, lambda: end(state, 2))


def test_the_program_waits_before_it_is_the_whole_engine(state, tmp_path):
    marker, program = tmp_path / "marker", tmp_path / "weft-host"
    whole = f"import os\ndef alone():\n    open({str(marker)!r}, 'w').write(os.environ.get({watchdog.WHOLE!r}, 'no'))\n    return 0\n"
    program.write_bytes(zipapp.archive({**zipapp.sources(), "weft/host/__main__.py": whole.encode()}))
    trial(state, left=-1.0)
    subprocess.run([sys.executable, "-I", program, "--prefix", str(tmp_path), "--watchdog", "shop", "3"], check=True)
    assert marker.read_text() == "1"
    subprocess.run([sys.executable, "-I", program], check=True)
    assert marker.read_text() == "no"


@pytest.mark.parametrize("what", ["late", "held for long", "earlier boot", "torn", "another was confirmed", "none began", "another's"])
def test_all_else_is_for_the_whole_engine(state, monkeypatch, what):
    if what == "late":
        trial(state, left=-1.0)
    elif what == "held for long":
        monkeypatch.setattr(watchdog, "HELD", 0.05)
        trial(state, held=[1, "ab" * 8])
    elif what == "earlier boot":
        trial(state, boot="another")
    elif what == "torn":
        (state / "trial.json").write_text('{"generation": 3')
    elif what == "another was confirmed":
        trial(state, left=0.05)
        end(state, 2)
    elif what == "another's":
        trial(state, number=4)
    if what in ("late", "held for long", "earlier boot", "torn", "none began", "another's"):
        (state / "last.json").write_text('{"generation": 3}')
    assert watchdog.confirmed(str(state), 3) is False


def test_the_engine_is_started_until_it_has_ended_well(state, tmp_path, monkeypatch):
    codes, started = [-9, 3, 0], []

    def spawn(mode, program, argv, env):
        started.append((argv[1:], env[watchdog.WHOLE]))
        if len(started) == 1:
            raise OSError("the disk is broken")
        return codes[len(started) - 2]
    monkeypatch.setattr(os, "spawnve", spawn)
    monkeypatch.setattr(watchdog, "PAUSE", 0.0)
    words = ["--prefix", str(tmp_path), "--watchdog", "shop", "3"]
    monkeypatch.setattr(sys, "argv", ["weft-host", *words])
    assert watchdog.main() == 0 and started == [(["-IS", "weft-host", *words], "1")] * 4
    assert watchdog.wanted(words) and not watchdog.wanted(["status", "shop"])
    monkeypatch.setenv(watchdog.WHOLE, "1")
    assert not watchdog.wanted(words)


@pytest.mark.parametrize("at", ["setsid", "chdir"])
def test_one_that_does_not_come_about_is_told(monkeypatch, at):
    def fail(*_words):
        raise OSError("no")
    monkeypatch.setattr(os, at, fail)
    with pytest.raises(OSError, match="did not start"):
        beside.start(["--watchdog", "shop", "3"], {})


@pytest.mark.parametrize("packed", [True, False])
def test_a_host_that_takes_no_more_processes_refuses_the_switch(monkeypatch, packed):
    def full(*_words, **_options):
        raise BlockingIOError(11, "Resource temporarily unavailable")
    monkeypatch.setattr(engine, "_packed", lambda: packed)
    monkeypatch.setattr(os if packed else subprocess, "fork" if packed else "Popen", full)
    with pytest.raises(Refused, match="could not be started: .*Resource temporarily unavailable") as caught:
        engine.start_watchdog(SimpleNamespace(secrets={}, layout=Layout("shop")), 3)
    assert caught.value.effect == "nothing was switched"


class Host(HostUnderPrefix):
    """With the engine as hosts have it."""

    def argv(self):
        return [sys.executable, "-I", str(zipapp.build()), "--prefix", str(self.prefix)]

    def watchdogs(self):
        """Process -> what `ps` calls it, of those that wait here."""
        found = {}
        for process in filter(lambda each: each.name.isdigit(), Path("/proc").iterdir()):
            try:
                words, name = (process / "cmdline").read_bytes().split(b"\0"), (process / "comm").read_text().strip()
            except OSError:
                continue
            if str(self.prefix).encode() in words and (name == beside.NAME or b"--watchdog" in words):
                found[process] = name
        return found


def test_one_beside_secrets_is_started_anew(monkeypatch):
    """Nobody is to have them in memory for longer than the engine that was told them, which answers request after request."""
    begun = []
    monkeypatch.setattr(engine, "_packed", lambda: True)
    monkeypatch.setattr(engine, "_secrets", [])
    monkeypatch.setattr(beside, "start", lambda words, _environment: begun.append(("itself", words)))
    monkeypatch.setattr(subprocess, "Popen", lambda argv, **_options: begun.append(("anew", argv[3:])))
    monkeypatch.setattr(engine, "Machine", lambda *_words: SimpleNamespace(answer=dict))
    monkeypatch.setattr(sys, "argv", ["/usr/local/sbin/weft-host"])
    plain = SimpleNamespace(verb="rollback", secrets={}, layout=Layout("shop"))
    told = SimpleNamespace(verb="stage", secrets={"database": {"password": "hunter2"}}, layout=Layout("shop"))
    for request, how in ((plain, "itself"), (told, "anew"), (plain, "anew")):
        monkeypatch.setattr(engine, "read", lambda *_words, request=request: request)
        engine._answer("/srv/prefix")
        engine.start_watchdog(request, 3)
        assert begun.pop() == (how, ["--watchdog", "shop", "3"])


@pytest.mark.skipif(bool(missing()), reason=missing() or "-")
def test_an_engine_becomes_it_and_lets_go_of_all_it_had():
    host = Host()
    try:
        host.ok("setup")
        assert host.deploy(*host.release("1.0"))[0] == 0
        assert host.deploy(*host.release("1.1"), confirm=False)[0] == 0
        (process, name), = host.watchdogs().items()
        assert name == beside.NAME and os.getsid(int(process.name)) == int(process.name) != os.getsid(0)
        assert {os.readlink(each) for each in (process / "fd").iterdir()} == {os.devnull} and os.readlink(process / "cwd") == "/"
        assert host.call("confirm", generation=2)[0] == 0
        limit = time.monotonic() + 60
        while host.watchdogs():
            assert time.monotonic() < limit, "it still waits"
            time.sleep(0.1)
    finally:
        host.close()


@pytest.mark.skipif(bool(missing()), reason=missing() or "-")
def test_a_host_that_nobody_confirms_goes_back_by_it():
    host = Host()
    try:
        host.ok("setup")
        assert host.deploy(*host.release("1.0"))[0] == 0
        host.site["confirm"] = 3
        assert host.deploy(*host.release("1.1"), confirm=False)[0] == 0
        assert host.version() == "1.1"
        limit = time.monotonic() + 120
        while host.version() != "1.0":
            assert time.monotonic() < limit, "it did not go back"
            time.sleep(0.1)
    finally:
        host.close()
