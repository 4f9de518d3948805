"""The contract of a store, as tests that anybody's store can run: subclass `StoreSuite`, give it an empty store.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def place(self, tmp_path):
            return tmp_path / "store"        # whatever `opened` needs to find the same store again

        def opened(self, place):
            return MyStore(place)            # a new handle; several are in use at once

        def spoil(self, place, name, content):
            ...                              # behind the store's back: a file whose path ends with `name` gets other bytes

A store that is only read subclasses `ReadingSuite` and gives `library`, the store through which its contents were published.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from weft.errors import NeedsHands, Refused, UsageError, WeftError
from weft.testing.store_goods import METADATA, Dying, Killed, real_wheel, together
from weft.testing.store_reading import ReadingSuite, ReadOnlySuite

__all__ = ["ReadOnlySuite", "ReadingSuite", "StoreSuite"]
RACERS = 8


class StoreSuite(ReadingSuite):
    """What every store promises its publishers."""

    def test_an_empty_store(self, store):
        assert store.apps() == [] and store.versions("shop") == [] and store.obstacle(1) == ""
        assert store.sweep("shop") == [] and store.marks("shop", "1.1.4") == {}
        with pytest.raises(Refused) as error:
            store.manifest("shop", "1.1.4")
        assert error.value.hint == "applications there: none"

    def test_what_is_staged_is_not_seen(self, place, store, goods):
        made = goods()
        where = made.stage(store)
        assert store.staged(where) and self.opened(place).staged(where)
        for reader in (store, self.opened(place)):
            assert reader.versions("shop") == [] and reader.apps() == []
            with pytest.raises(Refused):
                reader.manifest("shop", "1.1.4")
            with pytest.raises(Refused):
                reader.open("shop", "1.1.4", made.wheel)

    def test_another_process_goes_on_where_staging_ended(self, place, store, goods):
        where = goods().stage(store)
        assert self.opened(place).publish(Path(str(where)), "shop", "1.1.4") == store.path("shop", "1.1.4")
        assert store.verify("shop", "1.1.4") == []

    def test_nothing_is_published_that_was_not_staged(self, store, goods):
        with pytest.raises((Refused, OSError)):
            store.publish(store.staging("shop", "1.1.4"), "shop", "1.1.4")
        assert store.versions("shop") == []

    def test_a_file_that_changed_meanwhile(self, store, goods):
        made = goods()
        made.files[made.wheel.name].write_bytes(b"whee!")
        where = store.staging("shop", "1.1.4")
        with pytest.raises(Refused, match="changed while it was published$"):
            store.stage(where, made.release, made.files)
        assert not store.staged(where)
        store.discard(where)
        assert store.sweep("shop", 0.0) == [] and store.versions("shop") == []

    def test_the_same_again_is_done(self, store, goods):
        first = goods().publish(store)
        assert goods().publish(store) == first
        assert store.versions("shop") == ["1.1.4"] and store.sweep("shop", 0.0) == []

    def test_a_version_is_never_replaced(self, store, goods):
        made, other = goods(), goods(content=b"other")
        place = made.publish(store)
        where = other.stage(store)
        with pytest.raises(NeedsHands) as error:
            store.publish(where, "shop", "1.1.4")
        assert error.value.message == f"{place} is there already, with other bytes; it was not replaced"
        assert error.value.hint == "release another version"
        assert store.manifest("shop", "1.1.4") == made.release and store.verify("shop", "1.1.4") == []

    def test_discard_removes_what_was_staged_and_no_release(self, store, goods, tmp_path):
        goods("1.0").publish(store)
        where = goods().stage(store)
        store.discard(where)
        assert not store.staged(where) and store.sweep("shop", 0.0) == []
        kept = goods("1.1").stage(store)
        store.publish(kept, "shop", "1.1")
        for name in (kept, Path(str(store.path("shop", "1.0"))), Path("shop"), Path("shop/1.0"), Path("."), Path("/"), tmp_path):
            store.discard(name)
        assert store.verify("shop", "1.0") == [] and store.verify("shop", "1.1") == []

    def test_eight_race_for_one_version_with_other_bytes_each(self, place, goods):
        racers = [(goods(content=b"%05d" % number), self.opened(place)) for number in range(RACERS)]
        staged = [made.stage(store) for made, store in racers]
        said = together(RACERS, lambda n: racers[n][1].publish(staged[n], "shop", "1.1.4"))
        won = [number for number, answer in enumerate(said) if not isinstance(answer, Exception)]
        assert len(won) == 1, said
        assert all(isinstance(answer, NeedsHands) and "is there already, with other bytes" in answer.message
                   for number, answer in enumerate(said) if number not in won), said
        reader = self.opened(place)
        assert reader.manifest("shop", "1.1.4") == racers[won[0]][0].release and reader.verify("shop", "1.1.4") == []

    def test_eight_race_for_one_version_with_the_same_bytes(self, place, goods):
        racers = [(goods(), self.opened(place)) for number in range(RACERS)]
        said = together(RACERS, lambda n: racers[n][0].publish(racers[n][1]))
        assert said == [racers[0][1].path("shop", "1.1.4")] * RACERS
        reader = self.opened(place)
        assert reader.verify("shop", "1.1.4") == [] and reader.sweep("shop", 0.0) == []

    def test_readers_see_nothing_or_all_of_it(self, place, goods):
        publisher, reader, made, looked = self.opened(place), self.opened(place), goods(), threading.Event()

        def publish():
            looked.wait()
            made.publish(publisher)

        def read():
            while not reader.versions("shop"):
                looked.set()
            return reader.manifest("shop", "1.1.4") == made.release and reader.verify("shop", "1.1.4") == []
        assert together(2, lambda number: read() if number else publish()) == [None, True]

    @pytest.mark.parametrize("after", [0, 1, 2, 3])
    def test_what_a_killed_publisher_left_is_invisible_and_is_swept(self, place, store, goods, after):
        goods("1.0").publish(store)
        made, where = goods(), store.staging("shop", "1.1.4")
        try:
            store.stage(where, made.release, Dying(made.files, after))
        except Killed:
            pass
        assert store.versions("shop") == ["1.0"]
        assert store.sweep("shop") == [], "it may still be at work"
        assert goods().publish(self.opened(place)) == store.path("shop", "1.1.4")
        left = store.sweep("shop", 0.0)
        assert len(left) <= 1 and store.sweep("shop", 0.0) == []
        assert not store.staged(where)
        for version in ("1.0", "1.1.4"):
            assert store.verify("shop", version) == []

    def test_publishing_sweeps_what_is_old(self, place, store, goods):
        assert store.grace == 24 * 3600
        where, publisher = goods("1.0").stage(store), self.opened(place)
        goods("1.1").publish(publisher)
        assert store.staged(where)
        publisher.grace = 0.0
        made = goods("1.2")
        publisher.publish(made.stage(store), "shop", "1.2")
        assert store.sweep("shop", 0.0) == [] and not store.staged(where)
        assert store.versions("shop") == ["1.1", "1.2"]

    def test_put_if_compares(self, place, store):
        for name in ("index.json", "shop/index.json"):
            assert store.put_if(name, b"one", b"") is False and store.get(name) is None
            assert store.put_if(name, b"one", None) is True
            assert store.put_if(name, b"two", None) is False and store.put_if(name, b"two", b"other") is False
            assert self.opened(place).put_if(name, b"two", b"one") is True
            assert store.get(name) == b"two" and store.put_if(name, b"three", b"one") is False
            assert store.put_if(name, b"one", b"two") is True and store.put_if(name, b"two", b"one") is True
            assert store.get(name) == b"two"

    def test_put_index_is_the_same(self, store):
        assert store.put_index("shop", b"", b"1") and not store.put_index("shop", b"", b"2") and store.put_index("shop", b"1", b"2")
        assert store.index("shop") == b"2"

    @pytest.mark.parametrize("name", ["", "x", "/etc/passwd", "../x.json", "a/../x.json", ".x.json", "a/b/c.json", "x json", "-x.json"])
    def test_names_of_documents_are_checked(self, store, name):
        for ask in (store.get, lambda name: store.put_if(name, b"", None)):
            with pytest.raises(UsageError):
                ask(name)

    def test_no_update_is_lost(self, place):
        stores = [self.opened(place) for _ in range(RACERS)]

        def work(number):
            for turn in range(3):
                while True:
                    before = stores[number].get("index.json")
                    entries = json.loads(before or b"[]")
                    if stores[number].put_if("index.json", json.dumps([*entries, f"{number}.{turn}"]).encode(), before):
                        break
        assert together(RACERS, work) == [None] * RACERS
        said = json.loads(self.opened(place).get("index.json"))
        assert sorted(said) == sorted(f"{number}.{turn}" for number in range(RACERS) for turn in range(3))

    def test_marks_are_added_and_never_replaced(self, store, goods):
        goods("1.0").publish(store)
        before = store.manifest_bytes("shop", "1.0")
        assert store.mark("shop", "1.0", "bad", "went back") is True
        assert store.mark("shop", "1.0", "bad", "another") is False
        assert store.mark("shop", "1.0", "yanked", "why") is True
        assert store.marks("shop", "1.0") == {"bad": "went back", "yanked": "why"}
        assert store.manifest_bytes("shop", "1.0") == before and store.versions("shop") == ["1.0"]
        with pytest.raises(Refused, match="shop 2.0 is not in"):
            store.mark("shop", "2.0", "bad", "")
        with pytest.raises(UsageError, match="'nice' is not a mark"):
            store.mark("shop", "1.0", "nice", "")

    def test_pages_are_shown_and_removed(self, place, store):
        assert store.pages() == [] and store.pages("shop") == []
        store.show("simple/shop/index.html", b"one")
        store.show("simple/index.html", b"all")
        other = self.opened(place)
        assert (other.pages(), other.pages("shop")) == (["index.html", "shop/"], ["index.html"])
        store.show("simple/shop/index.html", None)
        store.show("simple/shop/index.html", None)
        assert other.page("simple/shop/index.html") is None and other.pages("shop") == [] and other.page("simple/index.html") == b"all"
        assert store.apps() == [] and store.sweep("shop", 0.0) == []
        for content in (None, b""):
            with pytest.raises(UsageError):
                store.show("shop/1.0/manifest.json", content)

    def test_a_page_is_seen_whole(self, place):
        writer, reader, texts = self.opened(place), self.opened(place), [letter * 50_000 for letter in (b"a", b"b")]
        writer.show("simple/index.html", texts[0])
        seen = together(2, lambda number: {reader.page("simple/index.html") for _ in range(20)} if number
                        else [writer.show("simple/index.html", texts[turn % 2]) for turn in range(20)])[1]
        assert seen and seen <= set(texts)

    def test_a_wheel_s_metadata_is_made_again(self, place, store, goods):
        made = goods(content=real_wheel())
        made.publish(store)
        self.spoil(place, f"{made.wheel.name}.metadata", None)
        assert store.described("shop", "1.1.4", made.wheel) is None
        assert store.described("shop", "1.1.4", made.wheel, mend=True) == METADATA == store.described("shop", "1.1.4", made.wheel)
        assert store.described("shop", "1.1.4", made.release.artifacts[1], mend=True) is None

    def test_marks_of_several_releases(self, store, goods):
        for version in ("1.0", "1.1", "1.2"):
            goods(version).publish(store)
        assert store.marked("shop") == {} == store.marked("other")
        for version, word in (("1.0", "bad"), ("1.0", "yanked"), ("1.2", "yanked")):
            store.mark("shop", version, word, f"{word} {version}")
        assert store.marked("shop") == {"1.0": {"bad": "bad 1.0", "yanked": "yanked 1.0"}, "1.2": {"yanked": "yanked 1.2"}}

    def test_errors_are_of_the_family(self, store):
        with pytest.raises(WeftError) as error:
            store.manifest("shop", "9.9")
        assert error.value.code == 3 and error.value.effect == "nothing changed"
