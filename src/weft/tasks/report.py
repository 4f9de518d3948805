"""`fab report`: the last rollout as a page."""

from __future__ import annotations

from pathlib import Path

from invoke import task

from weft.errors import Refused
from weft.tasks import shell
from weft.tasks.scope import ENV, JSON, load


@task(auto_shortflags=False, help={"to": "the file (default: APP-ENV-rollout.html here)", "env": ENV, "json": JSON})
@shell.command
def report(c, to="", env="", json=False):
    """Write the last rollout from this machine as one HTML file: hosts and waves, what users got through each switch, what failed. No host is asked.

    Example: fab report --to rollout.html
    """
    from weft.rollout import record, report as work
    environment = load(c, env)
    lines = record.last(record.place(environment.app, environment.name))
    if not lines:
        raise Refused(f"no rollout of {environment.app} to {environment.name} was recorded here", f"fab deploy --version X{environment.access.again}")
    path = Path(to or f"{environment.app}-{environment.name}-rollout.html")
    work.write(path, work.page(lines))
    json or print(f"{path}: {lines[0].get('verb')} {lines[0].get('version', '')}".rstrip())
    return {"app": environment.app, "env": environment.name, "file": str(path)}


TASKS = (report,)
