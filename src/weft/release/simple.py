"""What a package index has of a version, read from its simple pages (PEP 503 and 691)."""

from __future__ import annotations

import hashlib
import html.parser
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import IO

from weft.release.sdist import normal

_PATIENCE = 10
"""Seconds for an answer."""
_BIGGEST_PAGE, _BIGGEST_FILE = 64 << 20, 1 << 30
_WANTED = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.4"


class NoAnswer(Exception):
    """The index could not be read, and why."""


def files(url: str, name: str, version: str) -> dict[str, str]:
    """File name -> address with its hash, of the sdist and the wheels of a version; {} for a name it does not know."""
    page = f"{url.rstrip('/')}/{re.sub(r'[-_.]+', '-', name).lower()}/"
    try:
        with _get(page) as answer:
            kind, raw, place = answer.headers.get_content_type(), answer.read(_BIGGEST_PAGE), answer.url
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise NoAnswer(f"{page} answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{page}: {getattr(error, 'reason', error)}") from None
    links = _of_json(raw) if kind.endswith("+json") else _of_html(raw)
    whole = {link: urllib.parse.urljoin(place, link) for link in links}
    return {_name(link): address for link, address in whole.items() if _belongs(_name(link), name, version)}


def _get(url: str) -> IO[bytes]:
    return urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": _WANTED}), timeout=_PATIENCE)


def _of_json(raw: bytes) -> list[str]:
    listed = json.loads(raw).get("files", ())
    return [f"{each['url']}#sha256={each.get('hashes', {}).get('sha256', '')}" for each in listed]


def _of_html(raw: bytes) -> list[str]:
    found: list[str] = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.extend(value for key, value in attributes if tag == "a" and key == "href" and value)
    Links().feed(raw.decode("utf-8", "replace"))
    return found


def _name(link: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(link).path.rsplit("/", 1)[-1])


def _belongs(file: str, name: str, version: str) -> bool:
    """By the file's name: NAME-VERSION.tar.gz, or a wheel NAME-VERSION-…whl."""
    stem, _, rest = file.partition(f"-{version}")
    return normal(stem) == normal(name) and (rest == ".tar.gz" or rest.startswith("-") and rest.endswith(".whl"))


def sha256(address: str) -> str:
    """Of a file that the index has: as its page says, else of the bytes. Raises NoAnswer."""
    said = re.search(r"sha256=([0-9a-f]{64})", urllib.parse.urlsplit(address).fragment)
    if said:
        return said[1]
    digest, left = hashlib.sha256(), _BIGGEST_FILE
    try:
        with _get(address) as answer:
            while left > 0 and (block := answer.read(1 << 20)):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise NoAnswer(f"{address}: {getattr(error, 'reason', error)}") from None
    return digest.hexdigest()
