"""Debian's Apache with mod_wsgi."""

from __future__ import annotations

import os
from pathlib import Path

from weft.servers import SLOTS, Server, Site, entry_file, python_of, tls
from weft.servers.apache import KEEP_CHILDREN, before_text, site_text

_MODULE = Path("/usr/lib/apache2/modules/mod_wsgi.so")
_INSTALL = "apt-get install -y apache2 libapache2-mod-wsgi-py3"


def modules(enabled: Path = Path("/etc/apache2/mods-enabled")) -> list[str]:
    """Of the system's Apache, by their file's name: those that Debian's links enable."""
    return sorted(path.stem for path in enabled.glob("*.load"))


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
        if not _MODULE.exists() or not os.path.exists("/etc/apache2/mods-enabled/wsgi.load"):
            return [("Apache's mod_wsgi is not installed or not enabled", f"{_INSTALL} && a2enmod wsgi")]
        return tls.lacks(site.tls, modules(), mpm(), "a2enmod") if site.tls else []

    def python(self, site: Site) -> str:
        """The Python minor version this Apache can load applications for; "" if unknown."""
        return python_of(_MODULE)


server = ModWsgi()
