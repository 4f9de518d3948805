"""Filesystems of fsspec's: one that creates only, and some that look first and then write."""

import contextlib
import os
import secrets

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry, known_implementations


class Linking(LocalFileSystem):
    """A disk whose create-only is one act: link(2) from a file that is complete."""

    protocol = "linking"

    def pipe_file(self, path, value, mode="overwrite", **_):
        part = f"{path}.{secrets.token_hex(6)}"
        with open(part, "wb") as out:
            out.write(value)
        if mode != "create":
            return os.replace(part, path)
        try:
            os.link(part, path)
        finally:
            os.unlink(part)

    def ls(self, path, detail=False, **words):
        """What is on its way is not there yet."""
        found = []
        for entry in os.scandir(path):
            with contextlib.suppress(FileNotFoundError):
                found.append(self.info(entry))
        return found if detail else [each["name"] for each in found]


class Looking(LocalFileSystem):
    """fsspec's own create: a look, then a write."""

    protocol = "looking"


class LookingByInfo(LocalFileSystem):
    protocol = "lookingbyinfo"

    def pipe_file(self, path, value, mode="overwrite", **_):
        with contextlib.suppress(FileNotFoundError):
            if mode == "create" and self.info(path):
                raise FileExistsError(path)
        with open(path, "wb") as out:
            out.write(value)


class Replacing(LocalFileSystem):
    """Does not know the word create."""

    protocol = "replacing"

    def pipe_file(self, path, value, **_):
        with open(path, "wb") as out:
            out.write(value)


@contextlib.contextmanager
def registered(*classes):
    for each in classes:
        fsspec.register_implementation(each.protocol, each, clobber=True)
    known_implementations.update({each.protocol: {"class": "registered"} for each in classes})
    try:
        yield
    finally:
        for each in classes:
            _registry.pop(each.protocol, None)
            known_implementations.pop(each.protocol, None)
