"""The engine as one file that travels: the parts of weft that need nothing but Python 3.9's standard library.

The same sources give the same bytes everywhere (names sorted, no times, nothing compressed), so its digest names it.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import weft
from weft import adapters
from weft.errors import Refused
from weft.host import program

SHEBANG = b"#!/usr/bin/python3 -IS\n"
MODULES = ("__init__.py", "errors.py", "secret.py", "adapters.py", "values.py", "plan.py", "record.py", "typing.py", "durable.py", "journal.py", "apply.py", "signing.py",
           "index.py", "config/__init__.py", "config/ini.py")
PACKAGES = ("servers", "host")
MAIN = "host/start.py"


def sources() -> dict[str, bytes]:
    """Names in the archive and their bytes, with the servers of other packages. Raises Refused where weft itself, or one of them, is not complete."""
    root = Path(weft.__file__).parent
    names = [*MODULES, *(f"{package}/{path.relative_to(root / package)}" for package in PACKAGES
                         for path in (root / package).rglob("*.py"))]
    missing = [name for name in (*names, MAIN, "host/__main__.py") if not (root / name).is_file()]
    if missing:
        raise Refused(f"this weft is not complete: {', '.join(missing)} not found in {root}", "install weft again")
    others = {f"weft/servers/{name}.py": Path(adapters.module_of(point)).read_bytes() for name, point in sorted(adapters.others().items())}
    return {"__main__.py": (root / MAIN).read_bytes(), **{f"weft/{name}": (root / name).read_bytes() for name in sorted(names)}, **others}


def archive(files: dict[str, bytes]) -> bytes:
    """A zipapp with these files: deterministic."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name, content in sorted(files.items()):
            packed.writestr(program.entry(name), content)
    return SHEBANG + buffer.getvalue()


def build() -> Path:
    """The engine's zipapp in the user's cache, named by its digest; made if it is not there with those bytes."""
    content = archive(sources())
    path = cache() / f"weft-host-{hashlib.sha256(content).hexdigest()[:16]}.pyz"
    if not (path.is_file() and path.read_bytes() == content):
        from weft import durable
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, content, 0o755)
    return path


def cache() -> Path:
    """Where this user's weft keeps what it can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft"
