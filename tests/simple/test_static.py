"""The static package index in a store: what pip and uv are told, and that no publisher's part is lost."""

import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from tests.simple.shelves import HELLO, Shelf, made
from weft.errors import NeedsHands, Refused, UsageError
from weft.simple import static
from weft.stores.directory import DirectoryStore
from weft.stores.folder import Folder
from weft.stores.keyed import KeyedStore
from weft.testing.store_goods import together
from weft.values import app_name


@pytest.fixture(params=["directory", "keyed"])
def store(request, tmp_path):
    place = tmp_path / "store"
    return DirectoryStore(place) if request.param == "directory" else KeyedStore(Folder(place), str(place))


@pytest.fixture
def shelf(store, tmp_path):
    return Shelf(store, tmp_path / "made")


def said(store, project="hello"):
    return json.loads(store.page(f"simple/{project}/index.json"))


def tree(store):
    """Every page with its bytes; not the memory of the last build."""
    root = store.space.root / "simple"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*"))
            if path.is_file() and path.name != "releases.json"}


def test_a_release_is_listed_with_its_dependencies(store, shelf):
    shelf.publish("hello", "1.0", [("Dep.Lib", "1.0")], "dep-lib")
    built = static.build(store)
    assert (built.projects, built.left) == (2, {})
    assert json.loads(store.page("simple/index.json"))["projects"] == [{"name": "dep-lib"}, {"name": "hello"}]
    sdist, wheel = sorted(said(store)["files"], key=lambda each: each["filename"], reverse=True)
    assert sdist["filename"] == "hello-1.0.tar.gz" and sdist["requires-python"] == ">=3.9" and "core-metadata" not in sdist
    assert set(wheel) == {"filename", "url", "hashes", "size", "upload-time", "requires-python", "core-metadata"}
    assert said(store)["versions"] == ["1.0"] and said(store)["meta"] == {"api-version": "1.1"}
    html = store.page("simple/hello/index.html").decode()
    assert f'href="../../{store.folder("hello", "1.0")}/hello-1.0.tar.gz#sha256={sdist["hashes"]["sha256"]}"' in html
    assert 'data-requires-python="&gt;=3.9"' in html and "data-core-metadata" in html and "data-yanked" not in html
    assert all(not re.match(r"(/|[a-z]+:)", each) for each in re.findall(r'href="([^"]*)"', html)), "links are relative"


def test_every_link_is_a_file_with_those_bytes_and_its_metadata(store, shelf):
    import hashlib
    from urllib.parse import unquote, urljoin
    shelf.publish("hello", "1.0+local.1", [("Dep.Lib", "1.0")], "dep-lib")
    static.build(store)
    for project in ("hello", "dep-lib"):
        for file in said(store, project)["files"]:
            path = store.space.root / unquote(urljoin(f"simple/{project}/", file["url"]))
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["hashes"]["sha256"] and path.stat().st_size == file["size"]
            if "core-metadata" in file:
                metadata = path.with_name(path.name + ".metadata").read_bytes()
                assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]


def test_the_files_of_a_release_are_sealed_with_their_metadata(tmp_path):
    store = DirectoryStore(tmp_path / "store")
    Shelf(store, tmp_path / "made").publish("hello", "1.0", [("Dep.Lib", "1.0")])
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "store/hello/1.0").rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o444} and {"hello-1.0-py3-none-any.whl.metadata", "Dep.Lib-1.0-py3-none-any.whl.metadata"} <= set(modes)
    assert not [name for name in modes if name.startswith("pip-") and name.endswith(".metadata")], "the installer is not offered"


@pytest.mark.parametrize("word, shown", [("yanked", 'it "leaks" <b>'), ("bad", "marked bad: it \"leaks\" <b>")])
def test_a_release_that_was_taken_back(store, shelf, word, shown):
    shelf.publish("hello", "1.0", [("Dep.Lib", "1.0")])
    shelf.publish("hello", "1.1", [("Dep.Lib", "1.0")])
    static.build(store)
    store.mark("hello", "1.1", word, 'it "leaks" <b>')
    static.build(store)
    assert {each["filename"]: each.get("yanked") for each in said(store)["files"]} == {
        "hello-1.0-py3-none-any.whl": None, "hello-1.0.tar.gz": None, "hello-1.1-py3-none-any.whl": shown, "hello-1.1.tar.gz": shown}
    html = store.page("simple/hello/index.html").decode()
    import html as escaping
    assert html.count(f'data-yanked="{escaping.escape(shown)}"') == 2 and "yanked" not in store.page("simple/dep-lib/index.html").decode()


def test_a_mark_without_a_reason_is_one(store, shelf):
    shelf.publish("hello", "1.0")
    store.mark("hello", "1.0", "yanked", "")
    static.build(store)
    assert {each["yanked"] for each in said(store)["files"]} == {True} and store.page("simple/hello/index.html").count(b'data-yanked=""') == 2


def test_a_mark_that_only_the_index_has_is_shown(store, shelf):
    from weft.index import Index, Sealed
    shelf.publish("hello", "1.0")
    index = Index("hello", 1, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", {"1.0": {"manifest": "0" * 64, "yanked": "no"}})
    store.put_index("hello", b"", Sealed(index.text()).to_bytes())
    static.build(store)
    assert {each["yanked"] for each in said(store)["files"]} == {"no"}
    store.put_index("hello", store.index("hello"), b"{}")
    static.build(store, anew=True)
    assert not any("yanked" in each for each in said(store)["files"]), "an index that is none marks nothing, and stops nothing"


def test_a_copy_in_a_wheelhouse_is_the_same_file_as_the_release_of_that_application(store, shelf):
    """An application that others depend on: yanked is yanked, whoever carries a copy."""
    shelf.publish("hello", "1.0", [("lib", "2.0")], "lib", created="2026-01-01T00:00:00Z")
    shelf.publish("lib", "2.0", created="2026-02-01T00:00:00Z")
    store.mark("lib", "2.0", "yanked", "why")
    static.build(store)
    (wheel,) = [each for each in said(store, "lib")["files"] if each["filename"].endswith(".whl")]
    assert wheel["url"].startswith(f"../../{store.folder('lib', '2.0').replace('~', '~')}/") and wheel["yanked"] == "why"


def test_what_is_up_to_date_is_left_alone(store, shelf, monkeypatch):
    shelf.publish("hello", "1.0")
    static.build(store)
    before, shown = tree(store), []
    monkeypatch.setattr(store, "show", lambda name, content, show=store.show: shown.append(name) or show(name, content))
    static.build(store)
    assert tree(store) == before and all("/.building/" in name for name in shown)


def test_a_new_release_reads_no_old_one_and_touches_its_own_pages_alone(store, shelf, monkeypatch):
    shelf.publish("hello", "1.0", [("Dep.Lib", "1.0")])
    shelf.publish("other", "1.0")
    static.build(store)
    shelf.publish("hello", "1.1", [("Dep.Lib", "1.0")])
    read, shown = [], []
    monkeypatch.setattr(store, "manifest", lambda app, version, ask=store.manifest: read.append((app, version)) or ask(app, version))
    monkeypatch.setattr(store, "show", lambda name, content, show=store.show: shown.append(name) or show(name, content))
    static.build(store)
    assert read == [("hello", "1.1")]
    assert [name for name in shown if "/.building/" not in name] == ["simple/hello/index.json", "simple/hello/index.html", "simple/releases.json"]


@pytest.mark.parametrize("damage", ["all", "page", "memory", "nonsense", "foreign", "older", "emptied"])
def test_what_somebody_removed_or_broke_is_mended(store, shelf, damage):
    shelf.publish("hello", "1.0", [("Dep.Lib", "1.0")])
    static.build(store)
    before, root = tree(store), store.space.root / "simple"
    if damage == "all":
        shutil.rmtree(root)
    elif damage == "page":
        (root / "hello/index.html").unlink()
    elif damage == "memory":
        (root / "releases.json").unlink()
        (root / "hello/index.json").write_text("{")
    elif damage == "nonsense":
        (root / "releases.json").write_text('{"format": 1, "releases": {"hello": {"1.0": [{"name": 1}]}}, "marks": 3}')
        (root / "hello/index.json").write_text("{")
    elif damage == "foreign":
        (root / "gone").mkdir()
        (root / "gone/index.html").write_text("a project that is not there")
    elif damage == "older":
        (root / "releases.json").write_text('{"format": 0}')
    else:
        (root / "hello/index.html").write_text("")
    static.build(store, anew=True)
    assert tree(store) == before and {"dep-lib", "hello", "releases.json"} <= set(os.listdir(root))


def test_a_metadata_file_that_is_gone_is_made_again(store, shelf):
    shelf.publish("hello", "1.0")
    path = store.space.root / store.folder("hello", "1.0") / "hello-1.0-py3-none-any.whl.metadata"
    raw = path.read_bytes()
    path.unlink()
    static.build(store)
    assert not any("core-metadata" in each for each in said(store)["files"]), "what is not there is not announced"
    static.build(store, anew=True)
    assert path.read_bytes() == raw and any("core-metadata" in each for each in said(store)["files"])


def test_a_damaged_release_is_left_out_and_the_others_are_there(store, shelf):
    shelf.publish("hello", "1.0")
    shelf.publish("hello", "1.1")
    manifest = store.space.root / store.folder("hello", "1.1") / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{")
    built = static.build(store)
    assert said(store)["versions"] == ["1.0"] and list(built.left) == ["hello 1.1"] and "is not JSON" in built.left["hello 1.1"]


def test_a_release_that_is_gone_is_no_longer_offered(store, shelf):
    shelf.publish("hello", "1.0")
    shelf.publish("other", "1.0")
    static.build(store)
    shutil.rmtree(store.space.root / store.folder("other", "1.0"))
    (store.space.root / "other/1.0~release.json").unlink(missing_ok=True)
    static.build(store)
    assert json.loads(store.page("simple/index.json"))["projects"] == [{"name": "hello"}]
    assert store.page("simple/other/index.html") is None and store.page("simple/other/index.json") is None


def test_eight_publishers_at_once_lose_nothing(store, shelf, tmp_path):
    """Each publishes, then builds; whoever is last, all are listed."""
    def one(number):
        mine = type(store)(*((store.root,) if isinstance(store, DirectoryStore) else (Folder(store.space.root), str(store))))
        for turn in range(2):
            Shelf(mine, tmp_path / f"made-{number}-{turn}").publish("hello", f"1.{number}.{turn}", [("Dep.Lib", f"1.{number}")])
            static.build(mine)
    assert together(8, one) == [None] * 8
    assert sorted(said(store)["versions"]) == sorted(f"1.{number}.{turn}" for number in range(8) for turn in range(2))
    assert len(said(store, "dep-lib")["files"]) == 8 and store.pages(".building") == []
    before = tree(store)
    static.build(store, anew=True)
    assert tree(store) == before


class Between:
    """A store whose other publisher does `deed` once, before the first page is written."""

    def __init__(self, store, deed):
        self._store, self._deed = store, deed

    def __getattr__(self, name):
        return getattr(self._store, name)

    def show(self, name, content):
        if "/.building/" not in name and self._deed:
            deed, self._deed = self._deed, None
            deed()
        self._store.show(name, content)


def test_who_was_overtaken_while_writing_writes_again(store, shelf):
    shelf.publish("hello", "1.0")

    def other():
        shelf.publish("hello", "1.1")
        static.build(store)
    static.build(Between(store, other))
    assert said(store)["versions"] == ["1.0", "1.1"]


def test_a_publisher_who_was_killed_after_an_old_page_is_made_up_for(store, shelf):
    """It had read the store before another published, wrote its page over the newer one, and died before it looked again."""
    shelf.publish("hello", "1.0")
    static.build(store)
    old = store.page("simple/hello/index.html"), store.page("simple/hello/index.json")

    class Killed(BaseException):
        pass

    class Dying(Between):
        def show(self, name, content):
            super().show(name, content)
            if name == "simple/hello/index.html":
                raise Killed

    shelf.publish("hello", "1.1")
    with pytest.raises(Killed):
        static.build(Dying(store, None))
    static.build(store)
    store.show("simple/hello/index.html", old[0])
    store.show("simple/hello/index.json", old[1])
    shelf.publish("other", "1.0")
    static.build(store)
    assert said(store)["versions"] == ["1.0", "1.1"], "its sign was there, so every page was compared"
    sign = store.pages(".building")
    assert len(sign) == 1, "it may still be at work: the process is this one"
    gone = subprocess.Popen(["true"])
    gone.wait()
    store.show("simple/.building/00000001-abcdef", f"{gone.pid} elsewhere.example.org\n".encode())
    store.show(f"simple/.building/{int(time.time()):08x}-abcde1", f"{gone.pid} elsewhere.example.org\n".encode())
    store.show(f"simple/.building/{int(time.time()):08x}-abcde2", f"{gone.pid} {socket.gethostname()}\n".encode())
    static.build(store)
    assert [each[8:] for each in store.pages(".building") if each not in sign] == ["-abcde1"], "one is old, one is a process that has ended here"
    store.show(f"simple/.building/{[each for each in store.pages('.building') if each not in sign][0]}", None)
    store.show(f"simple/.building/{sign[0]}", None)
    store.show("simple/.building/00000001-abcdef", b"")
    static.build(store)
    assert store.pages(".building") == [], "an old sign is removed"


def test_a_store_that_never_stands_still(store, shelf, monkeypatch):
    shelf.publish("hello", "1.0")
    monkeypatch.setattr(static, "_TRIES", 3)
    monkeypatch.setattr(store, "page", lambda name: None)
    with pytest.raises(NeedsHands, match="always being written by somebody else"):
        static.build(store)


def test_simple_is_no_application():
    with pytest.raises(UsageError) as error:
        app_name("simple")
    assert error.value.message == "'simple' is not an application name: in every artifact store the package index has it"
    assert app_name("simpler") and HELLO == app_name(HELLO)


@pytest.mark.parametrize("name", ["simple", "simple/", "simple/../x", "x/index.html", "simple/a/b/index.html", "/simple/index.html", "simple/.x/../y"])
def test_names_of_pages_are_checked(store, name):
    for ask in (store.page, lambda name: store.show(name, b""), lambda name: store.show(name, None)):
        with pytest.raises(UsageError):
            ask(name)


def test_what_is_made_in_a_shared_directory_stays_shared(tmp_path):
    """Group-writable with setgid, as such directories are set up: the next publisher is another account, the umask of the first is 022."""
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o2775)
    store, usual = DirectoryStore(root), os.umask(0o022)
    try:
        Shelf(store, tmp_path / "made").publish("hello", "1.0", [("Dep.Lib", "1.0")])
        static.build(store)
        store.put_index("hello", b"", b"x")
    finally:
        os.umask(usual)
    for folder in ("hello", "hello/.index.json.d", "simple", "simple/hello", "simple/dep-lib"):
        assert (root / folder).stat().st_mode & 0o7777 == 0o2775, folder
    assert (root / "hello/1.0").stat().st_mode & 0o777 == 0o755, "a release is its publisher's"


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    store = DirectoryStore(tmp_path / "store")
    Shelf(store, tmp_path / "made").publish("hello", "1.0")
    (tmp_path / "store/simple").write_text("in the way")
    with pytest.raises((Refused, OSError)):
        static.build(store)
    assert made(tmp_path, "hello", "2.0")[0].version == "2.0"
