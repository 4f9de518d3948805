"""uWSGI under an Emperor: a vassal for each slot and one for the front, which is uWSGI's own HTTP router.

The front asks for each request at a socket whose path goes through `live`, so the one rename that is the commit switches the server too.
Under a prefix the Emperor is a private one; else it is Debian's, and the links into its directory are what enables the site.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
from pathlib import Path

from weft.servers import SLOTS, Server, Site, entry_file

CORE = Path("/usr/bin/uwsgi-core")
PLUGINS = Path("/usr/lib/uwsgi/plugins")
NEEDED = ("http", "logfile", "router_rewrite")
"""Besides the one for the application's Python; all of Debian's uwsgi-core."""
EMPEROR = "/etc/uwsgi-emperor/emperor.ini"
STATS = "/run/uwsgi-emperor.stats"
PIDFILE = "/run/uwsgi-emperor.pid"
_INSTALL = "apt-get install -y uwsgi-core uwsgi-emperor uwsgi-plugin-python3"
_SERVICE = "/etc/init.d/uwsgi-emperor"
"""Of both kinds of init: systemd's takes the order over. By `sh`, for run by its own name it does nothing where systemd is not."""
_RESTART = f"sh {_SERVICE} restart"


def wanted(python: str) -> str:
    """The plugin for an interpreter, such as python311, by its real name or the virtualenv's own note; "" if it can't be told."""
    found = re.search(r"python(3)\.(\d+)$", os.path.realpath(python)) or re.search(r"(?m)^version *= *(3)\.(\d+)", _text(Path(python).parent.parent / "pyvenv.cfg"))
    return f"python{found[1]}{found[2]}" if found else ""


def interpreter(site: Site, slot: str) -> str:
    """Of the release that a slot holds: it was made with the `python` of its day, which need not be that of now."""
    return f"{site.root}/slots/{slot}/generation/release/venv/bin/python"


def plugins() -> list[str]:
    """The Python plugins that are installed, such as python311."""
    return sorted(path.name[:-len("_plugin.so")] for path in PLUGINS.glob("python3?*_plugin.so"))


def core_version() -> str:
    """Such as 2.0.21-debian; "" if it can't be told."""
    try:
        found = re.search(rb"\d+\.\d+\.\d+-debian", CORE.read_bytes())
    except OSError:
        return ""
    return found[0].decode() if found else ""


def _core() -> str:
    return f"uWSGI {core_version()}".strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def option(text: str, name: str) -> str:
    """What an ini of uWSGI says last of an option; "" if nothing."""
    found = re.findall(rf"(?m)^[ \t]*{name}[ \t]*=[ \t]*(.*?)[ \t]*$", text)
    return found[-1] if found else ""


class Uwsgi(Server):
    """The Emperor is shared with other vassals, so only files of the application's own name are written."""

    name = "uwsgi"

    def _emperor(self, site: Site) -> str:
        return f"{site.prefix}{EMPEROR}"

    def vassal(self, site: Site, kind: str) -> str:
        """The file of a slot or of the front, outside of the Emperor's directory: what is half written is never started."""
        return f"{site.prefix}/etc/uwsgi-emperor/weft/{site.app}-{kind}.ini"

    def files(self, site: Site) -> dict[str, str]:
        own = {self._emperor(site): _private_emperor(site)} if site.prefix else {}
        return {**entry_file(site), **own, **{self.vassal(site, slot): _slot(site, slot) for slot in SLOTS}, self.vassal(site, "front"): _front(site)}

    def links(self, site: Site) -> dict[str, str]:
        return {**{f"{site.root}/slots/{slot}/uwsgi.sock": f"../../run/uwsgi/{slot}.sock" for slot in SLOTS}, **self.switches(site)}

    def switches(self, site: Site) -> dict[str, str]:
        """The admin's links into the Emperor's directory. The name is the vassal's: no other application's begins a match."""
        return {f"{site.prefix}/etc/uwsgi-emperor/vassals/{site.app}-{kind}.ini": f"../weft/{site.app}-{kind}.ini" for kind in (*SLOTS, "front")}

    def folders(self, site: Site) -> list[str]:
        return [f"{site.root}/run/uwsgi"]

    def check(self, site: Site) -> list[str]:
        """Loads every plugin that the vassals need; uWSGI has no test of a configuration."""
        return [str(CORE), *(word for name in (*NEEDED, wanted(site.python)) for word in ("--need-plugin", name)), "--version"]

    def start(self, site: Site) -> list[str]:
        if not site.prefix:
            return ["sh", _SERVICE, "start"]
        return [str(CORE), "--ini", self._emperor(site), "--daemonize", f"{site.prefix}/var/log/emperor.log"]

    def reload(self, site: Site) -> list[str]:
        """The Emperor sees a newer time, and each vassal begins anew when its requests are done; its sockets stay."""
        return ["touch", "-c", *(self.vassal(site, kind) for kind in (*SLOTS, "front"))]

    def stop(self, site: Site) -> list[str]:
        if not site.prefix:
            return ["sh", _SERVICE, "stop"]
        return [str(CORE), "--stop", self.pidfile(site)]

    def renew(self, site: Site, slot: str) -> dict[str, str]:
        return {self.vassal(site, slot): _slot(site, slot)}

    def accepting(self, site: Site, slot: str) -> float | None:
        """By the Emperor's stats: `ready` says nothing after a reload, `accepting` and its time do."""
        for each in _stats(self._stats(site)):
            if each.get("id") == f"{site.app}-{slot}.ini" and each.get("accepting"):
                return float(each.get("last_accepting", 0))
        return 0.0

    def _stats(self, site: Site) -> str:
        text = _text(Path(self._emperor(site)))
        return option(text, "emperor-stats-server") or option(text, "emperor-stats")

    def pidfile(self, site: Site) -> str:
        return f"{site.prefix}{PIDFILE}" if not site.prefix else f"{site.prefix}/var/run/emperor.pid"

    def error_log(self, site: Site, slot: str = SLOTS[0]) -> str:
        return f"{site.root}/run/uwsgi/error-{slot}.log"

    def python(self, site: Site) -> str:
        """Only of the plugin that the interpreter wants: another one would end uWSGI or, worse, not."""
        name = wanted(site.python)
        return f"3.{name[len('python3'):]}" if name in plugins() else ""

    def about(self, site: Site) -> str:
        return f"uWSGI {core_version()}, plugins {', '.join(plugins()) or 'none'} in {PLUGINS}" if CORE.exists() else ""

    def missing(self, site: Site) -> list[tuple[str, str]]:
        if not CORE.exists():
            return [("uWSGI is not installed", _INSTALL)]
        found, name = plugins(), wanted(site.python)
        if name not in found:
            has = f"has the plugins {', '.join(found)}" if found else "has no Python plugin"
            return [(f"{_core()} {has} in {PLUGINS}, {site.python} needs {name or 'one whose version can be told'}",
                     f"apt-get install -y uwsgi-plugin-python3, or set `python` in deploy/NAME.toml to one that a plugin is for")]
        lacks = [each for each in NEEDED if not (PLUGINS / f"{each}_plugin.so").exists()]
        if lacks:
            return [(f"{_core()} lacks the plugins {', '.join(lacks)} in {PLUGINS}", "apt-get install -y uwsgi-core")]
        return [] if site.prefix else _emperor_lacks(_text(Path(EMPEROR)))


def _emperor_lacks(text: str) -> list[tuple[str, str]]:
    """What Debian's Emperor must be told: it gives root up before it starts a vassal, and does not say what its vassals do."""
    if not text:
        return [("the Emperor of uWSGI is not installed", "apt-get install -y uwsgi-emperor")]
    found = []
    if option(text, "uid") not in ("", "root", "0") or option(text, "gid") not in ("", "root", "0"):
        found.append((f"the Emperor gives up root (uid, gid in {EMPEROR}): a vassal could not run as the application's own account",
                      f"give each other vassal its own uid and gid, then: sed -i -E 's/^uid *=.*/umask = 022/; /^gid *=/d' {EMPEROR} && {_RESTART}"))
    for name, value in (("emperor-stats-server", STATS), ("pidfile", PIDFILE)):
        if not option(text, name):
            found.append((f"{EMPEROR} does not say {name}", f"echo '{name} = {value}' >> {EMPEROR} && {_RESTART}"))
    return found


def _stats(address: str) -> list[dict[str, object]]:
    """The vassals as the Emperor sees them; [] where it does not answer."""
    said = b""
    try:
        with socket.socket(socket.AF_UNIX if address.startswith("/") else socket.AF_INET, socket.SOCK_STREAM) as peer:
            peer.settimeout(2)
            host, _, port = address.rpartition(":")
            peer.connect(address if address.startswith("/") else (host or "127.0.0.1", int(port)))
            while block := peer.recv(1 << 16):
                said += block
        found = json.loads(said)["vassals"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return found if isinstance(found, list) else []


def _private_emperor(site: Site) -> str:
    return f"""\
# Written by weft: a private Emperor under {site.prefix}.
[uwsgi]
strict = true
emperor = {site.prefix}/etc/uwsgi-emperor/vassals
emperor-freq = 1
emperor-stats-server = {site.prefix}/var/run/emperor.stats
pidfile = {site.prefix}/var/run/emperor.pid
die-on-term = true
log-date = true
"""


def _account(site: Site) -> str:
    """Started by root it must serve as somebody else; a private one of anybody else can't."""
    if not site.prefix:
        return f"uid = {site.account}\ngid = {site.account}\n"
    return f"uid = {site.account}\ngid = {pwd.getpwnam(site.account).pw_gid}\n" if os.geteuid() == 0 else ""


def _hosts(site: Site) -> str:
    names = "|".join(name.replace(".", r"\.") for name in (site.hostname, *site.aliases))
    return rf"(?i)^({names})(:\d+)?$"


def _slot(site: Site, slot: str) -> str:
    """Lazy: each worker loads the application itself and leaves its own marker. No need-app: a vassal that ends is held back by the Emperor,
    and the next good release would wait for that."""
    slow = site.longest_request
    return f"""\
# Written by weft for {site.app}, slot {slot}; `fab setup` writes it again, and a deploy only renews its time. By hand: uwsgi_python3 --ini THIS
[uwsgi]
strict = true
{_plugin(site, slot)}need-plugin = logfile
need-plugin = router_rewrite
master = true
no-orphans = true
die-on-term = true
lazy-apps = true
single-interpreter = true
enable-threads = true
processes = {site.processes}
threads = {site.threads}
{_account(site)}umask = 022
chdir = /
env = LANG=C.UTF-8
env = LC_ALL=C.UTF-8
env = WEFT_SLOT={slot}
home = {site.root}/slots/{slot}/generation/release/venv
wsgi-file = {site.root}/entry.wsgi
callable = application
# A reload waits for the longest request, on an idle slot.
worker-reload-mercy = {slow}
reload-mercy = {slow}
{_asked(site, slot)}"""


def _plugin(site: Site, slot: str) -> str:
    """Run by hand as uwsgi_python3 it has the plugin before it reads this, and does not load it twice."""
    name = wanted(interpreter(site, slot)) or wanted(site.python) or "python3"
    return f"if-not-plugin = python\nneed-plugin = {name}\nendif =\n"


def _asked(site: Site, slot: str) -> str:
    """How a slot is reached, and what it notes of that."""
    run, port = f"{site.root}/run/uwsgi", site.doors[SLOTS.index(slot)]
    return f"""\
# Where the front asks, closed to other accounts, for who speaks this protocol may have any code loaded; and the door, for warming and health.
socket = {run}/{slot}.sock
chmod-socket = 660
http-socket = 127.0.0.1:{port}
buffer-size = 65535
# A body that the application leaves unread would cut the connection under its user's nose.
post-buffering = 65536
# Only those who ask on the host itself are told which release answers, and weft's own questions are not counted.
route-if-not = regexp:${{HTTP_HOST}};{_hosts(site)} break:421 Misdirected Request
route-remote-addr = ^127\\. addvar:WEFT_SHOW=1
route-if = regexp:${{REMOTE_ADDR}}/${{HTTP_USER_AGENT}};^127\\.[.0-9]+/weft$ donotlog:
# What users get, for the watch after a switch: time in ms, status, slot, duration in µs.
req-logger = file:logfile={run}/traffic-{slot},maxsize=1048576,backupname={run}/traffic-{slot}.1
logformat = %(tmsecs) %(status) {site.app}-{slot} %(micros)
logger = file:logfile={run}/error-{slot}.log,maxsize=10485760,backupname={run}/error-{slot}.log.1
# Each piece that somebody writes begins with its time, by which `fab logs` sorts it.
log-encoder = format [${{unix}}] ${{msgnl}}
"""


def _front(site: Site) -> str:
    """Bound by root, then run as the application's account; no code of the application is in it, and no deploy touches it."""
    return f"""\
# Written by weft for {site.app}: the front. The path goes through `live`, and each request is a new connection to what it names.
[uwsgi]
strict = true
need-plugin = http
master = true
no-orphans = true
die-on-term = true
{_account(site)}chdir = /
shared-socket = 0.0.0.0:{site.port}
http = =0
http-to = {site.root}/live/uwsgi.sock
http-keepalive = {max(60, site.longest_request)}
http-auto-chunked = true
http-timeout = {max(60, site.longest_request + 10)}
http-connect-timeout = 60
"""


server = Uwsgi()
