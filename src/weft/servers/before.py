"""The site that answered here before weft came: how it is found in what Apache says, and the texts that let it go on answering.

Its own files and links are left as they are. weft's site takes the name over, and while `live` points to `slots/before`
it passes requests on to a copy of the old virtual host behind a door of its own on loopback.
"""

from __future__ import annotations

import fnmatch
import re

from weft.record import record
from weft.typing import Any, Mapping

RELEASE = "before"
"""Stands where a generation's release is named, and in X-Weft-Release: what was here before weft."""
OWN = "# Written by weft"
MODULES = "/usr/lib/apache2/modules"
_NEEDED = (("proxy", "proxy"), ("proxy_http", "proxy_http"), ("headers", "headers"), ("remoteip", "remoteip"))


@record(frozen=True)
class Before:
    """source: the file with its virtual host.  port: of its door.  addresses: those it has besides *:PORT.  text: the virtual host as the
    door has it.  link: the name of weft's link in sites-enabled, "" for the usual one.  ini: /etc/APP.ini is its own.  names: others of its."""

    source: str
    port: int
    addresses: tuple[str, ...]
    text: str
    link: str = ""
    ini: bool = False
    names: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Before | None:
        """None where nothing was adopted."""
        if not said:
            return None
        return cls(**{**said, "addresses": tuple(said["addresses"]), "names": tuple(said["names"])})


@record(frozen=True)
class Found:
    """A virtual host as `apache2ctl -S` tells it."""

    address: str
    name: str
    aliases: tuple[str, ...]
    path: str
    line: int
    default: bool

    def answers_for(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name.lower(), each.lower()) for each in (self.name, *self.aliases))


_ONE = r"^(\S+):(\d+|\*)\s+(\S+) \((.+):(\d+)\)$"
_MANY = r"^(\S+):(\d+|\*)\s+is a NameVirtualHost$"
_EACH = r"^\s+port (?:\d+|\*) namevhost (\S+) \((.+):(\d+)\)$"
_ALIAS = r"^\s+(?:wild )?alias (\S+)$"


def told(text: str, port: int) -> list[Found]:
    """The virtual hosts of a port that Apache would choose from, first match first. text: what `apache2ctl -S` prints."""
    found: list[Found] = []
    address, ours, first = "", False, False
    for line in text.splitlines():
        one, many, each, alias = (re.match(pattern, line) for pattern in (_ONE, _MANY, _EACH, _ALIAS))
        if one or many:
            head = one or many
            address, ours, first = head[1], head[2] in (str(port), "*"), True  # type: ignore[index]
        elif line[:1].strip():
            ours = False
        if ours and one:
            found.append(Found(address, one[3], (), one[4], int(one[5]), True))
        elif ours and each:
            found.append(Found(address, each[1], (), each[2], int(each[3]), first))
            first = False
        elif ours and alias and found:
            last = found.pop()
            found.append(Found(last.address, last.name, (*last.aliases, alias[1]), last.path, last.line, last.default))
    return found


def block(text: str, line: int) -> list[str]:
    """The virtual host that begins at a line (from 1), continuation lines joined; [] where none begins there."""
    rest = text.splitlines()[line - 1:]
    if not rest or not rest[0].strip().lower().startswith("<virtualhost"):
        return []
    joined = re.sub(r"\\\n", " ", "\n".join(rest)).splitlines()
    end = next((n for n, each in enumerate(joined) if each.strip().lower().startswith("</virtualhost")), 0)
    return joined[:end + 1] if end else []


def says(lines: list[str], directive: str) -> bool:
    return any(each.split()[:1] and each.split()[0].lower() == directive.lower() for each in lines)


def addresses(lines: list[str], port: int) -> tuple[str, ...]:
    """Those of a virtual host besides the ones that weft's site has anyway."""
    words = lines[0].strip()[len("<virtualhost"):].rstrip("> \t").split()
    usual = {f"*:{port}", f"_default_:{port}", "*", "_default_", "*:*"}
    return tuple(each for each in words if each not in usual and re.fullmatch(r"[\w.:*\[\]-]+", each, re.ASCII))


def behind_a_door(lines: list[str], name: str, port: int) -> str:
    """The virtual host for a loopback port. Its groups of processes are those of the original, which stays enabled; the client's address
    comes in a header that only weft's own site can have set."""
    body = [each for each in lines[1:] if each.split()[:1] and each.split()[0].lower() not in ("wsgidaemonprocess", "wsgiimportscript")]
    named = [] if says(lines, "ServerName") else [f"    ServerName {name}"]
    return "\n".join([
        f"Listen 127.0.0.1:{port}", f"<VirtualHost 127.0.0.1:{port}>", *named,
        "    RemoteIPHeader X-Weft-Client", "    RemoteIPInternalProxy 127.0.0.1",
        f"    Header always set X-Weft-Release {RELEASE} \"expr=-R '127.0.0.0/8'\"", *body, ""])


def modules() -> str:
    """What passing a request on needs, loaded where the machine's own configuration has not."""
    return "".join(f"<IfModule !{module}_module>\n    LoadModule {module}_module {MODULES}/mod_{file}.so\n</IfModule>\n" for module, file in _NEEDED)


def routing(app: str, root: str, port: int, longest: int) -> str:
    """Which of three answers, by one read for each request: slot a, slot b, or what was here before."""
    return f"""\
    # Default first, then one read: a slot of weft's, or the site that was here before, at a door of its own.
    SetEnvIf Request_URI ^ WEFT_SLOT={app}-a
    SetEnvIfExpr "file('{root}/live/name') =~ /^({RELEASE}|a|b)/" WEFT_SLOT={app}-$1
    SetEnvIf Request_URI ^ no-proxy=1
    # By an expression: SetEnvIf with a name would take a header of that name, and its sender would choose.
    SetEnvIfExpr "reqenv('WEFT_SLOT') == '{app}-{RELEASE}'" !no-proxy
    ProxyPreserveHost On
    ProxyAddHeaders Off
    ProxyPass / http://127.0.0.1:{port}/ nocanon disablereuse=on retry=0 timeout={max(600, longest)}
    RequestHeader set X-Weft-Client expr=%{{REMOTE_ADDR}} "expr=reqenv('WEFT_SLOT') == '{app}-{RELEASE}'"
"""


def link_before(source: str, app: str, enabled: list[str]) -> str:
    """A name for weft's link so that its site comes right before `source`: first for the name, and the default of the port only where
    `source` was. "" where a file stands between that can't be passed."""
    stem = source[:-len(".conf")] if source.endswith(".conf") else source
    name = f"{stem}-~weft-{app}.conf"
    between = [each for each in enabled if name < each < source]
    return name if name < source and not between else ""
