"""What a web server can do to somebody who deploys from it, and what is said."""

import json
import shutil
import subprocess

import pytest

from tests.stores import servers
from weft.errors import Refused, UsageError
from weft.stores import open_store
from weft.stores.directory import DirectoryStore
from weft.stores.http import HttpStore
from weft.testing.store_goods import Goods


@pytest.fixture
def goods(tmp_path):
    return Goods(tmp_path / "goods")


@pytest.fixture
def server(tmp_path, goods, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    goods.publish(DirectoryStore(tmp_path / "store"))
    with servers.web(tmp_path / "store") as server:
        yield server


def refusal(act):
    with pytest.raises(Refused) as error:
        act()
    return error.value


def test_a_redirect_to_another_host_is_not_followed(server, tmp_path):
    with servers.web(tmp_path / "store") as other:
        server.answers["/listing.json"] = lambda ask: ask.plain(302, Location=f"{other.url}/listing.json")
        error = refusal(lambda: HttpStore(server.url).versions("shop"))
        assert other.asked == []
    assert error.message == f"{server.url}/listing.json leads to another host, http://127.0.0.1, which was not followed"


def test_a_redirect_on_the_same_host_is_followed(server):
    server.answers["/listing.json"] = lambda ask: ask.plain(302, Location="/shop/../listing.json?again")
    assert HttpStore(server.url).versions("shop") == ["1.1.4"]


def test_a_redirect_in_a_circle_ends(server):
    server.answers["/listing.json"] = lambda ask: ask.plain(302, Location="/listing.json")
    assert "302" in refusal(lambda: HttpStore(server.url).versions("shop")).message


def endless(ask):
    ask.close_connection = True
    ask.send_response(200)
    ask.end_headers()
    try:
        while True:
            ask.wfile.write(b" " * (1 << 20))
            ask.server.sent = getattr(ask.server, "sent", 0) + 1
    except OSError:
        pass


def test_endless_data_has_an_end(server, goods):
    server.answers["/shop/1.1.4/manifest.json"] = endless
    assert refusal(lambda: HttpStore(server.url).manifest("shop", "1.1.4")).message == \
        f"{server.url}/shop/1.1.4/manifest.json is longer than 4194304 bytes"
    server.answers[f"/shop/1.1.4/{goods.wheel.name}"] = endless
    assert refusal(lambda: HttpStore(server.url).open("shop", "1.1.4", goods.wheel)).message == \
        f"{server.url}/shop/1.1.4/{goods.wheel.name} has more than the 5 bytes that the manifest says"
    assert server.sent < 40


def test_slow_data_has_an_end(server):
    def drip(ask):
        import time
        ask.close_connection = True
        ask.send_response(200)
        ask.end_headers()
        for _ in range(100):
            try:
                ask.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)
    server.answers["/shop/1.1.4/manifest.json.sig"] = drip
    store = HttpStore(server.url, seconds=0.3)
    message = refusal(lambda: store.signature("shop", "1.1.4")).message
    assert message == f"{server.url}/shop/1.1.4/manifest.json.sig: the server sends too slowly"


def test_a_server_that_says_nothing(server):
    import time
    server.answers["/listing.json"] = lambda ask: time.sleep(2)
    assert refusal(lambda: HttpStore(server.url, seconds=0.3).apps()).message.endswith("/listing.json: timed out")


def test_a_body_that_is_cut(server, goods):
    def cut(ask):
        ask.close_connection = True
        ask.send_response(200)
        ask.send_header("Content-Length", "5")
        ask.end_headers()
        ask.wfile.write(b"wh")
    server.answers[f"/shop/1.1.4/{goods.wheel.name}"] = cut
    assert "2 bytes, the manifest says 5" in refusal(lambda: HttpStore(server.url).open("shop", "1.1.4", goods.wheel)).message


def test_answers_that_are_errors(server):
    server.answers["/listing.json"] = lambda ask: ask.plain(503)
    assert refusal(lambda: HttpStore(server.url).apps()).message == f"{server.url}/listing.json: the server answers 503 Service Unavailable"
    server.answers["/listing.json"] = lambda ask: ask.plain(404)
    error = refusal(lambda: HttpStore(server.url).apps())
    assert error.lines() == [f"{server.url}/listing.json is not there", "now:  nothing changed",
                             "next: is this the address of a store that weft publishes to?"]


@pytest.mark.parametrize("said", ["", "[]", "{", '{"format": 2, "apps": {}}', '{"format": 1, "apps": []}', "[" * 100_000])
def test_a_listing_that_is_none(server, said):
    server.answers["/listing.json"] = lambda ask: ask.plain(200, said.encode())
    assert refusal(lambda: HttpStore(server.url).apps()).message == f"{server.url}/listing.json is not a listing of releases"


@pytest.mark.parametrize("folder", ["../../etc", "shop/../../etc", "/etc", "other/1.1.4", "shop/1.1.4?x", "shop/a/b", "http://evil/shop", 7, None])
def test_a_folder_outside_is_no_release(server, folder):
    said = json.dumps({"format": 1, "apps": {"shop": {"1.1.4": folder, "1.0": "shop/1.0", "../x": "shop/x"}}}).encode()
    server.answers["/listing.json"] = lambda ask: ask.plain(200, said)
    assert HttpStore(server.url).versions("shop") == ["1.0"]


def test_nobody_there():
    with servers.web(".") as gone:
        url = gone.url
    assert refusal(lambda: HttpStore(url).apps()).message == f"{url}/listing.json: [Errno 111] Connection refused"


def test_a_certificate_that_nobody_vouches_for(tmp_path, goods, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("openssl (apt: openssl)")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out", tmp_path / "cert",
                    "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    goods.publish(DirectoryStore(tmp_path / "store"))
    with servers.web(tmp_path / "store", (tmp_path / "cert", tmp_path / "key")) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in refusal(lambda: HttpStore(server.url).versions("shop")).message
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        assert HttpStore(server.url).versions("shop") == ["1.1.4"]


def test_passwords_are_of_netrc_and_never_shown(server, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password s3cr3t\n")
    (tmp_path / ".netrc").chmod(0o600)
    store = open_store(server.url + "/", tmp_path)
    assert store.versions("shop") == ["1.1.4"] and server.asked[-1] == ("/listing.json", "Basic bWU6czNjcjN0")
    server.answers["/listing.json"] = lambda ask: ask.plain(401)
    assert refusal(store.apps).lines() == [f"{server.url}/listing.json: the server answers 401 Unauthorized", "now:  nothing changed",
                                           "next: check the address and your rights there"]


def test_an_address_without_a_host():
    with pytest.raises(UsageError, match="^artifact store 'https:///x' names no host$"):
        open_store("https:///x", None)


def test_a_deploy_asks_for_each_file_once(server, goods):
    store = HttpStore(server.url)
    assert store.verify("shop", "1.1.4") == []
    for _ in range(3):
        for artifact in goods.release.artifacts:
            store.open("shop", "1.1.4", artifact).close()
    assert [path for path, _ in server.asked].count(f"/shop/1.1.4/{goods.wheel.name}") == 1
