import os
import socket
import sys
from pathlib import Path

import pytest

from tests.processes import ended
from weft.errors import Refused
from weft.host.commands import READY, CommandFailed, application_frames, run
from weft.host.layout import Layout

HERE = Layout("shop", "/nowhere")


def test_a_traceback_starts_where_the_application_does():
    lines = ["Traceback (most recent call last):", '  File "<string>", line 1, in <module>', '  File "<frozen runpy>", line 291, in run_path',
             '  File "/var/app/shop/entry.wsgi", line 1, in _load', "    found = _import(release)", "            ^^^^",
             '  File "/x/shop/app.py", line 1, in <module>', "    import nope", "ModuleNotFoundError: No module named 'nope'"]
    assert application_frames(lines) == [lines[0], *lines[6:]]


def test_a_command_that_fails_shows_its_last_lines_and_one_that_hangs_is_ended(tmp_path):
    with pytest.raises(CommandFailed) as caught:
        run(["/bin/sh", "-c", "echo one; echo two >&2; exit 3"], "trying", HERE)
    assert caught.value.message == "trying: two" and caught.value.details == ["one", "two"]
    said = tmp_path / "child"
    with pytest.raises(CommandFailed, match="not done after 3 s"):
        run(["/bin/sh", "-c", f"sleep 600 & echo $! > {said}; wait"], "trying", HERE, timeout=3)
    assert ended(int(said.read_text())), "an orphan went on"
    with pytest.raises(CommandFailed, match="No such file"):
        run(["/nowhere/x"], "trying", HERE)


def test_a_command_that_is_ready_waits_until_its_caller_is(tmp_path):
    mark = tmp_path / "mark"
    script = f"echo before; echo '{READY}'; cat; [ -e {mark} ] && echo after"
    assert run(["/bin/sh", "-c", script], "trying", HERE, ready=mark.touch) == "before\nafter\n"


def test_a_command_that_is_never_ready_has_failed_or_is_done_without():
    def never():
        raise AssertionError("it was not ready")
    assert run(["/bin/sh", "-c", f"echo 'not {READY}'; printf '{READY}'"], "trying", HERE, ready=never) == f"not {READY}\n{READY}"
    with pytest.raises(CommandFailed, match="trying: why"):
        run(["/bin/sh", "-c", "echo why; exit 3"], "trying", HERE, ready=never)


def test_a_command_that_does_not_come_to_it_is_ended(tmp_path):
    said = tmp_path / "child"
    with pytest.raises(CommandFailed, match="not done after 1 s") as caught:
        run(["/bin/sh", "-c", f"echo slow; echo $$ > {said}; exec sleep 600"], "trying", HERE, timeout=1, ready=lambda: None)
    assert caught.value.details == ["slow"] and ended(int(said.read_text()))


def test_what_its_caller_refuses_ends_it(tmp_path):
    said = tmp_path / "child"

    def refuse():
        raise Refused("no")
    with pytest.raises(Refused):
        run(["/bin/sh", "-c", f"echo $$ > {said}; echo '{READY}'; exec sleep 600"], "trying", HERE, timeout=20, ready=refuse)
    assert ended(int(said.read_text()))


def test_a_command_gets_a_small_environment_of_its_own(monkeypatch):
    monkeypatch.setenv("SECRET", "do-not-tell")
    assert "SECRET" not in run(["/usr/bin/env"], "env", HERE)
    assert Path("/nowhere").exists() is False


@pytest.mark.skipif(os.geteuid() != 0, reason="root, which the accounts of a host are switched by: sudo make test")
def test_what_installs_has_no_network_and_no_way_back_to_root():
    from weft.host.commands import may_cut_network
    assert may_cut_network()
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach = [sys.executable if not sys.executable.startswith("/root") else "/usr/bin/python3", "-I", "-c",
                 f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 3)"]
        run(reach, "trying", HERE, "nobody")
        with pytest.raises(CommandFailed, match="Network is unreachable"):
            run(reach, "trying", HERE, "nobody", network=False)
    said = run(["/bin/sh", "-c", "id -u; id -G; grep NoNewPrivs /proc/self/status"], "trying", HERE, "nobody")
    assert said.split() == ["65534", "65534", "NoNewPrivs:", "1"]


def test_where_the_network_cannot_be_cut_off_nothing_is_run_with_it(monkeypatch, tmp_path):
    from weft.host import commands
    monkeypatch.setattr(commands, "may_cut_network", lambda: False)
    argv = ["/bin/echo", "pip"]
    system = Layout("shop", "")
    assert system.privileged or os.geteuid() != 0
    if system.privileged:
        with pytest.raises(Refused, match="cut off from the network") as caught:
            run(argv, "installing", system, "nobody", network=False)
        assert caught.value.code == 3 and "unshare --net" in caught.value.hint
        assert run(argv, "installing", Layout("shop", str(tmp_path)), "nobody", network=False) == "pip\n"  # a developer's own place
    monkeypatch.setattr(Layout, "privileged", False)
    assert run(argv, "installing", Layout("shop", str(tmp_path)), "nobody", network=False) == "pip\n"
