"""What every store promises its readers, as tests; see weft.testing.store_suite."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest

from weft.errors import Refused, UsageError
from weft.testing.store_goods import METADATA, Goods, real_wheel, together

_BIG = 9 << 20


class ReadingSuite:
    """What every store promises its readers."""

    def opened(self, place: Any) -> Any:
        """A new handle on the store at `place`."""
        raise AssertionError("give opened()")

    def spoil(self, place: Any, name: str, content: bytes | None) -> None:
        """Give the file whose path ends with `name` another content, None: remove it, not through the store."""
        raise AssertionError("give spoil()")

    @pytest.fixture
    def store(self, place: Any) -> Any:
        return self.opened(place)

    @pytest.fixture
    def library(self, store: Any) -> Any:
        """The store through which releases come to where `store` reads them."""
        return store

    @pytest.fixture
    def goods(self, tmp_path: Path) -> Callable[..., Goods]:
        return lambda *args, **kwargs: Goods(tmp_path / "goods", *args, **kwargs)

    def test_published_and_found(self, store, library, goods):
        made = goods()
        made.publish(library)
        assert store.apps() == ["shop"] and store.versions("shop") == ["1.1.4"] and store.versions("other") == []
        assert store.manifest("shop", "1.1.4") == made.release
        assert store.manifest_bytes("shop", "1.1.4") == made.release.text().encode()
        assert store.verify("shop", "1.1.4") == []

    def test_files_are_read_whole_in_blocks_and_by_several_at_once(self, store, library, goods):
        made = goods(big=_BIG)
        made.publish(library)

        def read(number):
            artifact, blocks = made.release.artifacts[number % 2], []
            with store.open("shop", "1.1.4", artifact) as file:
                while block := file.read(100_000):
                    blocks.append(block)
            return hashlib.sha256(b"".join(blocks)).hexdigest() == artifact.sha256
        assert together(4, read) == [True] * 4

    def test_a_file_can_be_sought(self, store, library, goods):
        made = goods()
        made.publish(library)
        with store.open("shop", "1.1.4", made.wheel) as file:
            assert file.seek(1) == 1 and file.read() == b"heel"

    def test_signature(self, store, library, goods):
        goods("1.0").publish(library)
        goods("1.1").publish(library, "-----BEGIN SSH SIGNATURE-----\n")
        assert store.signature("shop", "1.0") == "" and store.signature("shop", "1.1") == "-----BEGIN SSH SIGNATURE-----\n"

    def test_versions_are_ordered_as_versions(self, store, library, goods):
        for version in ("1.10", "1.9", "1.10rc1", "1.9.post1", "2.0.dev1", "1!0.1", "1.9+local.1"):
            goods(version).publish(library)
        assert store.versions("shop") == ["1.9", "1.9+local.1", "1.9.post1", "1.10rc1", "1.10", "2.0.dev1", "1!0.1"]

    def test_unknown_version_names_the_newest(self, store, library, goods):
        for version in ("1.1", "1.2", "1.3", "1.4", "1.5", "1.10"):
            goods(version).publish(library)
        for ask in (store.manifest, store.verify, store.signature, store.manifest_bytes):
            with pytest.raises(Refused) as error:
                ask("shop", "1.7")
            assert error.value.message == f"shop 1.7 is not in {store}", ask
            assert error.value.hint == "the newest there: 1.10, 1.5, 1.4, 1.3, 1.2"

    def test_unknown_application_names_the_known(self, store, library, goods):
        goods().publish(library)
        with pytest.raises(Refused) as error:
            store.manifest("other", "1.1.4")
        assert error.value.message == f"other has no release in {store}"
        assert error.value.hint == "applications there: shop"

    @pytest.mark.parametrize("app, version", [("shop", "../x"), ("shop", "-rf"), ("shop", "1.0;id"), ("shop", ""), ("shop", "1.0/.."),
                                              ("shop", "1.0\n"), ("../shop", "1.0"), ("", "1.0"), ("shop/1.0", "1.0"), ("Shop", "1.0")])
    def test_words_are_checked_before_anything_is_asked(self, store, app, version):
        for ask in (store.manifest, store.manifest_bytes, store.signature, store.verify, store.path, store.marks):
            with pytest.raises(UsageError):
                ask(app, version)

    def test_other_bytes_of_the_same_size_are_found(self, place, store, library, goods):
        made = goods()
        made.publish(library)
        self.spoil(place, made.wheel.name, b"wheeL")
        assert [fault.rpartition(made.wheel.name)[2] for fault in store.verify("shop", "1.1.4")] == \
            [" has other bytes than the manifest says"]

    @pytest.mark.parametrize("content, says", [(b"whee", " has 4 bytes, the manifest says 5"), (b"wheels" * 100, " bytes"), (None, " is missing")])
    def test_another_size_and_a_missing_file_are_found_and_not_opened(self, place, store, library, goods, content, says):
        made = goods()
        made.publish(library)
        self.spoil(place, made.wheel.name, content)
        faults = store.verify("shop", "1.1.4")
        assert len(faults) == 1 and made.wheel.name in faults[0] and says in faults[0]
        with pytest.raises(Refused, match=made.wheel.name.replace("+", r"\+")):
            store.open("shop", "1.1.4", made.wheel).close()

    def test_a_manifest_in_another_place(self, place, store, library, goods):
        made = goods()
        made.publish(library)
        self.spoil(place, "manifest.json", replace(made.release, version="1.1.5").text().encode())
        with pytest.raises(Refused, match=r"manifest\.json is the manifest of shop 1\.1\.5$"):
            store.manifest("shop", "1.1.4")

    @pytest.mark.parametrize("text, says", [("{", "is not JSON"), ("[]", "is not a JSON object"), ('{"x": 1}', "has unknown keys: x"),
                                            ("[" * 100_000, "is not JSON"), (" " * (5 << 20), "is longer than 4194304 bytes")])
    def test_a_manifest_that_is_none(self, place, store, library, goods, text, says):
        goods().publish(library)
        self.spoil(place, "manifest.json", text.encode())
        with pytest.raises(Refused, match=says):
            store.manifest("shop", "1.1.4")

    def test_documents_are_read(self, store, library):
        assert store.get("index.json") is None and store.index("shop") == b""
        assert library.put_if("index.json", b"one", None) and library.put_index("shop", b"", b"of the shop")
        assert store.get("index.json") == b"one" and store.index("shop") == b"of the shop"

    def test_marks_are_read(self, store, library, goods):
        goods().publish(library)
        assert store.marks("shop", "1.1.4") == {}
        assert library.mark("shop", "1.1.4", "yanked", "it leaks")
        assert store.marks("shop", "1.1.4") == {"yanked": "it leaks"} and store.verify("shop", "1.1.4") == []
        assert store.marked("shop") == {"1.1.4": {"yanked": "it leaks"}}

    def test_pages_of_the_package_index_are_read(self, store, library):
        assert store.page("simple/index.html") is None and store.page("simple/shop/index.json") is None
        for content in (b"one", b"two, and longer", b""):
            library.show("simple/shop/index.html", content)
            assert store.page("simple/shop/index.html") == content

    def test_a_wheel_s_metadata_lies_beside_it(self, store, library, goods):
        made = goods(content=real_wheel())
        made.publish(library)
        assert store.described("shop", "1.1.4", made.wheel) == METADATA
        assert store.described("shop", "1.1.4", made.release.artifacts[1]) is None, "that one is no wheel, whatever its name says"
        assert store.verify("shop", "1.1.4") == []

    @pytest.mark.parametrize("name", ["simple", "simple/", "simple/../x.html", "shop/index.html", "simple/a/b/x.html", "/simple/x.html", "simple/X"])
    def test_names_of_pages_are_checked(self, store, name):
        with pytest.raises(UsageError):
            store.page(name)


class ReadOnlySuite(ReadingSuite):
    """A store that is only read says so."""

    def test_it_says_that_it_is_read_only(self, store, goods, tmp_path):
        made = goods()
        assert store.obstacle(1) == f"{store} is read-only"
        for act in (lambda: made.stage(store), lambda: store.publish(tmp_path, "shop", "1.1.4"), lambda: store.sweep("shop"),
                    lambda: store.stage(tmp_path, made.release, made.files), lambda: store.put_if("index.json", b"", None),
                    lambda: store.put_index("shop", b"", b"x"), lambda: store.mark("shop", "1.1.4", "bad", ""),
                    lambda: store.show("simple/index.html", b""), lambda: store.pages()):
            with pytest.raises(Refused, match="is read-only"):
                act()
        assert store.staged(tmp_path) is False and store.discard(tmp_path) is None
