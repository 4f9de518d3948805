"""The contract of a server adapter: it answers with texts and argument vectors; the engine writes and runs them.

Adding a server is one module in this package with a `server` attribute, found by the name in `server = "…"`; or one of another package that an
entry point in the group `weft.servers` names. docs/how-to/add-a-server.md shows one.
"""

from __future__ import annotations

import importlib
import os
import re
from abc import ABC, abstractmethod
from pathlib import Path

from weft import adapters
from weft.errors import Refused, UsageError
from weft.record import field, record
from weft.servers.before import RELEASE, Before
from weft.servers.tls import Tls, tls_of
from weft.typing import Any
from weft.values import app_name

SLOTS = ("a", "b")
MAY_LACK = {"keep", "secret_files", "migrate", "artifacts", "tls"}
"""Of what a request says of a site: what older wefts did not know."""
PLACES = (*SLOTS, RELEASE)
"""Where `live` can point: a slot, or what set-up has adopted."""


@record(frozen=True)
class Health:
    """contains may hold {version}; timeout in seconds; good answers in a row."""

    path: str = "/"
    contains: str = ""
    good: int = 3
    timeout: int = 30


@record(frozen=True)
class Site:
    """The environment as a host needs it. Times in seconds. `root` is the application's directory on the host,
    `prefix` stands for / (empty on a real host), `before` is the site that set-up has adopted there.
    `secret_files`: section -> key -> the file on the host that holds that secret.  `migrate`: {} or "command" and "timeout"
    of what changes the database for a new release.  `artifacts`: where this host reads the artifact store itself, "" for not at all.
    `tls`: of a server whose `serves_tls` is set."""

    app: str
    server: str
    account: str
    python: str
    hostname: str
    aliases: tuple[str, ...]
    port: int
    doors: tuple[int, ...]
    processes: int
    threads: int
    longest_request: int
    health: Health
    variant: str = ""
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    secret_files: dict[str, dict[str, str]] = field(default_factory=dict)
    migrate: dict[str, Any] = field(default_factory=dict)
    artifacts: str = ""
    tls: Tls | None = None
    watch: float = 2.0
    max_errors: float = 1.0
    confirm: int = 60
    keep: int = 5
    prefix: str = ""
    before: Before | None = None

    @property
    def root(self) -> str:
        return f"{self.prefix}/var/app/{self.app}"


def traffic_log(app: str, prefix: str) -> str:
    """A line a request, for the watch after a switch; root's, in the application's state."""
    return f"{prefix}/var/lib/weft/{app}/traffic"


class Server(ABC):
    """What the engine asks an adapter. Answers are texts, paths and argument vectors; an adapter acts on nothing. Every path is absolute on the host.
    `weft.testing.server_suite` holds every adapter to this."""

    name: str
    unused: frozenset[str] = frozenset()
    """Settings that it has nothing for; its page says why."""
    lazy = False
    """Whether it starts a slot's processes only when the slot is asked for something, and may end them later than a reload or a stop is done."""
    serves_tls = False
    """Whether its files make use of a site's `tls`; else an environment that has [tls] is refused."""

    @abstractmethod
    def files(self, site: Site) -> dict[str, str]:
        """Path -> text of everything this server is configured with; equal sites give equal texts."""

    @abstractmethod
    def check(self, site: Site) -> list[str]:
        """The argument vector that tests the whole configuration."""

    @abstractmethod
    def start(self, site: Site) -> list[str]:
        """Starts the server, and ends when it runs. By then the server has left the command's process group: what is still in it is ended."""

    @abstractmethod
    def reload(self, site: Site) -> list[str]:
        """Makes a running server read its files again."""

    @abstractmethod
    def stop(self, site: Site) -> list[str]:
        """Stops the server."""

    @abstractmethod
    def pidfile(self, site: Site) -> str:
        """Holds the pid of the process that all the application's processes come from."""

    @abstractmethod
    def python(self, site: Site) -> str:
        """The Python minor version that it can load applications for, such as "3.11"; "" if it can't be told."""

    @abstractmethod
    def error_log(self, site: Site, slot: str = SLOTS[0]) -> str:
        """Where a slot's tracebacks and the server's errors go; mostly one file for both."""

    @abstractmethod
    def missing(self, site: Site) -> list[tuple[str, str]]:
        """(what is missing, the command that provides it), by reading only."""

    def about(self, site: Site) -> str:
        """What is there, for `fab doctor`: the server's version and what of it matters here, by reading only; "" where nothing is to be told."""
        return ""

    def provide(self, site: Site) -> str:
        """The commands that have the server load the site's Python in place of another; "" where there are none."""
        return ""

    def own(self, site: Site) -> str:
        """The operator's own file of directives, which the site's text takes in where it is there; "" where the server has none.
        weft writes none. Only an undeploy with `purge` removes it."""
        return ""

    def links(self, site: Site) -> dict[str, str]:
        """Symlink -> target that enable the site, relative targets. Those that carry the application's name are what `fab disable` removes."""
        return {}

    def folders(self, site: Site) -> list[str]:
        """Directories below the application's own that its account writes to, beside its slots' and `shared`. In run/NAME of the server
        a slot may note its requests: traffic-a, traffic-b."""
        return []

    def renew(self, site: Site, slot: str) -> dict[str, str]:
        """Path -> text of what lets the running server start a slot anew, after its last requests, when it is written again with a newer
        time; {} where signals to the slot's processes do."""
        return {}

    def restart(self, site: Site, slot: str) -> list[str]:
        """The argument vector that has the running server start a slot anew, after its last requests; [] where `renew` or signals to the
        slot's processes do."""
        return []

    def accepting(self, site: Site, slot: str) -> float | None:
        """When a slot last began to accept requests, by the server's own word, in whole seconds since 1970, 0 for never; None where it does not say."""
        return None


def find(name: str) -> Server:
    """Raises UsageError for a name that is no server."""
    if not adapters.has(name):
        raise UsageError(f"server {name!r} is unknown", f"known: {', '.join(adapters.known())}")
    return importlib.import_module(f"weft.servers.{name}").server  # type: ignore[no-any-return]


def entry_file(site: Site) -> dict[str, str]:
    """The entry that this site's processes load; a part of every adapter's `files`."""
    text = __spec__.loader.get_data(os.path.join(os.path.dirname(__file__), "entry.py")).decode()  # from an archive too
    return {f"{site.root}/entry.wsgi": text.replace("@APP@", site.app).replace("@ROOT@", site.root)}


def doors(app: str) -> tuple[int, int]:
    """Two loopback ports that follow from the name, between 18000 and 19998."""
    import zlib
    first = 18000 + 2 * (zlib.crc32(app.encode()) % 1000)
    return first, first + 1


_HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*", re.ASCII)
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._/+@~-]*", re.ASCII)
_TEXT = re.compile(r"[^\x00\r\ud800-\udfff]*")
_VARIANT = re.compile(r"[A-Za-z0-9_.-]*", re.ASCII)
# What an ini holds as a section's or a key's name and gives back as it was.
_SECTION = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff\[\]]+")
_KEY = re.compile(r"(?![#;\[\s])[^\x00-\x1f\x7f\ud800-\udfff=:]+(?<!\s)")
_STORE = re.compile(r"|/[A-Za-z0-9._/+~-]*|https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._/+~%-]*)?", re.ASCII)
_URL_PATH = re.compile(r"/[\x21\x23-\x7e]*", re.ASCII)


def parse_site(app: str, said: Any, prefix: str) -> Site:
    """A Site from the wire; everything that will stand in a configuration file is checked here. Raises Refused."""
    if not isinstance(said, dict):
        raise Refused("site is not a JSON object")
    known = set(Site.__match_args__) - {"app", "prefix", "before"}
    if (set(said) | MAY_LACK) != known:
        odd = sorted((set(said) | MAY_LACK) ^ known)
        raise Refused(f"site has unknown or lacks keys: {', '.join(odd)}", "run `fab setup` with this weft")
    try:
        health = Health(**said["health"])
        if not all(isinstance(said[key], list) for key in ("aliases", "doors")):
            raise Refused("site: aliases and doors are lists", "correct it in deploy/NAME.toml")
        site = Site(app=app_name(app), prefix=prefix, **{
            **said, "aliases": tuple(said["aliases"]), "doors": tuple(said["doors"]) or doors(app), "health": health, "tls": tls_of(said.get("tls"))})
    except TypeError as error:
        raise Refused(f"site is malformed: {error}") from None
    for what, ok in _checks(site):
        if not ok:
            raise Refused(f"site: {what} is not valid", "correct it in deploy/NAME.toml")
    if site.tls and not find(site.server).serves_tls:
        raise Refused(f"the server {site.server} serves no TLS", "take [tls] out of deploy/NAME.toml, and put a proxy that does before the site")
    return site


def _checks(site: Site) -> list[tuple[str, bool]]:
    def number(value: Any, low: int, high: int) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    ports = len(site.doors) == 2 and site.doors[0] != site.doors[1] and all(number(p, 1, 65535) for p in site.doors)
    return [
        (f"server {site.server!r}", adapters.has(site.server)),
        (f"account {site.account!r}", _is(_ACCOUNT, site.account) and site.account != "root"),
        (f"python {site.python!r}", _is(_PATH, site.python)),
        (f"prefix {site.prefix!r}", not site.prefix or bool(_PATH.fullmatch(site.prefix))),
        (f"hostname {site.hostname!r}", _is(_HOSTNAME, site.hostname)),
        (f"aliases {list(site.aliases)!r}", all(_is(_HOSTNAME, a) for a in site.aliases)),
        (f"port {site.port!r}", number(site.port, 1, 65535)),
        (f"doors {list(site.doors)!r}", ports and site.port not in site.doors),
        (f"processes {site.processes!r}", number(site.processes, 1, 512)),
        (f"threads {site.threads!r}", number(site.threads, 1, 512)),
        (f"longest_request {site.longest_request!r}", number(site.longest_request, 1, 86400)),
        (f"health.path {site.health.path!r}", _is(_URL_PATH, site.health.path)),
        ("health.contains", _is(_TEXT, site.health.contains)), (f"variant {site.variant!r}", _is(_VARIANT, site.variant)),
        (f"health.good {site.health.good!r}", number(site.health.good, 1, 100)),
        (f"health.timeout {site.health.timeout!r}", number(site.health.timeout, 1, 3600)),
        (f"watch {site.watch!r}", isinstance(site.watch, (int, float)) and 0 <= site.watch <= 3600),
        (f"max_errors {site.max_errors!r}", isinstance(site.max_errors, (int, float)) and 0 <= site.max_errors <= 100),
        (f"confirm {site.confirm!r}", number(site.confirm, 1, 86400)),
        (f"keep {site.keep!r}", number(site.keep, 5, 1000)),
        ("settings", valid_sections(site.settings)),
        ("secret_files", valid_sections(site.secret_files, _PATH) and not any(".." in path for values in site.secret_files.values() for path in values.values())),
        (f"artifacts {site.artifacts!r}", readable_by_hosts(site.artifacts)),
        ("tls", site.tls is None or _secured(site) and number(site.tls.port, 1, 65535)),
        ("migrate", site.migrate == {} or _migration(site.migrate) and number(site.migrate["timeout"], 1, 86400)),
    ]


def valid_sections(said: Any, value: re.Pattern[str] = _TEXT) -> bool:
    """Whether it is section -> key -> text, as an ini can hold it."""
    return isinstance(said, dict) and all(
        _is(_SECTION, section) and isinstance(values, dict) and all(_is(_KEY, key) and _is(value, each) for key, each in values.items())
        for section, values in said.items())


def _migration(said: Any) -> bool:
    """Whether it has a command: words, the first of them a program by its name or its whole path."""
    if not isinstance(said, dict) or set(said) != {"command", "timeout"} or not isinstance(said["command"], list) or not 0 < len(said["command"]) <= 100:
        return False
    program = said["command"][0]
    return all(isinstance(each, str) and "\0" not in each and len(each) <= 4096 for each in said["command"]) and program_named(program)


def _secured(site: Site) -> bool:
    """Whether its paths can stand in a configuration file, and its port is not one that the site has already."""
    said = site.tls
    return (isinstance(said, Tls) and all(_is(_PATH, path) and ".." not in path for path in (said.certificate, said.key))
            and isinstance(said.http2, bool) and isinstance(said.redirect, bool) and said.port not in (site.port, *site.doors))


def program_named(program: str) -> bool:
    """By its name, which the release's virtualenv is searched for, or by its whole path: there is no directory that it could be relative to."""
    return bool(program) and (program.startswith("/") or "/" not in program)


def readable_by_hosts(place: str) -> bool:
    """Whether a host could read a store there by itself; "" for one that does not."""
    return _is(_STORE, place)


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def python_of(module: Path) -> str:
    """The Python that a mod_wsgi module was built for, such as "3.11"; "" if it can't be told."""
    try:
        found = re.search(rb"libpython(3\.\d+)", module.read_bytes())
    except OSError:
        return ""
    return found[1].decode() if found else ""
