"""~/.ssh/config with what its Include lines name; paramiko, and so Fabric, passes over those lines.

What an included file says counts under the conditions that its Include stands under, as in OpenSSH: its own Host and Match lines are handed on with those added, and what
follows it stands under those that its Include does. There is one difference: a `Match host` is judged once more then, by the HostName that was found meanwhile.
Imports paramiko late.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from pathlib import Path
from typing import Any, Generator, Iterable

from weft.errors import Refused

USER = Path("~/.ssh/config")
SYSTEM = Path("/etc/ssh/ssh_config")
_SETTING = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.+?)\s*")
_DEPTH = 16  # OpenSSH's own limit


def read(paths: Iterable[Path]) -> Any:
    """A paramiko SSHConfig of all of them; files that are not there are left out. Raises Refused, with the file, for what cannot be read."""
    from paramiko import SSHConfig
    from paramiko.ssh_exception import ConfigParseError
    config = SSHConfig()
    for path in (each.expanduser() for each in paths):
        try:
            config.parse(_lines(path, SYSTEM.parent if path == SYSTEM else USER.parent.expanduser(), (), 0) if path.is_file() else [])
        except (ConfigParseError, ValueError) as error:
            raise Refused(f"{path}: {error}", "ssh -G HOST says what OpenSSH makes of it") from None
        except OSError as error:
            raise Refused(f"{error.filename or path} cannot be read: {error.strerror}", "mend its rights, or take its name out of the Include") from None
    return config


class Configs:
    """What Fabric's Config and ~/.ssh/config say of hosts, each looked up once. config: Fabric's; None for its usual files. Raises as `read`."""

    def __init__(self, config: Any = None):
        from fabric import Config
        config = Config() if config is None else config
        said = config.base_ssh_config
        if any("include" in block["config"] for block in getattr(said, "_config", ())):
            said = read(map(Path, [config._runtime_ssh_path] if config._runtime_ssh_path else [config._user_ssh_path, config._system_ssh_path]))
        self.gateway, self._said, self._found = config.gateway, said, {}
        self._bare = _with(config, None)

    def lookup(self, name: str) -> Any:
        """What ~/.ssh/config says of a host, by the name that it has there, with what the config includes."""
        if name not in self._found:
            self._found[name] = self._said.lookup(name)
        return self._found[name]

    def own(self, name: str) -> Any:
        """A Fabric Config for a Connection to that host. A copy each: a Connection writes into its Config, which empties it for a moment while other hosts' threads read
        theirs. And of ~/.ssh/config only what was found: with the whole in each, a fleet was looked for in its own rules once more for each host."""
        return _with(self._bare, {"host": ["*"], "config": dict(self.lookup(name))})


def _with(config: Any, block: Any) -> Any:
    """As Invoke copies: Fabric reads ~/.ssh/config into the original once more for each copy."""
    from invoke import Config
    from paramiko import SSHConfig
    said = SSHConfig()
    said._config = [block] if block else []
    made = Config.clone(config)
    made._set(base_ssh_config=said)
    return made


def identities(said: Any) -> list[str]:
    """The key files that a config names for a host (a lookup in what `read` gives) and that are there. OpenSSH passes over the others; paramiko ends at the first of them."""
    return [each for each in said.get("identityfile", []) if os.path.isfile(each)]


def _lines(path: Path, base: Path, within: tuple[str, ...], depth: int) -> Generator[str, None, bool]:
    """A file's lines, with those of the files that it includes in their places. base: where relative names begin. within: the conditions that it is read under.
    Returns whether another block may have been begun: only then the one around it is begun anew, for a `Match host` is judged by what was found till then."""
    if depth > _DEPTH:
        raise ValueError(f"more than {_DEPTH} files include one another, the last of them {path}")
    block, begun = within, False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        setting = _SETTING.fullmatch(line)
        word, value = (setting[1].lower(), setting[2]) if setting else ("", "")
        if word in ("host", "match"):
            block, begun = (*within, *_conditions(word, value)), True
            yield _header(block) if within else line
        elif word == "include":
            for each in _files(value, base):
                if (yield from _lines(each, base, block, depth + 1)):
                    yield _header(block)
        else:
            yield line
    return begun


def _conditions(word: str, value: str) -> tuple[str, ...]:
    """Those of a Host or a Match line, as a Match line has them."""
    words = shlex.split(value)
    if word == "host":
        return ("originalhost", shlex.quote(",".join(words)))
    return tuple(shlex.quote(each) for each in words if each.lower() != "all")


def _header(block: tuple[str, ...]) -> str:
    return f"Match {' '.join(block)}" if block else "Host *"


def _files(value: str, base: Path) -> list[Path]:
    """What an Include names: patterns over files, in the order of their names; what is not there is nothing."""
    patterns = [os.path.join(base, os.path.expanduser(each)) for each in shlex.split(value)]
    return [Path(found) for pattern in patterns for found in sorted(glob.glob(pattern)) if os.path.isfile(found)]
