"""What NFS does to a directory store, processes instead of threads, and the chain under a document."""

import errno
import os
import time

import pytest

from weft.errors import NeedsHands, Refused
from weft.stores import listing
from weft.stores.directory import DirectoryStore
from weft.stores.folder import Folder
from weft.stores.http import HttpStore
from weft.stores.keyed import KeyedStore
from weft.testing.store_goods import Goods, together

PROCESSES = 40


@pytest.fixture
def store(tmp_path):
    return DirectoryStore(tmp_path / "store")


def in_processes(count, work):
    """Exit codes of `work(0)` … in forked processes that start at one moment."""
    start, children = time.monotonic() + 1.0, []
    for number in range(count):
        child = os.fork()
        if not child:
            try:
                time.sleep(max(0.0, start - time.monotonic()))
                os._exit(work(number))
            finally:
                os._exit(99)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.mark.parametrize("make", [DirectoryStore, lambda root: KeyedStore(Folder(root), str(root))], ids=["directory", "keyed"])
def test_forty_processes_race_for_one_version(tmp_path, make):
    goods = [Goods(tmp_path / "goods", content=b"%05d" % number) for number in range(PROCESSES)]
    staged = [each.stage(make(tmp_path / "store")) for each in goods]

    def work(number):
        try:
            make(tmp_path / "store").publish(staged[number], "shop", "1.1.4")
            return 0
        except NeedsHands:
            return 5
    codes = in_processes(PROCESSES, work)
    assert sorted(codes) == [0] + [5] * (PROCESSES - 1)
    store = make(tmp_path / "store")
    assert store.manifest("shop", "1.1.4") == goods[codes.index(0)].release and store.verify("shop", "1.1.4") == []


def test_a_link_whose_answer_was_lost(store, monkeypatch):
    """NFS sends a request again; the second time the name is taken, by ourselves."""
    real = os.link

    def link(one, other):
        real(one, other)
        raise FileExistsError(errno.EEXIST, "File exists")
    monkeypatch.setattr("os.link", link)
    assert store.space.create("a", b"one") is True
    assert store.space.create("a", b"two") is False
    assert os.listdir(store.root) == ["a"]


def test_a_rename_whose_answer_was_lost(store, tmp_path, monkeypatch):
    real = os.rename

    def rename(one, other):
        real(one, other)
        if str(other).endswith("1.1.4"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    monkeypatch.setattr("os.rename", rename)
    goods = Goods(tmp_path / "goods")
    assert goods.publish(store) == store.root / "shop/1.1.4" and store.verify("shop", "1.1.4") == []


def test_a_rename_that_found_nothing_is_no_success(store, tmp_path, monkeypatch):
    def rename(one, other):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")
    staged = Goods(tmp_path / "goods").stage(store)
    monkeypatch.setattr("os.rename", rename)
    with pytest.raises(FileNotFoundError):
        store.publish(staged, "shop", "1.1.4")
    assert store.versions("shop") == []


def test_a_swept_publisher_that_lives_publishes_nothing(store, tmp_path):
    staged = Goods(tmp_path / "goods").stage(store)
    assert store.sweep("shop", 0.0) == [str(staged)]
    with pytest.raises(Refused, match="^nothing complete is staged in "):
        store.publish(staged, "shop", "1.1.4")
    assert store.versions("shop") == [] and os.listdir(store.root / "shop") == []


def test_what_is_staged_too_long_is_staged_again(tmp_path, monkeypatch):
    """Half a day before a sweep could take it: so the two never meet."""
    store = KeyedStore(Folder(tmp_path / "store"), "x")
    staged, now = Goods(tmp_path / "goods").stage(store), time.time()
    monkeypatch.setattr("time.time", lambda: now + 11 * 3600)
    assert store.staged(staged)
    monkeypatch.setattr("time.time", lambda: now + 13 * 3600)
    assert not store.staged(staged) and store.sweep("shop") == []
    with pytest.raises(Refused, match="^nothing complete is staged in "):
        store.publish(staged, "shop", "1.1.4")
    monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
    assert len(store.sweep("shop")) == 1


def test_a_writer_killed_between_link_and_copy_is_made_up_for(store, monkeypatch):
    assert store.put_if("index.json", b"1", None)

    def killed(name, content):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store.space, "replace", killed)
        store.put_if("index.json", b"2", b"1")
    assert store.get("index.json") == b"1"
    assert store.put_if("index.json", b"3", b"1") is False, "2 was first"
    assert store.get("index.json") == b"2" and store.put_if("index.json", b"3", b"2") is True


def test_a_slow_copier_does_not_bring_back_the_old(store, monkeypatch):
    """Another writer comes and goes between its link and its copy."""
    real, other = store.space.replace, DirectoryStore(store.root)

    def slow(name, content):
        monkeypatch.setattr(store.space, "replace", real)
        assert other.put_if(name, b"2", b"1")
        real(name, content)
    monkeypatch.setattr(store.space, "replace", slow)
    assert store.put_if("index.json", b"1", None) is True
    assert store.get("index.json") == b"2"


class Far(Folder):
    """A disk with the latency of a network: what is asked first and done then has others in between."""

    def open(self, name, most):
        time.sleep(0.02)
        return super().open(name, most)


def test_eight_race_over_a_network(tmp_path):
    goods = [Goods(tmp_path / "goods", content=b"%05d" % number) for number in range(8)]
    stores = [KeyedStore(Far(tmp_path / "store"), "x") for _ in goods]
    staged = [each.stage(store) for each, store in zip(goods, stores, strict=True)]
    said = together(8, lambda n: stores[n].publish(staged[n], "shop", "1.1.4"))
    assert sorted(type(each).__name__ for each in said) == ["NeedsHands"] * 7 + ["str"], said


def test_a_document_from_before_there_were_chains(store):
    store.root.mkdir()
    (store.root / "index.json").write_bytes(b"old")
    assert store.put_if("index.json", b"new", None) is False
    assert store.put_if("index.json", b"new", b"old") is True and store.get("index.json") == b"new"


def test_a_chain_stays_short_and_a_straggler_does_not_win(store):
    content = None
    for number in range(40):
        assert store.put_if("index.json", b"%d" % number, content)
        content = b"%d" % number
    links = sorted(os.listdir(store.root / ".index.json.d"))
    assert links == [f"{number:010}" for number in range(9, 41)]
    straggler = DirectoryStore(store.root)
    straggler._last = lambda name: (3, b"2")
    assert straggler.put_if("index.json", b"lost", b"2") is False
    assert sorted(os.listdir(store.root / ".index.json.d")) == links and store.get("index.json") == b"39"


def test_who_is_overtaken_after_it_was_first_was_first(store, monkeypatch):
    """Others build on the link before its writer looks back: it is told that it was written, or it would write it twice."""
    real, other = store.space.create, DirectoryStore(store.root)

    def create(name, content):
        assert real(name, content)
        assert other.put_if("index.json", b"12", b"1") or other.put_if("index.json", b"12", b"1")
        return True
    monkeypatch.setattr(store.space, "create", create)
    assert store.put_if("index.json", b"1", None) is True and store.get("index.json") == b"12"


def test_a_listing_that_was_damaged_is_written_anew(store, tmp_path):
    Goods(tmp_path / "goods", "1.0").publish(store)
    (store.root / "listing.json").write_text("{")
    (store.root / ".listing.json.d/0000000002").write_text("{")
    Goods(tmp_path / "goods", "1.1").publish(store)
    assert listing.parse(store.get("listing.json"), "") == {"shop": {"1.0": "shop/1.0", "1.1": "shop/1.1"}}


def test_a_publisher_killed_before_the_listing_is_made_up_for(store, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(listing, "keep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        Goods(tmp_path / "goods", "1.0").publish(store)
    assert store.versions("shop") == ["1.0"] and store.get("listing.json") is None
    Goods(tmp_path / "goods", "1.0").publish(store)
    assert listing.parse(store.get("listing.json"), "") == {"shop": {"1.0": "shop/1.0"}}


def test_a_commit_that_names_another_s_folder(tmp_path):
    store = KeyedStore(Folder(tmp_path), "x")
    for folder in ("../../etc", "other/1.0~00000000-000000000000", "shop/1.0~00000000-000000000000", "shop/1.1", 7):
        (tmp_path / "shop").mkdir(exist_ok=True)
        (tmp_path / "shop/1.1~release.json").write_text(f'{{"folder": "{folder}"}}')
        with pytest.raises(Refused, match="names a folder of something else$"):
            store.manifest("shop", "1.1")
    (tmp_path / "shop/1.1~release.json").write_text("[]")
    with pytest.raises(Refused, match="is not what weft wrote$"):
        store.manifest("shop", "1.1")


def test_remote_files_kept_here_have_a_bound(tmp_path):
    from weft.stores.fetched import Fetched
    store = KeyedStore(Folder(tmp_path / "store"), "x")
    store._fetched = Fetched(room=6000)
    goods = Goods(tmp_path / "goods", big=5000)
    goods.publish(store)
    for artifact in goods.release.artifacts * 2:
        store.open("shop", "1.1.4", artifact).close()
    store._fetched.room = 4000
    assert store.verify("shop", "1.1.4") == []
    kept = [each.stat().st_size for each in os.scandir(store._fetched._place.name)]
    assert sum(kept) <= 5005 and HttpStore("https://x")._fetched.room == 2 << 30
