"""`fab run`: a command in the application's environment on hosts. Split here into words, as a shell would; none is started."""

from __future__ import annotations

import shlex
from typing import Any, Sequence, TextIO

from weft.errors import OutcomeUnknown, Refused, UsageError, WeftError
from weft.rollout import verdict
from weft.rollout.environment import Environment
from weft.rollout.inventory import Host
from weft.rollout.talk import Talk

SLACK = 30.0
"""Seconds beyond the command's own, for the connection."""


def words(command: str) -> list[str]:
    """Raises UsageError for none, and for a quote that is not closed."""
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command: {error} in {command!r}", """fab run --command "flask db upgrade" """.strip()) from None
    if not argv or not argv[0]:
        raise UsageError("which command?", 'fab run --command "flask db upgrade"')
    return argv


class Output:
    """What the hosts' commands write: as it is of one host, with the host's name before each line of several; kept for --json."""

    def __init__(self, streams: dict[str, TextIO] | None, width: int = 0):
        self.streams, self.width = streams, width
        self.kept: dict[str, dict[str, str]] = {}
        self._rest: dict[tuple[str, str], str] = {}

    def heard(self, host: str, event: dict[str, Any]) -> None:
        if event.get("event") != "output" or event.get("stream") not in ("stdout", "stderr"):
            return
        name, text = event["stream"], str(event["text"])
        if self.streams is None:
            mine = self.kept.setdefault(host, {"stdout": "", "stderr": ""})
            mine[name] = (mine[name] + text)[-(1 << 20):]
        elif not self.width:
            self._write(name, text)
        else:
            whole, end, self._rest[host, name] = (self._rest.get((host, name), "") + text).rpartition("\n")
            if end:
                self._lines(host, name, whole)

    def end(self) -> None:
        """Lines without an end."""
        for (host, name), text in self._rest.items():
            if text:
                self._lines(host, name, text)

    def _lines(self, host: str, name: str, text: str) -> None:
        self._write(name, "".join(f"{host:<{self.width}}  {line}\n" for line in text.split("\n")))

    def _write(self, name: str, text: str) -> None:
        stream = (self.streams or {})[name]
        stream.write(text)
        stream.flush()


def run(environment: Environment, hosts: Sequence[Host], argv: list[str], timeout: float, output: Output) -> Talk:
    """The command on each host; its results have `exit`, `version` and `seconds`."""
    talk = Talk(environment, hosts, output.heard)
    try:
        talk.run("run", {"argv": argv, "timeout": timeout}, timeout + SLACK)
    finally:
        output.end()
    return talk


def exit_code(results: dict[str, dict[str, Any]]) -> int:
    """Of several hosts the first that is not 0."""
    return next((int(each["exit"]) for each in results.values() if each["exit"]), 0)


def failed(talk: Talk, details: dict[str, Any]) -> WeftError:
    """For hosts on which it was not run to its end; what came of it on the others is told."""
    errors = list(talk.errors.values())
    if len(errors) == 1 and not talk.results:
        return errors[0]
    said = verdict.refused(errors, [])
    ran = "; ".join(f"{name}: ended with {each['exit']}" for name, each in talk.results.items())
    kind = Refused if all(isinstance(each, Refused) for each in errors) and not ran else OutcomeUnknown
    return kind(said.message, said.hint, ran or "it was run nowhere to its end", details)
