"""The artifact index: a read-only WSGI application over a store. Standard library only.

Names in a request are only ever compared with what the store and its manifests list; none becomes part of a path.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Iterable, Mapping
from urllib.parse import parse_qs, quote

import weft
from weft.simple.offers import normal
from weft.stores import open_store
from weft.values import Artifact
from weft.web import pages, settings as settings_, simple
from weft.web.answer import TEXT, Answer, redirect, send
from weft.web.catalogue import BROKEN, Catalogue, Entry, reason

_KINDS = {".whl": "application/octet-stream", ".gz": "application/gzip", ".json": "application/json"}
_FOREVER = "public, max-age=31536000, immutable"  # a published file is never replaced


def make_app(settings: settings_.Settings) -> Callable[..., Iterable[bytes]]:
    """The WSGI callable for these settings. Raises UsageError for a store that no store kind knows."""
    catalogue = Catalogue(open_store(settings.store, settings.root))

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return send(environ, start_response, Request(environ, settings, catalogue).answer())

    return application


class Request:
    """One request: its path in parts, and what answers it."""

    def __init__(self, environ: Mapping[str, Any], settings: settings_.Settings, catalogue: Catalogue):
        self.environ, self.catalogue = environ, catalogue
        mount = quote(environ.get("SCRIPT_NAME", "").encode("latin-1").rstrip(b"/"))
        self.place = pages.Place(settings.title, mount, settings.url.rstrip("/") or _address(environ) + mount)
        self.path = environ.get("PATH_INFO", "") or "/"

    def answer(self) -> Answer:
        """Every fault of the store ends here: the page says so, the server's log has the details."""
        if self.environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self.notice(405, "Not allowed", "This index is read-only: it answers GET and HEAD.",
                               ("Allow", "GET, HEAD"))
        try:
            return self.route() or self.notice(404, "Not found", "Nothing has been released under this address.")
        except BROKEN as error:
            print(f"{self.path!r}: {reason(error)}", file=self.environ["wsgi.errors"])
            return self.notice(503, "The store cannot be read", f"{reason(error)}. Nothing was changed; try again later.")

    def route(self) -> Answer | None:
        """None: there is nothing at this path."""
        first, *names = self.path.split("/")
        *folders, file = names or [""]
        if first or "" in folders:
            return None
        match folders, file:
            case [], "":
                return self.index()
            case [], "health":
                return self.health()
            case ["simple", *rest], "" if len(rest) < 2:
                return self.package_index(*rest)
            case [app], "":
                return self.application(app)
            case [app, version], "":
                return self.version(app, version)
            case [app, version, *inner], file if file and (found := self.file(app, version, "/".join([*inner, file]))):
                return found
        return self.as_folder([*folders, file]) if file else None

    def as_folder(self, names: list[str]) -> Answer | None:
        """The redirect for a page that was asked for without its final slash."""
        match names:
            case ["simple"] | ["simple", _]:
                known = True
            case [app]:
                known = normal(app) in map(normal, self.catalogue.apps())
            case [app, version]:
                known = self.catalogue.entry(app, version) is not None
            case _:
                known = False
        return self.moved(*names) if known else None

    def index(self) -> Answer:
        try:
            apps = {app: self.entries(app) for app in self.catalogue.apps()}
        except BROKEN as error:
            return self.page(pages.index(self.place, {}, f"The store cannot be read: {reason(error)}"), 503)
        return self.page(pages.index(self.place, apps))

    def entries(self, app: str) -> list[Entry]:
        """An application whose versions cannot be listed is a faulty row among good ones."""
        try:
            return self.catalogue.entries(app)
        except BROKEN as error:
            return [Entry(app, "", fault=reason(error))]

    def health(self) -> Answer:
        """Whether this application runs, and which: a store out of reach is told, and is no reason to go back."""
        try:
            self.catalogue.apps()
            store = "readable"
        except BROKEN as error:
            store = f"not readable: {reason(error)}"
        said = {"status": "ok", "version": weft.__version__, "release": os.environ.get("WEFT_RELEASE", ""), "store": store}
        return Answer(json.dumps(said).encode(), "application/json", cache="no-store")

    def package_index(self, name: str = "") -> Answer | None:
        wanted = parse_qs(self.environ.get("QUERY_STRING", "")).get("format", [""])[0]
        kind = simple.chosen(self.environ.get("HTTP_ACCEPT", ""), wanted)
        if not kind:
            return Answer(simple.refused().encode(), TEXT, 406, (("Vary", "Accept"),))
        if name != normal(name):
            return self.moved("simple", normal(name))
        listed = self.catalogue.listed()
        if name and name not in listed.projects:
            return None
        body = simple.project(name, listed.projects[name], listed, kind) if name else simple.projects(list(listed.projects), kind)
        kind += "; charset=utf-8" if kind == simple.PLAIN else ""
        return Answer(body, kind, headers=(("Vary", "Accept"), ("Content-Security-Policy", "default-src 'none'")))

    def application(self, app: str) -> Answer | None:
        names = {normal(name): name for name in self.catalogue.apps()}
        known = names.get(normal(app))
        if known and app not in names.values():
            return self.moved(known)
        return self.page(pages.application(self.place, app, self.entries(app))) if known else None

    def version(self, app: str, version: str) -> Answer | None:
        entry = self.catalogue.entry(app, version)
        return self.page(pages.version(self.place, entry)) if entry else None

    def file(self, app: str, version: str, name: str) -> Answer | None:
        """A file of the manifest, or the METADATA of a wheel under the wheel's name and ".metadata" (PEP 658)."""
        entry = self.catalogue.entry(app, version)
        for artifact in entry.release.artifacts if entry and entry.release else ():
            if name == artifact.name:
                return Answer(self.catalogue.open(entry, artifact), _kind(artifact), size=artifact.size,
                              tag=artifact.sha256, cache=_FOREVER)
            if name == artifact.name + ".metadata" and artifact.name.endswith(".whl"):
                return Answer(self.catalogue.metadata(entry, artifact), TEXT, cache=_FOREVER)
        return None

    def moved(self, *names: str) -> Answer:
        query = self.environ.get("QUERY_STRING", "")
        return redirect(self.place.href(*names) + (f"?{query}" if re.fullmatch(r"[\x21-\x7e]+", query) else ""))

    def page(self, body: bytes, status: int = 200, *headers: tuple[str, str]) -> Answer:
        return Answer(body, status=status, headers=(("Content-Security-Policy", pages.POLICY), *headers))

    def notice(self, status: int, heading: str, text: str, *headers: tuple[str, str]) -> Answer:
        return self.page(pages.notice(self.place, heading, text), status, *headers)


def _kind(artifact: Artifact) -> str:
    return next((kind for end, kind in _KINDS.items() if artifact.name.endswith(end)), TEXT)


def _address(environ: Mapping[str, Any]) -> str:
    """The address of the request; a Host header that is none is not repeated."""
    host = environ.get("HTTP_HOST", "")
    if not re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", host):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ['wsgi.url_scheme']}://{host}"


application = make_app(settings_.read(os.environ))
