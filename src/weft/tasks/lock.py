"""`fab lock` and `fab unlock`: nothing is rolled out to the hosts until somebody says that it may go on."""

from __future__ import annotations

from typing import Any

from invoke import task

from weft.errors import UsageError
from weft.tasks import shell
from weft.tasks.scope import SCOPE, load


@task(auto_shortflags=False, help={"why": "what whoever is refused is told", **SCOPE})
@shell.command
def lock(c, why="", env="", limit="", exclude="", json=False):
    """Freeze the hosts: deploy and rollback are refused, with your words, until `fab unlock`.

    Example: fab lock --why "database moves until Monday"
    """
    if not why.strip():
        raise UsageError("why?", 'fab lock --why "database moves until Monday": whoever is refused is told so')
    from weft.rollout.freeze import freeze
    environment = load(c, env, limit, exclude)
    return _said(environment, freeze(environment, " ".join(why.split())[:200]), "frozen", "fab unlock ends it" + environment.access.again, json)


@task(auto_shortflags=False, help={**SCOPE})
@shell.command
def unlock(c, env="", limit="", exclude="", json=False):
    """End a freeze. The lock of a rollout needs no unlocking: it ends with it, or a minute after its operator was last heard of.

    Example: fab unlock
    """
    from weft.rollout.freeze import thaw
    environment = load(c, env, limit, exclude)
    return _said(environment, thaw(environment), "free", "", json)


def _said(environment: Any, hosts: list[str], what: str, hint: str, json: bool) -> dict[str, Any]:
    if not json:
        print(f"{', '.join(hosts)}: {what}" + (f" ({hint})" if hint else "") if hosts else "nothing was frozen", flush=True)
    return {"app": environment.app, "env": environment.name, what: hosts}


TASKS = (lock, unlock)
