"""The virtualenv that the working tree is served from: one that weft makes and keeps, or somebody's own, the project editable in both."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from weft import durable
from weft.develop.checkout import Checkout
from weft.errors import Refused, UsageError
from weft.release import pins, run, tools
from weft.servers import express

SYSTEM_PYTHON = "/usr/bin/python3"
SOURCES = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.lock")
"""What says which dependencies there are."""
# Is anything on the path inside the project, and not of the virtualenv's own?  Or is a distribution installed from it, to be edited (PEP 610)?
_EDITABLE = """
import importlib.metadata, json, os, sys, urllib.parse, urllib.request
root = os.path.realpath(sys.argv[1])
def inside(path):
    path = os.path.realpath(path) + os.sep
    return path.startswith(root + os.sep) and not path.startswith(os.path.realpath(sys.prefix) + os.sep)
def from_here(dist):
    said = json.loads(dist.read_text("direct_url.json") or "{}")
    place = urllib.request.url2pathname(urllib.parse.urlparse(said.get("url", "")).path)
    return said.get("dir_info", {}).get("editable") and os.path.realpath(place) == root
sys.exit(0 if any(inside(path) for path in sys.path if path) or any(map(from_here, importlib.metadata.distributions())) else 3)
"""


@dataclass(frozen=True)
class Virtualenv:
    """python: the interpreter that it was, or will be, made with.  minor: its version, such as "3.11".  named: somebody's own."""

    path: Path
    python: str
    minor: str
    named: bool = False

    @property
    def interpreter(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def packages(self) -> Path:
        return self.path / "lib" / f"python{self.minor}" / "site-packages"


def find(checkout: Checkout, named: str = "") -> Virtualenv:
    """Which one, and its Python; nothing is made. Raises UsageError for a named one that is none, Refused for a Python that does not start."""
    if named:
        path = Path(named).expanduser().absolute()
        if not (path / "pyvenv.cfg").is_file() or not (path / "bin/python").exists():
            raise UsageError(f"--venv: {path} is no virtualenv", "name the directory that has bin/python, or leave --venv out: then one is made")
        return Virtualenv(path, str(path / "bin/python"), _minor(str(path / "bin/python"), "make that virtualenv anew"), True)
    python = checkout.python and checkout.site.python or (SYSTEM_PYTHON if express.system_fits(SYSTEM_PYTHON) else os.path.realpath(sys.executable))
    hint = f"correct `python` in deploy/{checkout.env}.toml, or name a virtualenv of yours: inv develop --venv DIR"
    return Virtualenv(checkout.place / "venv", python, _minor(python, hint))


def _minor(python: str, hint: str) -> str:
    try:
        return run.ask([python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], Path("/")).strip()
    except run.CommandFailed as error:
        raise Refused(f"{python} does not start: {error.tail[-1] if error.tail else error}", hint) from None


def fill(checkout: Checkout, there: Virtualenv, say: Callable[[str], None], live: Callable[[str], None]) -> None:
    """See that the dependencies and the project are in it. A virtualenv of somebody's own is looked at, and not changed. Raises Refused."""
    if there.named:
        return _expect(checkout, there)
    wish = fingerprint(checkout, there)
    with _alone(checkout.place):
        seal = there.path / "weft-develop.json"
        had = durable.read_json(seal) if seal.is_file() else {}
        if had == wish and there.interpreter.exists():
            return
        say(f"  {'renewing' if had else 'making'} {there.path} with Python {there.minor}: {', '.join(_installed(checkout))}")
        try:
            _make(checkout, there, had, wish, live)
        except run.CommandFailed as error:
            raise Refused(f"{error}\n" + "\n".join(f"    {line}" for line in error.tail[-15:]), "mend it, then run inv develop again",
                          f"nothing is served; {there.path} is not complete and will be filled again") from None
        durable.write(seal, json.dumps(wish))


def fingerprint(checkout: Checkout, there: Virtualenv) -> dict[str, str]:
    """What a virtualenv must have been made for."""
    digest = hashlib.sha256(json.dumps([(name, _bytes(checkout.root / name)) for name in SOURCES]).encode())
    return {"python": f"{os.path.realpath(there.python)} {there.minor}", "sources": digest.hexdigest(), "extras": ",".join(checkout.extras)}


def _bytes(path: Path) -> str:
    return path.read_bytes().hex() if path.is_file() else ""


def _installed(checkout: Checkout) -> list[str]:
    return ["the project, editable", *(["what requirements.lock pins"] if (checkout.root / "requirements.lock").is_file() else []),
            *([f"extras {', '.join(checkout.extras)}"] if checkout.extras else [])]


def _make(checkout: Checkout, there: Virtualenv, had: dict[str, str], wish: dict[str, str], live: Callable[[str], None]) -> None:
    if had.get("python") != wish["python"] or not there.interpreter.exists():
        shutil.rmtree(there.path, ignore_errors=True)
        run.watch([there.python, "-I", "-m", "venv", "--without-pip", str(there.path)], Path("/"), log=live)
    (there.path / "weft-develop.json").unlink(missing_ok=True)
    extras = f"[{','.join(checkout.extras)}]" if checkout.extras else ""
    run.watch([*tools.pip(), "--python", str(there.interpreter), "install", "--disable-pip-version-check", "--progress-bar", "off",
               *_pinned(checkout, there), "--editable", f"{checkout.root}{extras}"], checkout.root, log=live)


def _pinned(checkout: Checkout, there: Virtualenv) -> list[str]:
    """The versions of requirements.lock. Without its hashes: the files of this machine's platform may be others than those of the hosts."""
    lock = checkout.root / "requirements.lock"
    if not lock.is_file():
        return []
    lines = [f"{name}=={version}" + (f" ; {marker}" if marker else "") for name, version, marker, _digests in pins.rows(lock.read_text(encoding="utf-8"))]
    durable.write(there.path / "constraints.txt", "".join(f"{line}\n" for line in lines))
    return ["--constraint", str(there.path / "constraints.txt")]


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One at a time; and what lies here is in nobody's version control."""
    place.mkdir(parents=True, exist_ok=True)
    if not (place / ".gitignore").exists():
        durable.write(place / ".gitignore", "*\n")
    with open(place / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _expect(checkout: Checkout, there: Virtualenv) -> None:
    try:
        run.ask([str(there.interpreter), "-c", _EDITABLE, str(checkout.root)], Path("/"))
    except run.CommandFailed as error:
        if error.code != 3:
            raise Refused(f"{there.interpreter} cannot be asked what it has: {error.tail[-1] if error.tail else error}", "make that virtualenv anew") from None
        raise Refused(f"{there.path} does not have {checkout.site.app} as editable: what you change would not be served",
                      f"{there.interpreter} -m pip install --editable {checkout.root}") from None
