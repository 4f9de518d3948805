"""What the tests of the index are made of: small real wheels and sdists, laid out as a store, and a WSGI client."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from wsgiref.validate import validator

from weft.values import Artifact, Release, Version

CHANGELOG = "### Added\n\n- `GET /health` names the version <b>bold</b>.\n- A list item\n  that goes on.\n"


def wheel(name: str, version: str, requires: str = "", python: str = ">=3.9") -> tuple[str, bytes]:
    """(file name, bytes) of a wheel that pip and uv install."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    members = {f"{name.replace('-', '_')}.py": f"__version__ = {version!r}\n",
               f"{stem}.dist-info/METADATA": metadata,
               f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{each},,\n" for each in [*members, f"{stem}.dist-info/RECORD"])
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as out:
        for path, text in [*members.items(), (f"{stem}.dist-info/RECORD", record)]:
            out.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
    return f"{stem}-py3-none-any.whl", raw.getvalue()


def sdist(name: str, version: str) -> tuple[str, bytes]:
    stem, raw = f"{name.replace('-', '_')}-{version}", io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as out:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        member = tarfile.TarInfo(f"{stem}/PKG-INFO")
        member.size = len(text)
        out.addfile(member, io.BytesIO(text))
    return f"{stem}.tar.gz", raw.getvalue()


def release(store: Path, app: str, version: str, dependencies=(), requires: str = "", python: str = ">=3.9",
            changelog: str = CHANGELOG, created: str = "2026-03-01T09:30:00Z") -> Release:
    """Publish one, as the store lays it out."""
    files = [("sdist", *sdist(app, version)), ("wheel", *wheel(app, version, requires, python)),
             ("lock", "requirements.lock", b"# locked\n"), ("entry", "entry.wsgi", b"application = None\n"),
             ("installer", *_inside("tools", wheel("pip", "99.0")))]
    files += [("dependency", *_inside("wheelhouse", wheel(*each))) for each in dependencies]
    place = store / app / version
    for _kind, name, content in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    made = Release(app, Version(version), "0123456789abcdef" * 2, version, created, "3.11", tuple(
        Artifact(name, kind, len(content), hashlib.sha256(content).hexdigest()) for kind, name, content in files),
        changelog=changelog)
    (place / "manifest.json").write_text(json.dumps(made.to_json()), encoding="utf-8")
    return made


def _inside(folder: str, file: tuple[str, bytes]) -> tuple[str, bytes]:
    return f"{folder}/{file[0]}", file[1]


def call(app, path: str, method: str = "GET", query: str = "", **environ: str):
    errors, seen = io.StringIO(), []
    given = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "", "SERVER_NAME": "localhost",
             "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "index.example.org", "wsgi.version": (1, 0),
             "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": errors, "wsgi.multithread": True,
             "wsgi.multiprocess": True, "wsgi.run_once": False, **environ}
    answer = validator(app)(given, lambda status, headers, *rest: seen.append((status, headers)))
    try:
        body = b"".join(answer)
    finally:
        answer.close()
    return seen[0][0], dict(seen[0][1]), body
