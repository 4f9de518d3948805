"""The private Apache of `inv develop`: which one, on which port, and its configuration. It listens on loopback and nowhere else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from weft.errors import Refused
from weft.host.layout import Layout
from weft.servers import express, python_of
from weft.servers.express import Httpd, account_lines, loads, types

FIRST, PORTS = 8000, 100
"""Ports that are tried in turn where nobody names one."""
CUT = 2
"""Seconds that a request under way may still take when the working tree has changed."""


def choose(python: str, minor: str, virtualenv: Path, cache: Path) -> Httpd:
    """The system's Apache where it loads that Python, else mod_wsgi-standalone of the virtualenv or from weft's cache. Raises Refused."""
    if express.system_fits(python):
        return express.SYSTEM
    own = cache / f"apache-{minor}"
    for home in (virtualenv, own):
        found = express.in_virtualenv(home, minor)
        if found:
            return found
    alone = f"{os.path.realpath(python)} -m venv {own} && {own}/bin/pip install mod_wsgi-standalone   (compiles for some minutes, needs no root)"
    if not express.SYSTEM.program.exists():
        raise Refused("there is no Apache on this machine", f"apt-get install -y apache2 libapache2-mod-wsgi-py3, or: {alone}")
    if not express.SYSTEM.mod_wsgi.exists():
        raise Refused("Apache is here, but not its module mod_wsgi", f"apt-get install -y libapache2-mod-wsgi-py3, or: {alone}")
    raise Refused(f"Apache's mod_wsgi is for Python {python_of(express.SYSTEM.mod_wsgi)} as the distribution has it, and the virtualenv's is {minor} "
                  f"({os.path.realpath(python)})", alone)


def port(wish: int = 0) -> int:
    """That port if it is free, else a free one. Raises Refused for a wish that cannot be."""
    if wish:
        fault = _taken(wish)
        if fault:
            raise Refused(f"port {wish} cannot be listened on: {fault}", "give another --port, or none: then a free one is taken")
        return wish
    free = next((each for each in range(FIRST, FIRST + PORTS) if not _taken(each)), 0)
    if free:
        return free
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _taken(number: int) -> str:
    """Why nobody can listen there, "" if one can. A browser asks for `localhost` at ::1 first: what listens there alone is in the way, too."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            socket.create_server((address, number), family=family).close()
        except OSError as error:
            if family == socket.AF_INET or _answers(address, number):
                return error.strerror or str(error)
    return ""


def _answers(address: str, number: int) -> bool:
    try:
        socket.create_connection((address, number), timeout=1).close()
        return True
    except OSError:
        return False


def conf(run: Path, layout: Layout, httpd: Httpd, account: str, virtualenv: Path, number: int, threads: int) -> str:
    """The whole configuration. run: the directory of this one run.  number: the port."""
    return f"""\
# Written by weft for `inv develop`; it ends with it.
ServerRoot "{run}"
ServerName localhost
Listen 127.0.0.1:{number}
PidFile "{run}/httpd.pid"
ErrorLog "{run}/error.log"
ErrorLogFormat "%l %M"
LogLevel warn
{loads(httpd)}
{account_lines(account)}DefaultRuntimeDir "{run}"
WSGISocketPrefix "{run}/wsgi"
{types()}
LogFormat "%{{%H:%M:%S}}t %>s %m %U%q %D" develop
CustomLog "{run}/access.log" develop
StartServers 1
ThreadsPerChild 25
MinSpareThreads 1
MaxSpareThreads 75
MaxRequestWorkers 75
{_application(layout, virtualenv, threads)}"""


def _application(layout: Layout, virtualenv: Path, threads: int) -> str:
    """One process, as the slot a of a host is: what is changed is served by another one, never by some of several."""
    group = f"{layout.app}-a"
    return f"""\
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory "{layout.root}">
    <Files "develop.wsgi">
        Require all granted
    </Files>
</Directory>
WSGIDaemonProcess {group} processes=1 threads={threads} umask=0022 python-home="{virtualenv}" home=/ lang=C.UTF-8 locale=C.UTF-8 display-name=%{{GROUP}} \
shutdown-timeout={CUT}
WSGIImportScript "{layout.root}/develop.wsgi" process-group={group} application-group=%{{GLOBAL}}
WSGIProcessGroup {group}
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / "{layout.root}/develop.wsgi"
WSGIScriptReloading Off
WSGIPassAuthorization On
"""
