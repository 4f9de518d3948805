"""The engine's own file on a host: the zipapp that came, with its byte code beside the sources, which halves the time that it takes to start.

Python takes byte code of its own version only, and the sources where there is none: a host that gets another Python loses nothing but that.
"""

from __future__ import annotations

import hashlib
import importlib._bootstrap_external as bootstrap
import importlib.util
import io
import zipfile
from pathlib import Path


def compiled(payload: bytes, place: Path) -> bytes:
    """The zipapp with byte code of this Python. place: where it will lie, for tracebacks."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as came, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        start = min(entry.header_offset for entry in came.infolist())
        for entry in came.infolist():
            source = came.read(entry)
            packed.writestr(entry, source)
            if entry.filename.endswith(".py"):
                code = compile(source, f"{place}/{entry.filename}", "exec", dont_inherit=True, optimize=0)
                both = zipfile.ZipInfo(f"{entry.filename}c", entry.date_time)
                both.external_attr, both.create_system = entry.external_attr, entry.create_system
                packed.writestr(both, bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(source), False))
    return payload[:start] + out.getvalue()


def note(installed: bytes, payload: bytes) -> str:
    """Two digests: of the file as it was installed, which `verify` compares, and of what it was made from."""
    return f"{_digest(installed)} {_digest(payload)}\n"


def current(said: str, installed: bytes, payload: bytes) -> bool:
    """Whether the file is what a note says, and was made from just this."""
    return said.split() == [_digest(installed), _digest(payload)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
