"""Which of the offered content types a client wants: RFC 9110 `Accept` with q-values. Pure."""

from __future__ import annotations

import re
from typing import Sequence

_Q = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII)


def best(accept: str, offers: Sequence[str]) -> str:
    """The offer with the highest q; on a tie the first offer; "" where none is acceptable.

    An empty header accepts everything. The most specific range decides an offer's q: `text/html;q=0, */*` is not HTML.
    """
    ranges = list(_ranges(accept))
    if not ranges:
        return offers[0] if not accept.strip() else ""
    graded = [(_quality(offer, ranges), -place, offer) for place, offer in enumerate(offers)]
    quality, _place, offer = max(graded)
    return offer if quality > 0 else ""


def _ranges(accept: str):
    """(type/subtype, q) of each readable element; an element with a malformed q is left out."""
    for element in accept.lower().split(","):
        kind, *parameters = [part.strip() for part in element.split(";")]
        given = [value.strip() for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "q"]
        q = given[0] if given else "1"
        if re.fullmatch(r"[^\s/]+/[^\s/]+", kind) and _Q.fullmatch(q):
            yield kind, float(q)


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    family = offer.split("/")[0] + "/*"
    for wanted in (offer, family, "*/*"):
        found = [q for kind, q in ranges if kind == wanted]
        if found:
            return max(found)
    return 0.0
