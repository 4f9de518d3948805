"""`fab enable` and `fab disable`: the links by which a host's server knows the site."""

from __future__ import annotations

from invoke import task

from weft.tasks import shell
from weft.tasks.scope import ENV, EXCLUDE, JSON, LIMIT, load

WORDS = {"env": ENV, "limit": LIMIT, "exclude": EXCLUDE, "json": JSON}


@task(auto_shortflags=False, help=WORDS)
@shell.command
def enable(c, env="", limit="", exclude="", json=False):
    """Put the site into its server again after `fab disable`, with the release that was served.

    Example: fab enable --limit web3
    """
    return _switch(c, "enable", env, limit, exclude, json)


@task(auto_shortflags=False, help=WORDS)
@shell.command
def disable(c, env="", limit="", exclude="", json=False):
    """Take the site out of its server and leave everything else on the hosts as it is. Deploys are refused until `fab enable`.

    Example: fab disable --limit web3
    """
    return _switch(c, "disable", env, limit, exclude, json)


def _switch(c, verb, env, limit, exclude, json):
    from weft.rollout import show
    from weft.rollout.enable import Switch
    environment = load(c, env, limit, exclude)
    with show.progress(json) as progress:
        work = Switch(environment, progress, verb)
        work.look()
        done = work.order({})
    for name, said in done.items() if not json else ():
        print("\n".join([f"{name}: {verb}d" if said["did"] else f"{name}: nothing to do", *(f"  {each}" for each in said["did"])]))
    return {"app": environment.app, "env": environment.name, "hosts": done}


TASKS = (enable, disable)
