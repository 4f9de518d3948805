"""One GET over loopback, without http.client: to load that, with the e-mail and TLS modules it brings, takes longer than all that is asked."""

from __future__ import annotations

import socket
from typing import BinaryIO

_MOST_LINE, _MOST_HEADERS = 1 << 16, 100


class BadAnswer(Exception):
    """What came is no answer of HTTP."""


def get(port: int, host: str, path: str, timeout: float, most: int) -> tuple[int, dict[str, str], bytes]:
    """(status, headers by their names in small letters, the first `most` bytes of the body). timeout: seconds, for each wait. Raises OSError, BadAnswer."""
    asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: weft\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(asked.encode("latin-1"))
        with connection.makefile("rb") as stream:
            status = 100
            while 100 <= status < 200:
                status, headers = _status(stream), _headers(stream)
            return status, headers, _body(stream, headers, most)


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(_MOST_LINE + 1)
    if len(line) > _MOST_LINE:
        raise BadAnswer("an answer with a line without an end")
    return line


def _status(stream: BinaryIO) -> int:
    line = _line(stream)
    words = line.split(None, 2)
    if not line:
        raise BadAnswer("Remote end closed connection without response")
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) != 3:
        raise BadAnswer(f"not an answer of HTTP: {line[:60].decode('latin-1').strip()!r}")
    return int(words[1])


def _headers(stream: BinaryIO) -> dict[str, str]:
    """Several with the same name are joined by a comma: an answer that names two releases names neither."""
    found: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = _line(stream)
        if line in (b"\r\n", b"\n", b""):
            return found
        name, _colon, value = line.decode("latin-1").partition(":")
        name, value = name.strip().lower(), value.strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    raise BadAnswer(f"an answer with more than {_MOST_HEADERS} headers")


def _body(stream: BinaryIO, headers: dict[str, str], most: int) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(stream, most)
    length = headers.get("content-length", "")
    return stream.read(min(most, int(length)) if length.isdigit() else most)


def _chunks(stream: BinaryIO, most: int) -> bytes:
    body = b""
    while len(body) < most:
        line = _line(stream)
        try:
            size = int(line.split(b";", 1)[0], 16)
        except ValueError:
            raise BadAnswer("an answer that ends in the middle") from None
        if size <= 0:
            break
        wanted = min(size, most - len(body))
        block = stream.read(wanted)
        if len(block) < wanted:
            raise BadAnswer("an answer that ends in the middle")
        body += block
        if wanted == size:
            _line(stream)
    return body
