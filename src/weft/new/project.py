"""Write a project from the skeleton: all of it, with its first commit, or nothing.

observe (the name, the place, git) -> decide (path -> text) -> apply (a hidden directory beside the place, then one rename).
"""

from __future__ import annotations

import keyword
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Iterator, Mapping, Sequence

from weft import durable
from weft.errors import Refused, UsageError
from weft.values import app_name

SUFFIX = ".tmpl"  # so that nothing takes a template for a module, a test or a configuration
_TAKEN = {"weft": "weft's own package", "tests": "the tests", "tasks": "tasks.py", "fabfile": "fabfile.py",
          "setup": "setup.py", "simple": "the package index's address"}
# Variables of git that name another repository than the one in the working directory.
_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


@dataclass(frozen=True)
class Written:
    """What was made. commit: the first one, abbreviated, "" without git.  stranger: git knew no author's name."""

    name: str
    place: Path
    commit: str = ""
    stranger: bool = False


def checked_name(name: str) -> str:
    """A name that an application, a Python package and a distribution can have. Raises UsageError."""
    package = package_of(app_name(name))
    taken = _TAKEN.get(package)
    if keyword.iskeyword(package):
        taken = "a keyword of Python's"
    elif package in sys.stdlib_module_names:
        taken = "a module of Python's own"
    if taken:
        raise UsageError(f"the name {name!r} is taken: {taken}", f"choose another, such as my-{name}")
    return name


def package_of(name: str) -> str:
    """The Python package of an application: an identifier."""
    return name.replace("-", "_")


def host_python() -> str:
    """The minor version of the Python that environments use by default, else this one's: the wheels are for it."""
    found = re.fullmatch(r"python(3\.\d+)", os.path.basename(os.path.realpath("/usr/bin/python3")))
    return found[1] if found else f"3.{sys.version_info.minor}"


def render(name: str, python: str) -> dict[str, str]:
    """Every file of the project, by its path in it."""
    words = {"name": name, "package": package_of(name), "python": python}
    return {_renamed(path, name): Template(template.read_text(encoding="utf-8")).substitute(words)
            for path, template in _templates(files("weft.new").joinpath("skeleton"))}


def _templates(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.is_dir():
            yield from _templates(each, f"{above}{each.name}/")
        elif each.name.endswith(SUFFIX):
            yield above + each.name, each


def _renamed(path: str, name: str) -> str:
    """The skeleton's own names become the project's: NAME, PACKAGE, and dot- for a leading dot."""
    parts = path.removesuffix(SUFFIX).replace("PACKAGE", package_of(name)).replace("NAME", name).split("/")
    return "/".join(re.sub(r"^dot-", ".", part) for part in parts)


def create(name: str, place: Path, git: bool = True, environ: Mapping[str, str] | None = None) -> Written:
    """Write the project `name` into `place`, which must be absent or an empty directory.

    Raises UsageError for the name, Refused for the place, for a missing git and when the first commit fails; then
    nothing was written.
    """
    texts = render(checked_name(name), host_python())
    place = place.resolve()
    _check_place(place)
    env = {key: value for key, value in (os.environ if environ is None else environ).items() if key not in _GIT_PLACES}
    if git and not shutil.which("git", path=env.get("PATH")):
        raise Refused("git is not installed; a release is made from a repository",
                      "apt-get install -y git, or: weft new --no-git and a repository of your own")
    draft = durable.temp_name(place)
    try:
        _write(draft, texts)
        written = _committed(draft, name, place, env) if git else Written(name, place)
        _settle(draft, place)
    except OSError as error:
        raise Refused(f"{place} cannot be written: {error.strerror}", "weft new NAME --dir DIRECTORY") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return written


def _check_place(place: Path) -> None:
    if place.is_dir():
        if any(place.iterdir()):
            raise Refused(f"{place} is there and not empty", "choose another name, or --dir DIRECTORY")
    elif os.path.lexists(place):
        raise Refused(f"{place} is there and not a directory", "choose another name, or --dir DIRECTORY")
    elif not place.parent.is_dir():
        raise Refused(f"{place.parent} is not a directory", f"mkdir -p {place.parent}")


def _write(draft: Path, texts: Mapping[str, str]) -> None:
    draft.mkdir()
    for path, text in texts.items():
        target = draft / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _settle(draft: Path, place: Path) -> None:
    """Give the draft its name. An empty directory that is there may be somebody's working directory: it is filled."""
    if not place.is_dir():
        os.rename(draft, place)
        return
    for each in sorted(draft.iterdir()):
        os.rename(each, place / each.name)


def _committed(draft: Path, name: str, place: Path, env: Mapping[str, str]) -> Written:
    """A repository with everything in one commit; without a known author the commit bears a local name."""
    _git(draft, env, "init", "-q", "-b", "main")
    known = _known(draft, env, "name") and _known(draft, env, "email")
    local = [] if known else ["-c", "user.name=weft new", "-c", "user.email=weft@localhost"]
    _git(draft, env, "add", "--all")
    _git(draft, env, *local, "commit", "-q", "-m", f"Begin {name}, as written by weft new")
    commit = _git(draft, env, "rev-parse", "--short", "HEAD")
    return Written(name, place, commit, not known)


def _known(draft: Path, env: Mapping[str, str], what: str) -> bool:
    """Whether git can tell the author's name or email without guessing."""
    if all(env.get(f"GIT_{who}_{what.upper()}") for who in ("AUTHOR", "COMMITTER")) or (what == "email" and env.get("EMAIL")):
        return True
    return bool(_run(draft, env, ("config", "--get", f"user.{what}")).stdout.strip())


def _git(draft: Path, env: Mapping[str, str], *words: str) -> str:
    done = _run(draft, env, words)
    if done.returncode != 0:
        raise Refused(f"git {' '.join(words)}: {(done.stderr or done.stdout).strip()}",
                      "mend that, or: weft new --no-git", "nothing was written")
    return done.stdout.strip()


def _run(draft: Path, env: Mapping[str, str], words: Sequence[str]) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *words], cwd=draft, env=dict(env), capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
