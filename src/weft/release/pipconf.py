"""What pip is told by its files and its environment, so that uv can be told the same: both ask the same places.

Read as pip reads it: the machine's files, the user's, the virtualenv's, PIP_CONFIG_FILE, then PIP_*; a section of the
command goes before [global], and an empty value counts as none.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import sys
from pathlib import Path
from typing import Mapping

from weft.plan import canonical

_BEYOND_UV = {"no-index", "no-binary", "only-binary", "prefer-binary", "client-cert", "proxy"}
"""What uv is not told, or would understand otherwise: with these pip does it."""
_LISTS = {"extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS", "trusted-host": "UV_INSECURE_HOST"}
_BETWEEN = {"UV_FIND_LINKS": ","}


def settings() -> dict[str, str]:
    """pip's configuration for `pip install`, by the long option's name."""
    found: dict[str, dict[str, str]] = {}
    for path in _files():
        for section, said in _read(path).items():
            found.setdefault(section, {}).update(said)
    env = {name[4:].lower().replace("_", "-"): value for name, value in os.environ.items() if name.startswith("PIP_")}
    layers = [found.get("global", {}), found.get("install", {}), env]
    return {name: value for layer in layers for name, value in layer.items() if value.strip()}


def _files() -> list[Path]:
    """Those that pip reads, what goes before comes last. A PIP_CONFIG_FILE stands for the user's own."""
    own, home = os.environ.get("PIP_CONFIG_FILE", ""), Path.home()
    if own == os.devnull:
        return []
    shared = [Path(each, "pip") for each in os.environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep) if each] or [Path("/etc/xdg/pip")]
    users = [home / ".pip", Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip")]
    folders = [*shared, Path("/etc"), *(users if not os.path.exists(own) else ()), Path(sys.prefix)]
    return [*(folder / "pip.conf" for folder in folders), *([Path(own)] if own else [])]


def _read(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Section -> option -> value. What cannot be read pip refuses itself, in its own words."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return {section: {name.lower().removeprefix("--").replace("_", "-"): value or "" for name, value in parser.items(section)}
            for section in parser.sections()}


def constraints() -> list[str]:
    """The constraints files, as pip's own configuration names them."""
    return [_absolute(each) for each in settings().get("constraint", "").split()]


def uv_can() -> bool:
    """Whether uv can be told all that pip is told."""
    return not _BEYOND_UV & {name for name, value in settings().items() if value.lower() not in ("0", "no", "false", "off", "n", "f")}


def for_uv() -> dict[str, str]:
    """The same as environment variables of uv's. Of several indexes the best version counts, as it does for pip."""
    said = settings()
    env = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    if "index-url" in said:
        env["UV_DEFAULT_INDEX"] = said["index-url"]
    for name, variable in _LISTS.items():
        if name in said:
            env[variable] = _BETWEEN.get(variable, " ").join(_absolute(each) for each in said[name].split())
    if constraints():
        env["UV_CONSTRAINT"] = " ".join(constraints())
    if said.get("pre", "").lower() in ("1", "yes", "true", "on", "y", "t"):
        env["UV_PRERELEASE"] = "allow"
    if "cert" in said:
        env["SSL_CERT_FILE"] = _absolute(said["cert"])
    return env


def _absolute(said: str) -> str:
    """A path of its own on this machine; an address, or a host's name, stays as it is."""
    path = os.path.abspath(os.path.expanduser(said))
    return path if "://" not in said and os.path.exists(path) else said


def digest() -> str:
    """Of all that decides what a lock comes to, the constraints' words too; addresses with passwords do not show in it."""
    said = {name: value for name, value in settings().items() if name in (*_LISTS, "index-url", "pre", "no-index", "no-binary",
                                                                          "only-binary", "prefer-binary", "constraint")}
    texts = [Path(each).read_text(encoding="utf-8", errors="replace") for each in constraints() if os.path.isfile(each)]
    return hashlib.sha256(canonical([said, texts]).encode()).hexdigest()
