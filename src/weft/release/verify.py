"""Install a release as a host will, from its own files alone, and import it."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Sequence

from weft import durable
from weft.release import run, tools

_IMPORT = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
if sys.argv[1]:
    module, _, attribute = sys.argv[1].partition(":")
    found = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    if not callable(found):
        sys.exit(f"{sys.argv[1]} is a {type(found).__name__}, not a WSGI callable")
"""
_COMPILE = "import sys; compile(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1], 'exec')"


def install(python: str, place: Path, lock: Path, house: Path, wheel: Path, log: Callable[[str], None]) -> str:
    """A fresh virtualenv at `place` with the locked wheels and the application, all by hash. Returns its python.

    Nothing is asked of an index, and no configuration of this machine's is read. Raises CommandFailed.
    """
    env = tools.clean()
    run.watch([python, "-m", "venv", "--without-pip", str(place)], place.parent, env, log)
    inside = str(place / "bin/python")
    everything = place / "everything.txt"
    everything.write_text(f"{lock.read_text(encoding='utf-8')}{wheel} --hash=sha256:{durable.sha256(wheel)}\n", encoding="utf-8")
    uv = tools.uv()
    installer = [uv, "pip", "install", "--no-config", "--no-cache", "--offline", "--python", inside] if uv else \
        [*tools.pip(), "--python", inside, "install", "--no-input", "--no-compile"]
    run.watch([*installer, "--quiet", "--no-index", "--no-deps", "--only-binary", ":all:", "--require-hashes",
               "--find-links", str(house), "--requirement", str(everything)], place.parent, env, log)
    return inside


def imports(inside: str, names: Sequence[str], callable_: str, settings: Path | None, cwd: Path, log: Callable[[str], None]) -> None:
    """Import the packages and find the WSGI callable, with the release's default settings. Raises CommandFailed."""
    env = tools.clean()
    if settings:
        env["WEFT_SETTINGS"] = str(settings)
    run.watch([inside, "-I", "-c", _IMPORT, callable_, *names], cwd, env, log)


def compiles(python: str, entry: Path, cwd: Path, log: Callable[[str], None]) -> None:
    """The entry file is Python of the target's version. Raises CommandFailed."""
    run.watch([python, "-I", "-c", _COMPILE, str(entry)], cwd, tools.clean(), log)


