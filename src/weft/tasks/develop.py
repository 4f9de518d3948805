"""`inv develop`: the working tree on a private Apache."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke import task

from weft.tasks import shell


@task(auto_shortflags=False, help={
    "env": "the environment whose settings are rendered: deploy/NAME.toml (default: development, else the only local one, else none)",
    "port": "the port on loopback (default: the first free one from 8000 on)",
    "venv": "a virtualenv of yours that has the project as editable (default: one is made in .weft/develop/venv, and kept)",
    "watch": "further directories, and patterns of file names such as '*.json', by comma, that count as a change; '!NAME' does not"})
@shell.command
def develop(c, env="", port="", venv="", watch=""):
    """
    Serve the working tree on a private Apache, and anew after each save: inv develop --port 8000

    Needs no root. The settings are those that a deploy would render. Code, templates and settings count as a change; a
    broken one is shown in the browser, to this machine only, and the next save mends it. Both logs are shown. Ctrl-C ends
    it and leaves nothing but the virtualenv. There is no --json: it ends when you end it.
    """
    from weft.tasks.scope import number
    chosen = number(port, "--port", 0, 1, 65535, such=8080)
    from weft.develop import run
    from weft.develop.screen import Screen
    wish = run.Wish(env, chosen, venv, tuple(filter(None, map(str.strip, watch.split(",")))))
    run.develop(_root(Path.cwd()), wish, Screen(sys.stdout, shell.colour(sys.stdout)))


def _root(start: Path) -> Path:
    """The nearest directory upwards that weft is configured in; else `start`, whose lack is told."""
    from weft.config import load
    return next((place for place in [start, *start.parents] if load.is_project(place)), start)


TASKS = (develop,)
