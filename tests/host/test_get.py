"""The answers that a health check may meet, from a real socket, byte by byte."""

import contextlib
import socket
import threading

import pytest

from weft.host.get import BadAnswer, get


@contextlib.contextmanager
def server(*parts, asked=None):
    """Answers one connection with these parts, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            connection = listener.accept()[0]
            with connection:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(4096)
                if asked is not None:
                    asked.append(request)
                with contextlib.suppress(OSError):  # whoever has enough may leave
                    for part in parts:
                        connection.sendall(part)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


def answer(*parts, most=1000, asked=None):
    with server(*parts, asked=asked) as port:
        return get(port, "app.example.org", "/health?a=b", 60, most)


def test_what_is_asked():
    asked = []
    assert answer(b"HTTP/1.1 204 No Content\r\n\r\n", asked=asked) == (204, {}, b"")
    assert asked == [b"GET /health?a=b HTTP/1.1\r\nHost: app.example.org\r\nUser-Agent: weft\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize("parts, body", [
    ((b"HTTP/1.1 200 OK\r\nX-Weft-Release: 1.0-ab\r\nContent-Length: 4\r\n\r\n", b"good", b"more"), b"good"),
    ((b"HTTP/1.0 200\r\nx-weft-release:1.0-ab\r\n\r\n", b"until", b" the end"), b"until the end"),
    ((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nX-WEFT-RELEASE: 1.0-ab\n\n", b"x"), b"x"),
    ((b"HTTP/1.1 200 OK\r\nX-Weft-Release: 1.0-ab\r\nTransfer-Encoding: chunked\r\n\r\n", b"3;a=b\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"), b"abcde"),
    ((b"HTTP/1.1 200 OK\r\nX-Weft-Release: 1.0-ab\r\nContent-Length: 9\r\n\r\n", b"short"), b"short"),
])
def test_good_answers(parts, body):
    status, headers, found = answer(*parts)
    assert (status, headers["x-weft-release"], found) == (200, "1.0-ab", body)


@pytest.mark.parametrize("parts", [
    (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"x" * 5000),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n"),
])
def test_no_more_than_wanted_is_read(parts):
    assert answer(*parts, most=1000)[2] == b"x" * 1000


@pytest.mark.parametrize("parts, why", [
    ((), "closed connection without response"),
    ((b"SSH-2.0-OpenSSH\r\n",), "not an answer of HTTP: 'SSH-2.0-OpenSSH'"),
    ((b"HTTP/1.1 OK\r\n\r\n",), "not an answer of HTTP"),
    ((b"HTTP/1.1 200 OK\r\n", b"x" * 70000), "without an end"),
    ((b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 200, b"\r\n"), "more than 100 headers"),
    ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",), "ends in the middle"),
    ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",), "ends in the middle"),
])
def test_what_is_no_answer(parts, why):
    with pytest.raises(BadAnswer) as caught:
        answer(*parts)
    assert why in str(caught.value)


def test_an_answer_that_names_two_releases_names_neither():
    assert answer(b"HTTP/1.1 200 OK\r\nX-Weft-Release: 1.0-ab\r\nx-weft-release: 1.1-cd\r\n\r\n")[1] == {"x-weft-release": "1.0-ab, 1.1-cd"}


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        get(port, "app.example.org", "/", 60, 10)
