"""Every store of weft's own under the one suite, over the real thing: a disk, an S3 server, an sshd, a web server."""

import errno
import fcntl
import itertools
import os

import pytest

from tests.stores import servers
from weft.stores import listing, open_store
from weft.stores.directory import DirectoryStore
from weft.stores.folder import Folder
from weft.stores.keyed import KeyedStore
from weft.testing.store_suite import ReadOnlySuite, StoreSuite

_numbers = itertools.count()


def spoil(root, name, content):
    """One file below a directory, whose path ends with `name`."""
    (path,) = [each for each in root.rglob("*") if each.as_posix().endswith(f"/{name}")]
    path.unlink()
    if content is not None:
        path.write_bytes(content)


class OnDisk(StoreSuite):
    @pytest.fixture
    def place(self, tmp_path):
        return tmp_path / "store"

    def spoil(self, place, name, content):
        spoil(place, name, content)


class TestDirectory(OnDisk):
    def opened(self, place):
        return DirectoryStore(place)


class TestFileUrl(OnDisk):
    def opened(self, place):
        return open_store(f"file://{place}", place)


class TestDirectoryLikeNfs(OnDisk):
    """A server that answers late: each link and each rename of a directory is asked for twice, and the second answer, an error, is the
    one that arrives. There are no locks at all."""

    @pytest.fixture(autouse=True)
    def nfs(self, monkeypatch):
        def no_locks(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        def twice(call, applies):
            def ask(first, second, **words):
                call(first, second, **words)
                if applies(second):
                    call(first, second, **words)
            return ask
        for name in ("flock", "lockf", "fcntl"):
            monkeypatch.setattr(fcntl, name, no_locks)
        monkeypatch.setattr(os, "link", twice(os.link, lambda path: True))
        monkeypatch.setattr(os, "rename", twice(os.rename, os.path.isdir))

    def opened(self, place):
        return DirectoryStore(place)


class TestKeyedFolder(OnDisk):
    """The layout of S3 and SFTP, on a disk."""

    def opened(self, place):
        return KeyedStore(Folder(place), str(place))


class TestMemory(StoreSuite):
    @pytest.fixture
    def place(self):
        pytest.importorskip("fsspec", reason="fsspec (pip: s3fs)")
        return f"memory://test-{os.getpid()}-{next(_numbers)}"

    def opened(self, place):
        return open_store(place, None)

    def spoil(self, place, name, content):
        fs = self.opened(place).space.fs
        (path,) = [each for each in fs.find("/" + place.partition("://")[2]) if each.endswith(f"/{name}")]
        fs.rm_file(path) if content is None else fs.pipe_file(path, content)


class TestAnyFilesystem(OnDisk):
    """One of fsspec's that nobody told weft of, and that has folders: its create-only is link(2)."""

    @pytest.fixture(autouse=True)
    def registered(self):
        from tests.stores import filesystems
        with filesystems.registered(filesystems.Linking):
            yield

    def opened(self, place):
        return open_store(f"linking://{place}", None)


@pytest.fixture(scope="class")
def s3_server():
    with pytest.MonkeyPatch.context() as patch, servers.s3(patch) as url:
        yield url


@pytest.mark.slow
class TestS3(StoreSuite):
    """`If-None-Match: *` over a real connection."""

    @pytest.fixture
    def place(self, s3_server):
        return f"s3://artifacts/test-{next(_numbers)}"

    def opened(self, place):
        return open_store(place, None)

    def spoil(self, place, name, content):
        fs = self.opened(place).space.fs
        (path,) = [each for each in fs.find(place) if each.endswith(f"/{name}")]
        fs.rm_file(path) if content is None else fs.pipe_file(path, content)


@pytest.fixture(scope="class")
def sftp_server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, servers.sftp(tmp_path_factory.mktemp("sftp"), patch) as server:
        yield server


@pytest.mark.slow
class TestSftp(OnDisk):
    """create-only by SFTP's rename, on a real sshd."""

    @pytest.fixture
    def place(self, sftp_server, tmp_path):
        return tmp_path / "store"

    def opened(self, place):
        return open_store(f"sftp://artifacts{place}", place)


class Http(ReadOnlySuite):
    @pytest.fixture
    def place(self, tmp_path):
        (tmp_path / "store").mkdir()
        with servers.web(tmp_path / "store") as server:
            server.root = tmp_path / "store"
            yield server

    def opened(self, place):
        return open_store(place.url, None)

    def spoil(self, place, name, content):
        spoil(place.root, name, content)


class TestHttpOfDirectory(Http):
    @pytest.fixture
    def library(self, place):
        store = DirectoryStore(place.root)
        listing.keep(store, "shop")
        return store


class TestHttpOfKeyed(Http):
    """The layout of S3, as a bucket's web address shows it."""

    @pytest.fixture
    def library(self, place):
        store = KeyedStore(Folder(place.root), "")
        listing.keep(store, "shop")
        return store
