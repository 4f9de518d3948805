"""`fab promote`, `fab pause` and `fab resume`: a rollout that stands still between two waves, and goes on."""

from __future__ import annotations

from typing import Any

from invoke import task

from weft.tasks import shell
from weft.tasks.roll import PAUSE, SKIP, roll
from weft.tasks.scope import LOCK_WAIT, SCOPE, load, number

GOES_ON = {**SCOPE, "pause_after": PAUSE, "skip_unreachable": SKIP, "lock_wait": LOCK_WAIT}


@task(auto_shortflags=False, help={**GOES_ON})
@shell.command
def promote(c, env="", limit="", exclude="", pause_after="", skip_unreachable=False, lock_wait="", json=False):
    """Go on after a pause: with the version that some hosts serve and the others have staged, as the hosts say.

    Example: fab promote
    """
    wait = number(lock_wait, "--lock-wait")
    return _on(load(c, env, limit, exclude), False, pause_after, skip_unreachable, wait, json)


@task(auto_shortflags=False, help={**GOES_ON})
@shell.command
def resume(c, env="", limit="", exclude="", pause_after="", skip_unreachable=False, lock_wait="", json=False):
    """Go on with what was begun, after a pause or an interruption, also where no host serves it yet. It says what that is.

    Example: fab resume
    """
    wait = number(lock_wait, "--lock-wait")
    return _on(load(c, env, limit, exclude), True, pause_after, skip_unreachable, wait, json)


@task(auto_shortflags=False, help={**SCOPE})
@shell.command
def pause(c, env="", limit="", exclude="", json=False):
    """Ask the deploy that goes on, from whatever machine, to end after the wave in flight, until `fab promote`.

    Example: fab pause
    """
    from weft.rollout.pause import ask
    environment = load(c, env, limit, exclude)
    lock = ask(environment)
    if not json:
        print(f"asked {lock['owner']} ({lock['why']}) to pause after the wave in flight; fab promote{environment.access.again} goes on", flush=True)
    return {"app": environment.app, "env": environment.name, "asked": {"owner": lock["owner"], "why": lock["why"]}}


def _on(environment: Any, unserved: bool, pause_after: str, skip: bool, wait: float, json: bool) -> dict[str, Any]:
    from weft.rollout import onward
    environment = environment.paused(pause_after)
    environment, begun = onward.found(environment, unserved, skip)
    if not json:
        print(f"going on with {begun.said()}", flush=True)
    return {**roll(environment, environment.job("deploy", begun.version, wait=wait, skip=skip, on=True), False, json), "begun": begun._asdict()}


TASKS = (promote, pause, resume)
