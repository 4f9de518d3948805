"""The words that say which environment and which of its hosts a task is about; the same for every task of fab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weft.errors import UsageError

ENV = "the environment: deploy/NAME.toml (default: the only one)"
LIMIT = "only these hosts: names, groups or globs, by comma"
EXCLUDE = "all but these hosts, named likewise"
JSON = "one JSON object at the end, nothing else on standard output"
SCOPE = {"env": ENV, "limit": LIMIT, "exclude": EXCLUDE, "json": JSON}
"""Their help; each task takes a copy, which Invoke empties."""
LOCK_WAIT = "seconds to wait for somebody else's rollout or freeze to end (default: not at all)"


def load(c: Any, env: str, limit: str = "", exclude: str = "") -> Any:
    """The environment. Raises UsageError also for Fabric's own -H: a rollout owns its hosts and their order."""
    from weft.rollout import environment
    if getattr(c, "original_host", None):
        raise UsageError(f"-H {c.original_host} would run this task once a host, one after the other, without waves",
                         f"use --limit {c.original_host}")
    fabric_config = c.config if hasattr(c.config, "base_ssh_config") else None
    return environment.load(environment.project_root(Path.cwd()), env, limit, fabric_config, exclude)


def number(text: str, option: str, default: int = 0, low: int = 0, high: int = 0, such: int = 600) -> int:
    """A whole number that somebody typed; high: 0 for no limit; such: what the hint names where there is no default. Raises UsageError; Invoke's own conversion would end in a traceback."""
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and low <= int(text) and (not high or int(text) <= high)):
        raise UsageError(f"{option}: {text!r} is no whole number" + (f" from {low} to {high}" if high else ""), f"such as {option} {default or such}")
    return int(text)


def digests(text: str, option: str) -> frozenset[str]:
    """Plans by their digests, as somebody typed them, by comma; none for "". Raises UsageError."""
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if len(word) != 12 or set(word) - set("0123456789abcdef"):
            raise UsageError(f"{option}: {word!r} is no plan's digest", "fab plan shows them: twelve hex digits for each host")
    return frozenset(words)
