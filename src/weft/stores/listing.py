"""`listing.json` in a store's root: which releases it has and in which folder each lies, for readers over http.

A store that can be written keeps it when it publishes. It is only a way to find a manifest; the manifest itself is
checked by whoever reads it. What a killed publisher did not list, the next one does.
"""

from __future__ import annotations

import json
import re
from typing import Any

from weft.errors import Refused
from weft.stores import common

_FOLDER = re.compile(r"[a-z0-9][a-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9.+!~-]*", re.ASCII)
Listing = dict[str, dict[str, str]]


def parse(raw: bytes, where: Any) -> Listing:
    """application -> version -> folder; names that are none are left out. Raises Refused for what is no listing."""
    try:
        said = json.loads(raw)
        apps = said["apps"] if said["format"] == 1 else None
        return {app: {version: folder for version, folder in found.items() if _fits(app, version, folder)}
                for app, found in apps.items() if common.is_app(app)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{where} is not a listing of releases") from None


def _fits(app: str, version: str, folder: Any) -> bool:
    return common.is_version(version) and isinstance(folder, str) and folder.startswith(f"{app}/") \
        and bool(_FOLDER.fullmatch(folder))


def text(listing: Listing) -> bytes:
    return (json.dumps({"format": 1, "apps": listing}, sort_keys=True, indent=0) + "\n").encode()


def keep(store: Any, app: str) -> None:
    """Bring the application's part up to date. store: has versions, folder, get and put_if."""
    for _ in range(100):
        before = store.get(common.LISTING)
        listing = _readable(before, store)
        known = listing.get(app, {})
        listing[app] = {version: known.get(version) or store.folder(app, version) for version in store.versions(app)}
        after = text(listing)
        if after == before or store.put_if(common.LISTING, after, before):
            return
    raise Refused(f"{store}/{common.LISTING} is written by too many at once", "run the same command again")


def mend(store: Any) -> dict[str, str]:
    """Write it anew for all applications. "shop 1.0" -> why it is not listed, where a release's folder cannot be told."""
    for _ in range(100):
        before, listing, left = store.get(common.LISTING), {}, {}
        for app in store.apps():
            listing[app] = {}
            for version in store.versions(app):
                try:
                    listing[app][version] = store.folder(app, version)
                except Refused as refusal:
                    left[f"{app} {version}"] = refusal.message
        if text(listing) == before or store.put_if(common.LISTING, text(listing), before):
            return left
    raise Refused(f"{store}/{common.LISTING} is written by too many at once", "run the same command again")


def _readable(raw: bytes | None, store: Any) -> Listing:
    """What was damaged is written anew."""
    try:
        return parse(raw, store) if raw else {}
    except Refused:
        return {}
