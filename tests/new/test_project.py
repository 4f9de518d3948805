import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from weft.config import load
from weft.errors import Refused, UsageError
from weft.new import project
from weft.values import Version

NAMES = ["hello", "my-app", "my_app", "a1-b_c2", "x"]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "made"


def git(place, *words):
    return subprocess.run(["git", *words], cwd=place, capture_output=True, text=True, check=True).stdout.strip()


def stranger(tmp_path):
    """An environment in which git knows nobody."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") and key != "EMAIL"}
    return {**env, "HOME": str(tmp_path / "nobody"), "XDG_CONFIG_HOME": str(tmp_path / "nobody"), "GIT_CONFIG_NOSYSTEM": "1"}


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_name_gives_a_project_that_is_valid_everywhere(name, place):
    project.create(name, place, git=False)
    package = name.replace("-", "_")
    for path in place.rglob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))
    toml = tomllib.loads((place / "pyproject.toml").read_text())
    assert toml["project"]["name"] == name and toml["tool"]["setuptools"]["dynamic"]["version"]["attr"] == f"{package}.__version__"
    weft = load.project(place)
    assert (weft["name"], weft["entry"], weft["settings"]) == (name, f"wsgi/{name}.wsgi", f"etc/{name}.ini")
    assert (place / weft["entry"]).is_file() and (place / weft["settings"]).is_file()
    assert load.environment(place)["health.contains"] == '"version": "{version}"'
    assert not [path for path in place.rglob("*") if re.search(r"NAME|PACKAGE|tmpl|^dot-", path.name)]


def test_the_version_is_written_once(place):
    project.create("hello", place, git=False)
    said = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*")) if path.is_file() and "0.1.0" in path.read_text()]
    assert said == ["README.md", "src/hello/__init__.py"]  # the README shows the commands of the first release
    assert f'__version__ = "{Version("0.1.0")}"' in (place / "src/hello/__init__.py").read_text()


@pytest.mark.parametrize("name", ["hello", "my-app", "my_app"])
@pytest.mark.parametrize("command", [["-m", "unittest"], ["-m", "unittest", "discover", "-s", "tests"], ["tests/test_app.py"],
                                     ["-m", "pytest", "-q", "-p", "no:cacheprovider"]])
def test_its_tests_pass_whichever_runner_there_is(name, command, place):
    project.create(name, place, git=False)
    done = _python(place, *command)
    assert done.returncode == 0 and re.search(r"Ran 5 tests|5 passed", done.stdout + done.stderr), done.stderr + done.stdout


def test_its_tests_can_fail(place):
    project.create("hello", place, git=False)
    app = place / "src/hello/app.py"
    app.write_text(app.read_text().replace('"lazy_version": ondisk.VERSION', '"lazy_version": "0"'))
    assert _python(place, "-m", "unittest").returncode == 1


def test_a_response_mixed_of_two_releases_would_show(place):
    """The lazy module reads the files as they are when the first request comes."""
    project.create("hello", place, git=False)
    done = _python(place, "-c", """if True:
        import pathlib, hello.app
        path = pathlib.Path(hello.__file__)
        path.write_text(path.read_text().replace("0.1.0", "0.2.0"))
        print(hello.app.answer({"REQUEST_METHOD": "GET", "PATH_INFO": "/health"})[2])""", PYTHONPATH=str(place / "src"))
    assert json.loads(done.stdout) == {"status": "ok", "version": "0.1.0", "lazy_version": "0.2.0"}


def test_the_entry_loads_with_its_settings(place):
    project.create("my-app", place, git=False)
    (place / "etc/my-app.ini").write_text("[page]\ngreeting = <Good day>\n")
    load_entry = """if True:
        path = "wsgi/my-app.wsgi"
        space = {"__name__": "entry", "__file__": path}
        exec(compile(open(path).read(), path, "exec"), space)
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
        print(b"".join(space["application"](environ, lambda *said: None)).decode())"""
    done = _python(place, "-c", load_entry, PYTHONPATH=str(place / "src"))
    assert "<h1>&lt;Good day&gt;</h1><p>This is my-app 0.1.0.</p>" in done.stdout, done.stderr


def test_the_first_commit_holds_everything(place):
    written = project.create("hello", place)
    assert git(place, "status", "--porcelain", "--ignored") == "" and git(place, "branch", "--show-current") == "main"
    assert written.commit == git(place, "rev-parse", "--short", "HEAD") and written.place == place
    assert git(place, "rev-list", "--count", "HEAD") == "1"
    assert git(place, "show", "-s", "--format=%s") == "Begin hello, as written by weft new"


def test_a_known_author_signs_the_commit(place, tmp_path):
    env = {**stranger(tmp_path), "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada",
           "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "ada@example.org"}
    assert not project.create("hello", place, environ=env).stranger
    assert git(place, "show", "-s", "--format=%an <%ae> %cn") == "Ada <ada@example.org> Ada"


def test_without_an_author_a_local_name_serves_for_this_commit_only(place, tmp_path):
    assert project.create("hello", place, environ=stranger(tmp_path)).stranger
    assert git(place, "show", "-s", "--format=%an <%ae>") == "weft new <weft@localhost>"
    assert "weft" not in (place / ".git/config").read_text()


def test_variables_that_name_another_repository_are_not_followed(place, tmp_path):
    git(tmp_path, "init", "-q", "other")
    project.create("hello", place, environ={**os.environ, "GIT_DIR": str(tmp_path / "other/.git"), "GIT_WORK_TREE": "/"})
    assert git(place, "rev-list", "--count", "HEAD") == "1" and entries(tmp_path / "other/.git/refs/heads") == []


@pytest.mark.parametrize("name, message, hint", [
    ("", "'' is not an application name", "use lower-case"), ("../x", "'../x' is not an application name", "use lower-case"),
    ("-rf", "'-rf' is not an application name", "use lower-case"), ("Hello", "'Hello' is not an application name", "use lower"),
    ("1st", "'1st' is not an application name", "use lower-case"), ("a b", "'a b' is not an application name", "use lower-case"),
    ("json", "the name 'json' is taken: a module of Python's own", "choose another, such as my-json"),
    ("class", "the name 'class' is taken: a keyword of Python's", "choose another, such as my-class"),
    ("weft", "the name 'weft' is taken: weft's own package", "choose another, such as my-weft"),
    ("tests", "the name 'tests' is taken: the tests", "choose another, such as my-tests"),
])
def test_a_name_that_cannot_be_is_refused(name, message, hint, place, tmp_path):
    with pytest.raises(UsageError) as told:
        project.create(name, place)
    assert told.value.message == message and told.value.hint.startswith(hint) and entries(tmp_path) == []


def test_nothing_that_is_there_is_touched(place, tmp_path):
    place.mkdir()
    (place / ".hidden").write_text("mine")
    with pytest.raises(Refused) as told:
        project.create("hello", place)
    assert told.value.lines() == [f"{place} is there and not empty", "now:  nothing changed",
                                  "next: choose another name, or --dir DIRECTORY"]
    assert entries(tmp_path) == ["made"] and entries(place) == [".hidden"]


def test_a_file_or_a_missing_parent_in_the_way(place, tmp_path):
    place.write_text("mine")
    with pytest.raises(Refused, match="is there and not a directory"):
        project.create("hello", place)
    assert place.read_text() == "mine"
    with pytest.raises(Refused) as told:
        project.create("hello", tmp_path / "no/where")
    assert told.value.hint == f"mkdir -p {tmp_path}/no"


def test_an_empty_directory_is_filled_and_stays_the_same(place):
    place.mkdir()
    before = place.stat().st_ino
    project.create("hello", place)
    assert place.stat().st_ino == before and git(place, "status", "--porcelain") == ""


def test_a_commit_that_fails_leaves_nothing(place, tmp_path):
    hook = tmp_path / "template/hooks/pre-commit"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused) as told:
        project.create("hello", place, environ={**os.environ, "GIT_TEMPLATE_DIR": str(tmp_path / "template")})
    assert "not today" in told.value.message and told.value.effect == "nothing was written"
    assert entries(tmp_path) == ["template"]


def test_without_git_it_says_so_and_writes_nothing(place, tmp_path):
    with pytest.raises(Refused) as told:
        project.create("hello", place, environ={"PATH": str(tmp_path)})
    assert told.value.message == "git is not installed; a release is made from a repository" and entries(tmp_path) == []
    assert project.create("hello", place, git=False, environ={"PATH": ""}).commit == ""
    assert not (place / ".git").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my-app", "my_app"])
def test_it_builds_and_the_sdist_holds_what_version_control_holds(name, place, tmp_path):
    project.create(name, place)
    done = _python(place, "-m", "build", "--outdir", str(tmp_path / "dist"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert entries(tmp_path / "dist") == ["my_app-0.1.0-py3-none-any.whl", "my_app-0.1.0.tar.gz"]
    held = subprocess.run(["tar", "tf", str(tmp_path / "dist/my_app-0.1.0.tar.gz")], capture_output=True, text=True, check=True)
    inside = {line.split("/", 1)[1] for line in held.stdout.splitlines() if not line.endswith("/")}
    made = {each for each in inside if "egg-info" in each} | {"PKG-INFO", "setup.cfg"}
    assert inside - made == set(git(place, "ls-files").splitlines())
    with zipfile.ZipFile(tmp_path / "dist/my_app-0.1.0-py3-none-any.whl") as wheel:
        assert {each.split("/")[0] for each in wheel.namelist()} == {"my_app", "my_app-0.1.0.dist-info"}


@pytest.mark.slow
def test_inv_tests_and_releases_it_untouched(place):
    project.create("my-app", place)
    git(place, "config", "user.name", "Ada")
    git(place, "config", "user.email", "ada@example.org")
    weft = {"PYTHONPATH": str(Path(project.__file__).parents[2])}
    tested = _python(place, "-m", "invoke", "test", **weft)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    released = _python(place, "-m", "invoke", "release", "--version", "0.1.0", "--yes", **weft)
    assert released.returncode == 0, released.stdout + released.stderr
    assert {"manifest.json", "requirements.lock", "my_app-0.1.0.tar.gz"} <= set(entries(place / "artifacts/my-app/0.1.0"))
    assert git(place, "tag") == "0.1.0" and git(place, "status", "--porcelain") == ""
    assert re.search(r"^## \[0\.1\.0\] - \d{4}-\d\d-\d\d$", (place / "CHANGELOG").read_text(), re.M)


def _python(place, *words, **more):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("WEFT_", "PYTHONPATH"))}
    return subprocess.run([sys.executable, *words], cwd=place, capture_output=True, text=True, check=False, env={**env, **more})
