"""The programs that packages are fetched and built with: pip, uv where it is installed, and pip's own wheel for hosts."""

from __future__ import annotations

import configparser
import importlib.resources
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Callable

from weft import durable
from weft.release import run


def cache() -> Path:
    """weft's directory in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft"


def uv() -> str:
    """The path of uv; "" when there is none, or when pip is sent to an index of its own that uv has not been told of."""
    if _pip_index() and not any(os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE")):
        return ""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.is_file() else shutil.which("uv") or ""


def _pip_index() -> str:
    """The index that replaces the public one in pip's configuration, if any."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", config / "pip/pip.conf", Path(sys.prefix, "pip.conf"),
             Path(os.environ.get("PIP_CONFIG_FILE") or os.devnull)]
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return os.environ.get("PIP_INDEX_URL", "") or parser.get("global", "index-url", fallback="")


def pip() -> list[str]:
    """pip as an argument vector: this Python's own, else from its bundled wheel."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    bundled = _bundled_pip()
    return [sys.executable, f"{bundled}/pip"] if bundled else [shutil.which("pip") or "pip"]


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
