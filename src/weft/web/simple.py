"""What of the package index a request wants: which content type, and that page of `weft.simple.pages`. Pure."""

from __future__ import annotations

from typing import Sequence

from weft.simple import pages
from weft.simple.offers import Facts, Offer
from weft.web.negotiate import best

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
PLAIN = "text/html"
# "latest" is an alias in requests only: an answer names the version it is in.
_OFFERS = {PLAIN: PLAIN, JSON: JSON, HTML: HTML, "application/vnd.pypi.simple.latest+json": JSON,
           "application/vnd.pypi.simple.latest+html": HTML}

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
    return pages.projects_json(names) if kind == JSON else pages.projects_html(names)


def project(name: str, offers: Sequence[Offer], facts: Facts, kind: str) -> bytes:
    """A project's files, in a content type of `chosen`."""
    return (pages.project_json if kind == JSON else pages.project_html)(name, offers, facts)
