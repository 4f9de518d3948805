"""What a store is built on where there is no rename of directories: names, bytes, and one promise, create-only.

A name is a relative path with '/'. `create` is the only thing that decides who was first; all else is made of it.
"""

from __future__ import annotations

import os
import re
from typing import Any, BinaryIO, Iterator, Protocol

from weft.errors import Refused
from weft.stores import common
from weft.values import app_name

KEPT = 32
"""Links of a chain that are kept: nobody is overtaken by so many between its look and its link."""
_PATIENCE = 100
TEMP = ".weft-tmp-"


class Space(Protocol):
    """Raises FileNotFoundError for a name that is not there, Refused (without secrets) for everything that is in the way."""

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder, folders with a '/' at the end; [] where there is no such folder."""

    def open(self, name: str, most: int) -> BinaryIO:
        """The bytes, from the beginning; the reader wants `most` at the most, and one more to see that it is too long."""

    def create(self, name: str, content: bytes) -> bool:
        """Whether the name was free and now has this content; it appears whole or not at all, and never replaces."""

    def replace(self, name: str, content: bytes) -> None:
        """Give the name this content, whole, whatever it had."""

    def upload(self, name: str, source: BinaryIO) -> None:
        """A large file under a name that nobody else uses."""

    def delete(self, name: str) -> None:
        """Remove a file; no error where there is none."""

    def drop(self, folder: str) -> None:
        """Remove a folder and all below it; no error where there is none."""


def read(space: Space, name: str, most: int, where: Any) -> bytes:
    """A small file. Raises FileNotFoundError, Refused when it is longer than `most` bytes."""
    with space.open(name, most) as stream:
        return common.bounded(stream, most, where)


def temp(name: str) -> str:
    """A hidden sibling of a name."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{TEMP}{last}.{os.urandom(6).hex()}"


def first(space: Space, name: str, content: bytes) -> bool:
    """`create`, where a lost answer is made up for: who finds exactly its own bytes there has put them there."""
    if space.create(name, content):
        return True
    try:
        return read(space, name, len(content), name) == content
    except (FileNotFoundError, Refused):
        return False


class Documents:
    """Small documents that change, and marks on releases; for a store with a `space`.

    Readers read the plain file. Writers write a chain of numbered links `.NAME.d/0000000007`, each made create-only, so that
    of several who have read the same content one wins, without a lock; then the plain file is made a copy of the last link.
    A writer who was killed in between is made up for by the next one.
    """

    space: Space

    def get(self, name: str) -> bytes | None:
        """The document's content; None when there is none."""
        try:
            return read(self.space, common.document_name(name), common.BIGGEST_DOCUMENT, f"{self}/{name}")
        except FileNotFoundError:
            return None

    def put_if(self, name: str, content: bytes, expected: bytes | None) -> bool:
        """Write it if its content still is `expected` (None: not there yet). False: somebody else was first; read again."""
        number, now = self._last(common.document_name(name))
        if now != expected:
            if number and now != self.get(name):
                self._show(name)
            return False
        mine, chain = f"{_chain(name)}/{number + 1:010}", _chain(name)
        if not first(self.space, mine, content):
            return False
        numbers = list(_numbers(self.space.names(chain)))
        if max(numbers, default=0) > number + KEPT:  # not the next link, but a hole where one was pruned long ago
            self.space.delete(mine)
            return False
        self._show(name)
        for old in numbers:
            if old <= number + 1 - KEPT:
                self.space.delete(f"{chain}/{old:010}")
        return True

    def _last(self, name: str) -> tuple[int, bytes | None]:
        """Number and content of the last link; 0 and the plain file's where nothing was linked yet."""
        chain = _chain(name)
        for _ in range(_PATIENCE):
            number = max(_numbers(self.space.names(chain)), default=0)
            if not number:
                return 0, self.get(name)
            try:
                return number, read(self.space, f"{chain}/{number:010}", common.BIGGEST_DOCUMENT, f"{self}/{name}")
            except FileNotFoundError:
                continue
        raise Refused(f"{self}/{name} changes faster than it can be read", "run the same command again")

    def _show(self, name: str) -> None:
        """Copy the last link to the plain file, again when it has changed meanwhile."""
        number, content = self._last(name)
        for _ in range(_PATIENCE):
            self.space.replace(name, content or b"")
            shown, (number, content) = number, self._last(name)
            if number == shown:
                return

    def index(self, app: str) -> bytes:
        """The application's index.json, b"" where there is none."""
        return self.get(f"{app_name(app)}/{common.INDEX}") or b""

    def put_index(self, app: str, old: bytes, new: bytes) -> bool:
        """Put `new` in the place of the index `old` (b"": of none). False, and nothing changed, where another is there now."""
        return self.put_if(f"{app_name(app)}/{common.INDEX}", new, old or None)

    def mark(self, app: str, version: str, word: str, text: str) -> bool:
        """Add a mark (`yanked`, `bad`) to a release; nothing is replaced. False: it has that mark already.

        Raises Refused for a release that is not there, UsageError for a word that is no mark.
        """
        common.mark_word(word)
        self.manifest(app, version)
        return self.space.create(f"{app}/{version}~{word}.json", text.encode())

    def marks(self, app: str, version: str) -> dict[str, str]:
        """The marks of a release: word -> text."""
        self.path(app, version)
        there, found = self.space.names(app), {}
        for word in common.MARKS:
            name = f"{version}~{word}.json"
            if name in there:
                found[word] = read(self.space, f"{app}/{name}", common.BIGGEST_MANIFEST, f"{self}/{app}/{name}").decode(errors="replace")
        return found


def _chain(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}.{last}.d"


def _numbers(names: list[str]) -> Iterator[int]:
    return (int(name) for name in names if re.fullmatch(r"[0-9]{10}", name))
