"""The secrets of an environment on the operator's side: where each comes from, and its value, asked for once a rollout."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence

from weft.config import ini
from weft.config.load import Layer
from weft.errors import Refused
from weft.record import record
from weft.secret import Hidden, Secret
from weft.servers import valid_sections

KINDS = ("env", "command", "file")
LONGEST = 60.0
"""Seconds for a command to give its secret."""
UNTOUCHED = "nothing was contacted, nothing changed"


@record(frozen=True)
class Source:
    """kind: out of KINDS.  what: a variable's name, a command's argument vector, a file on the host."""

    section: str
    key: str
    kind: str
    what: Any

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"

    @property
    def origin(self) -> str:
        """For people."""
        return {"env": f"${self.what}", "command": f"`{shlex.join(self.what) if self.kind == 'command' else ''}`", "file": f"{self.what} on the host"}[self.kind]


def sources(env: Layer) -> tuple[Source, ...]:
    """[secrets.SECTION] of an environment. Raises UsageError, with file and line, without showing a value."""
    found = []
    for section, values in env["secrets"].items():
        if not isinstance(values, dict) or any(section_key in KINDS and not isinstance(each, dict) for section_key, each in values.items()):
            raise env.wrong("secrets", f"{section!r} stands outside of a section", f"write it as [secrets.SECTION] with {section} = {{env = \"NAME\"}} below")
        if not valid_sections({section: {key: "" for key in values}}):
            raise env.wrong("secrets", f"[secrets.{section}] has a name that an ini cannot hold")
        found += [_source(env, section, key, said) for key, said in values.items()]
    return tuple(found)


def _source(env: Layer, section: str, key: str, said: Any) -> Source:
    kind, what = next(iter(said.items())) if isinstance(said, dict) and len(said) == 1 else ("", None)
    words = isinstance(what, list) and bool(what) and all(isinstance(each, str) and each for each in what)
    fits = {"env": isinstance(what, str) and bool(what) and "=" not in what, "command": words,
            "file": isinstance(what, str) and what.startswith("/") and ".." not in what}
    if not fits.get(kind):
        raise env.wrong("secrets", f"{section}.{key} does not say where the secret comes from",
                        'give {env = "NAME"}, {command = ["pass", "show", "shop/db"]} or {file = "/etc/shop.secret"}; never the secret itself')
    return Source(section, key, kind, what)


def files(found: Sequence[Source]) -> dict[str, dict[str, str]]:
    """`secret_files` of the engine's protocol."""
    out: dict[str, dict[str, str]] = {}
    for each in found:
        if each.kind == "file":
            out.setdefault(each.section, {})[each.key] = each.what
    return out


class Secrets:
    """environ: the operator's.  root: where commands are run."""

    def __init__(self, found: Sequence[Source] = (), root: Path = Path(), environ: Mapping[str, str] = os.environ):
        self.sources, self.root, self.environ = tuple(found), root, environ
        self._values: dict[str, dict[str, Secret]] | None = None

    def fetch(self) -> None:
        """Ask for them all, once. Raises one Refused that lists what is not to be had, and shows no output of a command."""
        if self._values is not None:
            return
        values: dict[str, dict[str, Secret]] = {}
        faults = []
        for each in self.sources:
            if each.kind == "file":
                continue
            try:
                values.setdefault(each.section, {})[each.key] = _held(each, self._variable(each) if each.kind == "env" else _said(each, self.root))
            except Refused as error:
                faults.append(error)
        if faults:
            raise Refused("\n".join(each.message for each in faults), "; ".join(dict.fromkeys(each.hint for each in faults)), UNTOUCHED)
        self._values = values

    def _variable(self, source: Source) -> str:
        value = self.environ.get(source.what, "")
        if not value:
            raise Refused(f"the secret {source.name}: the variable {source.what} is {'empty' if source.what in self.environ else 'not set'}",
                          f"export {source.what} before the command")
        return value

    def wish(self) -> dict[str, Any]:
        """What a request that renders settings says of them."""
        self.fetch()
        return {"secrets": self._values} if self._values else {}

    def hidden(self) -> Hidden:
        """What takes those that were asked for so far out of a text."""
        return Hidden(value.reveal() for values in (self._values or {}).values() for value in values.values())

    def shown(self) -> list[str]:
        """A line for each, for people."""
        return [f"{each.name} = *** (from {each.origin})" for each in self.sources]


def _said(source: Source, root: Path) -> str:
    """What a command writes, without the line end. A terminal stays its input: it may ask for a passphrase."""
    asked = None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL
    again = f"see that it gives the secret: {shlex.join(source.what)}"
    try:
        done = subprocess.run(source.what, stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, timeout=LONGEST, check=False)
    except OSError as error:
        raise Refused(f"the secret {source.name}: {source.what[0]}: {error.strerror}", again) from None
    except subprocess.TimeoutExpired:
        raise Refused(f"the secret {source.name}: {source.origin} has not ended after {LONGEST:g} s", again) from None
    if done.returncode:
        lines = [f"    {line[:300]}" for line in done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]]
        raise Refused("\n".join([f"the secret {source.name}: {source.origin} ended with {done.returncode}", *lines]), again)
    try:
        return done.stdout.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Refused(f"the secret {source.name}: {source.origin} writes no UTF-8", again) from None


def _held(source: Source, value: str) -> Secret:
    if not value:
        raise Refused(f"the secret {source.name}: {source.origin} writes nothing", f"see that it gives the secret: {shlex.join(source.what)}")
    if not ini.holds(value) or not valid_sections({"secret": {"value": value}}):
        raise Refused(f"the secret {source.name} (from {source.origin}) is nothing that an ini can hold",
                      "it may have no empty space around it, no NUL or carriage return, and no line that begins with # or ;")
    return Secret(value)
