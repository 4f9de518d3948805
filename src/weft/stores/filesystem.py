"""Stores on fsspec filesystems that can create only: S3 (`pip install 'weft[s3]'`), and memory for trying out.

S3 credentials, region and endpoint are the ones of AWS's own tools: environment, ~/.aws, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import threading
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Iterator
from urllib.parse import unquote, urlsplit

from weft.errors import Refused, UsageError
from weft.stores import common
from weft.stores.keyed import KeyedStore

_SMALL = 8 << 20
_MEMORY = threading.RLock()
_CONFLICTS = 5


def open_url(url: str, root: Path) -> KeyedStore:
    """s3://bucket/prefix or memory://name. Raises Refused for a package that is missing."""
    parts = urlsplit(url)
    if not parts.netloc:
        raise UsageError(f"artifact store {common.public(url)!r} names no bucket", f"write {parts.scheme}://bucket/prefix")
    make = {"s3": _s3, "memory": _memory}[parts.scheme]
    return KeyedStore(make(f"{parts.netloc}{unquote(parts.path).rstrip('/')}", common.public(url)), common.public(url))


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


class Filesystem:
    """A space on an fsspec filesystem whose `pipe_file(mode="create")` is decided by the server, in one request."""

    def __init__(self, fs: Any, root: str, shown: str):
        self.fs, self.root, self.shown = fs, root, shown

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
        with self._asked():
            return _Stream(self, self.fs.open(self._at(name), "rb", block_size=_SMALL, cache_type="readahead"))

    def create(self, name: str, content: bytes) -> bool:
        with self._asked(writing=True):
            try:
                self.fs.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._asked(writing=True):
            self.fs.pipe_file(self._at(name), content)

    def upload(self, name: str, source: BinaryIO) -> None:
        with self._asked(writing=True):
            self.fs.put_file(source.name, self._at(name))

    def delete(self, name: str) -> None:
        with self._asked(), contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._at(name))

    def drop(self, folder: str) -> None:
        with self._asked(), contextlib.suppress(FileNotFoundError):
            self.fs.rm(self._at(folder), recursive=True)


class S3(Filesystem):
    """A small file is one request, so that one which changes meanwhile is read as it was or as it is."""

    def open(self, name: str, most: int) -> BinaryIO:
        if most > common.BIGGEST_PAGE:
            return super().open(name, most)
        with self._asked():
            try:
                return BytesIO(self.fs.cat_file(self._at(name), start=0, end=most + 1))
            except OSError as error:  # an empty file has no first byte
                if error.errno != errno.EINVAL or self.fs.size(self._at(name)):
                    raise
                return BytesIO()

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
