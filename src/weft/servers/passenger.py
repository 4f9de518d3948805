"""Phusion Passenger in Apache: an application group for each slot, chosen for each request by what `live` points at.

A slot is started anew through Passenger's own interface, by the exact name of its group: what a path says there is a prefix, which other
applications may share. Under a prefix the Apache is a private one; else it is Debian's.
"""

from __future__ import annotations

import grp
import json
import os
import pkgutil
import pwd
import re
from pathlib import Path

from weft.record import replace
from weft.servers import SLOTS, Server, Site, entry_file
from weft.servers.apache import KEEP_CHILDREN, aliases, listen, traffic
from weft.servers.express import SYSTEM, private_text
from weft.servers.uwsgi import wanted

MODULE = Path("/usr/lib/apache2/modules/mod_passenger.so")
ENABLED = Path("/etc/apache2/mods-enabled/passenger.load")
PROGRAM = Path("/usr/sbin/apache2ctl")
PLACES = "/usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini"
LOADER = Path("/usr/share/passenger/helper-scripts/wsgi-loader.py")
"""What Passenger starts for an application, with the application's own interpreter."""
_INSTALL = "apt-get install -y apache2 libapache2-mod-passenger"
_REGISTRIES = ("tmp", "var/run/passenger-instreg")
"""Where an Apache's Passenger says where it is asked, as that Apache sees it: systemd gives it a /tmp of its own, whose path outside is too long for a socket."""
_POOL = 100
SHARED = f"""\
# Written by weft: both slots of each application stay, also when others need a process. A file of yours that comes after this one may say another number.
PassengerMaxPoolSize {_POOL}
# It keeps answers for all slots together: the old release's after the switch, and one slot's at the other's door.
PassengerTurbocaching off
"""


class Passenger(Server):
    """The system's Apache is shared with other sites, so only files of the application's own name are written, and one for all of weft's."""

    name = "passenger"
    unused = frozenset({"threads", "longest_request"})
    """Its free edition serves one request at a time a process, and cuts none that runs."""
    lazy = True

    def _etc(self, site: Site) -> str:
        return f"{site.prefix}/etc/passenger" if site.prefix else "/etc/apache2"

    def files(self, site: Site) -> dict[str, str]:
        rotatelogs, etc = SYSTEM.rotatelogs, self._etc(site)
        own = {f"{etc}/httpd.conf": self._private(site)} if site.prefix else {
            f"{etc}/conf-available/weft.conf": KEEP_CHILDREN, f"{etc}/conf-available/passenger-weft.conf": SHARED}
        return {**entry_file(site), **{f"{site.root}/slots/{slot}/passenger_wsgi.py": _startup(site, slot) for slot in SLOTS},
                **own, f"{etc}/sites-available/{site.app}.conf": site_text(site, rotatelogs)}

    def links(self, site: Site) -> dict[str, str]:
        etc = self._etc(site)
        shared = {} if site.prefix else {f"{etc}/conf-enabled/{name}.conf": f"../conf-available/{name}.conf" for name in ("weft", "passenger-weft")}
        return {**shared, f"{etc}/sites-enabled/{site.app}.conf": f"../sites-available/{site.app}.conf"}

    def _private(self, site: Site) -> str:
        own = (f"LoadModule passenger_module {MODULE}\nPassengerRoot {PLACES}\nPassengerInstanceRegistryDir {site.prefix}/var/run\n"
               f"PassengerDisableSecurityUpdateCheck on\nPassengerDisableAnonymousTelemetry on\n{SHARED}")
        return private_text(site, SYSTEM, self.pidfile(site), own, f"{self._etc(site)}/sites-enabled")

    def _run(self, site: Site, system: str, *private: str) -> list[str]:
        return [str(SYSTEM.program), "-f", f"{self._etc(site)}/httpd.conf", *private] if site.prefix else [PROGRAM.name, system]

    def check(self, site: Site) -> list[str]:
        return self._run(site, "configtest", "-t")

    def start(self, site: Site) -> list[str]:
        return self._run(site, "start", "-k", "start")

    def reload(self, site: Site) -> list[str]:
        return self._run(site, "graceful", "-k", "graceful")

    def stop(self, site: Site) -> list[str]:
        return self._run(site, "stop", "-k", "stop")

    def restart(self, site: Site, slot: str) -> list[str]:
        """A group that nobody has asked yet since Apache's start has no processes: then there is nothing to do."""
        registry, name = self.instance(site)
        where, which = ([f"PASSENGER_INSTANCE_REGISTRY_DIR={registry}"], ["--instance", name]) if name else ([], [])
        return ["env", *where, "passenger-config", "restart-app", "--ignore-app-not-running", "--name", group(site, slot), *which]

    def instance(self, site: Site) -> tuple[str, str]:
        """Where this very Apache's Passenger is registered and by which name; empty where it is not found. Only what root, or who asks, wrote there counts."""
        parent = _text(Path(self.pidfile(site))).strip()
        for registry in ([f"{site.prefix}/var/run"] if site.prefix else [f"/proc/{parent}/root/{each}" for each in _REGISTRIES]):
            for place in Path(registry).glob("passenger.*") if parent.isdigit() else ():
                if place.lstat().st_uid in (0, os.geteuid()) and _parent(_text(place / "watchdog.pid").strip()) == parent:
                    return str(place.parent), _named(place / "properties.json")
        return "", ""

    def pidfile(self, site: Site) -> str:
        return f"{site.prefix}/var/run/passenger.pid" if site.prefix else "/var/run/apache2/apache2.pid"

    def error_log(self, site: Site, slot: str = SLOTS[0]) -> str:
        return f"{site.prefix}/var/log/error.log" if site.prefix else "/var/log/apache2/error.log"

    def python(self, site: Site) -> str:
        """Any that its loader runs with: each slot has the interpreter of its own release."""
        name = wanted(site.python)
        return f"3.{name[len('python3'):]}" if name and not _too_new(name) else ""

    def about(self, site: Site) -> str:
        found = re.search(r"Phusion_Passenger/(\d+\.\d+\.\d+)", _text(MODULE))
        return f"Passenger {found[1]} in {MODULE}" if found else ""

    def missing(self, site: Site) -> list[tuple[str, str]]:
        if not MODULE.exists() or not PROGRAM.exists():
            return [("Apache's mod_passenger is not installed", f"{_INSTALL} && a2enmod passenger")]
        if not site.prefix and not ENABLED.exists():
            return [("Apache's mod_passenger is not enabled", "a2enmod passenger")]
        if _too_new(wanted(site.python)):
            return [(f"the Passenger of this host needs Python 3.11 or older: its {LOADER} imports `imp`, which {site.python} does not have",
                     "set `python` in deploy/NAME.toml to an older one")]
        return []


def group(site: Site, slot: str) -> str:
    """What Passenger calls a slot's processes together."""
    return f"{site.app}-{slot}"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _parent(pid: str) -> str:
    """The parent's pid; "" for what is no living process."""
    said = _text(Path("/proc", pid, "stat")).rpartition(")")[2].split() if pid.isdigit() else []
    return said[1] if len(said) > 1 else ""


def _named(path: Path) -> str:
    try:
        return str(json.loads(_text(path))["name"])
    except (ValueError, KeyError, TypeError):
        return ""


def _too_new(name: str) -> bool:
    """Whether an interpreter, such as python312, lacks a module that the loader imports."""
    minor = int(name[len("python3"):] or 0)
    return minor >= 12 and bool(re.search(r"(?m)^import .*\bimp\b", _text(LOADER)))


def _startup(site: Site, slot: str) -> str:
    """What Passenger's loader imports: the entry of every server, for this slot."""
    text = (pkgutil.get_data("weft.servers", "passenger_entry.py") or b"").decode()
    return text.replace("@APP@", site.app).replace("@ROOT@", site.root).replace("@SLOT@", slot)


def site_text(site: Site, rotatelogs: str) -> str:
    """The whole site; equal sites give equal texts. rotatelogs: Apache's program of that name, "" where it is not there."""
    slots = "\n".join(_slot(site, slot) for slot in SLOTS)
    doors = "\n".join(_door(site, slot, port) for slot, port in zip(SLOTS, site.doors))
    return f"""\
# Written by weft for {site.app}; `fab setup` writes it again. A deploy never changes it and never reloads Apache.
{listen(site, site.port)}
{slots}
{traffic(replace(site, tls=None), rotatelogs)}
<VirtualHost *:{site.port}>
    ServerName {site.hostname}
{aliases(site)}    # Default first, then one dynamic test: there is no moment without a slot.
    SetEnvIf Request_URI ^ WEFT_SLOT={site.app}-a WEFT_PLACE=a
    SetEnvIfExpr "-f '{site.root}/live/is-slot-b'" WEFT_SLOT={site.app}-b WEFT_PLACE=b
{_common(site, "%{reqenv:WEFT_PLACE}")}    </Location>
</VirtualHost>

{doors}"""


def _account(site: Site) -> str:
    """Started by root it must serve as somebody else; a private Apache of anybody else can't."""
    if not site.prefix:
        return f"    PassengerUser {site.account}\n    PassengerGroup {site.account}\n"
    if os.geteuid() != 0:
        return ""
    return f"    PassengerUser {site.account}\n    PassengerGroup {grp.getgrgid(pwd.getpwnam(site.account).pw_gid).gr_name}\n"


def _slot(site: Site, slot: str) -> str:
    """By directory, for that is what Passenger can be told of within one virtual host; a request is mapped to a file there that never is."""
    place = f"{site.root}/slots/{slot}"
    return f"""\
<Directory "{place}">
    Options None
    AllowOverride None
    <Files "request">
        Require all granted
    </Files>
    PassengerEnabled on
    PassengerAppGroupName {group(site, slot)}
    PassengerAppRoot {place}
    PassengerRestartDir {place}
    PassengerAppType wsgi
    PassengerStartupFile passenger_wsgi.py
    PassengerPython {place}/generation/release/venv/bin/python
{_account(site)}    PassengerMinInstances {site.processes}
    PassengerMaxRequestQueueSize 500
    PassengerFriendlyErrorPages off
    PassengerLoadShellEnvvars off
</Directory>
"""


def _common(site: Site, place: str) -> str:
    return f"""\
    # Only those who ask on the host itself are told which release answers.
    SetEnvIfExpr "-R '127.0.0.0/8'" WEFT_SHOW=1
    <Location "/">
        Alias "{site.root}/slots/{place}/request"
"""


def _door(site: Site, slot: str, port: int) -> str:
    return f"""\
# The door of slot {slot}: warmed and checked here before any user reaches it. Apache starts its processes with itself.
Listen 127.0.0.1:{port}
PassengerPreStart http://127.0.0.1:{port}/
<VirtualHost 127.0.0.1:{port}>
    ServerName {site.hostname}
{_common(site, slot)}        Require local
    </Location>
</VirtualHost>
"""


server = Passenger()
