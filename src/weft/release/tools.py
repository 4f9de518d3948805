"""The programs that packages are fetched and built with: pip, uv where it is installed, and pip's own wheel for hosts."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Callable

from weft import durable
from weft.release import pipconf, run


def cache() -> Path:
    """weft's directory in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft"


def uv() -> str:
    """The path of uv; "" when there is none, or when pip is configured in a way that uv cannot be told of."""
    if not pipconf.uv_can():
        return ""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.is_file() else shutil.which("uv") or ""


def pip() -> list[str]:
    """pip as an argument vector: this Python's own, else from its bundled wheel."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    bundled = _bundled_pip()
    return [sys.executable, f"{bundled}/pip"] if bundled else [shutil.which("pip") or "pip"]


_ELSEWHERE = """
import json, sys
sys.path[:0] = [each for each in sys.argv[1:2] if each]
from pip._vendor.packaging import markers
here, there = markers.default_environment, json.loads(sys.argv[2])
markers.default_environment = lambda: {**here(), **there}
from pip._internal.resolution.resolvelib import candidates
python, own = candidates.RequiresPythonCandidate, candidates.RequiresPythonCandidate.__init__
python.__init__ = lambda self, said: own(self, said or tuple(map(int, there["python_full_version"].split("."))))
from pip._internal.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


def pip_for(target: Any) -> list[str]:
    """pip for a target: under its own interpreter where that is here.

    Elsewhere its options choose wheels of another Python, but it would still read `python_version < "3.12"` in what others
    require as it is true for itself, and `pip install` compares Requires-Python with itself: it is told the target's environment.
    """
    if target.own:
        return pip()
    if target.builder:
        return [*pip(), "--python", target.builder]
    bundled = "" if importlib.util.find_spec("pip") else str(_bundled_pip() or "")
    if not bundled and not importlib.util.find_spec("pip"):
        return pip()
    return [sys.executable, "-c", _ELSEWHERE, bundled, json.dumps({**target.environment, "implementation_version": target.environment["python_full_version"]})]


def _bundled_pip() -> Path | None:
    """The wheel that ensurepip brings, or that Debian keeps for it."""
    places = [Path("/usr/share/python-wheels")]
    if importlib.util.find_spec("ensurepip"):
        places.insert(0, Path(str(importlib.resources.files("ensurepip") / "_bundled")))
    return next((wheel for place in places for wheel in sorted(place.glob("pip-*.whl"))), None)


def installer(log: Callable[[str], None]) -> Path:
    """A wheel of pip, with which a host installs the others without a network. Raises CommandFailed."""
    bundled = _bundled_pip()
    if bundled:
        return bundled
    place = cache() / "tools"
    if not list(place.glob("pip-*.whl")):
        fresh = durable.temp_name(place)
        run.watch([*pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(fresh), "pip"],
                  Path.cwd(), log=log)
        place.mkdir(parents=True, exist_ok=True)
        for wheel in fresh.glob("pip-*.whl"):
            os.rename(wheel, place / wheel.name)
        fresh.rmdir()
    return sorted(place.glob("pip-*.whl"))[-1]


def clean() -> dict[str, str]:
    """An environment in which pip and uv see no configuration of this machine's."""
    kept = {name: value for name, value in run.environment().items() if not name.startswith(("PIP_", "UV_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}


def python(minor: str) -> str:
    """An interpreter of that minor version on this machine; "" when there is none that starts."""
    if minor == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    try:
        return run.ask([f"python{minor}", "-c", "import sys; print(sys.executable)"], Path.cwd()).strip()
    except run.CommandFailed:
        return ""
