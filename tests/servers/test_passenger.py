"""What Passenger's adapter reads of a machine, and what of an application's processes its own start of them does."""

import io
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.servers.test_contract import site_of
from weft.host.layout import Layout
from weft.host.logs import Mine
from weft.servers import passenger

SITE = site_of("passenger")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """One with Apache and Passenger of its own."""
    for name in ("MODULE", "ENABLED", "PROGRAM", "LOADER"):
        monkeypatch.setattr(passenger, name, tmp_path / name)
        (tmp_path / name).write_text("import sys, os, re, imp, threading\n")
    return tmp_path


def test_a_machine_that_has_all_lacks_nothing(machine):
    assert passenger.server.missing(SITE) == [] and passenger.server.python(SITE) == "3.11"


def test_doctor_is_told_which_passenger_is_there(machine):
    assert passenger.server.about(SITE) == ""
    (machine / "MODULE").write_bytes(b"\0Phusion_Passenger/6.0.17\0\xff")
    assert passenger.server.about(SITE) == f"Passenger 6.0.17 in {machine / 'MODULE'}"


@pytest.mark.parametrize("name, says, how", [
    ("MODULE", "mod_passenger is not installed", "apt-get install -y apache2 libapache2-mod-passenger && a2enmod passenger"),
    ("ENABLED", "mod_passenger is not enabled", "a2enmod passenger")])
def test_what_is_not_there_is_named_with_its_command(machine, name, says, how):
    (machine / name).unlink()
    assert passenger.server.missing(SITE) == [(f"Apache's {says}", how)]


def test_a_python_that_its_loader_does_not_run_with_is_refused(machine):
    newer = replace(SITE, python="/usr/bin/python3.13")
    (what, how), = passenger.server.missing(newer)
    assert "Python 3.11 or older" in what and "/usr/bin/python3.13" in what and "`python`" in how and passenger.server.python(newer) == ""
    (machine / "LOADER").write_text("import sys, os, re, threading\n")  # as later ones have it
    assert passenger.server.missing(newer) == [] and passenger.server.python(newer) == "3.13"


@pytest.fixture
def running(tmp_path):
    """A private Apache's site whose server is this process, with a Passenger of which it is the parent."""
    site = replace(SITE, prefix=str(tmp_path), account="nobody")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for name, pid in ("passenger.mine", child.pid), ("passenger.other", os.getppid()):
        place = tmp_path / "var/run" / name
        place.mkdir(parents=True)
        (place / "watchdog.pid").write_text(str(pid))
        (place / "properties.json").write_text(f'{{"name": "of {name}"}}')
    (tmp_path / "var/run/passenger.pid").write_text(f"{os.getpid()}\n")
    yield site
    child.communicate(b"\n")


def test_a_slot_is_started_anew_by_its_exact_name_in_this_apaches_own_passenger(running):
    assert passenger.server.restart(running, "b") == [
        "env", f"PASSENGER_INSTANCE_REGISTRY_DIR={running.prefix}/var/run", "passenger-config", "restart-app", "--ignore-app-not-running",
        "--name", "shop-b", "--instance", "of passenger.mine"]


def test_what_somebody_else_says_of_a_passenger_does_not_count(running, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.stat(running.prefix).st_uid == 0:
        os.chown(f"{running.prefix}/var/run/passenger.mine", 12346, 12346)
    assert passenger.server.instance(running) == ("", "")


def start(tmp_path, entry):
    """What Passenger's loader imports, and what it writes meanwhile."""
    (tmp_path / "entry.wsgi").write_text(entry)
    text = next(text for path, text in passenger.server.files(SITE).items() if path.endswith("a/passenger_wsgi.py"))
    code = text.replace(SITE.root, str(tmp_path)) + (
        '\nimport os\nprint(application({}, lambda *said: print(*said)) if "--ask" in sys.argv else os.environ["WEFT_SLOT"], os.getcwd(), os.environ.get("WEFT_SHOW"))')
    return code


def run(tmp_path, entry, *words):
    done = subprocess.run([sys.executable, "-c", start(tmp_path, entry), *words], capture_output=True, text=True, env={**os.environ, "WEFT_SHOW": "1"}, check=True)
    return done.stdout, done.stderr


def test_the_entry_is_loaded_for_the_slot_and_each_line_has_its_time(tmp_path):
    out, err = run(tmp_path, "import sys\nprint('one', 'two', file=sys.stderr)\napplication = 1")
    assert out.partition("] ")[2] == "a / None\n" and [line.partition("] ")[2] for line in err.splitlines()] == [f"{tmp_path}/entry.wsgi: slot a starts", "one two"]
    assert all(line.startswith("[1") for line in err.splitlines())


def test_a_release_that_cannot_start_answers_500_and_says_why(tmp_path):
    out, err = run(tmp_path, "raise KeyError('x')", "--ask")
    assert "500 Internal Server Error" in out and "KeyError: 'x'" in err


@pytest.mark.parametrize("age, ends", [(0, False), (6, True)])
def test_it_ends_after_an_answer_but_not_at_once(tmp_path, age, ends):
    """By what Passenger's loader takes for its end, with the whole answer given."""
    asked = (f'\nimport time\nsaid = []\nreal = time.monotonic\ntime.monotonic = lambda: real() + {age}\ntry:\n    for each in application({{}}, lambda *a: None): said.append(each)\n'
             'except KeyboardInterrupt: said.append("ended")\nprint(said, file=sys.__stdout__)')
    done = subprocess.run([sys.executable, "-c", start(tmp_path, "raise KeyError('x')").rpartition("\nimport os\n")[0] + asked], capture_output=True, text=True, check=True)
    assert ("ended" in done.stdout) == ends and "failed to start" in done.stdout


def test_lines_of_passengers_log_are_told_apart_by_their_processes(tmp_path):
    mine = Mine(Layout("shop", str(tmp_path)))
    log = (f"App 11 output: [1764247942] {tmp_path}/var/app/shop/entry.wsgi: slot a starts\nApp 11 output: [1764247943] mine\n"
           f"App 12 output: [1764247944] another's\nApp 11 output:   without a time\n"
           f"[ E 2026-11-27 12:48:51.5541 21061/Tz age/Cor/App/Implementation.cpp:221 ]: Could not spawn process for application {tmp_path}/var/app/shop/slots/a: it exited.\n"
           "  Error ID: 702a72d0\n[ N 2026-11-27 12:49:16.1733 21061/Tc age/Cor/CoreMain.cpp:1146 ]: of all\n  of all, too\n").splitlines()
    for line in log:
        mine.learn(line)
    found = [line for line in map(mine.take, log) if line]
    assert [line.text for line in found] == [f"{tmp_path}/var/app/shop/entry.wsgi: slot a starts", "mine", "  without a time", log[4], "  Error ID: 702a72d0"]
    assert [line.at for line in found[:3]] == [1764247942.0, 1764247943.0, 1764247944.0] and found[3].at == found[4].at > found[2].at


def test_a_stream_gives_a_time_to_whole_lines_only():
    space = {}
    text = passenger._startup(SITE, "a")
    exec(text[text.index("class _Timed"):text.index("sys.stdout, sys.stderr")], {"time": __import__("time")}, space)
    out = io.StringIO()
    stream = space["_Timed"](out)
    for piece in ("a", "b\n", "\n", "c\nd", "e\n", "f"):
        stream.write(piece)
    assert "f" not in out.getvalue()
    stream.flush()
    stream.write("g\nh\n")
    assert [line.partition("] ")[2] for line in out.getvalue().splitlines()] == ["ab", "", "c", "de", "fg", "h"] and out.getvalue().count("[") == 5
