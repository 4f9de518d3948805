"""A private Apache under a prefix, for any user without root: the server of `make demo` and of local environments.

A virtualenv PREFIX/opt/apache goes first: PyPI's mod_wsgi-standalone brings an Apache of its own, PyPI's mod_wsgi is loaded by the system's. Without one
for the environment's Python the system's Apache is used where its own mod_wsgi is for it.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from weft.record import record
from weft.servers import SLOTS, Server, Site, entry_file, python_of, tls
from weft.servers.apache import KEEP_CHILDREN, about, bounded, site_text

MPM = "event"
"""Which of Apache's processing modules is loaded; the tests try the others."""
_MODULES = ("authz_core", "authz_host", "unixd", "log_config", "setenvif", "alias", "mime", "reqtimeout")


_WITHOUT = ("this Apache was built without {}: take the system's (apt-get install -y apache2 libapache2-mod-wsgi-py3, and no mod_wsgi-standalone in PREFIX/opt/apache), "
            "or change [tls] in deploy/NAME.toml")


@record(frozen=True)
class Httpd:
    """A program with its modules and the mod_wsgi that fits it."""

    program: Path
    modules: Path
    mod_wsgi: Path

    @property
    def rotatelogs(self) -> str:
        """Its program that rotates logs; "" where it was not built."""
        found = [path for path in (Path("/usr/bin/rotatelogs"), self.program.with_name("rotatelogs")) if path.exists()]
        return str(found[-1]) if found else ""


SYSTEM = Httpd(Path("/usr/sbin/apache2"), Path("/usr/lib/apache2/modules"), Path("/usr/lib/apache2/modules/mod_wsgi.so"))


def system_fits(python: str) -> bool:
    """Whether the system's Apache can load applications of this Python: it must be the distribution's own."""
    real = os.path.realpath(python)
    return (SYSTEM.program.exists() and SYSTEM.mod_wsgi.exists() and real.startswith("/usr/bin/")
            and real.endswith(f"python{python_of(SYSTEM.mod_wsgi)}"))


def standalone(prefix: str) -> Httpd | None:
    """What PREFIX/opt/apache has, if it is there."""
    return in_virtualenv(Path(prefix, "opt/apache"))


def in_virtualenv(home: Path, python: str = "3*") -> Httpd | None:
    """mod_wsgi-standalone, or mod_wsgi for the system's Apache, in a virtualenv of that minor version of Python, if it is there."""
    for packages in (home / "lib").glob(f"python{python}/site-packages"):
        httpd = packages / "mod_wsgi_packages/httpd"
        for module in (packages / "mod_wsgi/server").glob("mod_wsgi*.so"):
            if (httpd / "bin/httpd").exists():
                return Httpd(httpd / "bin/httpd", httpd / "modules", module)
            if SYSTEM.program.exists():
                return Httpd(SYSTEM.program, SYSTEM.modules, module)
    return None


def common(httpd: Httpd) -> str:
    """The directives that load what every private Apache needs, but for what is built in or loaded already."""
    return "\n".join(f"<IfModule !mod_{name}.c>\n<IfModule !{name}_module>\n    LoadModule {name}_module {httpd.modules}/mod_{name}.so\n"
                     "</IfModule>\n</IfModule>" for name in (f"mpm_{MPM}", *_MODULES))


def loads(httpd: Httpd) -> str:
    """The same with mod_wsgi last."""
    return f"{common(httpd)}\nLoadModule wsgi_module {httpd.mod_wsgi}"


def types() -> str:
    """The directive that says which type a file has."""
    mime = Path("/etc/mime.types")
    return f"TypesConfig {mime}" if mime.exists() else "TypesConfig /dev/null"


def account_lines(account: str) -> str:
    """Started by root it must serve as somebody else; started by anybody else it can't."""
    if os.geteuid() != 0:
        return ""
    return f"User {account}\nGroup #{pwd.getpwnam(account).pw_gid}\n"


def private_text(site: Site, httpd: Httpd, pidfile: str, own: str, sites: str) -> str:
    """The whole of a private Apache's configuration but for its sites, which are the *.conf in the directory `sites`. own: what the module
    that serves the applications needs."""
    return f"""\
# Written by weft: a private Apache under {site.prefix}.
ServerRoot "{site.prefix}"
ServerName localhost
PidFile {pidfile}
ErrorLog {site.prefix}/var/log/error.log
{common(httpd)}
{own}
{account_lines(site.account)}DefaultRuntimeDir {site.prefix}/var/run
{types()}
LogFormat "%h %t \\"%r\\" %>s %B %D" weft
CustomLog "{bounded(httpd.rotatelogs, f'{site.prefix}/var/log/access.log', 5, '10M')}" weft
<Directory />
    AllowOverride None
    Require all denied
</Directory>
{KEEP_CHILDREN}
StartServers 3
<IfModule !mpm_prefork_module>
    ThreadsPerChild 50
</IfModule>
MaxRequestWorkers 150
IncludeOptional {sites}/*.conf
"""


def choose(site: Site) -> Httpd | None:
    own = standalone(site.prefix)
    if own and os.path.realpath(site.python).endswith(f"python{python_of(own.mod_wsgi)}"):
        return own
    return SYSTEM if system_fits(site.python) else own


class Express(Server):
    """Everything it has lies under the site's prefix."""

    name = "express"
    serves_tls = True

    def _home(self, site: Site) -> str:
        return f"{site.prefix}/etc/httpd"

    def _conf(self, site: Site) -> str:
        return f"{self._home(site)}/httpd.conf"

    def files(self, site: Site) -> dict[str, str]:
        httpd = choose(site) or SYSTEM
        return {**entry_file(site), self._conf(site): self._httpd(site),
                f"{self._home(site)}/sites/{site.app}.conf": site_text(site, httpd.rotatelogs, self.own(site), tls.loads(site.tls, httpd.modules))}

    def own(self, site: Site) -> str:
        return f"{self._home(site)}/weft/{site.app}.conf"

    def _httpd(self, site: Site) -> str:
        httpd = choose(site) or SYSTEM
        own = f"LoadModule wsgi_module {httpd.mod_wsgi}\nWSGISocketPrefix {site.prefix}/var/run/wsgi"
        return private_text(site, httpd, self.pidfile(site), own, f"{self._home(site)}/sites")

    def _run(self, site: Site, *words: str) -> list[str]:
        httpd = choose(site) or SYSTEM
        return [str(httpd.program), "-f", self._conf(site), *words]

    def check(self, site: Site) -> list[str]:
        return self._run(site, "-t")

    def start(self, site: Site) -> list[str]:
        return self._run(site, "-k", "start")

    def reload(self, site: Site) -> list[str]:
        return self._run(site, "-k", "graceful")

    def stop(self, site: Site) -> list[str]:
        return self._run(site, "-k", "stop")

    def pidfile(self, site: Site) -> str:
        return f"{site.prefix}/var/run/httpd.pid"

    def error_log(self, site: Site, slot: str = SLOTS[0]) -> str:
        return f"{site.prefix}/var/log/error.log"

    def missing(self, site: Site) -> list[tuple[str, str]]:
        found = choose(site)
        if found:
            has = [path.stem[len("mod_"):] for path in found.modules.glob("mod_*.so")]
            return tls.lacks(site.tls, has, MPM, _WITHOUT) if site.tls else []
        return [(f"there is no Apache whose mod_wsgi is for {site.python}",
                 f"{site.python} -m venv {site.prefix}/opt/apache && "
                 f"{site.prefix}/opt/apache/bin/pip install mod_wsgi-standalone   (compiles for some minutes; where apache2 and apache2-dev are, mod_wsgi is enough)")]

    def about(self, site: Site) -> str:
        found = choose(site)
        return about(found.program, MPM, found.mod_wsgi) if found else ""

    def python(self, site: Site) -> str:
        found = choose(site)
        return python_of(found.mod_wsgi) if found else ""


server = Express()
