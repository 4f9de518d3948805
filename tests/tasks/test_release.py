"""inv as a developer types it: words, output, exit codes."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from weft.stores.directory import DirectoryStore


@pytest.fixture
def inv(project, tmp_path):
    """A function that runs inv in a project whose tasks.py imports weft's tasks."""
    project.write("tasks.py", "from weft.tasks.release import ns\n")
    project.commit("tasks")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "120"}

    def run(*words, cwd=None):
        done = subprocess.run([sys.executable, "-m", "invoke", *words], cwd=cwd or project.root, env=env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL)
        assert "\nTraceback" not in "\n" + done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr
    run.project, run.env = project, env
    return run


def last(text):
    return json.loads(text.splitlines()[-1])


def test_release(inv):
    code, out, err = inv("release", "--version", "1.1.4", "--yes")
    place = inv.project.store / "weaveserver/1.1.4"
    lines = out.splitlines()
    assert code == 0, err
    assert lines[:5] == ["weaveserver  1.1.3 -> 1.1.4", "changelog:", "  - something new", "",
                         f" 1. clone {inv.project.git('rev-parse', '--short=12', 'HEAD^')} of main into the repository's own data; "
                         "your files stay as they are"]
    assert lines[-3:] == ["weaveserver 1.1.4 is released", f"lies:  {place}", "next:  fab deploy --version 1.1.4"]
    lines = err.splitlines()
    assert [line.split()[1] for line in lines if " | " not in line] == [
        "scratch", "edit", "date", "tag", "test", "build", "lock", "verify", "stage", "push", "publish", "index", "forward", "readback"]
    assert all(" done " in line or " | " in line for line in lines) and " 5/14 test " in lines[4] and lines[4].endswith(" s | " + "-" * 70)
    assert DirectoryStore(inv.project.store).versions("weaveserver") == ["1.1.4"]
    code, out, err = inv("release", "--version", "1.1.4")
    assert (code, out.splitlines()[0], err) == (0, "weaveserver 1.1.4 is released already", "")


def test_release_from_a_folder_below_with_json(inv):
    code, out, err = inv("release", "--bump", "patch", "--yes", "--json", cwd=inv.project.root / "src")
    release = DirectoryStore(inv.project.store).manifest("weaveserver", "1.1.4")
    assert code == 0 and out.count("\n") == 1
    assert json.loads(out) == {"app": "weaveserver", "code": 0, "id": release.id, "next": "fab deploy --version 1.1.4",
                               "place": str(inv.project.store / "weaveserver/1.1.4"), "released": "now", "version": "1.1.4", "warnings": []}
    assert "weaveserver  1.1.3 -> 1.1.4" in err


def test_without_a_terminal_only_yes_answers(inv):
    code, out, err = inv("release", "--version", "1.1.4")
    assert code == 3 and err == "there is no terminal to ask on\nnow:  nothing changed\nnext: add --yes to release, or --plan to look only\n"
    assert inv.project.git("tag") == "" and not inv.project.store.exists()


@pytest.mark.parametrize("words", [("release", "--version", "1.1.4", "--plan"), ("--dry", "release", "--version", "1.1.4")])
def test_plan(inv, words):
    code, out, err = inv(*words)
    assert code == 0 and "10. push main and 1.1.4 to origin, both or neither   <- point of no return" in out.splitlines() and err == ""
    assert inv.project.git("tag") == "" and not inv.project.store.exists() and not (inv.project.root / ".git/weft").exists()


def test_plan_as_json(inv):
    from weft.plan import Plan
    code, out, _ = inv("release", "--version", "1.1.4", "--plan", "--json")
    said = json.loads(out)
    assert code == 0 and said["changelog"] == "- something new" and Plan.from_json(said["plan"]).digest() == said["digest"]


@pytest.mark.parametrize("word", ["../x", "-rf", "1.0;id", "--help", "1.01", ""])
def test_words_that_are_no_version(inv, word):
    code, out, err = inv("release", "--version", word)
    assert (code, out) == (2, "") and err.startswith(f"{word!r} is not a version\nnow:  nothing was contacted, nothing changed\n")
    assert inv.project.git("tag") == ""


def test_refusals_as_json(inv):
    inv.project.write("src/weaveserver/app.py", "x = 1\n")
    code, out, err = inv("release", "--version", "1.1.4", "--json")
    assert code == 3 and err == "" and last(out)["details"] == [
        {"message": "changed and not committed: src/weaveserver/app.py", "next": "commit or stash it"}]


def test_failing_tests_show_their_last_lines(inv):
    inv.project.write("tests/test_more.py", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.fail('the loom is stuck')\n")
    inv.project.commit()
    code, out, err = inv("release", "--version", "1.1.4", "--yes")
    assert code == 4
    assert [line.split(" | ")[0][:14] for line in err.splitlines() if line.endswith(" | AssertionError: the loom is stuck")] == [" 5/14 test    "]
    assert err.splitlines()[-3:] == [
        "test: python -m unittest -q failed (exit 1)",
        "now:  undone: your repository and the remote are as they were, nothing is published",
        "next: mend what the tests show, commit, and run the same command again"]


def test_no_project(inv, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/tasks.py").write_text("from weft.tasks.release import ns\n")
    code, _, err = inv("status", cwd=tmp_path / "empty")
    assert code == 2 and err.splitlines()[0] == f"{tmp_path}/empty has no pyproject.toml with a [tool.weft] table"


def test_status(inv):
    inv.project.git("tag", "1.1.2")
    code, out, _ = inv("status")
    head = inv.project.git("rev-parse", "--short=12", "HEAD")
    assert code == 0 and out.splitlines() == [
        "app:         weaveserver", "version:     1.1.3", "branch:      main", f"commit:      {head}", "changed:     nothing",
        "changelog:   CHANGELOG.md: 1.1.4 - unreleased", "last tag:    1.1.2", "remote:      origin, same",
        f"store:       {inv.project.store}", "released:    nothing", "taken back:  nothing", "unfinished:  none"]
    assert last(inv("status", "--json")[1]) == {
        "app": "weaveserver", "version": "1.1.3", "branch": "main", "commit": head, "changed": [], "last_tag": "1.1.2", "code": 0,
        "changelog": "CHANGELOG.md: 1.1.4 - unreleased", "remote": "origin, same", "store": str(inv.project.store), "released": [],
        "taken_back": [], "unfinished": ""}


def test_test_build_and_lock(inv):
    assert inv("test")[0] == 0
    code, out, _ = inv("build")
    assert code == 0 and [os.path.basename(line) for line in out.splitlines()] == [
        "weaveserver-1.1.3-py3-none-any.whl", "weaveserver-1.1.3.tar.gz"]
    code, out, _ = inv("lock")
    assert code == 0 and out == f"{inv.project.root}/requirements.lock: 0 locked; commit it, and releases keep to it\n"
    assert os.listdir(inv.project.root / ".git/weft") == ["lock"]


def test_failing_tests_are_code_4(inv):
    inv.project.write("tests/test_app.py", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.fail('no')\n")
    code, out, err = inv("test")
    assert code == 4 and "AssertionError: no" in out and err.splitlines()[0] == "python -m unittest -q failed (exit 1)"


def test_help_has_an_example_and_every_parameter_a_default(inv):
    code, out, _ = inv("release", "--help")
    assert code == 0 and "inv release --version 1.1.4" in out and "such as 1.1.4" in out
    code, out, _ = inv("--list")
    assert [line.split()[0] for line in out.splitlines()[2:] if line.startswith("  ") and not line.startswith("   ")] == [
        "build", "develop", "index", "lock", "release", "status", "test", "verify", "yank"]


def test_listing_imports_nothing_heavy():
    text = ("import sys; import weft.tasks.release; "
            "print([m for m in ('packaging', 'rich', 'twine', 'build', 'paramiko', 'fabric', 'tomllib') if m in sys.modules])")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", text], env=env, text=True, capture_output=True).stdout == "[]\n"


def answer(inv, text):
    """inv release on a terminal, its question answered; exit code and everything that was shown."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(inv.project.root)
        os.execve(sys.executable, [sys.executable, "-m", "invoke", "release", "--version", "1.1.4"], {**inv.env, "TERM": "xterm"})
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            block = os.read(fd, 65536)
        except OSError:
            break
        if not block:
            break
        shown += block
        if b"[y/N] " in block:
            os.write(fd, text)
    else:
        os.kill(pid, signal.SIGKILL)  # it must not hang the tests
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_a_terminal_is_asked_and_yes_releases(inv):
    code, shown = answer(inv, b"y\n")
    assert code == 0 and "Release weaveserver 1.1.4? [y/N]" in shown and "weaveserver 1.1.4 is released" in shown
    assert "\033[32mdone\033[0m" in shown


@pytest.mark.parametrize("text", [b"n\n", b"\n", b"\x04"])
def test_anything_else_does_not(inv, text):
    code, shown = answer(inv, text)
    assert code == 3 and "not released" in shown and inv.project.git("tag") == "" and not inv.project.store.exists()


def test_ctrl_c_at_the_question(inv):
    code, shown = answer(inv, b"\x03")
    assert code == 130 and "Traceback" not in shown and inv.project.git("tag") == "" and not inv.project.store.exists()


@pytest.mark.parametrize("words, code", [(["--version", "1.1.4", "--plan"], 0), (["--version", "one"], 2), (["--version", "1.1.2"], 3)])
def test_a_plan_and_a_refusal_load_nothing_that_only_a_release_needs(inv, words, code):
    """Each of these costs as much as all that is decided."""
    inv.env["PYTHONVERBOSE"] = "1"
    done = subprocess.run([sys.executable, "-m", "invoke", "release", *words], cwd=inv.project.root, env=inv.env, text=True, capture_output=True)
    loaded = {line.split("'")[1] for line in done.stderr.splitlines() if line.startswith("import '")}
    assert done.returncode == code and "weft.release.observe" in loaded
    heavy = {"zipfile", "email.parser", "configparser", "packaging.requirements", "packaging.markers", "packaging.specifiers", "packaging.tags", "platform",
             "importlib.resources", "importlib.metadata", "urllib.request", "fsspec", "paramiko", "secrets"}
    assert loaded & heavy == set()


def test_a_list_of_tasks_loads_no_more_than_their_words(inv):
    inv.env["PYTHONVERBOSE"] = "1"
    done = subprocess.run([sys.executable, "-m", "invoke", "--list"], cwd=inv.project.root, env=inv.env, text=True, capture_output=True)
    loaded = {line.split("'")[1] for line in done.stderr.splitlines() if line.startswith("import 'weft")}
    assert done.returncode == 0 and loaded == {"weft", "weft.errors", "weft.typing", *(f"weft.tasks{each}" for each in ("", ".chain", ".develop", ".release", ".shell"))}
