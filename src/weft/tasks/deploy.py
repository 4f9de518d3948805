"""The operator's tasks: `from weft.tasks.deploy import ns` is a whole fabfile.

Each parses its words, calls weft.rollout and prints; every parameter has a default and is checked at once, because Fabric
would hand a task a following option as the value of a required one.
"""

from __future__ import annotations

from typing import Any

from invoke import Collection, task

from weft.errors import Refused, UsageError
from weft.tasks import doctor, enable, lock as locks, logs, promote as promotes, report, run, shell, undeploy
from weft.tasks.roll import PAUSE, SKIP, roll
from weft.tasks.scope import ENV, JSON, LOCK_WAIT, SCOPE, digests, load, number
from weft.values import Version

VERSION = "the version to deploy, as it was released"
PLAN = "show every host's plan and change nothing"
OVERRIDES = {"force_yanked": "deploy a version all the same that was taken back (inv yank)",
             "force_unsafe": "go back all the same from a release that is not rollback_safe",
             "force_bad": "deploy a version all the same that is marked bad",
             "accept_expired": "believe an index here that is past its time; hosts with signers of their own do not"}
EXACTLY = "carry out these plans and no others: their digests, as --plan shows them, by comma"
ROLL = {**SCOPE, "skip_unreachable": SKIP, **OVERRIDES}


def _version(text: str, name: str, known: Any) -> Version:
    """A version word. Nothing is contacted for one that is none; `known` gives the newest for the hint."""
    if text:
        return Version(text)
    raise UsageError("which version?", f"fab {name} --version X; newest in the store: {known()}")


def _force(yanked: bool, bad: bool) -> tuple[str, ...]:
    return (*(["yanked"] if yanked else []), *(["bad"] if bad else []))


def _newest(environment: Any) -> str:
    try:
        return ", ".join(reversed(environment.store.versions(environment.app)[-3:])) or "none yet (inv release)"
    except Refused as error:
        return f"not readable ({error.message})"


@task(auto_shortflags=False, help={"version": VERSION, "plan": PLAN, "lock_wait": LOCK_WAIT, "pause_after": PAUSE, "exactly": EXACTLY, **ROLL})
@shell.command
def deploy(c, version="", env="", limit="", exclude="", plan=False, json=False, lock_wait="", skip_unreachable=False, pause_after="", exactly="",
           force_yanked=False, force_bad=False, force_unsafe=False, accept_expired=False):
    """Bring a released version to the hosts: stage everywhere, switch in waves, confirm, or go back.

    Example: fab deploy --version 1.1.4
    """
    if version:
        Version(version)
    wait, plans = number(lock_wait, "--lock-wait"), digests(exactly, "--exactly")
    environment = load(c, env, limit, exclude)
    environment = environment.paused(pause_after) if pause_after else environment
    wanted = _version(version, "deploy", lambda: _newest(environment))
    job = environment.job("deploy", wanted, "", _force(force_yanked, force_bad), accept_expired, wait, skip_unreachable, unsafe=force_unsafe, exactly=plans)
    return roll(environment, job, plan or c.config.run.dry, json)


@task(auto_shortflags=False, help={"version": VERSION, **ROLL})
@shell.command
def plan(c, version="", env="", limit="", exclude="", json=False, skip_unreachable=False,
         force_yanked=False, force_bad=False, force_unsafe=False, accept_expired=False):
    """Show what a deploy would do on every host, and change nothing.

    Example: fab plan --version 1.1.4
    """
    if version:
        Version(version)
    environment = load(c, env, limit, exclude)
    wanted = _version(version, "plan", lambda: _newest(environment))
    job = environment.job("deploy", wanted, "", _force(force_yanked, force_bad), accept_expired, skip=skip_unreachable, unsafe=force_unsafe)
    return roll(environment, job, True, json)


@task(auto_shortflags=False, help={"to": "a version (default: the good one before)", "fast": "all hosts at once; one that fails takes none of the others along",
                                   "plan": PLAN, "lock_wait": LOCK_WAIT, "exactly": EXACTLY, **ROLL})
@shell.command
def rollback(c, to="", fast=False, env="", limit="", exclude="", plan=False, json=False, lock_wait="", skip_unreachable=False, exactly="",
             force_yanked=False, force_bad=False, force_unsafe=False, accept_expired=False):
    """Go back to the release before, or to a named one: from what the hosts still have, else from the store.

    Example: fab rollback --to 1.1.3
    """
    if to:
        Version(to)
    wait, plans = number(lock_wait, "--lock-wait"), digests(exactly, "--exactly")
    environment = load(c, env, limit, exclude)
    environment = environment.at_once() if fast else environment
    job = environment.job("rollback", "", to, _force(force_yanked, force_bad), accept_expired, wait, skip_unreachable, unsafe=force_unsafe, exactly=plans)
    return roll(environment, job, plan or c.config.run.dry, json)


@task(auto_shortflags=False, help={**SCOPE})
@shell.command
def status(c, env="", limit="", exclude="", json=False):
    """What every host serves, what really answers there, since when, by whom, and what was changed by hand.

    Example: fab status --json
    """
    from weft.rollout import tables
    return _ask(load(c, env, limit, exclude), tables.status, json)


@task(auto_shortflags=False, help={**SCOPE})
@shell.command
def history(c, env="", limit="", exclude="", json=False):
    """What every host has served, newest first.

    Example: fab history --limit web1
    """
    from weft.rollout import tables
    return _ask(load(c, env, limit, exclude), tables.history, json)


@task(auto_shortflags=False, help={**SCOPE})
@shell.command
def verify(c, env="", limit="", exclude="", json=False):
    """Compare every installed file on the hosts with what was sealed, and name what differs.

    Example: fab verify --env production
    """
    from weft.host import report
    from weft.rollout import survey, tables
    environment = load(c, env, limit, exclude)
    drift, errors = survey.audit(environment)
    if drift and not json:
        print("\n".join(tables.drift(drift)), flush=True)
    survey.check(drift, errors)
    changed = {part for parts in drift.values() for part, files in parts.items() if files}
    if changed:
        raise Refused("files on the hosts are not as they were installed" if json else "that is not as it was installed",
                      report.mend(changed),
                      "what is served was not touched", {"hosts": drift})
    return {"app": environment.app, "env": environment.name, "hosts": drift}


def _ask(environment: Any, table: Any, json: bool) -> dict[str, Any]:
    from weft.rollout import survey
    states, errors = survey.look(environment)
    if states and not json:
        print("\n".join(table(states)), flush=True)
    survey.check(states, errors)
    return {"app": environment.app, "env": environment.name, "hosts": states}


@task(auto_shortflags=False, help={
    **SCOPE,
    "as_": "the SSH account that sets up, such as root (default: the environment's user)",
    "key": "public key file that lets the environment's user in (default: the environment's identity, with .pub)"})
@shell.command
def setup(c, env="", limit="", exclude="", as_="", key="", json=False):
    """Prepare fresh hosts: accounts, directories, the sudo rule, the site. Running it again changes only what differs.

    Example: fab setup --limit web3
    """
    from weft.rollout import setup as work, show
    environment = load(c, env, limit, exclude)
    with show.progress(json) as progress:
        did = work.run(environment, as_, work.public_key(environment, key), progress)
    for name, sentences in did.items() if not json else ():
        print("\n".join([f"{name}: " + ("set up" if sentences else "nothing to do"), *(f"  {each}" for each in sentences)]))
    return {"app": environment.app, "env": environment.name, "hosts": {name: {"did": did[name]} for name in did}}


@task(auto_shortflags=False, help={"host": "names, groups or globs, by comma (default: all)", "env": ENV, "json": JSON,
                                   "yes": "keep the keys without asking"})
@shell.command
def trust(c, host="", env="", yes=False, json=False):
    """Show the key of hosts that are not known yet, and keep it in the project's known_hosts.

    Example: fab trust --host web3
    """
    environment = load(c, env, host)
    kept = {each.name: _trust(each, environment.access, yes, json) for each in environment.hosts}
    return {"env": environment.name, "hosts": kept}


def _trust(host: Any, access: Any, yes: bool, json: bool) -> list[dict[str, Any]]:
    """Keep every key on the way to a host, its gateways' first. Raises Refused when nobody says yes."""
    from weft.rollout.trust import keep, look
    kept = []
    while seen := look(host, access):
        if not json:
            print("\n".join(seen.lines()), flush=True)
        _confirm(seen, yes, access.again)
        keep(seen, access)
        kept.append(seen.to_json())
    if not json:
        print(f"{host.name}: {'kept in ' + str(access.project_keys) if kept else 'known'}", flush=True)
    return kept


def _confirm(seen: Any, yes: bool, again: str) -> None:
    """Raises Refused unless somebody says yes. Without a terminal nobody can."""
    import sys
    if yes:
        return
    hint = f"if it is the host's own: fab trust --host {seen.host} --yes{again}"
    if not sys.stdin.isatty():
        raise Refused(f"{seen.host}: {seen.key.get_name()} {seen.key.fingerprint} of {seen.name} is not trusted yet", hint)
    if input("is that the host's own key? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused(f"{seen.host}: its key was not kept", hint)


ns = Collection(deploy, plan, rollback, status, history, verify, setup, trust, *locks.TASKS, *promotes.TASKS, *logs.TASKS, *run.TASKS, *doctor.TASKS, *undeploy.TASKS, *enable.TASKS, *report.TASKS)
