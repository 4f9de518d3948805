"""`fab doctor`: what is missing."""

from __future__ import annotations

from invoke import task

from weft.tasks import shell
from weft.tasks.scope import SCOPE, load


@task(auto_shortflags=False, help={**SCOPE})
@shell.command
def doctor(c, env="", limit="", exclude="", json=False):
    """What is missing for a deploy, here and on every host, each with the command that provides it. Changes nothing.

    Example: fab doctor --limit web1
    """
    from weft.rollout import doctor as work
    environment = load(c, env, limit, exclude)
    checks = work.examine(environment)
    said = {"app": environment.app, "env": environment.name, "checks": [each._asdict() for each in checks]}
    if not json:
        print("\n".join(work.table(checks)), flush=True)
    work.judge(checks, said)
    return said


TASKS = (doctor,)
