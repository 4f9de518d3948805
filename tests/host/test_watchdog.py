"""The waiting beside a trial, as the program that hosts have: it ends by itself where the trial was confirmed, and has the whole engine do all else."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

from tests.host.bench_host import HostUnderPrefix, missing
from weft.host import boot, watchdog
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


@pytest.mark.skipif(bool(missing()), reason=missing() or "-")
def test_a_host_that_nobody_confirms_goes_back_by_it():
    class Host(HostUnderPrefix):
        def argv(self):
            return [sys.executable, "-I", str(zipapp.build()), "--prefix", str(self.prefix)]
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
