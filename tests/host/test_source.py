"""A release where it lies: in a directory, or behind a web server."""

import functools
import http.server
import json
import threading

import pytest

from tests.host.light_host import make_release, put
from weft.errors import Refused, UsageError
from weft.host import source
from weft.host.source import Source


@pytest.fixture
def store(tmp_path):
    """1.0 of `shop`, and its bytes by digest."""
    release, content = make_release("1.0", dependency="3.1")
    put(tmp_path / "store", release, content)
    return tmp_path / "store", release, content


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        pass

    def do_GET(self):
        if self.path.startswith("/elsewhere"):
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.2:1/manifest.json")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def web(store):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(store[0])))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def taken(found, content):
    """All that a host is sent."""
    wanted = found.wanted(list(content))
    stream, got = found.stream(wanted), b""
    while block := stream.read1(7):
        got += block
    assert got == b"".join(content[a.sha256] for a in wanted) and len(wanted) == len(content)
    return [a.sha256 for a in wanted]


@pytest.mark.parametrize("place, version", [("/shop/1.0", ""), ("/shop/1.0/", "1.0"), ("/shop/1.0/manifest.json", ""), ("/shop", "1.0"), ("", "1.0")])
def test_it_is_found_by_what_people_have(store, web, place, version):
    root, release, content = store
    for where in (f"{root}{place}", f"file://{root}{place}", f"{web}{place}"):
        found = Source(where, "shop", version)
        assert found.release == release and found.wish() == {"release": json.loads(release.text())}
        assert taken(found, content)


def test_a_file_that_is_needed_twice_is_sent_once_and_nothing_for_nothing(store):
    root, release, content = store
    found = Source(str(root / "shop/1.0"), "shop")
    assert found.wanted([]) == [] and found.stream([]).read1(1) == b""
    assert [a.kind for a in found.wanted([release.of_kind("wheel")[0].sha256])] == ["wheel"]


@pytest.mark.parametrize("place, version, message", [
    ("/shop", "", "there is no release in"), ("/shop", "2.0", "there is no release in"), ("/shop/1.0", "1.1", "is shop 1.0, asked for was 1.1")])
def test_what_is_not_there_is_named(store, web, place, version, message):
    for root in (store[0], web):
        with pytest.raises(Refused, match=message):
            Source(f"{root}{place}", "shop", version)


def test_of_another_application_or_no_manifest(store):
    root, release, _content = store
    with pytest.raises(Refused, match="is a release of shop, not of till"):
        Source(str(root / "shop/1.0"), "till")
    manifest = root / "shop/1.0/manifest.json"
    manifest.write_text("{")
    with pytest.raises(Refused, match="is not JSON"):
        Source(str(root / "shop/1.0"), "shop")
    manifest.unlink()
    manifest.symlink_to("/etc/shadow")
    with pytest.raises(Refused, match="manifest.json cannot be read"):
        Source(str(root / "shop/1.0"), "shop")


@pytest.mark.parametrize("place", ["s3://bucket/shop/1.0", "ftp://example.org/shop/1.0", "https://me:secret@example.org/shop/1.0"])
def test_addresses_that_a_host_does_not_read(place):
    with pytest.raises(UsageError) as error:
        Source(place, "shop")
    assert "secret" not in error.value.message and error.value.hint


def test_a_web_server_that_leads_elsewhere_is_not_followed(web):
    with pytest.raises(Refused, match="leads to another host, http://127.0.0.2, which was not followed"):
        Source(f"{web}/elsewhere", "shop")


def test_a_file_that_has_gone_and_one_that_is_too_long(store, monkeypatch):
    root, release, content = store
    found = Source(str(root / "shop/1.0"), "shop")
    wheel = release.of_kind("wheel")
    (root / "shop/1.0" / wheel[0].name).unlink()
    with pytest.raises(Refused, match="the manifest names it"):
        found.stream(wheel).read1(1)
    monkeypatch.setattr(source, "_MOST_MANIFEST", 10)
    with pytest.raises(Refused, match="longer than 10 bytes"):
        Source(str(root / "shop/1.0"), "shop")
