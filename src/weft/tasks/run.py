"""`fab run`: a command beside the application."""

from __future__ import annotations

import sys

from invoke import task

from weft.errors import UsageError
from weft.tasks import shell
from weft.tasks.scope import ENV, EXCLUDE, JSON, LIMIT, load


@task(auto_shortflags=False, help={"command": "the command, in quotes: its words are split as a shell splits them, and no shell is started",
                                   "all": "on every host in scope, not only the first", "timeout": "seconds until it is ended",
                                   "env": ENV, "limit": LIMIT, "exclude": EXCLUDE, "json": JSON})
@shell.command
def run(c, command="", all=False, timeout=600, env="", limit="", exclude="", json=False):
    """A command in the application's environment: its account, settings and virtualenv of what is served. Ends with the command's own exit code.

    Example: fab run --command "flask db upgrade"
    """
    from weft.rollout import command as work
    argv = work.words(command)
    if not 0 < timeout <= 86_400:
        raise UsageError(f"--timeout {timeout} is not a number of seconds from 1 to 86400", "fab run --timeout 3600 --command ...")
    environment = load(c, env, limit, exclude)
    hosts = environment.hosts.hosts if all else environment.hosts.hosts[:1]
    output = work.Output(None if json else {"stdout": sys.stdout, "stderr": sys.stderr}, max(len(host.name) for host in hosts) if len(hosts) > 1 else 0)
    talk = work.run(environment, hosts, argv, timeout, output)
    code = work.exit_code(talk.results)
    said = {"app": environment.app, "env": environment.name,
            "hosts": {name: {**each, **output.kept.get(name, {"stdout": "", "stderr": ""})} for name, each in talk.results.items()}} if json else {}
    if talk.errors:
        raise work.failed(talk, said)
    if code:
        if json:
            shell.print_json({**said, "code": code})
        raise SystemExit(code)
    return said


TASKS = (run,)
