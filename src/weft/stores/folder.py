"""A space in a directory that all machines can see; over NFS too, where locks are not to be trusted.

Create-only is link(2) from a hidden file that is complete and on disk: the server decides who was first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from weft import durable
from weft.errors import Refused


class Folder:
    """root: an absolute path; it need not be there before the first write."""

    def __init__(self, root: Path):
        self.root = root

    def made(self, folder: Path) -> Path:
        """The directory, made where it is not there. What is made inherits the root's permissions, so that whoever may publish
        one application here may publish another, whatever the umask of the first."""
        missing = [each for each in (folder, *folder.parents) if each.is_relative_to(self.root) and not each.exists()]
        self.root.mkdir(parents=True, exist_ok=True)
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):
                each.mkdir()
                if each != self.root:
                    each.chmod(stat.S_IMODE(self.root.stat().st_mode))
        return folder

    def names(self, folder: str) -> list[str]:
        try:
            return [each.name + "/" * each.is_dir(follow_symlinks=False) for each in os.scandir(self.root / folder)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Refused(f"{self.root / folder} cannot be read: {error.strerror}") from None

    def open(self, name: str, most: int) -> BinaryIO:
        try:
            return os.fdopen(os.open(self.root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(str(self.root / name)) from None
        except OSError as error:
            raise Refused(f"{self.root / name} cannot be read: {error.strerror}") from None

    def create(self, name: str, content: bytes) -> bool:
        final = self.root / name
        self.made(final.parent)
        part = durable.temp_name(final)
        durable.write(part, content, 0o444)
        try:
            os.link(part, final)
        except FileExistsError:
            if part.stat().st_nlink != 2:  # else: NFS asked twice, and the first time it was done
                return False
        finally:
            part.unlink()
        durable.fsync_dir(final.parent)
        return True

    def replace(self, name: str, content: bytes) -> None:
        final = self.root / name
        self.made(final.parent)
        durable.write(final, content, 0o644)

    def upload(self, name: str, source: BinaryIO) -> None:
        final = self.root / name
        self.made(final.parent)
        with final.open("xb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def drop(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.root / folder)
