"""The package index: PEP 503 pages, PEP 691 JSON with PEP 700's fields, PEP 658/714 metadata. Pure."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Sequence
from urllib.parse import quote

from weft.web.catalogue import Catalogue, Offer
from weft.web.markup import Html, fill, join
from weft.web.negotiate import best

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
PLAIN = "text/html"
# "latest" is an alias in requests only: an answer names the version it is in.
_OFFERS = {PLAIN: PLAIN, JSON: JSON, HTML: HTML, "application/vnd.pypi.simple.latest+json": JSON,
           "application/vnd.pypi.simple.latest+html": HTML}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="1.1">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<meta name="color-scheme" content="light dark">
</head>
<body>
<h1>$title</h1>
$links
</body>
</html>
"""


def chosen(accept: str, wanted: str = "") -> str:
    """The content type to answer in; "" if none is acceptable. wanted: the request's ?format=, which wins."""
    if wanted:
        # In a query a bare + means a space; in these types it is a plus.
        return _OFFERS.get(wanted.replace(" ", "+"), "")
    return _OFFERS.get(best(accept, list(_OFFERS)), "")


def refused() -> str:
    """What a client reads with 406."""
    return "none of the types you accept is offered here; offered:\n" + "".join(f"  {each}\n" for each in _OFFERS)


def projects(names: Sequence[str], kind: str) -> bytes:
    """The list of projects, in a content type of `chosen`."""
    if kind == JSON:
        return _json({"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]})
    links = join((fill('<a href="$name/">$name</a><br>', name=name) for name in names))
    return fill(_PAGE, title="Simple index", links=links).encode()


def project(name: str, offers: Sequence[Offer], catalogue: Catalogue, kind: str) -> bytes:
    """A project's files, in a content type of `chosen`. Links are relative to /simple/<name>/."""
    if kind == JSON:
        versions = list(dict.fromkeys(offer.version for offer in offers))
        return _json({"meta": {"api-version": "1.1"}, "name": name, "versions": versions,
                      "files": [_file(offer, catalogue) for offer in offers]})
    return fill(_PAGE, title=f"Links for {name}", links=join(_link(offer, catalogue) for offer in offers)).encode()


def _href(offer: Offer) -> str:
    return "../../" + "/".join(quote(part) for part in offer.path)


def _file(offer: Offer, catalogue: Catalogue) -> dict[str, Any]:
    said: dict[str, Any] = {"filename": offer.filename, "url": _href(offer),
                            "hashes": {"sha256": offer.artifact.sha256}, "size": offer.artifact.size}
    uploaded, pythons, core = _moment(offer), catalogue.requires_python(offer), catalogue.core(offer)
    if uploaded:
        said["upload-time"] = uploaded
    if pythons:
        said["requires-python"] = pythons
    if core:
        # Not PEP 658's older spelling too: in JSON it breaks pip 22.3 to 23.1 (PEP 714).
        said["core-metadata"] = {"sha256": core.sha256}
    return said


def _link(offer: Offer, catalogue: Catalogue) -> Html:
    core, pythons = catalogue.core(offer), catalogue.requires_python(offer)
    more = fill(' data-requires-python="$value"', value=pythons) if pythons else Html()
    if core:
        more = Html(more + fill(' data-core-metadata="sha256=$value" data-dist-info-metadata="sha256=$value"',
                                value=core.sha256))
    return fill('<a href="$href#sha256=$sha256"$more>$name</a><br>', href=_href(offer), more=more,
                sha256=offer.artifact.sha256, name=offer.filename)


def _moment(offer: Offer) -> str:
    """PEP 700's spelling of the release's time; "" if the manifest's cannot be read."""
    try:
        moment = datetime.fromisoformat(offer.entry.release.created)
        utc = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return ""
    return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode()
