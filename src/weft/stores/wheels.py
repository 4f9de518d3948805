"""What a wheel says of itself: its METADATA, read out of the zip without unpacking anything."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from email.parser import BytesHeaderParser
from typing import BinaryIO

from weft.record import record

_LIMIT = 4 << 20  # bytes of METADATA that are read; the largest on PyPI are some 100 kB


@record(frozen=True)
class Core:
    """The core metadata of a distribution: its bytes' sha256, and which Pythons it is for ("" for any)."""

    sha256: str
    requires_python: str


def metadata(file: BinaryIO) -> bytes:
    """The bytes of *.dist-info/METADATA. Raises ValueError for what is not a wheel."""
    try:
        with zipfile.ZipFile(file) as wheel:
            found = [each for each in wheel.infolist() if _is_metadata(each.filename)]
            if len(found) != 1 or found[0].file_size > _LIMIT:
                raise ValueError("not a wheel: it has no METADATA, or several, or one beyond reason")
            return wheel.read(found[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise ValueError(f"not a wheel: {error}") from None


def core(raw: bytes) -> Core:
    """What the simple index says of a wheel."""
    said = BytesHeaderParser().parsebytes(raw)
    return Core(hashlib.sha256(raw).hexdigest(), " ".join(str(said.get("Requires-Python", "")).split()))


def _is_metadata(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder.endswith(".dist-info") and file == "METADATA"
