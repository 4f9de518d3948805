"""Debian's Apache with mod_wsgi: Debian's own, or another that its configuration loads, such as PyPI's.

One process loads one mod_wsgi, and that is for one minor version of Python: all applications of an Apache share it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from weft.servers import SLOTS, Server, Site, entry_file, python_of, tls
from weft.servers.apache import KEEP_CHILDREN, about, before_text, site_text

_APACHE = Path("/usr/sbin/apache2")
_CONF = Path("/etc/apache2")
_INSTALL = "apt-get install -y apache2 libapache2-mod-wsgi-py3"


def modules(conf: Path = _CONF) -> list[str]:
    """Of the system's Apache, by their file's name: those that Debian's links enable."""
    return sorted(path.stem for path in (conf / "mods-enabled").glob("*.load"))


def loaded(conf: Path = _CONF) -> tuple[Path, Path] | None:
    """(the mod_wsgi that Apache loads, the file that says so), in the order in which Debian's configuration is read: the first counts. None
    where none is loaded there."""
    for place in ("mods-enabled/*.load", "mods-enabled/*.conf", "conf-enabled/*.conf"):
        for path in sorted(conf.glob(place)):
            try:
                found = re.search(r'^\s*LoadModule\s+wsgi_module\s+"?([^"\s]+)', path.read_text(errors="replace"), re.M | re.I)
            except OSError:
                continue
            if found:
                return conf / found[1], path  # a relative one is below the ServerRoot
    return None


def alone(module: Path) -> bool:
    """Whether a module is mod_wsgi-standalone's: it looks for the place of its sockets where Debian's Apache has none."""
    return len(module.parents) > 2 and (module.parents[2] / "mod_wsgi_packages").exists()


def another(python: str) -> str:
    """The commands that have Apache load a mod_wsgi for another Python. A running Apache keeps the library of the one before: it must end."""
    home = "/opt/mod_wsgi"
    return (f"apt-get install -y apache2-dev && {python} -m venv {home} && {home}/bin/pip install mod_wsgi && {home}/bin/mod_wsgi-express module-config > "
            "/etc/apache2/mods-available/wsgi.load && a2enmod wsgi && apache2ctl configtest && apache2ctl stop && apache2ctl start; every application of this Apache "
            "needs that Python then")


def mpm() -> str:
    """Its processing module, such as "event"; "" if it can't be told."""
    return next((name[len("mpm_"):] for name in modules() if name.startswith("mpm_")), "")


class ModWsgi(Server):
    """The system's Apache: shared with other sites, so only files of the application's own name are written."""

    name = "mod_wsgi"
    serves_tls = True

    def files(self, site: Site) -> dict[str, str]:
        door = {f"/etc/apache2/sites-available/{site.app}-before.conf": before_text(site)} if site.before else {}
        return {**entry_file(site), "/etc/apache2/conf-available/weft.conf": KEEP_CHILDREN,
                f"/etc/apache2/sites-available/{site.app}.conf": site_text(site, "/usr/bin/rotatelogs", self.own(site)), **door}

    def own(self, site: Site) -> str:
        return f"/etc/apache2/weft/{site.app}.conf"

    def links(self, site: Site) -> dict[str, str]:
        found = {"/etc/apache2/conf-enabled/weft.conf": "../conf-available/weft.conf",
                 f"/etc/apache2/sites-enabled/{site.before and site.before.link or site.app + '.conf'}": f"../sites-available/{site.app}.conf"}
        if site.before:  # it comes late: what the original defines is known by then
            found[f"/etc/apache2/sites-enabled/zzz-weft-{site.app}-before.conf"] = f"../sites-available/{site.app}-before.conf"
        return found

    def check(self, site: Site) -> list[str]:
        return ["apache2ctl", "configtest"]

    def start(self, site: Site) -> list[str]:
        return ["apache2ctl", "start"]

    def reload(self, site: Site) -> list[str]:
        return ["apache2ctl", "graceful"]

    def stop(self, site: Site) -> list[str]:
        return ["apache2ctl", "stop"]

    def pidfile(self, site: Site) -> str:
        return "/var/run/apache2/apache2.pid"

    def error_log(self, site: Site, slot: str = SLOTS[0]) -> str:
        return "/var/log/apache2/error.log"

    def missing(self, site: Site) -> list[tuple[str, str]]:
        if not os.path.exists("/usr/sbin/apache2ctl"):
            return [("Apache is not installed", _INSTALL)]
        found = loaded()
        if not found:
            return [("Apache's mod_wsgi is not installed or not enabled", f"{_INSTALL} && a2enmod wsgi")]
        if not found[0].exists():
            return [(f"{found[1]} loads {found[0]}, which is not there", f"{_INSTALL} && a2enmod wsgi, or {another(site.python)}")]
        if alone(found[0]):
            return [(f"{found[1]} loads {found[0]}, which mod_wsgi-standalone has built for an Apache of its own: in this one its processes would not start",
                     f"pip install mod_wsgi, without -standalone, in a virtualenv of its own: {another(site.python)}")]
        return tls.lacks(site.tls, modules(), mpm(), "a2enmod {}") if site.tls else []

    def python(self, site: Site) -> str:
        """The Python minor version this Apache can load applications for; "" if unknown."""
        found = loaded()
        return python_of(found[0]) if found else ""

    def about(self, site: Site) -> str:
        found = loaded()
        return about(_APACHE, mpm(), found[0]) if found else ""

    def provide(self, site: Site) -> str:
        return another(site.python)


server = ModWsgi()
