"""`fab run`: a command beside the application."""

from __future__ import annotations

import sys

from invoke import task

from weft.tasks import shell
from weft.tasks.scope import SCOPE, load, number


@task(auto_shortflags=False, help={"command": "the command, in quotes: its words are split as a shell splits them, and no shell is started",
                                   "all": "on every host in scope, not only the first", "timeout": "seconds until it is ended (600)", **SCOPE})
@shell.command
def run(c, command="", all=False, timeout="", env="", limit="", exclude="", json=False):
    """A command in the application's environment: its account, settings and virtualenv of what is served. Ends with the command's own exit code.

    Example: fab run --command "flask db upgrade"
    """
    from weft.rollout import command as work
    argv = work.words(command)
    seconds = number(timeout, "--timeout", 600, 1, 86_400)
    environment = load(c, env, limit, exclude)
    hosts = environment.hosts.hosts if all else environment.hosts.hosts[:1]
    output = work.Output(None if json else {"stdout": sys.stdout, "stderr": sys.stderr}, max(len(host.name) for host in hosts) if len(hosts) > 1 else 0)
    talk = work.run(environment, hosts, argv, seconds, output)
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
