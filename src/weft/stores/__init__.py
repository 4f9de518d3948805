"""Where releases are published and found: one file a kind of store.

A store answers `apps()`, `versions(app)` (complete ones, oldest first), `manifest(app, version)`, `open(app, version,
artifact)` and `verify(app, version)`; a release is published by `stage(...)` (nothing visible), then `publish(...)`
(one rename). `weft.stores.directory.DirectoryStore` is the model.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from weft.errors import UsageError

KNOWN = "a directory, file:///path"


def open_store(url: str, root: Path):
    """The store that `[tool.weft] artifacts` names. root: the project's directory, for relative paths.

    Raises UsageError for a kind of store that is not known.
    """
    from weft.stores.directory import DirectoryStore
    if not url.strip():
        raise UsageError("the artifact store has no name", f"set artifacts in [tool.weft]; known: {KNOWN}")
    if "://" not in url:
        return DirectoryStore(Path(os.path.abspath(root / url)))
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise UsageError(f"artifact store {url!r}: unknown kind {parts.scheme!r}", f"known: {KNOWN}")
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UsageError(f"artifact store {url!r} names a host; a file:// address has none",
                         "write file:///absolute/path")
    return DirectoryStore(Path(unquote(parts.path)))
