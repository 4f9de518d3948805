"""The one place that writes a file so that it survives a power cut.

temp file in the same directory (O_EXCL, O_NOFOLLOW, 0600) -> write -> fchmod -> fsync -> rename -> fsync of the
directory. An error of fsync is raised and never retried: after it the kernel may have dropped the pages.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

from weft.typing import Any


def fsync_dir(path: Path) -> None:
    """Make renames, creations and removals inside this directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def temp_name(path: Path) -> Path:
    """A hidden sibling of `path`; sweepers know it by the prefix `.weft-tmp-`."""
    return path.parent / f".weft-tmp-{path.name}.{os.urandom(6).hex()}"


def leftovers(path: Path) -> list[Path]:
    """Temporary siblings that a crash left of writes to `path`; nobody else's."""
    names = os.listdir(path.parent) if path.parent.is_dir() else ()
    found = [path.parent / name for name in names if name.startswith(f".weft-tmp-{path.name}.")]
    return [each for each in found if not each.is_dir() or each.is_symlink()]


def write(path: Path, content: bytes | str, mode: int = 0o644, owner: tuple[int, int] | None = None, sync: bool = True) -> None:
    """Replace `path` with `content`, or leave it as it was. owner: (uid, gid), unchanged if None.

    sync: False for what a power cut may take or tear, because nothing that is read after a boot depends on it."""
    payload = content.encode() if isinstance(content, str) else content
    temp = temp_name(path)
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            _write_all(fd, payload)
            if owner is not None:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temp, path)
    except BaseException as error:
        temp.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # "No space left on device" alone does not say on which disk
        raise
    if sync:
        fsync_dir(path.parent)


def _write_all(fd: int, payload: bytes) -> None:
    view = memoryview(payload)
    while view:
        view = view[os.write(fd, view):]


def link(path: Path, target: str, sync: bool = True, over_file: bool = False) -> None:
    """Make `path` a symlink to `target`, replacing a symlink (never a file or directory) that is there.

    The rename is the commit point of a switch: readers see the old target or the new one. Raises FileExistsError
    where something else than a symlink is in the way. sync: as in `write`. over_file: a file is replaced too, whose content the
    caller has kept: at no moment is nothing there.
    """
    if os.path.lexists(path) and not stat.S_ISLNK(os.lstat(path).st_mode) and not (over_file and path.is_file()):
        raise FileExistsError(f"{path} is not a symlink of weft's; it is left alone")
    temp = temp_name(path)
    os.symlink(target, temp)
    try:
        os.rename(temp, path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    if sync:
        fsync_dir(path.parent)


def publish(staged: Path, final: Path) -> None:
    """Give a complete directory its final name; a non-empty `final` is never replaced (OSError ENOTEMPTY)."""
    sync_tree(staged)
    os.rename(staged, final)
    fsync_dir(final.parent)


def sync_tree(root: Path) -> None:
    """Make everything below `root` durable: one syncfs where libc has it, else file by file."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _syncfs(fd):
            return
    finally:
        os.close(fd)
    for folder, _dirs, files in os.walk(root):
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
        fsync_dir(Path(folder))


def _syncfs(fd: int) -> bool:
    import ctypes
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    if call(fd) != 0:
        raise OSError(ctypes.get_errno(), "syncfs failed")
    return True


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """An object of weft's own, {} if it is not there or torn."""
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
