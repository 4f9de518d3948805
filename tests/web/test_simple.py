import hashlib
import json
import re
import zipfile
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import pytest

from tests.web.bench_web import release

JSON = "application/vnd.pypi.simple.v1+json"


class Anchors(HTMLParser):
    def __init__(self, body: bytes):
        super().__init__()
        self.found, self.meta = [], {}
        self.feed(body.decode())

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs))
        if tag == "meta":
            self.meta.update({dict(attrs).get("name"): dict(attrs).get("content")})


def test_projects_are_the_apps_and_their_dependencies(ask):
    status, headers, body = ask("/simple/")
    page = Anchors(body)
    assert status == "200 OK" and headers["Content-Type"] == "text/html; charset=utf-8" and headers["Vary"] == "Accept"
    assert page.meta["pypi:repository-version"] == "1.1"
    assert [each["href"] for each in page.found] == ["dep-lib/", "hello/", "my-shop/"]


def test_every_link_of_a_project_serves_the_bytes_it_names(ask):
    seen = 0
    for project in ("dep-lib", "hello", "my-shop"):
        for anchor in Anchors(ask(f"/simple/{project}/")[2]).found:
            path, fragment = urldefrag(urljoin(f"/simple/{project}/", anchor["href"]))
            status, _headers, body = ask(path)
            assert status == "200 OK" and fragment == f"sha256={hashlib.sha256(body).hexdigest()}"
            if path.endswith(".whl"):
                status, _headers, metadata = ask(path + ".metadata")
                digest = hashlib.sha256(metadata).hexdigest()
                assert status == "200 OK" and metadata.startswith(b"Metadata-Version: 2.1\n")
                assert anchor["data-core-metadata"] == anchor["data-dist-info-metadata"] == f"sha256={digest}"
            else:
                assert "data-core-metadata" not in anchor
            assert anchor["data-requires-python"] == (">=3.10" if project == "my-shop" else ">=3.9")
            seen += 1
    assert seen == 2 + 2 * 3 + 2  # the dependency's two wheels, and an sdist and a wheel of each release


def test_json_has_every_field_of_pep_691_and_700(ask):
    status, headers, body = ask("/simple/hello/", HTTP_ACCEPT=JSON)
    said = json.loads(body)
    assert status == "200 OK" and headers["Content-Type"] == JSON
    assert set(said) == {"meta", "name", "versions", "files"}
    assert said["meta"] == {"api-version": "1.1"} and said["name"] == "hello"
    assert sorted(said["versions"]) == ["1.0", "1.10", "1.9"] and len(said["files"]) == 6
    for file in said["files"]:
        assert set(file) >= {"filename", "url", "hashes", "size", "upload-time", "requires-python"}
        assert re.fullmatch(r"[0-9a-f]{64}", file["hashes"]["sha256"]) and isinstance(file["size"], int)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", file["upload-time"])
        assert ("core-metadata" in file) == file["filename"].endswith(".whl")
        assert "dist-info-metadata" not in file
    assert json.loads(ask("/simple/", HTTP_ACCEPT=JSON)[2]) == {
        "meta": {"api-version": "1.1"}, "projects": [{"name": "dep-lib"}, {"name": "hello"}, {"name": "my-shop"}]}


@pytest.mark.parametrize("accept, query, kind", [
    ("", "", "text/html; charset=utf-8"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "", "text/html; charset=utf-8"),
    ("application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01", "", JSON),
    ("application/vnd.pypi.simple.v1+html", "", "application/vnd.pypi.simple.v1+html"),
    ("application/vnd.pypi.simple.latest+json", "", JSON),
    ("text/html", "format=application/vnd.pypi.simple.v1+json", JSON),
    ("text/html", "format=application/vnd.pypi.simple.v1%2Bjson", JSON),
    ("image/png", "format=text/html", "text/html; charset=utf-8"),
])
def test_the_content_type_is_negotiated(ask, accept, query, kind):
    status, headers, _body = ask("/simple/hello/", query=query, HTTP_ACCEPT=accept)
    assert (status, headers["Content-Type"]) == ("200 OK", kind)


@pytest.mark.parametrize("accept, query", [("image/png", ""), ("text/html;q=0", ""), ("*/*", "format=application/json"),
                                           ("application/vnd.pypi.simple.v9+json", "")])
def test_406_lists_what_there_is(ask, accept, query):
    status, headers, body = ask("/simple/hello/", query=query, HTTP_ACCEPT=accept)
    assert status == "406 Not Acceptable" and headers["Vary"] == "Accept"
    assert JSON.encode() in body and b"text/html" in body


def test_names_are_normalised_by_redirect(ask):
    for asked, to in (("Dep.Lib/", "dep-lib/"), ("my_shop/", "my-shop/"), ("MY--_shop", "my-shop/"), ("hello", "hello/")):
        path = "/simple/" + asked
        for _hop in range(3):
            status, headers, _body = ask(path)
            if status.startswith("200"):
                break
            assert status.startswith("301")
            path = headers["Location"]
        assert path == "/simple/" + to
    assert ask("/simple", query="format=text/html")[1]["Location"] == "/simple/?format=text/html"
    assert ask("/simple/unknown/")[0] == "404 Not Found"


def test_one_file_name_with_other_bytes_is_offered_twice(ask, store):
    """A lock's hashes choose between them; neither release becomes uninstallable."""
    release(store, "third", "1.0", [("Dep.Lib", "1.0", "", ">=3.8")])
    files = json.loads(ask("/simple/dep-lib/", HTTP_ACCEPT=JSON)[2])["files"]
    same = [file for file in files if file["filename"] == "Dep.Lib-1.0-py3-none-any.whl"]
    assert len(same) == 2 and len({file["hashes"]["sha256"] for file in same}) == 2
    assert [file["requires-python"] for file in same] == [">=3.8", ">=3.9"] or [
        file["requires-python"] for file in same] == [">=3.9", ">=3.8"]


def test_a_wheel_that_is_none_is_offered_without_metadata(ask, store):
    wheel = store / "hello/1.10/hello-1.10-py3-none-any.whl"
    wheel.write_bytes(b"x" * wheel.stat().st_size)
    files = {file["filename"]: file for file in json.loads(ask("/simple/hello/", HTTP_ACCEPT=JSON)[2])["files"]}
    assert "core-metadata" not in files["hello-1.10-py3-none-any.whl"]
    assert "core-metadata" in files["hello-1.9-py3-none-any.whl"]
    assert ask("/hello/1.10/hello-1.10-py3-none-any.whl.metadata")[0] == "503 Service Unavailable"


def test_metadata_is_the_wheels_own(ask, store):
    path = "hello/1.9/wheelhouse/Dep.Lib-1.0-py3-none-any.whl"
    with zipfile.ZipFile(store / path) as wheel:
        assert ask(f"/{path}.metadata")[2] == wheel.read("Dep.Lib-1.0.dist-info/METADATA")
    assert ask("/hello/1.9/hello-1.9.tar.gz.metadata")[0] == "404 Not Found"
