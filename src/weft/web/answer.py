"""An answer and how it goes over WSGI: length, entity tag, HEAD, 304, files in blocks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, Callable, Iterable, Iterator, Mapping

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
BLOCK = 1 << 16  # bytes


@dataclass(frozen=True)
class Answer:
    """body: the bytes, or an open binary file that `send` closes.  size: bytes, needed for a file.

    tag: the entity tag's text; "" takes the digest of the bytes.  cache: the Cache-Control header.
    """

    body: bytes | BinaryIO
    kind: str = HTML
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    size: int = -1
    tag: str = ""
    cache: str = "no-cache"  # may be kept, but must be asked about each time

    def fields(self) -> list[tuple[str, str]]:
        """The headers that a 304 has too."""
        tag = [("ETag", f'"{self.etag}"')] if self.etag else []
        return [*tag, ("Cache-Control", self.cache), *self.headers]

    @property
    def etag(self) -> str:
        if self.status != 200 or self.cache == "no-store":
            return ""
        return self.tag or (hashlib.sha256(self.body).hexdigest()[:32] if isinstance(self.body, bytes) else "")

    @property
    def length(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.size

    def close(self) -> None:
        if not isinstance(self.body, bytes):
            self.body.close()


def redirect(location: str) -> Answer:
    """A permanent redirect; `location` is a quoted path."""
    return Answer(f"moved to {location}\n".encode(), TEXT, 301, (("Location", location),))


def send(environ: Mapping[str, Any], start_response: Callable[..., Any], answer: Answer) -> Iterable[bytes]:
    """Start the response and return its body, or close the body where none is sent (HEAD, 304)."""
    if answer.etag and _known(environ.get("HTTP_IF_NONE_MATCH", ""), answer.etag):
        answer.close()
        start_response(_line(304), answer.fields())
        return []
    length = [("Content-Type", answer.kind), ("Content-Length", str(answer.length)),
              ("X-Content-Type-Options", "nosniff")]
    start_response(_line(answer.status), length + answer.fields())
    if environ["REQUEST_METHOD"] == "HEAD":
        answer.close()
        return []
    if isinstance(answer.body, bytes):
        return [answer.body]
    return environ.get("wsgi.file_wrapper", Blocks)(answer.body, BLOCK)


class Blocks:
    """A file in blocks, closed at the end: for servers without wsgi.file_wrapper."""

    def __init__(self, file: BinaryIO, block: int):
        self.file, self.block = file, block

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self.block), b"")

    def close(self) -> None:
        self.file.close()


def _known(asked: str, tag: str) -> bool:
    """If-None-Match compares weakly: W/ does not matter, and * stands for whatever there is."""
    tags = [each.strip().removeprefix("W/") for each in asked.split(",")]
    return "*" in tags or f'"{tag}"' in tags


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
