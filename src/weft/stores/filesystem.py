"""Stores on fsspec filesystems that can create only: S3 (`pip install 'weft[s3]'`), memory for trying out, and any other that is installed.

S3 credentials, region and endpoint are the ones of AWS's own tools: environment, ~/.aws, AWS_ENDPOINT_URL; others' are where their
package and ~/.config/fsspec say. Whether a filesystem can create only is tried before anything is uploaded.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Iterator
from urllib.parse import unquote, urlsplit

from weft.errors import Refused, UsageError
from weft.stores import common, space
from weft.stores.keyed import UPLOAD, KeyedStore

_SMALL = 8 << 20
_MEMORY = threading.RLock()
_CONFLICTS = 5
_LOOKS = ("exists", "lexists", "isfile", "info")


def open_url(url: str, root: Path) -> KeyedStore:
    """s3://bucket/prefix, memory://name, or what another fsspec filesystem takes. Raises Refused for a package that is missing."""
    parts, shown = urlsplit(url), common.public(url)
    if parts.scheme not in ("s3", "memory"):
        return KeyedStore(_other(url, shown), shown)
    if not parts.netloc:
        raise UsageError(f"artifact store {shown!r} names no bucket", f"write {parts.scheme}://bucket/prefix")
    make = {"s3": _s3, "memory": _memory}[parts.scheme]
    return KeyedStore(make(f"{parts.netloc}{unquote(parts.path).rstrip('/')}", shown), shown)


def known(scheme: str) -> bool:
    """Whether fsspec, if it is here, has a filesystem of that name."""
    try:
        from fsspec.registry import available_protocols
    except ImportError:
        return False
    return scheme in available_protocols()


def _other(url: str, shown: str) -> Filesystem:
    fsspec = needed("fsspec.core", "s3")
    try:
        fs, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        raise Refused(f"{shown}: {common.scrubbed(str(error))}", "install the package that it names") from None
    except Exception as error:  # every filesystem has its own way of not liking an address
        raise UsageError(f"artifact store {shown!r}: {type(error).__name__}: {common.scrubbed(str(error))}",
                         "see the address that fsspec's documentation has for it") from None
    return Filesystem(fs, root.rstrip("/"), shown)


def _s3(root: str, shown: str) -> Filesystem:
    s3fs = needed("s3fs", "s3")
    return S3(s3fs.S3FileSystem(use_listings_cache=False, default_cache_type="none"), root, shown)


def _memory(root: str, shown: str) -> Filesystem:
    memory = needed("fsspec.implementations.memory", "s3")
    return Memory(memory.MemoryFileSystem(), f"/{root}", shown)


def needed(module: str, extra: str) -> Any:
    """An optional package. Raises Refused naming the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Refused(f"this kind of artifact store needs {module.partition('.')[0]}, which is not installed ({error})",
                      f"python -m pip install 'weft[{extra}]'") from None


def _nothing(path: Any, look: str) -> bool:
    """What a look says that finds nothing."""
    if look == "info":
        raise FileNotFoundError(str(path))
    return False


async def _later(path: Any, look: str) -> bool:
    return _nothing(path, look)


class Filesystem:
    """A space on an fsspec filesystem whose `pipe_file(mode="create")` is decided by the server, in one request."""

    def __init__(self, fs: Any, root: str, shown: str):
        self.fs, self.root, self.shown = fs, root, shown
        self._proven = False

    def _prove(self) -> None:
        """fsspec's own way to create only is a look and then a write, and two may look at once. So a file is written, and created once
        more by one whose looks find nothing: who is refused all the same was refused by the server. Raises Refused."""
        name, blind = self._at(space.temp("create-only")), type(self.fs)(*self.fs.storage_args, **{**self.fs.storage_options, "skip_instance_cache": True})
        for look in _LOOKS:
            setattr(blind, look, lambda path, *_, _look=look, **__: _nothing(path, _look))
            setattr(blind, f"_{look}", lambda path, *_, _look=look, **__: _later(path, _look))
        with self._asked(writing=True):
            self._folder(name)
            self.fs.pipe_file(name, b"first")
            try:
                blind.pipe_file(name, b"second", mode="create")
            except FileExistsError:
                self._proven = True
            finally:
                with contextlib.suppress(Exception):
                    self.fs.rm_file(name)
        if not self._proven:
            raise Refused(f"{self.shown}: {type(self.fs).__name__} looks whether a name is free and then writes, so that two publishers could both be first",
                          "use a shared directory, s3:// or sftp://, or a filesystem that creates only in one request")

    def _folder(self, path: str) -> None:
        """For filesystems that have folders; the others have nothing to make, and the write tells what is wrong."""
        with contextlib.suppress(Exception):
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    @contextlib.contextmanager
    def _asked(self, writing: bool = False) -> Iterator[None]:
        """What goes wrong becomes a refusal that shows no secret; "not there" only where one writes."""
        try:
            yield
        except Refused:
            raise
        except Exception as error:  # every filesystem has its own family of errors
            if isinstance(error, FileNotFoundError) and not writing:
                raise
            said = common.scrubbed(str(error)) or "no reason given"
            raise Refused(f"{self.shown}: {type(error).__name__}: {said}", "check the address, your credentials and your "
                          "rights there") from None

    def names(self, folder: str) -> list[str]:
        with self._asked():
            try:
                found = self.fs.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return []
        return [name + "/" * (each["type"] == "directory") for each in found
                if (name := each["name"].rstrip("/").rpartition("/")[2]) and each["name"].strip("/") != self._at(folder).strip("/")]

    def open(self, name: str, most: int) -> BinaryIO:
        """A small file is one request, so that one which changes meanwhile is read as it was or as it is."""
        with self._asked():
            if most > common.BIGGEST_PAGE:
                return _Stream(self, self.fs.open(self._at(name), "rb", block_size=_SMALL, cache_type="readahead"))
            try:
                return BytesIO(self.fs.cat_file(self._at(name), start=0, end=most + 1))
            except FileNotFoundError:
                raise
            except Exception:  # an empty file has no first byte; each filesystem has its own word for that
                if self.fs.info(self._at(name))["size"] != 0:
                    raise
                return BytesIO()

    def create(self, name: str, content: bytes) -> bool:
        if not self._proven:
            self._prove()
        with self._asked(writing=True):
            self._folder(self._at(name))
            try:
                self.fs.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._asked(writing=True):
            self._folder(self._at(name))
            self.fs.pipe_file(self._at(name), content)

    def upload(self, name: str, source: BinaryIO) -> None:
        with self._asked(writing=True):
            self._folder(self._at(name))
            self.fs.put_file(source.name, self._at(name))

    def delete(self, name: str) -> None:
        with self._asked(), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._at(name))

    def drop(self, folder: str) -> None:
        with self._asked(), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self._at(folder), recursive=True)


class S3(Filesystem):
    """Its create-only is a header of the request; whether the server knows it, every `stage` tries."""

    words = common.Words(UPLOAD, "one PUT of {version}~release.json with If-None-Match, which never replaces")

    def _prove(self) -> None:
        self._proven = True

    def _folder(self, path: str) -> None:
        """A bucket has none."""

    def replace(self, name: str, content: bytes) -> None:
        """Pages go with their content type, a folder's page under the folder's address too: a bucket is a web server with no index files."""
        kind, page = _kind(name), name.removesuffix("index.html")
        with self._asked(writing=True):
            self.fs.pipe_file(self._at(name), content, **({"ContentType": kind} if kind else {}))
            if page != name:
                bucket, _, key = self._at(page).partition("/")
                self.fs.call_s3("put_object", Bucket=bucket, Key=key, Body=content, ContentType=kind)

    def delete(self, name: str) -> None:
        super().delete(name)
        page = name.removesuffix("index.html")
        if page != name:
            with self._asked():
                bucket, _, key = self._at(page).partition("/")
                self.fs.call_s3("delete_object", Bucket=bucket, Key=key)

    def create(self, name: str, content: bytes) -> bool:
        for _ in range(_CONFLICTS):
            try:
                return super().create(name, content)
            except Refused as error:  # S3's word for: another conditional write of this name is on its way; ask again
                if "ConditionalRequestConflict" not in error.message:
                    raise
                last = error
        raise last


def _kind(name: str) -> str:
    """The content type of what is shown; "" leaves it to the server."""
    if name.endswith(".html"):
        return "text/html; charset=utf-8"
    if name.startswith("simple/") and name.endswith("/index.json"):
        return "application/vnd.pypi.simple.v1+json"
    return "text/plain; charset=utf-8" if name.endswith(".metadata") else ""


class Memory(Filesystem):
    """fsspec's memory filesystem is a dict, without a thought of threads: one lock makes its steps whole."""

    def _prove(self) -> None:
        """It looks and then writes; the lock is what makes that one step."""
        self._proven = True

    @contextlib.contextmanager
    def _asked(self, writing: bool = False) -> Iterator[None]:
        with _MEMORY, super()._asked(writing):
            yield

    def open(self, name: str, most: int) -> BinaryIO:
        with self._asked():
            return BytesIO(self.fs.cat_file(self._at(name)))


class _Stream:
    """A remote file that is read once, from the beginning; its errors are the space's."""

    def __init__(self, space: Filesystem, raw: Any):
        self._space, self._raw = space, raw

    def read(self, size: int = -1) -> bytes:
        with self._space._asked():
            return self._raw.read(size)

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        self._raw.close()
