"""Ask the application over loopback, with the site's Host header."""

from __future__ import annotations

import re
import socket
import time

from weft.record import record
from weft.servers import Health, Site, before
from weft.typing import BinaryIO, Callable

HEADER = "X-Weft-Release"
_MOST, _LINE = 1 << 20, 1 << 16
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)(?: [^\r\n]*)?\r\n")
_BARE = (204, 304)  # they have no body, whatever their headers say


@record(frozen=True)
class Answer:
    """status 0: no answer, `error` says why. release: who answered, from weft's own entry."""

    status: int
    release: str = ""
    body: str = ""
    error: str = ""

    @property
    def version(self) -> str:
        return self.release.rsplit("-", 1)[0] if self.release else ""

    def to_json(self) -> dict[str, object]:
        said: dict[str, object] = {"status": self.status, "release": self.release, "version": self.version}
        return {**said, "error": self.error} if self.error else said


def ask(port: int, site: Site, timeout: float = 10.0) -> Answer:
    """One GET of the health path. timeout in seconds, for each thing that is waited for."""
    host = site.hostname if port in (80, *site.doors) or (site.before and port == site.before.port) else f"{site.hostname}:{port}"
    try:
        return _plain(port, host, site.health.path, timeout) or _by_library(port, host, site.health.path, timeout)
    except OSError as error:
        return Answer(0, error=str(error) or type(error).__name__)


def _plain(port: int, host: str, path: str, timeout: float) -> Answer | None:
    """An answer as nearly all are: a status, headers, and a body up to its length or the end. None for any other, which the library reads, whose import
    is a sixth of what a look costs a host (ADR 21)."""
    with _connected(port, timeout) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: weft\r\nConnection: close\r\nAccept-Encoding: identity\r\n\r\n".encode("latin-1"))
        with link.makefile("rb") as said:
            status = _STATUS.fullmatch(said.readline(_LINE))
            headers = _headers(said) if status else None
            if not status or headers is None or int(status[1]) in _BARE or b"transfer-encoding" in headers:
                return None
            length = headers.get(b"content-length", b"%d" % _MOST)
            if not length.isdigit():
                return None
            release = headers.get(HEADER.lower().encode(), b"").decode("latin-1")
            return Answer(int(status[1]), release, said.read(min(int(length), _MOST)).decode("utf-8", "replace"))


def _connected(port: int, timeout: float) -> socket.socket:
    """To a door here. `create_connection` would look the address up as a name, and load a codec for that."""
    link = socket.socket()
    try:
        link.settimeout(timeout)
        link.connect(("127.0.0.1", port))
        return link
    except OSError:
        link.close()
        raise


def _headers(said: BinaryIO) -> dict[bytes, bytes] | None:
    """By their names in lower case, said twice as one; None for what is none of them, or no end of them."""
    found: dict[bytes, bytes] = {}
    for _ in range(100):
        line = said.readline(_LINE)
        if line == b"\r\n":
            return found
        name, colon, value = line.partition(b":")
        if not colon or not line.endswith(b"\r\n") or line[:1].isspace():
            return None
        name, value = name.strip().lower(), value.strip()
        found[name] = found[name] + b", " + value if name in found else value
    return None


def _by_library(port: int, host: str, path: str, timeout: float) -> Answer:
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host, "User-Agent": "weft", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_MOST).decode("utf-8", "replace")
        return Answer(answer.status, answer.getheader(HEADER, ""), body)
    except http.client.HTTPException as error:
        return Answer(0, error=str(error) or type(error).__name__)
    finally:
        connection.close()


def fault(answer: Answer, release: str, health: Health) -> str:
    """What is wrong with an answer, "" if it is good: it must be 2xx or 3xx, come from `release` and contain the text."""
    if not answer.status:
        return f"no answer: {answer.error}"
    if release == answer.release == before.RELEASE and answer.status < 500:
        return ""  # what was here before weft need not know the health page
    if not 200 <= answer.status < 400:
        return f"status {answer.status}: {_brief(answer.body)}"
    if answer.release != release:
        return f"answered by {answer.release or 'something else than weft'}, not by {release}"
    wanted = health.contains.replace("{version}", answer.version)
    if wanted and wanted not in answer.body:
        return f"the answer does not contain {wanted!r}: {_brief(answer.body)}"
    return ""


def _brief(body: str) -> str:
    """The beginning of an answer's text, without a page's markup."""
    text = re.sub(r"<(style|script|title).*?</\1>|<[^>]*>", " ", body, flags=re.S | re.I)
    return " ".join(text.split())[:120]


def wait_good(port: int, site: Site, release: str, clock: Callable[[], float] = time.monotonic,
              sleep: Callable[[float], None] = time.sleep) -> str:
    """Until `health.good` answers in a row are good; "" or the last fault after `health.timeout` seconds."""
    deadline, good, last = clock() + site.health.timeout, 0, ""
    while good < site.health.good:
        last = fault(ask(port, site, max(0.2, deadline - clock())), release, site.health)
        good = 0 if last else good + 1
        if last and clock() > deadline:
            return last
        if last:
            sleep(0.1)
    return ""


def watch(port: int, site: Site, release: str, also: Callable[[], str] = str, clock: Callable[[], float] = time.monotonic,
          sleep: Callable[[float], None] = time.sleep, took: list[float] | None = None) -> str:
    """Ask for `watch` seconds, four times a second, and at least three times; "" or the first fault, or what `also` says.

    took: gets the milliseconds of each answer."""
    end, asked = clock() + site.watch, 0
    while True:
        start = clock()
        answered = fault(ask(port, site), release, site.health)
        if took is not None:
            took.append((clock() - start) * 1000)
        found = f"GET {site.health.path}: {answered}" if answered else also()
        if found:
            return found
        asked += 1
        if asked >= 3 and clock() >= end:
            return ""
        sleep(0.25 if clock() < end else 0.02)
