"""The pages of a package index: PEP 503 HTML, PEP 691 JSON with PEP 700's fields, PEP 592 yanks, PEP 658/714 metadata. Pure."""

from __future__ import annotations

import html
import json
from typing import Any, Sequence
from urllib.parse import quote

from weft.simple.offers import Facts, Offer

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="pypi:repository-version" content="1.1">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<meta name="color-scheme" content="light dark">
</head>
<body>
<h1>{title}</h1>
{links}
</body>
</html>
"""
_META = {"api-version": "1.1"}


def projects_html(names: Sequence[str]) -> bytes:
    """The list of projects."""
    return _page("Simple index", [f'<a href="{html.escape(name)}/">{html.escape(name)}</a><br>' for name in names])


def projects_json(names: Sequence[str]) -> bytes:
    return _json({"meta": _META, "projects": [{"name": name} for name in names]})


def project_html(name: str, offers: Sequence[Offer], facts: Facts) -> bytes:
    """A project's files. Links are relative to <root>/simple/<name>/."""
    return _page(f"Links for {name}", [_link(offer, facts) for offer in offers])


def project_json(name: str, offers: Sequence[Offer], facts: Facts) -> bytes:
    versions = list(dict.fromkeys(offer.version for offer in offers))
    return _json({"meta": _META, "name": name, "versions": versions, "files": [_file(offer, facts) for offer in offers]})


def _page(title: str, links: Sequence[str]) -> bytes:
    return _PAGE.format(title=html.escape(title), links="\n".join(links)).encode()


def _href(offer: Offer) -> str:
    return "../../" + quote(offer.path)


def _file(offer: Offer, facts: Facts) -> dict[str, Any]:
    said: dict[str, Any] = {"filename": offer.filename, "url": _href(offer),
                            "hashes": {"sha256": offer.artifact.sha256}, "size": offer.artifact.size}
    pythons, core, yanked = facts.requires_python(offer), facts.core(offer), facts.yanked(offer)
    if offer.uploaded:
        said["upload-time"] = offer.uploaded
    if pythons:
        said["requires-python"] = pythons
    if core:
        # Not PEP 658's older spelling too: in JSON it breaks pip 22.3 to 23.1 (PEP 714).
        said["core-metadata"] = {"sha256": core.sha256}
    if yanked is not None:
        said["yanked"] = yanked or True
    return said


def _link(offer: Offer, facts: Facts) -> str:
    core, pythons, yanked = facts.core(offer), facts.requires_python(offer), facts.yanked(offer)
    said = {"href": f"{_href(offer)}#sha256={offer.artifact.sha256}"}
    if pythons:
        said["data-requires-python"] = pythons
    if core:
        said |= {"data-core-metadata": f"sha256={core.sha256}", "data-dist-info-metadata": f"sha256={core.sha256}"}
    if yanked is not None:
        said["data-yanked"] = yanked
    words = " ".join(f'{name}="{html.escape(value)}"' for name, value in said.items())
    return f"<a {words}>{html.escape(offer.filename)}</a><br>"


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode()
