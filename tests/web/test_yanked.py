"""A release that was taken back: the pages say so, pip and uv pass it over."""

import json
import shutil
import sys

import pytest

from tests.web.test_app import Page
from tests.web.test_clients import UV, run
from weft.stores.directory import DirectoryStore

JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def yanked(store):
    DirectoryStore(store).mark("hello", "1.10", "yanked", 'it "loses" <orders>')


def test_the_pages_say_it(yanked, ask):
    first = Page(ask("/")[2])
    assert 'hello 1.9 2 March 2026' in first.text and '1.10 was taken back: it "loses" <orders>' in first.text
    assert 'taken back: it "loses" <orders>' in Page(ask("/hello/")[2]).text
    page = Page(ask("/hello/1.10/")[2])
    assert 'taken back: it "loses" <orders>' in page.text and "fab deploy --version 1.10 --force-yanked" in page.text
    assert "taken back" not in Page(ask("/hello/1.9/")[2]).text


def test_the_package_index_says_it(yanked, ask):
    files = json.loads(ask("/simple/hello/", HTTP_ACCEPT=JSON)[2])["files"]
    assert {each["filename"]: each.get("yanked") for each in files if "1.0" not in each["filename"]} == {
        "hello-1.10-py3-none-any.whl": 'it "loses" <orders>', "hello-1.10.tar.gz": 'it "loses" <orders>',
        "hello-1.9-py3-none-any.whl": None, "hello-1.9.tar.gz": None}
    html = ask("/simple/hello/")[2].decode()
    assert html.count('data-yanked="it &quot;loses&quot; &lt;orders&gt;"') == 2
    assert "yanked" not in ask("/simple/dep-lib/")[2].decode()


def test_it_is_seen_at_once(served, ask, store):
    before = ask("/simple/hello/")[1]["ETag"]
    assert ask("/simple/hello/", HTTP_IF_NONE_MATCH=before)[0].startswith("304")
    DirectoryStore(store).mark("hello", "1.9", "bad", "")
    status, headers, _body = ask("/simple/hello/", HTTP_IF_NONE_MATCH=before)
    assert status == "200 OK" and headers["ETag"] != before
    assert "marked bad" in Page(ask("/hello/1.9/")[2]).text


def test_an_application_of_which_nothing_is_left(store, ask):
    for version in ("1.0", "1.9", "1.10"):
        DirectoryStore(store).mark("hello", version, "yanked", "all wrong")
    status, _headers, body = ask("/")
    assert status == "200 OK" and "1.9 was taken back: all wrong" in Page(body).text


def test_pip_and_uv_pass_it_over(yanked, served, tmp_path):
    run(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", f"{served}/simple/", "--target", str(tmp_path / "pip"), "hello")
    assert (tmp_path / "pip/hello.py").read_text() == "__version__ = '1.9'\n"
    assert "loses" in run(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", f"{served}/simple/", "--target",
                          str(tmp_path / "named"), "hello==1.10")
    if UV is None:
        pytest.skip("uv (pip: uv)")
    run(UV, "pip", "install", "--no-cache", "--index-url", f"{served}/simple/", "--python", sys.executable, "--target",
        str(tmp_path / "uv"), "hello")
    assert (tmp_path / "uv/hello.py").read_text() == "__version__ = '1.9'\n"


def test_the_web_s_pages_and_the_static_ones_are_the_same(store, ask):
    """What the application answers is what lies in simple/, byte for byte, once every wheel has its metadata beside it."""
    from weft.simple import static
    shelf = DirectoryStore(store)
    shelf.mark("hello", "1.9", "yanked", "why")
    static.build(shelf, anew=True)
    for name in ("", "hello/", "dep-lib/", "my-shop/"):
        assert ask(f"/simple/{name}")[2] == shelf.page(f"simple/{name}index.html")
        assert ask(f"/simple/{name}", HTTP_ACCEPT=JSON)[2] == shelf.page(f"simple/{name}index.json")
    shutil.rmtree(store / "simple")
    assert ask("/simple/hello/")[0] == "200 OK"
