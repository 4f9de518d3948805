"""The engine's own file on a host: the zipapp that came, with its byte code beside the sources, a third of the time that it takes to start without.

Python takes byte code of its own version only, and the sources where there is none: a host that gets another Python loses nothing but that.
"""

from __future__ import annotations

import hashlib
import importlib._bootstrap_external as bootstrap
import importlib.util
import io
import marshal
import zipfile
from pathlib import Path

from weft.host.start import CODE
from weft.typing import Any, Iterator


def compiled(payload: bytes, place: Path) -> bytes:
    """The zipapp with byte code of this Python. place: where it will lie, for tracebacks."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as came, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        entries = {each.filename: came.read(each) for each in came.infolist()}
        for name, source in entries.items():
            packed.writestr(entry(name), source)
        start = entries["__main__.py"]
        packed.writestr(entry("__main__.pyc"), bootstrap._code_to_hash_pyc(_code(start, f"{place}/__main__.py"), importlib.util.source_hash(start), False))
        packed.writestr(entry(CODE), importlib.util.MAGIC_NUMBER + marshal.dumps(dict(_table(entries, place))))
        shebang = payload[:min(each.header_offset for each in came.infolist())]
    return shebang + out.getvalue()


def entry(name: str) -> zipfile.ZipInfo:
    """Its file in an archive: a time that never changes, readable by all."""
    made = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    made.external_attr, made.create_system = 0o644 << 16, 3
    return made


def _code(source: bytes, place: str) -> Any:
    return compile(source, place, "exec", dont_inherit=True, optimize=0)


def _table(entries: dict[str, bytes], place: Path) -> Iterator[tuple[str, tuple[str, str, bytes, bytes]]]:
    """By the name of each of weft's modules what `weft.host.start` takes it from."""
    for path, source in entries.items():
        if not path.startswith("weft/") or not path.endswith(".py"):
            continue
        name, file = path[:-3].replace("/", "."), f"{place}/{path}"
        package = name.endswith(".__init__")
        yield name[:-len(".__init__")] if package else name, (file, file[:-len("/__init__.py")] if package else "", source, marshal.dumps(_code(source, file)))


def note(installed: bytes, payload: bytes) -> str:
    """Two digests: of the file as it was installed, which `verify` compares, and of what it was made from."""
    return f"{_digest(installed)} {_digest(payload)}\n"


def current(said: str, installed: bytes, payload: bytes) -> bool:
    """Whether the file is what a note says, and was made from just this."""
    return said.split() == [_digest(installed), _digest(payload)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
