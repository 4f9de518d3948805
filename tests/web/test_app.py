import io
import json
import re
from html.parser import HTMLParser

import pytest

import weft
from tests.web.bench_web import call
from weft.web.app import make_app
from weft.web.settings import Settings

VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Well-formed, and its links and words."""

    def __init__(self, body: bytes):
        super().__init__()
        self.open, self.links, self.words = [], [], []
        self.feed(body.decode())
        assert self.open == [], "every element is closed"
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value != "data:,"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if "style" not in self.open:
            self.words.append(text)


def test_health_names_version_and_release(ask, monkeypatch):
    monkeypatch.setenv("WEFT_RELEASE", "0.1.0-abcdef")
    status, headers, body = ask("/health")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == ("200 OK", "application/json", "no-store")
    assert json.loads(body) == {"status": "ok", "version": weft.__version__, "release": "0.1.0-abcdef", "store": "readable"}
    assert f'"version": "{weft.__version__}"'.encode() in body  # the text that deploy/production.toml asks for


def test_the_first_page_shows_each_applications_latest(ask):
    status, headers, body = ask("/")
    page = Page(body)
    assert status == "200 OK" and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Our <releases>" in page.text and "2 applications, 4 releases" in page.text
    assert "hello 1.10 3 March 2026, 09:30 UTC · 6 files," in page.text
    assert "my_shop 2.0rc1 1 March 2026" in page.text
    assert "GET /health names the version <b>bold</b>." in page.text  # escaped: it is text, not markup
    assert page.text.index("1.10") < page.text.index("1.9") < page.text.index("1.0 ")


def test_every_link_of_every_page_leads_somewhere_here(ask):
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        status, headers, body = ask(path)
        assert status == "200 OK", path
        seen.add(path)
        if headers["Content-Type"].startswith("text/html") and not path.startswith("/simple"):
            links = Page(body).links
            assert all(re.match(r"/(?!/)", link) for link in links), "no page asks another server for anything"
            waiting += [link for link in links if link not in seen]
    assert {"/hello/", "/hello/1.9/", "/hello/1.9/wheelhouse/Dep.Lib-1.0-py3-none-any.whl", "/my_shop/2.0rc1/"} <= seen


def test_a_release_page_has_files_digests_and_commands(ask):
    page = Page(ask("/hello/1.9/")[2])
    assert "commit 0123456789ab · tag 1.9" in page.text
    assert "fab deploy --version 1.9" in page.text
    assert ("pip install --index-url http://index.example.org/simple/ --trusted-host index.example.org hello==1.9"
            in page.text)
    assert len(re.findall(r"\b[0-9a-f]{64}\b", page.text)) == 6


@pytest.mark.parametrize("scheme, host, expected", [
    ("https", "index.example.org", "pip install --index-url https://index.example.org/simple/ hello==1.9"),
    ("http", "localhost:8000", "pip install --index-url http://localhost:8000/simple/ hello==1.9"),
    ("http", "h:81", "pip install --index-url http://h:81/simple/ --trusted-host h:81 hello==1.9"),
    ("http", 'x"><script>', "pip install --index-url http://localhost:80/simple/ hello==1.9"),
])
def test_the_install_command_fits_the_address(ask, scheme, host, expected):
    page = Page(ask("/hello/1.9/", HTTP_HOST=host, **{"wsgi.url_scheme": scheme})[2])
    assert expected in page.text


def test_mounted_below_a_path_and_with_a_public_address(store):
    app = make_app(Settings(str(store), url="https://www.example.org/artifacts/"))
    page = Page(call(app, "/hello/1.9/", SCRIPT_NAME="/artifacts")[2])
    assert "pip install --index-url https://www.example.org/artifacts/simple/ hello==1.9" in page.text
    assert all(link.startswith("/artifacts/") for link in page.links)
    assert call(app, "/hello", SCRIPT_NAME="/artifacts")[1]["Location"] == "/artifacts/hello/"


def test_a_page_allows_nothing_from_elsewhere(ask):
    policy = ask("/")[1]["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert ask("/")[1]["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("damage", ['{"app": "hello', "[]", "null", "{}", '{"app": 1}', "[" * 100_000, "\x00\xff",
                                    "changelog", "created", "commit"])
def test_a_broken_manifest_is_a_marked_row(ask, store, damage):
    manifest = store / "hello/1.9/manifest.json"
    if damage in ("changelog", "created", "commit"):
        damage = json.dumps({**json.loads(manifest.read_text()), damage: 5})
    manifest.write_text(damage, encoding="latin-1")
    for path in ("/", "/hello/", "/hello/1.9/"):
        status, _headers, body = ask(path)
        assert status == "200 OK" and "1.9" in Page(body).text and "cannot be used" in Page(body).text.replace(
            "This release cannot", "cannot"), path
    assert "hello 1.10" in Page(ask("/")[2]).text
    assert ask("/hello/1.9/hello-1.9.tar.gz")[0] == "404 Not Found"
    assert b"hello-1.10" in ask("/simple/hello/")[2] and b"hello-1.9" not in ask("/simple/hello/")[2]


def test_a_lost_file_is_told_and_nothing_else_suffers(ask, store):
    (store / "hello/1.9/hello-1.9.tar.gz").unlink()
    status, _headers, body = ask("/hello/1.9/hello-1.9.tar.gz")
    assert status == "503 Service Unavailable" and "the manifest names it" in Page(body).text
    assert ask("/hello/1.9/")[0] == "200 OK" and ask("/simple/hello/")[0] == "200 OK"


def test_a_file_of_another_length_is_not_served(ask, store):
    with (store / "hello/1.9/hello-1.9.tar.gz").open("ab") as file:
        file.write(b"more")
    assert ask("/hello/1.9/hello-1.9.tar.gz")[0] == "503 Service Unavailable"


def test_an_empty_store_says_how_to_fill_it(tmp_path):
    app = make_app(Settings(str(tmp_path / "none")))
    assert "Nothing has been released yet" in Page(call(app, "/")[2]).text
    assert call(app, "/simple/")[0] == "200 OK" and call(app, "/health")[0] == "200 OK"


def test_a_store_that_cannot_be_read(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    app = make_app(Settings(str(tmp_path / "loop")))
    status, _headers, body = call(app, "/")
    assert status == "503 Service Unavailable" and "The store cannot be read" in Page(body).text
    for path in ("/simple/", "/hello/", "/hello/1.9/hello-1.9.tar.gz"):
        assert call(app, path)[0] == "503 Service Unavailable", path
    said = json.loads(call(app, "/health")[2])
    assert said["status"] == "ok" and "cannot be read: Too many levels of symbolic links" in said["store"]


@pytest.mark.parametrize("path", [
    "/../etc/passwd", "/hello/../../etc/passwd", "/hello/1.9/../../../etc/passwd", "/hello/1.9/manifest.json/..",
    "/hello/1.9/wheelhouse/../../../secret", "/..%2f..%2fetc/passwd", "/hello/1.9/..\\..\\x", "//etc/passwd",
    "/hello//1.9/", "/hello/1.9//hello-1.9.tar.gz", "/hello/1.9/\x00", "/hello/1.9/.", "/./hello/", "/%2e%2e/", "/hello/-rf/",
    "/hello/9.9/", "/nobody/", "/secret", "/hello/1.9/manifest.json", "/hello/1.9/other.txt", "/hello/1.9/tools/",
    "/hello/1.9/wheelhouse/", "/simple/../hello/", "/simple//", "/simple/hello/x", "/hello/1.9/a/b/c/", "/h\xe9llo/", "/favicon.ico",
    "/health/", "//evil.example.org/hello",
])
def test_only_what_a_manifest_names_is_served(ask, store, path):
    (store / "secret").write_text("root:x:0:0\n")
    (store / "hello/1.9/other.txt").write_text("root:x:0:0\n")
    status, headers, body = ask(path)
    assert status == "404 Not Found" and b"root:" not in body
    assert headers["Content-Type"].startswith("text/html") and "Not found" in Page(body).text


def test_a_symlink_in_the_store_is_not_followed(ask, store):
    file = store / "hello/1.9/hello-1.9.tar.gz"
    secret = store / "secret"
    secret.write_bytes(b"s" * file.stat().st_size)
    file.unlink()
    file.symlink_to(secret)
    assert ask("/hello/1.9/hello-1.9.tar.gz")[0] == "503 Service Unavailable"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_is_read_only(ask, method):
    status, headers, body = ask("/hello/", method=method)
    assert (status, headers["Allow"]) == ("405 Method Not Allowed", "GET, HEAD") and "read-only" in Page(body).text


@pytest.mark.parametrize("path", ["/", "/health", "/hello/1.9/", "/simple/hello/", "/hello/1.9/hello-1.9.tar.gz", "/nobody/"])
def test_head_is_get_without_the_body(ask, path):
    status, headers, body = ask(path)
    assert ask(path, method="HEAD") == (status, headers, b"") and headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("path", ["/", "/hello/1.9/", "/simple/hello/", "/hello/1.9/hello-1.9.tar.gz",
                                  "/hello/1.9/hello-1.9-py3-none-any.whl.metadata"])
def test_what_has_not_changed_is_not_sent_again(ask, path):
    _status, headers, body = ask(path)
    tag = headers["ETag"]
    for asked in (tag, f'"other", W/{tag}', "*"):
        status, again, nothing = ask(path, HTTP_IF_NONE_MATCH=asked)
        assert (status, nothing, again["ETag"]) == ("304 Not Modified", b"", tag) and "Content-Type" not in again
    assert ask(path, HTTP_IF_NONE_MATCH='"other"')[2] == body


def test_files_go_through_the_servers_file_wrapper_and_are_closed(app, store):
    given = []

    def wrapper(file, block):
        given.append(file)
        return iter([file.read()])

    environ = {"wsgi.file_wrapper": wrapper}
    path = "hello/1.9/hello-1.9.tar.gz"
    headers = {}
    body = app(_environ(path, environ), lambda status, fields: headers.update(fields))
    assert b"".join(body) == (store / path).read_bytes() and headers["Cache-Control"].endswith("immutable")
    app(_environ(path, {"REQUEST_METHOD": "HEAD", **environ}), lambda *_: None)
    assert len(given) == 1
    plain = app(_environ(path, {}), lambda *_: None)
    assert b"".join(plain) == (store / path).read_bytes()
    plain.close()
    assert plain.file.closed


def _environ(path, more):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": f"/{path}", "SCRIPT_NAME": "", "SERVER_NAME": "x", "SERVER_PORT": "80",
            "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO(), **more}
