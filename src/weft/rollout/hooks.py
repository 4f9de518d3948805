"""The hooks of an environment: which commands there are, what they are told, and what is wrong with them. Pure but for looking whether a program is there."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from weft.config.keys import MOMENTS
from weft.config.load import Layer
from weft.record import field, record

ONCE = ("app", "env", "verb", "version", "previous", "result")
"""What a hook of a deploy can be told, as {app} in its vector and as WEFT_APP in its environment."""
EACH = (*ONCE, "host", "address")
"""The same, of a host's hook."""
_WORD = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")


@record(frozen=True)
class Hooks:
    """commands: "before_stage" or "host.before_stage" -> argument vectors.  seconds: the deadline of each, likewise.  origins: file and line, likewise.

    fixed: app and env.  root: the project, where they run.
    """

    root: Path = Path()
    fixed: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    seconds: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> list[list[str]]:
        return [list(argv) for argv in self.commands.get(name, ())]

    def absent(self, told: Iterable[Mapping[str, str]]) -> list[str]:
        """The programs that cannot be started, each with file, line and key. told: the values of each host."""
        said = [dict(each) for each in told]
        faults = []
        for name, vectors in self.commands.items():
            several = said if name.startswith("host.") else said[:1]
            programs = dict.fromkeys(expand(argv, values)[0] for argv in vectors for values in several)
            faults += [f"{self.origins.get(name, name)}: hooks.{name}: {_why(self.root, program)}" for program in programs if _why(self.root, program)]
        return faults


def hooks(env: Layer, root: Path, app: str) -> Hooks:
    """Raises UsageError, with file and line, for a placeholder that means nothing and a deadline of 0 seconds."""
    keys = [prefix + name for prefix in ("", "host.") for name in MOMENTS]
    for prefix in ("hooks.", "hooks.host."):
        if env[f"{prefix}timeout"] < 1:
            raise env.wrong(f"{prefix}timeout", "must be 1 or more", "the seconds that each command may take, such as 60")
    for name in keys:
        known = EACH if name.startswith("host.") else ONCE
        for argv in env[f"hooks.{name}"]:
            for word in unknown(argv, known):
                other = "; a hook of a deploy has no host: put it in [hooks.host]" if word in EACH else ""
                raise env.wrong(f"hooks.{name}", f"{{{word}}} means nothing here{other}",
                                f"known: {', '.join(f'{{{each}}}' for each in known)}; write {{{{{word}}}}} for the text {{{word}}} itself")
    given = {name: env[f"hooks.{name}"] for name in keys if env[f"hooks.{name}"]}
    return Hooks(root, {"app": app, "env": env["name"]}, given,
                 {name: env["hooks.host.timeout" if name.startswith("host.") else "hooks.timeout"] for name in given},
                 {name: env.origin(f"hooks.{name}") for name in given})


def unknown(argv: Sequence[str], known: Iterable[str]) -> list[str]:
    """The placeholders of a vector that mean nothing."""
    return [found[2] for part in argv for found in _WORD.finditer(part) if found[2] and found[2] not in known]


def expand(argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The vector with its placeholders filled in, each part by itself: no value can become two words. `python` is the one that runs weft."""
    said = [_WORD.sub(lambda found: f"{{{found[1]}}}" if found[1] else values.get(found[2], ""), part) for part in argv]
    return [sys.executable if said[0] == "python" else said[0], *said[1:]]


def environment(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """The operator's own, and what the hook is told."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_")}
    return {**own, "WEFT_HOOK": name, **{f"WEFT_{key.upper()}": value for key, value in values.items()}}


def result(status: str) -> str:
    """What a host's hook is told of its switch: "" before it, then switched, failed (what was served before is served) or unknown."""
    return {"switched": "switched", "current": "switched", "failed": "failed", "reverted": "failed", "lost": "unknown", "stuck": "unknown",
            "unknown": "unknown", "switching": "unknown"}.get(status, "")


def _why(root: Path, program: str) -> str:
    """Why a program cannot be started, "" where it can. With a slash it is relative to the project."""
    if "/" not in program:
        return "" if shutil.which(program) else f"there is no program {program!r} on the PATH"
    path = root / program
    if not path.is_file():
        return f"{path} is not there"
    return "" if os.access(path, os.X_OK) else f"{path} is not executable"


def told(fixed: Mapping[str, str], runs: Sequence[Any], verb: str) -> dict[str, str]:
    """The values of a deploy: versions that differ between hosts stand side by side."""
    one = [of_host(fixed, run, verb) for run in runs]
    return {**fixed, "verb": verb, "result": "", **{key: ",".join(dict.fromkeys(filter(None, (each[key] for each in one)))) for key in ("version", "previous")}}


def of_host(fixed: Mapping[str, str], run: Any, verb: str) -> dict[str, str]:
    """The values of one host. address: what SSH connects to."""
    live = next((each for each in run.before.get("generations", ()) if each["number"] == run.before.get("live")), {})
    version = run.plan.target.rsplit("-", 1)[0] if run.plan else ""
    return {**fixed, "verb": verb, "version": version, "previous": str(live.get("version", "")) if live.get("number") else "", "result": result(run.status),
            "host": run.host.name, "address": run.host.target}
