"""`run`: a command in the application's environment, on a host of its own."""

import os
import signal
import sys
import time

import pytest

from tests.host.light_host import LightHost, make_release
from tests.processes import ended
from weft.errors import Interrupted, Refused
from weft.host import command
from weft.host.layout import Layout

HERE = Layout("shop", "/nowhere")


def ran(argv, timeout=20, clean=str, tell=None, env=None):
    told = []
    out = {name: command.Stream(name, told.append, clean) for name in ("stdout", "stderr")}
    account = "nobody" if os.geteuid() == 0 else ""
    code = command.run(HERE, account, argv, env or {"PATH": "/usr/bin:/bin"}, timeout, out, tell or told.append)
    return code, {name: "".join(each["text"] for each in told if each.get("stream") == name) for name in out}


@pytest.mark.parametrize("argv, code", [(["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -9 $$"], 137), (["/nowhere/x"], 127)])
def test_its_exit_code_is_its_own(argv, code):
    assert ran(argv)[0] == code


def test_both_outputs_are_told_and_no_shell_reads_the_words():
    assert ran(["printf", "%s|", "a b", "$HOME", ";id"]) == (0, {"stdout": "a b|$HOME|;id|", "stderr": ""})
    assert ran(["sh", "-c", "echo é; echo no >&2"])[1] == {"stdout": "é\n", "stderr": "no\n"}


@pytest.mark.slow
def test_its_time_and_its_session_end():
    for wanted, end, limit in ((command.LATE, "sleep 600", 3), (3, "exit 3", 60)):
        code, said = ran(["sh", "-c", f"sleep 600 >/dev/null 2>&1 & echo $!; {end}"], timeout=limit)
        assert code == wanted and ended(int(said["stdout"])), "an orphan went on"


def test_it_ends_when_nobody_listens(monkeypatch):
    monkeypatch.setattr(command, "gone", lambda: True)
    with pytest.raises(Interrupted, match="nobody listens"):
        ran(["sleep", "60"])


def test_a_secret_that_comes_in_two_pieces_is_hidden():
    told = []
    stream = command.Stream("stdout", told.append, lambda text: text.replace("hunter2", "***"))
    for block in (b"a hun", b"ter2\nb ", b"hunter2", b""):
        stream.feed(block)
    assert [each["text"] for each in told] == ["a ***\n", "b ***"]


@pytest.mark.skipif(os.geteuid() != 0, reason="root, which the accounts of a host are switched by: sudo make test")
def test_root_starts_nothing_that_the_release_brought(tmp_path):
    """The release's own directory is first on the PATH: a setpriv in it must not be run, by root least of all."""
    evil = tmp_path / "setpriv"
    evil.write_text("#!/bin/sh\nid -u\n")
    evil.chmod(0o755)
    tmp_path.chmod(0o755)
    code, said = ran(["sh", "-c", "id -u; id -G; grep NoNewPrivs /proc/self/status"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (code, said["stdout"].split()) == (0, ["65534", "65534", "NoNewPrivs:", "1"])


@pytest.mark.parametrize("words", [{}, {"argv": []}, {"argv": "ls"}, {"argv": ["a\0b"]}, {"argv": [""]}, {"argv": [1]}, {"argv": ["ls"], "timeout": 0},
                                   {"argv": ["ls"], "timeout": True}, {"argv": ["ls"], "timeout": 1e9}])
def test_words_are_checked(words):
    with pytest.raises(Refused):
        command.words(words)


@pytest.mark.slow
def test_it_gets_what_the_application_gets_and_a_host_of_signed_releases_runs_nothing_else():
    host = LightHost()
    try:
        host.ok("setup")
        refused = host.ask("run", argv=["env"])["last"]["error"]
        assert (refused["code"], refused["message"]) == (3, "no release of shop is served here")
        host.deploy(*make_release("1.0", "blue"))
        done = host.ask("run", argv=["env"])
        assert done["last"]["result"]["exit"] == 0 and done["last"]["result"]["version"] == "1.0"
        said = dict(line.split("=", 1) for each in done["events"] if each.get("stream") == "stdout" for line in each["text"].splitlines())
        assert said["SHOP_SHOP_COLOUR"] == "blue" and said["WEFT_VERSION"] == "1.0" and said["WEFT_SETTINGS"].endswith("/generations/1/settings.ini")
        assert said["PATH"].startswith(f"{said['VIRTUAL_ENV']}/bin:") and "/releases/1.0-" in said["PATH"] and "SUDO_USER" not in said
        assert [host.ask("run", argv=[each])["last"]["result"]["exit"] for each in ("no-such-program", "/etc/passwd")] == [127, 126]
        signers = host.prefix / "etc/weft/shop/allowed_signers"
        signers.parent.mkdir(parents=True)
        signers.write_text("")
        refused = host.ask("run", argv=["env"])["last"]["error"]
        assert refused["message"].startswith("this host takes signed releases only") and refused["next"].endswith(f"touch {signers.parent}/run_allowed")
        (signers.parent / "run_allowed").touch()
        assert host.ask("run", argv=["true"])["last"]["result"]["exit"] == 0
    finally:
        host.close()


def test_a_signal_to_the_engine_ends_the_command(tmp_path):
    """As `hang_up` of a local host does."""
    import subprocess
    code = f"""import signal, sys
from weft.host import command, __main__
from weft.host.layout import Layout
signal.signal(signal.SIGTERM, __main__._interrupted)
out = {{name: command.Stream(name, lambda said: print(said["text"], end="", flush=True), str) for name in ("stdout", "stderr")}}
command.run(Layout("shop", "/nowhere"), "{'nobody' if os.geteuid() == 0 else ''}", ["sh", "-c", "echo $$; sleep 60"], {{"PATH": "/usr/bin:/bin"}}, 50, out, lambda said: None)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(command.__file__)).removesuffix("/weft")})
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    process.stdout.close()
    assert not os.path.exists(f"/proc/{pid}")
