"""The directory store: what it shows, refuses and never replaces."""

import json
import os

import pytest

from weft import durable
from weft.errors import NeedsHands, Refused, UsageError
from weft.stores import open_store
from weft.stores.directory import DirectoryStore
from weft.values import Artifact, Release


KNOWN = "a directory, file://, http://, https://, memory://, s3://, sftp://"


@pytest.fixture
def store(tmp_path):
    return DirectoryStore(tmp_path / "artifacts")


def material(folder, version="1.1.4", content=b"wheel"):
    """A release and its files, made by hand."""
    folder.mkdir(exist_ok=True)
    files = {f"app-{version}-py3-none-any.whl": ("wheel", content), "wheelhouse/click-8.0-py3-none-any.whl": ("dependency", b"click")}
    artifacts, paths = [], {}
    for name, (kind, raw) in files.items():
        path = folder / name.replace("/", "_")
        path.write_bytes(raw)
        artifacts.append(Artifact(name, kind, len(raw), durable.sha256(path)))
        paths[name] = path
    return Release("app", version, "c" * 40, version, "2024-05-06T00:00:00Z", "3.11", tuple(artifacts), "app:application"), paths


def publish(store, folder, version="1.1.4", content=b"wheel"):
    release, files = material(folder, version, content)
    place = store.staging("app", version)
    store.stage(place, release, files)
    return store.publish(place, "app", version), release


def test_published_and_found(store, tmp_path):
    place, release = publish(store, tmp_path / "a")
    assert place == store.root / "app/1.1.4"
    assert store.apps() == ["app"] and store.versions("app") == ["1.1.4"]
    assert store.manifest("app", "1.1.4") == release and store.verify("app", "1.1.4") == []
    with store.open("app", "1.1.4", release.artifacts[1]) as handle:
        assert handle.read() == b"click"


def test_versions_are_ordered_as_versions(store, tmp_path):
    for version in ("1.10", "1.9", "1.10rc1", "2.0.dev1"):
        publish(store, tmp_path / "a", version)
    assert store.versions("app") == ["1.9", "1.10rc1", "1.10", "2.0.dev1"]


def test_only_complete_ones_are_seen(store, tmp_path):
    release, files = material(tmp_path / "a")
    store.stage(store.staging("app", "1.1.4"), release, files)
    (store.root / "app/1.1.5").mkdir()
    (store.root / "app/nonsense").mkdir()
    (store.root / "Not An App/1.0").mkdir(parents=True)
    assert store.versions("app") == [] and store.apps() == []


def test_a_store_that_is_not_there_is_empty(store):
    assert store.apps() == [] and store.versions("app") == []
    assert not store.root.exists()


def test_unknown_version_names_the_newest(store, tmp_path):
    for version in ("1.1", "1.2", "1.3", "1.4", "1.5", "1.6"):
        publish(store, tmp_path / "a", version)
    with pytest.raises(Refused) as error:
        store.manifest("app", "1.7")
    assert error.value.lines() == [f"app 1.7 is not in {store.root}", "now:  nothing changed",
                                   "next: the newest there: 1.6, 1.5, 1.4, 1.3, 1.2"]


def test_unknown_application_names_the_known(store, tmp_path):
    publish(store, tmp_path / "a")
    with pytest.raises(Refused) as error:
        store.manifest("other", "1.7")
    assert error.value.lines() == [f"other has no release in {store.root}", "now:  nothing changed", "next: applications there: app"]


@pytest.mark.parametrize("app, version", [("app", "../x"), ("app", "-rf"), ("app", "1.0;id"), ("app", ""), ("../app", "1.0"), ("", "1.0")])
def test_words_are_checked_before_a_path_is_made(store, app, version):
    for ask in (store.manifest, store.verify, store.path, store.staging):
        with pytest.raises(UsageError):
            ask(app, version)


def test_a_version_is_never_replaced(store, tmp_path):
    place, _ = publish(store, tmp_path / "a")
    before = (place / "manifest.json").read_bytes()
    with pytest.raises(NeedsHands) as error:
        publish(store, tmp_path / "b", content=b"other")
    assert error.value.message == f"{place} is there already, with other bytes; it was not replaced"
    assert (place / "manifest.json").read_bytes() == before and store.verify("app", "1.1.4") == []


def test_publishing_the_same_again_is_done(store, tmp_path):
    publish(store, tmp_path / "a")
    publish(store, tmp_path / "b")
    assert os.listdir(store.root / "app") == ["1.1.4"]


def test_staging_compares_what_it_copied(store, tmp_path):
    release, files = material(tmp_path / "a")
    files["app-1.1.4-py3-none-any.whl"].write_bytes(b"whee!")
    place = store.staging("app", "1.1.4")
    with pytest.raises(Refused, match="app-1.1.4-py3-none-any.whl changed while it was published$"):
        store.stage(place, release, files)
    assert not store.staged(place)
    store.discard(place)
    assert os.listdir(store.root) == []


def test_discard_touches_staging_only(store, tmp_path):
    place, _ = publish(store, tmp_path / "a")
    store.discard(place)
    (tmp_path / ".staging-elsewhere").mkdir()
    store.discard(tmp_path / ".staging-elsewhere")
    assert place.is_dir() and (tmp_path / ".staging-elsewhere").is_dir()


def spoiled(place, path, raw):
    (place / path).chmod(0o644)
    (place / path).write_bytes(raw)
    return str(place / path)


def test_verify_lists_every_fault(store, tmp_path):
    place, _ = publish(store, tmp_path / "a")
    wheel = spoiled(place, "app-1.1.4-py3-none-any.whl", b"wheeL")
    other = spoiled(place, "wheelhouse/click-8.0-py3-none-any.whl", b"clic")
    assert store.verify("app", "1.1.4") == [f"{wheel} has other bytes than the manifest says", f"{other} has 4 bytes, the manifest says 5"]
    os.unlink(other)
    os.symlink("/etc/passwd", other)
    assert store.verify("app", "1.1.4")[1] == f"{other} is missing"


def test_open_follows_no_link_and_sees_the_size(store, tmp_path):
    place, release = publish(store, tmp_path / "a")
    path = spoiled(place, "app-1.1.4-py3-none-any.whl", b"longer than it was")
    with pytest.raises(Refused, match=f"^{path} has 18 bytes, the manifest says 5$"):
        store.open("app", "1.1.4", release.artifacts[0])
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    with pytest.raises(Refused, match="the manifest names it$"):
        store.open("app", "1.1.4", release.artifacts[0])


def test_a_manifest_in_another_place(store, tmp_path):
    place, _ = publish(store, tmp_path / "a")
    os.rename(place, store.root / "app/1.1.5")
    with pytest.raises(Refused) as error:
        store.manifest("app", "1.1.5")
    assert error.value.message == f"{store.root}/app/1.1.5/manifest.json is the manifest of app 1.1.4"


@pytest.mark.parametrize("text, message", [
    ("{", "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ("[]", "the manifest is not a JSON object"), ('{"x": 1}', "the manifest has unknown keys: x")])
def test_a_manifest_that_is_none(store, tmp_path, text, message):
    place, _ = publish(store, tmp_path / "a")
    spoiled(place, "manifest.json", text.encode())
    with pytest.raises(Refused) as error:
        store.manifest("app", "1.1.4")
    assert error.value.message.endswith(message)


def test_a_manifest_without_end(store, tmp_path):
    place, _ = publish(store, tmp_path / "a")
    spoiled(place, "manifest.json", b" " * (5 << 20))
    with pytest.raises(Refused, match="is longer than 4194304 bytes$"):
        store.manifest("app", "1.1.4")


def test_the_manifest_is_one_sorted_line(store, tmp_path):
    place, release = publish(store, tmp_path / "a")
    assert (place / "manifest.json").read_text() == json.dumps(release.to_json(), sort_keys=True) + "\n"


def test_obstacles(store, tmp_path):
    assert store.obstacle(1) == ""
    assert store.obstacle(1 << 60).startswith(f"{tmp_path} has ")
    store.root.write_text("")
    assert store.obstacle(1) == f"{store.root} is not a directory"


def test_open_store(tmp_path):
    assert open_store("artifacts", tmp_path).root == tmp_path / "artifacts"
    assert open_store("/srv/artifacts", tmp_path).root.as_posix() == "/srv/artifacts"
    assert open_store("file:///srv/arti%20facts", tmp_path).root.as_posix() == "/srv/arti facts"


@pytest.mark.parametrize("url, lines", [
    ("gopher://host/x", ["artifact store 'gopher://host/x': unknown kind 'gopher'", f"next: known: {KNOWN}"]),
    ("file://host/x", ["artifact store 'file://host/x' names a host; a file:// address has none", "next: write file:///absolute/path"]),
    ("", ["the artifact store has no name", f"next: set artifacts in [tool.weft]; known: {KNOWN}"])])
def test_unknown_stores(tmp_path, url, lines):
    with pytest.raises(UsageError) as error:
        open_store(url, tmp_path)
    assert [line for line in error.value.lines() if not line.startswith("now")] == lines
