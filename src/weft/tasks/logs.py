"""`fab logs`: what the application says on its hosts."""

from __future__ import annotations

import sys
from typing import Any

from invoke import task

from weft.errors import UsageError
from weft.tasks import shell
from weft.tasks.scope import SCOPE, load, number


@task(auto_shortflags=False, help={"lines": "the last so many lines of each host (50)", "follow": "go on with what comes, until Ctrl-C",
                                   "errors": "only the error log and requests with a 5xx", **SCOPE})
@shell.command
def logs(c, lines="", follow=False, errors=False, env="", limit="", exclude="", json=False):
    """The application's error log and its requests, of all hosts, by time. Known secrets are not shown.

    Example: fab logs --follow --errors --limit web1
    """
    most = number(lines, "--lines", 50, high=10_000)
    if follow and json:
        raise UsageError("--follow has no end, and --json is one object at the end", "leave one of them out")
    from weft.rollout import logs as work, survey
    environment = load(c, env, limit, exclude)
    found: list[dict[str, Any]] = []
    width = max(map(len, environment.hosts.names))

    def give(host: str, event: dict[str, Any]) -> None:
        found.append({"host": host, "at": event["at"], "log": event["log"], "text": event["text"]}) if json else _write(work.shown(host, width, event))

    talk = work.logs(environment, most, follow, errors, give)
    survey.check(talk.results, list(talk.errors.values()))
    if not json and not any(said["lines"] for said in talk.results.values()):
        print(f"no {'error' if errors else 'line'} of {environment.app} is in the logs", file=sys.stderr)
    return {"app": environment.app, "env": environment.name, "lines": found}


def _write(text: str) -> None:
    print(text, flush=True)


TASKS = (logs,)
