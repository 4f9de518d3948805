"""The pages for people. Pure: a catalogue's entries in, HTML out; nothing is fetched from anywhere by a page."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import files
from typing import Mapping, Sequence
from urllib.parse import quote

import weft
from weft.simple.offers import normal
from weft.values import Artifact
from weft.web.catalogue import Entry
from weft.web.markup import Html, changelog, fill, join

STYLE = files("weft.web").joinpath("style.css").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; base-uri 'none'; form-action 'none'"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
$trail
<h1>$heading</h1>
$lead
</header>
<main>
$body
</main>
<footer>weft $version · <a href="$simple">package index</a></footer>
</body>
</html>
"""

_CARD = """<section class="card">
<div class="top"><h2><a href="$href">$app</a></h2> $latest</div>
$fault
<div class="notes">$notes</div>
<div class="others">$others</div>
</section>"""

_COMMANDS = """<h3>Use it</h3>
<div class="label">Deploy it from the project, all hosts of its environment:</div>
<pre>fab deploy --version $version$force</pre>
<div class="label">Install it from this index alone, with no other:</div>
<pre>$pip</pre>"""

_FILES = """<h3>$title</h3>
<table><thead><tr><th>File and sha256</th><th class="number">Size</th></tr></thead><tbody>
$rows
</tbody></table>"""

_FILE = """<tr><td><a href="$href">$name</a> <span class="soft">$what</span><span class="sum">$sha256</span></td>
<td class="number">$size</td></tr>"""


@dataclass(frozen=True)
class Place:
    """Where the index is: its title, the path it is mounted at, and its address as people reach it (no final slash)."""

    title: str
    mount: str
    address: str

    def href(self, *parts: str, folder: bool = True) -> str:
        return f"{self.mount}/" + "/".join(quote(part) for part in parts) + ("/" if folder and parts else "")


def index(place: Place, apps: Mapping[str, Sequence[Entry]], fault: str = "") -> bytes:
    """All applications with their latest release. fault: why the store cannot be read."""
    releases = sum(len(entries) for entries in apps.values())
    lead = f"{_count(len(apps), 'application')}, {_count(releases, 'release')}"
    cards = join(_card(place, app, entries) for app, entries in apps.items())
    if fault:
        lead, cards = "", _fault(fault)
    elif not apps:
        cards = fill('<section class="card"><h2>Nothing has been released yet</h2><p>$how</p></section>',
                     how=Html("<code>inv release --version 1.0.0</code> in a project publishes its first release here."))
    return _page(place, place.title, cards, lead)


def application(place: Place, app: str, entries: Sequence[Entry]) -> bytes:
    """All versions of an application with what changed in each; the newest is open."""
    rows = join(_version(place, entry, at < 1) for at, entry in enumerate(entries))
    body = fill('<section class="card">$rows</section>', rows=rows) if entries else Html("<p>no release yet</p>")
    return _page(place, app, body, _count(len(entries), "release"), (("", place.href()),))


def version(place: Place, entry: Entry) -> bytes:
    """A release: what changed, its files, and the commands that use it."""
    trail = (("", place.href()), (entry.app, place.href(entry.app)))
    heading = f"{entry.app} {entry.version}"
    if entry.release is None:
        return _page(place, heading, _fault(f"This release cannot be used: {entry.fault}"), "", trail)
    body = join([
        _taken_back(entry),
        fill('<section class="card">$notes</section>', notes=_notes(entry)),
        fill(_COMMANDS, version=entry.version, pip=pip_command(place, entry), force="".join(f" --force-{mark}" for mark in entry.marks)),
        _table(place, entry, "The release", lambda a: a.kind not in ("dependency", "installer")),
        _table(place, entry, "Its dependencies", lambda a: a.kind == "dependency"),
        _table(place, entry, "What installs it on a host", lambda a: a.kind == "installer"),
    ])
    lead = f"{_facts(entry)} · commit {entry.release.commit[:12]} · tag {entry.release.tag}"
    return _page(place, heading, body, lead, trail)


def notice(place: Place, heading: str, text: str) -> bytes:
    """A page that says one thing: not found, not allowed."""
    return _page(place, heading, fill("<p>$text</p>", text=text), "", (("", place.href()),))


def pip_command(place: Place, entry: Entry) -> str:
    """What installs this release; pip wants to be told to trust an address without TLS that is not this machine."""
    wheel = entry.release.of_kind("wheel")[0].basename if entry.release else entry.app
    host = place.address.removeprefix("http://").split("/")[0]
    local = re.sub(r":\d+$", "", host) in ("localhost", "127.0.0.1", "[::1]")
    trust = f" --trusted-host {host}" if place.address.startswith("http://") and not local else ""
    return f"pip install --index-url {place.address}/simple/{trust} {normal(wheel.split('-')[0])}=={entry.version}"


def _page(place: Place, heading: str, body: Html, lead: str = "", trail: Sequence[tuple[str, str]] = ()) -> bytes:
    crumbs = join((fill('<a href="$href">$text</a>', href=href, text=text or place.title) for text, href in trail), " / ")
    return fill(_PAGE, title=heading, heading=heading, style=Html(STYLE), body=body, version=weft.__version__,
                simple=place.href("simple"), lead=fill('<p class="lead">$lead</p>', lead=lead) if lead else Html(),
                trail=fill("<nav>$crumbs</nav>", crumbs=crumbs) if trail else Html()).encode()


def _card(place: Place, app: str, entries: Sequence[Entry]) -> Html:
    good = next((entry for entry in entries if entry.release and not entry.marks), None)
    latest = fill('<a class="version" href="$href">$version</a> <span class="facts">$facts</span>', version=good.version,
                  href=place.href(app, good.version), facts=_facts(good)) if good else Html()
    broken = [entry for entry in entries if not entry.release]
    newer = entries[:entries.index(good)] if good else entries
    faults = join([*(_fault(f"{entry.version} cannot be used: {entry.fault}") for entry in broken[:3]),
                   *(_taken_back(entry, f"{entry.version} was ") for entry in [each for each in newer if each.marks][:3])])
    others = join((_link(place, entry) for entry in entries[:12] if entry is not good), "")
    return fill(_CARD, app=app, href=place.href(app), latest=latest, fault=faults, notes=_notes(good) if good else Html(),
                others=join([others, fill('<a href="$href">all of $app</a>', href=place.href(app), app=app)], ""))


def _link(place: Place, entry: Entry) -> Html:
    return fill('<a$broken href="$href">$version</a>', broken=Html() if entry.release and not entry.marks else Html(' class="broken"'),
                href=place.href(entry.app, entry.version), version=entry.version)


def _version(place: Place, entry: Entry, opened: bool) -> Html:
    return fill('<details$open><summary><a class="version" href="$href">$version</a> <span class="facts">$facts</span>'
                "</summary>$notes</details>", open=Html(" open") if opened or entry.fault else Html(), facts=_facts(entry),
                href=place.href(entry.app, entry.version), version=entry.version,
                notes=_fault(f"cannot be used: {entry.fault}") if entry.fault else join([_taken_back(entry), _notes(entry)]))


def _notes(entry: Entry) -> Html:
    text = entry.release.changelog if entry.release else ""
    return changelog(text) if text.strip() else Html('<p class="soft">no changelog entry</p>')


def _table(place: Place, entry: Entry, title: str, wanted) -> Html:
    rows = [_row(place, entry, artifact) for artifact in entry.release.artifacts if wanted(artifact)]
    return fill(_FILES, title=title, rows=join(rows)) if rows else Html()


def _row(place: Place, entry: Entry, artifact: Artifact) -> Html:
    parts = (entry.app, entry.version, *artifact.name.split("/"))
    what = "" if artifact.kind in ("dependency", "installer") else artifact.kind
    return fill(_FILE, href=place.href(*parts, folder=False), name=artifact.basename, what=what,
                sha256=artifact.sha256, size=size(artifact.size))


def _fault(text: str) -> Html:
    return fill('<div class="fault">$text</div>', text=text)


def _taken_back(entry: Entry, whose: str = "") -> Html:
    """What stands against a release; pip, uv and fab pass it over."""
    said = {"yanked": "taken back", "bad": "marked bad"}
    return join(_fault(f"{whose}{said[mark]}{why and ': '}{why}") for mark, why in sorted(entry.marks.items(), reverse=True))


def _facts(entry: Entry) -> str:
    if not entry.release:
        return ""
    return (f"{moment(entry.release.created)} · {_count(len(entry.release.artifacts), 'file')}, {size(entry.size)} · "
            f"Python {', '.join(entry.release.pythons)}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Bytes as people read them: 1 kB is 1000 bytes."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes" if count != 1 else "1 byte"


def moment(text: str) -> str:
    """ISO 8601 as people read it, in UTC; what is not a time is shown as it is."""
    try:
        when = datetime.fromisoformat(text)
        when = when.astimezone(timezone.utc) if when.tzinfo else when
    except (ValueError, OverflowError):
        return text
    return f"{when.day} {when:%B %Y, %H:%M} UTC"
