"""The site's text for Apache with mod_wsgi: two daemon groups, routed a request at a time by the `live` symlink.

One recipe for the system's Apache and for a private one. Measured: no request lost or mixed over thousands of flips;
docs/explanation/the-switch.md tells why each directive is there.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from weft.servers import SLOTS, Site, before, python_of, tls, traffic_log

# A spare child that Apache reaps closes kept-alive connections under a client's nose.
KEEP_CHILDREN = """\
# Written by weft: Apache's children stay, so that no kept-alive connection is closed under a client's nose.
<IfModule mpm_event_module>
    MinSpareThreads 150
    MaxSpareThreads 150
    MaxConnectionsPerChild 0
</IfModule>
<IfModule mpm_worker_module>
    MinSpareThreads 150
    MaxSpareThreads 150
    MaxConnectionsPerChild 0
</IfModule>
<IfModule mpm_prefork_module>
    MinSpareServers 5
    MaxSpareServers 150
    MaxConnectionsPerChild 0
</IfModule>
"""


def about(program: Path, mpm: str, module: Path) -> str:
    """Which Apache and which mod_wsgi, as their files say."""
    versions = [_found(rb"Apache/(\d+\.\d+\.\d+)", program), _found(rb"\0([4-9]\.\d+\.\d+)\0", module)]
    return f"Apache {versions[0]} (mpm_{mpm or '?'}), mod_wsgi {versions[1]} for Python {python_of(module) or '?'} in {module}"


def _found(pattern: bytes, path: Path) -> str:
    try:
        found = re.search(pattern, path.read_bytes())
    except OSError:
        return "?"
    return found[1].decode() if found else "?"


def site_text(site: Site, rotatelogs: str, own: str = "", more: str = "") -> str:
    """The whole site; equal sites give equal texts. rotatelogs: Apache's program of that name, "" where it is not there.
    own: the operator's file of directives.  more: what comes before all."""
    groups = "\n".join(_group(site, slot) for slot in SLOTS)
    doors = "\n".join(_door(site, slot, port) for slot, port in zip(SLOTS, site.doors))
    listening = "\n".join(listen(site, port) for port in [site.port, *([site.tls.port] if site.tls else [])])
    return f"""\
# Written by weft for {site.app}; `fab setup` writes it again. A deploy never changes it and never reloads Apache.
{before.modules() if site.before else ""}{more}{listening}
{groups}

{traffic(site, rotatelogs)}
<Directory "{site.root}">
    Options None
    AllowOverride None
    <Files "entry.wsgi">
        Require all granted
    </Files>
</Directory>

{_for_users(site, own_lines(own))}
{doors}"""


def _for_users(site: Site, own: str) -> str:
    """The virtual hosts that users come to."""
    addresses = [f"*:{site.port}", *(site.before.addresses if site.before else ())]
    within = f"""\
    ServerName {site.hostname}
{aliases(site)}{own}{_routing(site)}    WSGIProcessGroup %{{ENV:WEFT_SLOT}}
{_common(site)}"""
    away = tls.away(site.tls, site.hostname) if site.tls and site.tls.redirect else ""
    found = [f"<VirtualHost {' '.join(addresses)}>\n{within}{away}</VirtualHost>\n"]
    if site.tls:
        found.append(f"<VirtualHost *:{site.tls.port}>\n{within}{tls.secure(site.tls)}</VirtualHost>\n")
    return "\n".join(found)


def own_lines(path: str) -> str:
    """Takes in the operator's own file, where there is one. Its digest lets a change of it be seen, as one of the site is."""
    try:
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError:
        digest = "not to be read"
    return f"""\
    # The operator's own directives: weft neither writes nor removes that file, and `fab setup` checks it before Apache is reloaded.
    # sha256: {digest}
    IncludeOptional {path}
"""


def _routing(site: Site) -> str:
    if site.before:
        return before.routing(site.app, site.root, site.before.port, site.longest_request)
    return f"""\
    # Default first, then one dynamic test: there is no moment without a slot.
    SetEnvIf Request_URI ^ WEFT_SLOT={site.app}-a
    SetEnvIfExpr "-f '{site.root}/live/is-slot-b'" WEFT_SLOT={site.app}-b
"""


def before_text(site: Site) -> str:
    """The door of the site that was adopted."""
    assert site.before is not None
    return (f"{before.OWN} for {site.app}: the site in {site.before.source}, which is left as it is, once more behind a door on loopback.\n"
            f"# `fab setup` writes it again when the original has changed.\n{site.before.text}")


def listen(site: Site, port: int) -> str:
    """Once a port, whichever site comes first."""
    if port in (80, 443) and not site.prefix:
        return "# Debian's ports.conf listens on this port."
    return f"<IfDefine !weft_listen_{port}>\n    Define weft_listen_{port}\n    Listen {port}\n</IfDefine>"


def _group(site: Site, slot: str) -> str:
    name, slow = f"{site.app}-{slot}", site.longest_request
    account = "" if site.prefix else f" user={site.account} group={site.account}"
    return (f"WSGIDaemonProcess {name} processes={site.processes} threads={site.threads}{account} umask=0022"
            f" python-home={site.root}/slots/{slot}/generation/release/venv home=/ lang=C.UTF-8 locale=C.UTF-8"
            f" display-name=%{{GROUP}} shutdown-timeout={slow} graceful-timeout={slow} eviction-timeout={slow}"
            f" connect-timeout=60 listen-backlog=500\n"
            f"WSGIImportScript {site.root}/entry.wsgi process-group={name} application-group=%{{GLOBAL}}")


def traffic(site: Site, rotatelogs: str) -> str:
    """A line for each request of users. GlobalLog, for a CustomLog would switch off the log that others gave the site."""
    log = bounded(rotatelogs, traffic_log(site.app, site.prefix), 3, "1M")
    stay = " && -z reqenv('WEFT_AWAY')" if site.tls and site.tls.redirect else ""
    return f"""\
# What users get, for the watch after a switch: time in ms, status, slot, duration in µs. At most three files of 1 MiB, rotated without a reload.
LogFormat "%{{end:msec}}t %>s %{{WEFT_SLOT}}e %D" weft_traffic
GlobalLog "{log}" weft_traffic "expr=reqenv('WEFT_SLOT') =~ /^{site.app}-[ab]$/ && !{tls.ASKED_BY_WEFT}{stay}"
"""


def bounded(rotatelogs: str, path: str, files: int, size: str) -> str:
    """A log that is rotated without a reload and never grows past files x size; a plain one without the program."""
    return f"|{rotatelogs} -n {files} {path} {size}" if rotatelogs else path


def aliases(site: Site) -> str:
    """The site's further names."""
    return f"    ServerAlias {' '.join(site.aliases)}\n" if site.aliases else ""


def _common(site: Site) -> str:
    return f"""\
    # Only those who ask on the host itself are told which release answers.
    SetEnvIfExpr "-R '127.0.0.0/8'" WEFT_SHOW=1
    WSGIApplicationGroup %{{GLOBAL}}
    WSGIScriptAlias / {site.root}/entry.wsgi
    WSGIScriptReloading Off
    WSGIPassAuthorization On
"""


def _door(site: Site, slot: str, port: int) -> str:
    return f"""\
# The door of slot {slot}: warmed and checked here before any user reaches it.
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
    ServerName {site.hostname}
    WSGIProcessGroup {site.app}-{slot}
{_common(site)}    <Location />
        Require local
    </Location>
</VirtualHost>
"""
