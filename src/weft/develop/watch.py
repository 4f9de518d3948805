"""Which files of the working tree have changed, by looking at their times again and again: it works on every filesystem, and needs nothing."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping

PATTERNS = ("*.py", "*.wsgi", "*.ini", "*.toml", "*.cfg", "*.conf", "*.yaml", "*.yml", "*.html", "*.htm", "*.xhtml", "*.xml", "*.jinja", "*.jinja2", "*.j2",
            "*.mako", "*.mak", "*.pt", "*.zpt", "*.tmpl", "*.tpl", "*.mo", "*.graphql", "*.sql")
"""What an application reads once: code, templates, settings. Not what it may write itself, or what it reads on each request."""
_SKIPPED = ("__pycache__", "node_modules")
_MADE = {"build", "dist", "artifacts"}
SETTLE = 0.1
"""Seconds without a further change before a change counts: a checkout of another branch is one change."""
MOST = 50
"""Times that it is waited for that."""

Seen = Mapping[str, tuple[int, int, int]]
"""Path -> time in ns, size in bytes, inode."""


@dataclass(frozen=True)
class Tree:
    """roots: directories; of the first, what is built into it is left out.  patterns: of file names.  files: further ones, that need not be there.
    ignored: patterns of names of files and directories that do not count."""

    roots: tuple[Path, ...]
    patterns: tuple[str, ...] = PATTERNS
    files: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()

    @cached_property
    def _counts(self) -> re.Pattern[str]:
        return _any(self.patterns)

    @cached_property
    def _ignored(self) -> re.Pattern[str]:
        return _any((".*", "#*", *_SKIPPED, *self.ignored))

    def seen(self) -> Seen:
        found: dict[str, tuple[int, int, int]] = {}
        for path in [*(str(each) for each in self.files), *(path for root in self.roots for path in self._below(str(root), root == self.roots[0]))]:
            try:
                stat = os.stat(path)
            except OSError:
                continue  # gone since, or an editor's link to nothing
            found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found

    def _below(self, folder: str, top: bool = False) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return
        if any(each.name == "pyvenv.cfg" for each in entries):
            return
        for each in entries:
            if self._ignored.match(each.name):
                continue
            if each.is_dir(follow_symlinks=False):
                if not (top and each.name in _MADE):
                    yield from self._below(each.path)
            elif self._counts.match(each.name):
                yield each.path


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    """What matches a name that one of them does: one look a file, for trees are large."""
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def changed(before: Seen, after: Seen) -> list[str]:
    """The paths that came, went or are others."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


class Watch:
    """Looks now and then, so seldom that a large tree costs a twentieth of a processor at most. clock in seconds."""

    def __init__(self, tree: Tree, every: float = 0.25, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep):
        self.tree, self.every, self.clock, self.sleep = tree, every, clock, sleep
        self.last = self._look()

    def _look(self) -> Seen:
        start = self.clock()
        found = self.tree.seen()
        end = self.clock()
        self.next = end + max(self.every, 20 * (end - start))
        return found

    def changes(self) -> list[str]:
        """What has changed since the last time; [] at once where it is not yet time to look."""
        if self.clock() < self.next:
            return []
        before, now = self.last, self._look()
        for _ in range(MOST):
            if not changed(self.last, now):
                break
            self.last = now
            self.sleep(SETTLE)
            now = self._look()
        self.last = now
        return changed(before, now)
