import os
import subprocess
import sys
from pathlib import Path

import pytest

import weft

SOURCE = Path(weft.__file__).parents[1]


def run(cwd, *words, **more):
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1", **more}
    return subprocess.run([sys.executable, "-m", "weft", *words], cwd=cwd, capture_output=True, text=True, check=False, env=env)


def test_version(tmp_path):
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"weft {weft.__version__}\n")


def test_help_has_an_example(tmp_path):
    done = run(tmp_path, "--help")
    assert done.returncode == 0 and "example:\n  weft new hello" in done.stdout
    assert "weft new hello --dir ~/src/hello" in run(tmp_path, "new", "--help").stdout


def test_nothing_asked_shows_the_help_and_is_no_success(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "usage: weft" in done.stderr


@pytest.mark.parametrize("words, lines", [
    (["nwe", "hello"], ["unknown command 'nwe'; did you mean 'new'?", "next: known: new; try: weft --help"]),
    (["frobnicate"], ["unknown command 'frobnicate'", "next: known: new; try: weft --help"]),
    (["deploy"], ["deploy is a task of fab", "next: fab deploy --help, in the project's root"]),
    (["release"], ["release is a task of inv", "next: inv release --help, in the project's root"]),
    (["new"], ["weft new: the following arguments are required: NAME", "next: try: weft new --help"]),
    (["new", "a", "--no-gti"], ["unknown option --no-gti; did you mean '--no-git'?",
                                "next: known: --dir, --help, --no-git, --version; try: weft --help"]),
    (["new", "a", "b"], ["weft: unrecognized arguments: b", "next: try: weft --help"]),
    (["new", "A"], ["'A' is not an application name",
                    "next: use lower-case letters, digits, '-' and '_', a letter first, 28 at the most"]),
])
def test_words_that_are_not_understood(tmp_path, words, lines):
    done = run(tmp_path, *words)
    said = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "") and [said[0], said[-1]] == lines and len(said) == 3
    assert list(tmp_path.iterdir()) == []


def test_new_ends_with_what_to_do_next(tmp_path):
    done = run(tmp_path, "new", "hello")
    said = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "" and (tmp_path / "hello/pyproject.toml").is_file()
    assert said[0].startswith("hello is written to hello/ (first commit ") and said[0].endswith(" on main)")
    assert "next:" in said and "  cd hello" in said and any("inv release --version 0.1.0" in line for line in said)


def test_new_tells_how_git_gets_to_know_an_author(tmp_path):
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "EMAIL": ""}
    hint = '  git config user.name "Your Name"; git config user.email you@example.org'
    assert hint in run(tmp_path, "new", "one", **nobody).stdout
    known = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada",
             "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "ada@example.org"}
    assert hint not in run(tmp_path, "new", "two", **nobody, **known).stdout


def test_new_refuses_what_is_there(tmp_path):
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello/mine").write_text("mine")
    done = run(tmp_path, "new", "hello")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[:2] == [f"{tmp_path}/hello is there and not empty", "now:  nothing changed"]


def test_new_elsewhere_and_without_git(tmp_path):
    (tmp_path / "empty").mkdir()
    done = run(tmp_path / "empty", "new", "hello", "--dir", ".", "--no-git")
    assert done.returncode == 0 and (tmp_path / "empty/pyproject.toml").is_file()
    assert not (tmp_path / "empty/.git").exists() and "without a repository" in done.stdout and "  cd" not in done.stdout
