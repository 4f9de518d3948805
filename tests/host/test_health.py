"""What the engine reads of an answer by itself is what the library reads, and what it does not read itself the library does."""

import contextlib
import http.client
import socket
import threading

import pytest

from weft.host import health
from weft.servers import Health, Site

NAMED = b"X-Weft-Release: 1.0-abcd\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + NAMED


@contextlib.contextmanager
def answering(*parts, again=1):
    """A server on loopback that answers each of `again` requests with these bytes: (port, the requests)."""
    seen = []

    def serve():
        for _ in range(again):
            with contextlib.suppress(OSError):
                link, _ = door.accept()
                with link:
                    seen.append(link.recv(1 << 16))
                    for part in parts:
                        link.sendall(part)
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1], seen
        door.close()
        thread.join(5)


def site(port):
    return Site(**{**dict.fromkeys(Site.__match_args__), "hostname": "shop.example", "port": port, "doors": (1, 2), "health": Health(path="/alive?now")})


def asked(*parts, again=1):
    with answering(*parts, again=again) as (port, seen):
        return health.ask(port, site(port), 2), seen


PLAIN = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello, and more than its length",
    "no length": OK + b"\r\nhello",
    "folded case": b"HTTP/1.1 200 OK\r\nx-weft-RELEASE:1.0-abcd\r\ncontent-LENGTH:5\r\n\r\nhello",
    "no reason": b"HTTP/1.0 503\r\n" + NAMED + b"\r\nhello",
    "reason": b"HTTP/1.1 404 Not Found at all\r\n" + NAMED + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello",
    "cut": OK + b"Content-Length: 500\r\n\r\nhello",
    "said twice": OK + NAMED + b"\r\nhello",
    "no release": b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\nhello",
    "not utf-8": OK + b"\r\nh\xe9llo",
}
ODD = {
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n" + NAMED + b"Content-Length: 5\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    "bare line ends": OK.replace(b"\r\n", b"\n") + b"Content-Length: 5\n\nhello",
    "folded": OK + b"X-Long: one\r\n two\r\nContent-Length: 5\r\n\r\nhello",
    "odd length": OK + b"Content-Length: five\r\n\r\nhello",
    "ends in headers": OK + b"X-Long: on",
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "too many headers": OK + b"X-Long: one\r\n" * 101 + b"\r\nhello",
}


@pytest.mark.parametrize("case", PLAIN)
def test_a_plain_answer_is_read_as_the_library_reads_it_without_it(case, monkeypatch):
    with answering(PLAIN[case]) as (port, _):
        theirs = health._by_library(port, "shop.example", "/alive", 2)
    monkeypatch.setattr(health, "_by_library", None)
    mine, seen = asked(PLAIN[case])
    assert mine == theirs and (mine.status or mine.error)
    assert mine.body == ("h\ufffdllo" if case == "not utf-8" else "hello") and mine.release == {"said twice": "1.0-abcd, 1.0-abcd", "no release": ""}.get(case, "1.0-abcd")
    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"GET /alive?now HTTP/1.1" and lines[-2:] == [b"", b""] and {b"User-Agent: weft", b"Connection: close"} <= set(lines)


@pytest.mark.parametrize("case", ODD)
def test_any_other_answer_is_asked_for_again_and_read_by_the_library(case):
    with answering(ODD[case]) as (port, _):
        theirs = health._by_library(port, "shop.example", "/alive", 2)
    mine, seen = asked(ODD[case], again=2)
    assert mine == theirs and len(seen) == 2
    assert case not in ("chunked", "interim") or (mine.status, mine.body) == (200, "hello")
    assert case not in ("nothing", "no HTTP", "too many headers") or mine.status == 0 and mine.error


def test_an_answer_in_pieces_is_read_whole():
    whole = PLAIN["length"]
    assert asked(*(whole[n:n + 1] for n in range(len(whole))))[0].body == "hello"


def test_a_body_is_read_up_to_a_mebibyte(monkeypatch):
    monkeypatch.setattr(health, "_MOST", 1000)
    for head in (OK + b"\r\n", OK + b"Content-Length: 5000\r\n\r\n"):
        assert len(asked(head + b"x" * 5000)[0].body) == 1000


def test_a_port_that_nobody_listens_on_and_a_server_that_says_nothing_are_told():
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        assert health.ask(port, site(port), 0.1) == health.Answer(0, error="timed out")
    assert health.ask(port, site(port), 1) == health.Answer(0, error="[Errno 111] Connection refused")


@pytest.mark.parametrize("port, named", [(80, b"shop.example"), (1, b"shop.example"), (8080, b"shop.example:8080")])
def test_the_host_is_named_with_the_port_where_it_is_no_door(port, named, monkeypatch):
    with answering(PLAIN["length"]) as (real, seen):
        monkeypatch.setattr(health, "_connected", lambda _port, timeout, connect=health._connected: connect(real, timeout))
        health.ask(port, site(8080), 2)
        assert b"\r\nHost: " + named + b"\r\n" in seen[0]


def test_the_library_is_not_loaded_for_a_plain_answer(monkeypatch):
    monkeypatch.setattr(http.client, "HTTPConnection", None)
    assert asked(PLAIN["length"])[0].status == 200
