"""Adopt the site that answers for the application's name before weft does: it stays as it is and becomes generation 0."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from weft import durable
from weft.durable import read_json
from weft.errors import Refused
from weft.host.commands import CommandFailed, run
from weft.host.layout import Layout
from weft.host.work import Work, give
from weft.record import asdict, replace
from weft.servers import SLOTS, Site, before, find

ENABLED = Path("/etc/apache2/sites-enabled")


def remembered(layout: Layout, site: Site) -> Site:
    """The site with what set-up has adopted on this host, which no request can say."""
    return replace(site, before=before.Before.from_json(read_json(layout.adopted)))


def look(work: Work) -> list[str]:
    """Find it at the first set-up, and what has become of it at later ones; what was done, in sentences."""
    layout, site = work.layout, work.site
    known = site.before
    if site.server != "mod_wsgi" or (layout.live.is_symlink() and not known):
        return []
    found = _found(work)
    if not found:
        return []
    if site.tls:
        raise Refused(f"{found[0].path} answers for {site.hostname} already, and weft adopts a site for plain HTTP only",
                      "leave [tls] out of deploy/NAME.toml, or take that site away first (a2dissite)")
    now = _adopted(work, *found)
    if now == known:
        return []
    durable.write(layout.adopted, json.dumps(asdict(now), sort_keys=True), 0o600)
    work.site = replace(site, before=now)
    if known:
        return [f"{now.source} has changed: its copy was renewed"]
    return [f"adopted the site in {now.source} as generation 0: it answers until the first deploy, and `fab rollback` goes back to it; "
            "its files and links are left as they are", *_said(work, now)]


def _said(work: Work, now: before.Before) -> list[str]:
    out = []
    if now.names:
        out.append(f"{', '.join(now.names)} stays with {now.source}: name it in `aliases` of [site] to take it over too")
    if now.ini:
        out.append(f"{work.layout.ini} belongs to it and is left alone; WEFT_SETTINGS names the settings of weft's releases")
    return out


def _found(work: Work) -> tuple[before.Found, list[str]] | None:
    """The virtual host that answers for the site's names, and its lines."""
    site = work.site
    try:
        said = run(["apache2ctl", "-S"], "apache2ctl -S", work.layout, timeout=60)
    except CommandFailed as error:
        if site.before:
            return None  # what is known already stays
        raise Refused(f"the server refuses its configuration: {error.message}", "correct the server's configuration; nothing was adopted",
                      details=error.details) from None
    seen = [(each, _lines(each)) for each in before.told(said, site.port)]
    others = [(each, lines) for each, lines in seen if lines]
    for each, lines in others:
        if any(each.answers_for(name) for name in (site.hostname, *site.aliases)):
            return each, lines
    for each, lines in others:
        if each.default and before.says(lines, "WSGIScriptAlias") and not before.says(lines, "ServerName"):
            return each, lines
    return None


def _lines(found: before.Found) -> list[str]:
    """[] for what weft wrote itself, and for what is no plain file."""
    try:
        text = Path(found.path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [] if text.startswith(before.OWN) else before.block(text, found.line)


def _adopted(work: Work, found: before.Found, lines: list[str]) -> before.Before:
    site, layout, known = work.site, work.layout, work.site.before
    link = ""
    if any(found.answers_for(name) for name in (site.hostname, *site.aliases)) and Path(found.path).parent == ENABLED:
        own = {os.path.basename(path) for path in find(site.server).links(site)}
        name = os.path.basename(found.path)
        link = before.link_before(name, site.app, [each for each in sorted(os.listdir(ENABLED)) if each not in own])
        if not link:
            raise Refused(f"{found.path} answers for {site.hostname}, and no name of a link comes right before it",
                          f"give the link {found.path} a plain name that ends in .conf, then run `{layout.setup_command}` again")
    port = known.port if known else _free_port(site)
    ini = known.ini if known else os.path.lexists(layout.ini)
    names = tuple(name for name in (found.name, *found.aliases) if before.says(lines, "ServerName") or name != found.name)
    return before.Before(found.path, port, before.addresses(lines, site.port), before.behind_a_door(lines, found.name, port), link, ini,
                         tuple(name for name in names if name not in (site.hostname, *site.aliases)))


def _free_port(site: Site) -> int:
    first = site.doors[1] + 2000 if site.doors[1] < 60000 else 20000
    for port in range(first, first + 500):
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            continue
    raise Refused("no port is free on loopback for the door of the site that is here already")


def slots(work: Work) -> None:
    """The third place that `live` can point to, and each one's name in it, which Apache reads."""
    layout = work.layout
    place = layout.slot(before.RELEASE)
    if not place.is_dir():
        place.mkdir(mode=0o755)
        give(layout, place, "root", 0o755)
    for slot in (*SLOTS, before.RELEASE):
        path = layout.slot(slot) / "name"
        if not path.exists():
            durable.write(path, f"{slot}\n")
