"""`fab undeploy`: the application off its hosts."""

from __future__ import annotations

import sys

from invoke import task

from weft.errors import Refused
from weft.tasks import shell
from weft.tasks.scope import SCOPE, load


@task(auto_shortflags=False, help={"yes": "do not ask", "purge": "also what a user has there: drop-ins, edited settings, the application's data, logs", **SCOPE})
@shell.command
def undeploy(c, yes=False, purge=False, env="", limit="", exclude="", json=False):
    """Take the application off the hosts: its site, its processes, its releases. What a user has there is kept; other sites go on.

    Example: fab undeploy --limit web3
    """
    from weft.rollout import show
    from weft.rollout.undeploy import Undeploy
    environment = load(c, env, limit, exclude)
    with show.progress(json) as progress:
        work = Undeploy(environment, progress)
        served = work.look()
    _agree(environment, served, yes, purge, json)
    with show.progress(json) as progress:
        work.show(progress)
        done = work.run(purge)
    for name, said in done.items() if not json else ():
        print("\n".join([f"{name}: " + ("off" if said["did"] else "nothing to do"), *(f"  {each}" for each in said["did"]), *(f"  kept {each}" for each in said["kept"])]))
    return {"app": environment.app, "env": environment.name, "hosts": done}


def _agree(environment, served, yes, purge, json):
    """Raises Refused unless somebody says yes. Without a terminal only --yes does."""
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise Refused("there is no terminal to ask on", "add --yes to take it off", f"nothing changed; {served}")
    print(f"{served}\nTake {environment.app} off {', '.join(environment.hosts.names)}"
          f"{', with all data of its users there' if purge else ''}? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("not taken off", "answer y, or add --yes", f"nothing changed; {served}")


TASKS = (undeploy,)
