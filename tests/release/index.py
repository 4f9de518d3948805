"""A small package index of the tests' own, over HTTP on loopback: two versions of `loom`, and `spindle` as an sdist only."""

import base64
import contextlib
import hashlib
import http.server
import io
import tarfile
import threading
import urllib.parse
import zipfile
from pathlib import Path
from typing import Any, Iterator

SPINDLE_BACKEND = '''
import zipfile, os
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "spindle-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as out:
        out.writestr("spindle.py", "turns = True\\n")
        out.writestr("spindle-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: spindle\\nVersion: 1.0\\n")
        out.writestr("spindle-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        out.writestr("spindle-1.0.dist-info/RECORD", "spindle.py,,\\nspindle-1.0.dist-info/METADATA,,\\n"
                     "spindle-1.0.dist-info/WHEEL,,\\nspindle-1.0.dist-info/RECORD,,\\n")
    return name
'''


def wheel(name: str, version: str, requires: str = "") -> tuple[str, bytes]:
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/__init__.py": f"__version__ = '{version}'\n",
             f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
             f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    digest = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode() for path, text in files.items()}
    files[f"{info}/RECORD"] = "".join(f"{path},sha256={digest[path]},\n" for path in digest) + f"{info}/RECORD,,\n"
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as out:
        for path, text in files.items():
            out.writestr(path, text)
    return f"{name}-{version}-py3-none-any.whl", raw.getvalue()


def sdist() -> tuple[str, bytes]:
    raw = io.BytesIO()
    files = {"PKG-INFO": "Metadata-Version: 2.1\nName: spindle\nVersion: 1.0\n", "backend.py": SPINDLE_BACKEND,
             "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                               '[project]\nname = "spindle"\nversion = "1.0"\n'}
    with tarfile.open(fileobj=raw, mode="w:gz") as out:
        for path, text in files.items():
            member = tarfile.TarInfo(f"spindle-1.0/{path}")
            member.size = len(text.encode())
            out.addfile(member, io.BytesIO(text.encode()))
    return "spindle-1.0.tar.gz", raw.getvalue()


@contextlib.contextmanager
def serving(folder: Path, patch: Any) -> Iterator["Index"]:
    """An index, and pip and uv that know no other and have cached nothing. patch: a pytest.MonkeyPatch."""
    index = Index(folder / "index")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_INDEX"):
        patch.delenv(name, raising=False)
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": index.url, "UV_DEFAULT_INDEX": index.url,
                        "UV_NO_CONFIG": "1", "UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "XDG_CACHE_HOME": str(folder / "cache")}.items():
        patch.setenv(name, value)
    try:
        yield index
    finally:
        index.close()


class Index:
    """root: the served directory.  asked: the paths that were asked for.  yanked: file -> why."""

    def __init__(self, root: Path):
        self.root, self.asked, self.yanked = root, [], {}
        self.put("loom", *wheel("loom", "1.0"))
        self.put("spindle", *sdist())
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *words):
                super().__init__(*words, directory=str(root))

            def log_message(self, *words):
                index.asked.append(self.path)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def put(self, name: str, file: str, raw: bytes) -> None:
        page = self.root / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        (page.parent / file).write_bytes(raw)
        self._list(page)

    def _list(self, page: Path) -> None:
        links = [f'<a href="{urllib.parse.quote(path.name)}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"'
                 + (f' data-yanked="{self.yanked[path.name]}"' if path.name in self.yanked else "") + f">{path.name}</a><br>"
                 for path in sorted(page.parent.iterdir()) if path.name != "index.html"]
        page.write_text("<!doctype html><html><body>" + "".join(links) + "</body></html>")

    def yank(self, name: str, file: str, why: str) -> None:
        """As PEP 592 has it: offered to none but those who pin it."""
        self.yanked[file] = why
        self._list(self.root / "simple" / name / "index.html")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
