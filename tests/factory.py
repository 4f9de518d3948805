"""Tiny real projects in real repositories, and real releases of them, for tests.

`make_project` writes a WSGI application with tests, changelog and a bare remote; its build backend is a file of its own
(`backend="tree"`, no network, fast) or setuptools. `make_release` runs the real pipeline over one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

from weft.release import run
from weft.release.hgserver import Server

BACKEND = '''
"""A build backend in the tree: everything below src/, wsgi/ and etc/, by the standard library."""
import base64, hashlib, io, os, tarfile, time, zipfile
from pathlib import Path

NAME, PACKAGE, REQUIRES = "@NAME@", "@PACKAGE@", @REQUIRES@


def _version():
    scope = {}
    exec(Path(f"src/{PACKAGE}/__init__.py").read_text(), scope)
    return scope["__version__"]


def _metadata():
    requires = "".join(f"Requires-Dist: {each}\\n" for each in REQUIRES)
    return (f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {_version()}\\nSummary: a test\\n{requires}"
            f"Description-Content-Type: text/markdown\\n\\n" + Path("README.md").read_text())


def build_sdist(sdist_directory, config_settings=None):
    base = f"{PACKAGE}-{_version()}"
    with tarfile.open(os.path.join(sdist_directory, base + ".tar.gz"), "w:gz") as out:
        for top in ("src", "wsgi", "etc", "tests", "_build", "README.md", "pyproject.toml"):
            if os.path.exists(top):
                out.add(top, f"{base}/{top}", filter=lambda m: None if "__pycache__" in m.name else m)
        payload = _metadata().encode()
        info = tarfile.TarInfo(f"{base}/PKG-INFO")
        info.size = len(payload)
        out.addfile(info, io.BytesIO(payload))
    return base + ".tar.gz"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    base = f"{PACKAGE}-{_version()}"
    files = {str(path.relative_to("src")): path.read_bytes() for path in sorted(Path("src").rglob("*"))
             if path.is_file() and "__pycache__" not in path.parts}
    files[f"{base}.dist-info/METADATA"] = _metadata().encode()
    files[f"{base}.dist-info/WHEEL"] = b"Wheel-Version: 1.0\\nGenerator: tree\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    digest = lambda raw: base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
    record = "".join(f"{name},sha256={digest(raw)},{len(raw)}\\n" for name, raw in files.items())
    files[f"{base}.dist-info/RECORD"] = (record + f"{base}.dist-info/RECORD,,\\n").encode()
    when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", 1700000000)))[:6]
    with zipfile.ZipFile(os.path.join(wheel_directory, f"{base}-py3-none-any.whl"), "w") as out:
        for name, raw in files.items():
            out.writestr(zipfile.ZipInfo(name, when), raw)
    return f"{base}-py3-none-any.whl"
'''

APPLICATION = '''
from @PACKAGE@ import __version__


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"@NAME@ {__version__}\\n".encode()]
'''

TESTS = '''
import unittest

from @PACKAGE@.app import application


class Answers(unittest.TestCase):
    def test_answers(self):
        seen = []
        body = application({}, lambda status, headers: seen.append(status))
        self.assertEqual(seen, ["200 OK"])
        self.assertIn(b"@NAME@", b"".join(body))
'''


_SERVERS: dict[Any, Server] = {}


def _hg_server() -> Server:
    """One a configuration, outside of any repository."""
    told = {name: value for name, value in os.environ.items() if name.startswith("HG") or name in ("HOME", "EMAIL", "XDG_CONFIG_HOME")}
    key = tuple(sorted(told.items()))
    if key not in _SERVERS or not _SERVERS[key].open:
        _SERVERS[key] = Server(None, {**os.environ, "HGPLAIN": "1"})
    return _SERVERS[key]


@dataclass
class Made:
    """A project that the factory wrote. remote: the bare repository, None without one."""

    root: Path
    name: str
    package: str
    store: Path
    remote: Path | None
    vcs: str = "git"

    @property
    def data(self) -> Path:
        """weft's own directory in the repository's data."""
        return self.root / f".{self.vcs}" / "weft"

    def hg(self, *words: str, at: Path | None = None) -> str:
        """As `git`, for Mercurial, by a command server of the tests' own: each start of hg costs a tenth of a second."""
        try:
            return _hg_server().ask(["--cwd", str(at or self.root), *words], 60).strip()
        except run.CommandFailed as error:
            raise AssertionError(f"{error}: {' '.join(error.tail)}") from None

    def head(self, at: Path | None = None) -> str:
        """The commit on the branch: checked out here, or the newest of the bare remote."""
        there = at is not None and at == self.remote
        if self.vcs == "git":
            return self.git("rev-parse", "main" if there else "HEAD", at=at)
        return self.hg("log", "-r", "default" if there else ".", "-T", "{node}", at=at)

    def tags(self, at: Path | None = None) -> dict[str, str]:
        """Tag -> commit."""
        if self.vcs == "git":
            lines = self.git("for-each-ref", "refs/tags", "--format=%(refname:strip=2) %(objectname) %(*objectname)", at=at).splitlines()
            return {words[0]: words[-1] for words in map(str.split, lines)}
        lines = self.hg("tags", "-T", "{tag} {node}\n", at=at).splitlines()
        return {name: node for name, node in map(str.split, lines) if name != "tip"}

    def refs(self, at: Path | None = None) -> str:
        """Everything that a push or a pull would change, as text."""
        if self.vcs == "git":
            return self.git("for-each-ref", at=at)
        return self.hg("log", "-T", "{node} {phase} {bookmarks}\n", at=at)

    def dirty(self) -> str:
        """What differs from the commit checked out; "" when nothing does."""
        return self.git("status", "--porcelain") if self.vcs == "git" else self.hg("status")

    def tag(self, name: str, at: Path | None = None) -> None:
        """A tag on the newest commit, by hand."""
        if self.vcs == "git":
            self.git("tag", name, *(["main"] if at else []), at=at)
        else:
            self.hg("tag", "-u", "Hand <hand@example.org>", "-r", "tip" if at else ".", name, at=at)

    def back(self) -> None:
        """Throw the newest commit away here, not on the remote."""
        if self.vcs == "git":
            self.git("reset", "-q", "--hard", "HEAD^")
        else:
            self.hg("--config", "extensions.strip=", "--config", "phases.publish=False", "strip", "-q", "--no-backup", ".")

    def colleague(self, path: Path) -> Made:
        """Somebody else's clone of the remote."""
        other = replace(self, root=path)
        if self.vcs == "git":
            self.git("clone", "--quiet", str(self.remote), str(path), at=path.parent)
        else:
            self.hg("clone", "--quiet", str(self.remote), str(path), at=path.parent)
        other.introduce("Colleague", "colleague@example.org")
        return other

    def introduce(self, name: str, address: str) -> None:
        """Who commits here."""
        if self.vcs == "git":
            for key, value in (("user.name", name), ("user.email", address), ("commit.gpgsign", "false")):
                self.git("config", key, value)
        else:
            with (self.root / ".hg/hgrc").open("a") as handle:
                handle.write(f"\n[ui]\nusername = {name} <{address}>\n")

    def git(self, *words: str, at: Path | None = None) -> str:
        """Runs git there; its standard output, stripped. Fails the test when git fails."""
        done = subprocess.run(["git", *words], cwd=at or self.root, capture_output=True, text=True)
        assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def commit(self, message: str = "change", push: bool = True) -> str:
        """Everything, as one commit; its id."""
        if self.vcs == "hg":
            self.hg("addremove", "--quiet")
            self.hg("commit", "--quiet", "-m", message)
            if push and self.remote:
                self.hg("push", "--quiet")
            return self.head()
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        if push and self.remote:
            self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def changelog(self, version: str, text: str = "- something new", date_: str = "unreleased") -> None:
        """A section for the version on top, committed."""
        old = (self.root / "CHANGELOG.md").read_text()
        head, _, rest = old.partition("\n\n")
        self.write("CHANGELOG.md", f"{head}\n\n## {version} - {date_}\n\n{text}\n\n{rest}")
        self.commit(f"changelog of {version}")

    def configure(self, text: str) -> None:
        """More lines of [tool.weft], committed."""
        with (self.root / "pyproject.toml").open("a") as handle:
            handle.write(text + "\n")
        self.commit("configure")


def make_project(path: Path, name: str = "weaveserver", version: str = "1.1.3", *, store: Path | None = None,
                 backend: str = "tree", entry: bool = False, requires: tuple[str, ...] = (), remote: bool = True,
                 scm: bool = False, relative: bool = False, next_version: str = "1.1.4", application: str = APPLICATION,
                 vcs: str = "git") -> Made:
    """A WSGI project at `path`, committed on `main`, with a changelog section for `next_version` ("" for none).

    store: default `path`/../artifacts.  entry: a .wsgi file instead of a callable.  scm: the tag is the version.
    relative: store and remote by relative names, so that the folder around may be copied.  vcs: git or hg.
    """
    package = name.replace("-", "_")
    made = Made(path, name, package, store or path.parent / "artifacts", path.parent / f"{path.name}.{vcs}" if remote else None, vcs)
    path.mkdir(parents=True)
    for target, text in _files(made, version, backend, entry, requires, scm, application).items():
        made.write(target, text.replace("@NAME@", name).replace("@PACKAGE@", package).lstrip("\n"))
    made.write("CHANGELOG.md", _changelog(version, next_version))
    if relative:
        text = (path / "pyproject.toml").read_text()
        made.write("pyproject.toml", text.replace(f'"{made.store}"', f'"{os.path.relpath(made.store, path)}"'))
    _repository(made, os.path.relpath(made.remote, path) if relative and made.remote else str(made.remote))
    return made


def _files(made: Made, version: str, backend: str, entry: bool, requires: Any, scm: bool, application: str) -> dict[str, str]:
    own = backend == "tree" and not scm
    files = {
        "pyproject.toml": _pyproject(made, own, entry, requires, scm),
        "README.md": "# @NAME@\n\nA test application.\n",
        ".gitignore": "__pycache__/\n*.egg-info/\nbuild/\ndist/\n_version.py\n",
        "src/@PACKAGE@/__init__.py": _SCM_INIT if scm else f'"""A test."""\n\n__version__ = "{version}"\n',
        "src/@PACKAGE@/app.py": application,
        "tests/__init__.py": "", "tests/test_app.py": TESTS,
        "etc/@NAME@.ini": "[@NAME@]\ngreeting = hello\n"}
    if own:
        files["_build/backend.py"] = BACKEND.replace("@REQUIRES@", repr(list(requires)))
    if entry:
        files["wsgi/@NAME@.wsgi"] = "from @PACKAGE@.app import application\n"
    return {target.replace("@NAME@", made.name).replace("@PACKAGE@", made.package): text for target, text in files.items()}


_SCM_INIT = '''
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("@NAME@")
except PackageNotFoundError:
    __version__ = "0"
'''


def _pyproject(made: Made, own: bool, entry: bool, requires: Any, scm: bool) -> str:
    loads = 'entry = "wsgi/@NAME@.wsgi"' if entry else 'callable = "@PACKAGE@.app:application"'
    system = ('requires = []\nbuild-backend = "backend"\nbackend-path = ["_build"]' if own else
              f'requires = ["setuptools>=77"{", " + repr("setuptools-scm>=8") if scm else ""}]\n'
              'build-backend = "setuptools.build_meta"')
    dynamic = "" if scm else '[tool.setuptools.dynamic]\nversion = {attr = "@PACKAGE@.__version__"}\n'
    return dedent(f"""\
        [build-system]
        @SYSTEM@

        [project]
        name = "@NAME@"
        dynamic = ["version"]
        readme = "README.md"
        requires-python = ">=3.9"
        dependencies = {list(requires)!r}

        @DYNAMIC@
        {"[tool.setuptools_scm]" if scm else ""}

        [tool.weft]
        {loads}
        settings = "etc/@NAME@.ini"
        artifacts = "{made.store}"
        test = ["python", "-m", "unittest", "-q"]
        """).replace("@SYSTEM@", system).replace("@DYNAMIC@", dynamic)


def _changelog(version: str, following: str) -> str:
    head = f"## {following} - unreleased\n\n- something new\n\n" if following else ""
    return f"# Changelog\n\n{head}## {version} - 2024-01-02\n\n- the version before\n"


def _repository(made: Made, address: str) -> None:
    if made.vcs == "hg":
        return _mercurial(made, address)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("config", "user.name", "Test Person")
    made.git("config", "user.email", "test@example.org")
    made.git("config", "commit.gpgsign", "false")
    if made.remote:
        made.git("init", "--quiet", "--bare", "--initial-branch=main", str(made.remote), at=made.root.parent)
        made.git("remote", "add", "origin", address)
    made.commit("first", push=False)
    if made.remote:
        made.git("push", "--quiet", "--set-upstream", "origin", "main")


def _mercurial(made: Made, address: str) -> None:
    made.hg("init")
    made.write(".hgignore", "syntax: glob\n" + made.root.joinpath(".gitignore").read_text().replace("/\n", "\n"))
    (made.root / ".gitignore").unlink()
    if made.remote:
        made.hg("init", str(made.remote), at=made.root.parent)
        (made.root / ".hg/hgrc").write_text(f"[paths]\ndefault = {address}\n")
    made.introduce("Test Person", "test@example.org")
    made.commit("first")


class Quiet:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.warnings: list[str] = []
        self.tail: list[str] = []

    def begin(self, number, of, step) -> None:
        self.kinds.append(step.kind)

    def end(self, ok, tail=()) -> None:
        self.tail = list(tail) or self.tail

    def log(self, line) -> None:
        pass

    def warn(self, text) -> None:
        self.warnings.append(text)


def run_release(made: Made, version: str | None = None, bump: str | None = None, report: Any = None, today: date = date(2024, 5, 6)):
    """The real pipeline on a project, without a question; the proposal that was carried out."""
    from weft.release import pipeline
    return pipeline.release(pipeline.open_project(made.root), pipeline.Wish(version, bump), today, report or Quiet(),
                            lambda proposal: None)


def make_release(store: Path, name: str = "weaveserver", version: str = "1.1.4", project: Made | None = None, **words: Any):
    """A real published release in `store`: its manifest (weft.values.Release).

    project: release from this one (its next version); else one is made for it in a temporary directory and removed.
    words: as for make_project, such as entry=True or application="…".
    """
    from weft.stores.directory import DirectoryStore
    if project is not None:
        if f"## {version}" not in (project.root / "CHANGELOG.md").read_text():
            project.changelog(version)
        run_release(project, version)
    else:
        with tempfile.TemporaryDirectory(prefix="weft-test-") as place:
            made = make_project(Path(place, "project"), name, "0", store=store, remote=False, next_version=version, **words)
            run_release(made, version)
    return DirectoryStore(store).manifest(name, version)


def tree(root: Path) -> dict[str, Any]:
    """Every path below a directory with its mode, and bytes or link target, to compare before and after."""
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            key = str(path.relative_to(root))
            found[key] = (path.lstat().st_mode, os.readlink(path) if path.is_symlink() else
                          path.read_bytes() if path.is_file() else None)
    return found
