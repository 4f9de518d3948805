"""What the steps of one transaction share, and how its files get their owners."""

from __future__ import annotations

import os
from pathlib import Path

from weft import durable
from weft.host.commands import INSTALLER, ids
from weft.host.fingerprint import Settings
from weft.host.layout import Layout
from weft.record import field, record
from weft.servers import Site
from weft.typing import BinaryIO
from weft.values import Release


@record
class Work:
    """files: what the operator announced, [(sha256, size)], its bytes following on `stream`.  release: this host's part of `whole`, the request's."""

    layout: Layout
    site: Site
    release: Release | None = None
    settings: Settings | None = None
    files: list[tuple[str, int]] = field(default_factory=list)
    stream: BinaryIO | None = None
    whole: Release | None = None

    @property
    def installer(self) -> str:
        """The account that installs wheels; a local host under a prefix has only one account."""
        return self.site.account if self.layout.prefix else INSTALLER


def give(layout: Layout, path: Path, account: str, mode: int) -> None:
    """Set owner and mode of one path, by the link itself where it is one."""
    if layout.privileged:
        os.lchown(path, *ids(layout, account))
    if not path.is_symlink():
        os.chmod(path, mode)


def seize(layout: Layout, tree: Path) -> None:
    """Make a tree root's, and nobody else's to write: after what installed it has ended, and before root writes into it.

    By descriptors and without following links: whoever still holds the tree must not lead root elsewhere."""
    for _folder, dirs, files, here in os.fwalk(tree, topdown=True, follow_symlinks=False):
        _take_over(layout, here, directory=True)
        for name in [*dirs, *files]:
            try:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
            except OSError:
                if layout.privileged:
                    os.chown(name, 0, 0, dir_fd=here, follow_symlinks=False)
                continue
            try:
                _take_over(layout, fd, name in dirs)
            finally:
                os.close(fd)


def _take_over(layout: Layout, fd: int, directory: bool) -> None:
    if layout.privileged:
        os.fchown(fd, 0, 0)
    os.fchmod(fd, (os.fstat(fd).st_mode & 0o755) | (0o555 if directory else 0o444))


def empty_folder(layout: Layout, path: Path, account: str) -> None:
    """A fresh directory that `account` may write; residue of an earlier try is removed."""
    remove(path)
    path.mkdir(mode=0o755)
    give(layout, path, account, 0o755)


def put(path: Path, content: bytes | str) -> None:
    """A file of root's own in a tree that was somebody else's until it was seized: what lies there goes, a link is not followed."""
    remove(path)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as out:
        out.write(content.encode() if isinstance(content, str) else content)


def remove(path: Path) -> None:
    """A tree, file or link that is weft's own; not there is as good.

    What says that a tree is complete goes first, for good: a crash halfway must not leave half a tree that looks whole."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        for name in ("SEAL", "record.json"):
            if (path / name).exists():
                (path / name).unlink()
                durable.fsync_dir(path)
        import shutil
        shutil.rmtree(path)
