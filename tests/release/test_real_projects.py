"""Real projects from the package index, with six build backends and layouts, go through a release untouched.

Their sdists are unpacked into a fresh repository; weft's configuration lies beside in weft.toml, and nothing of theirs is edited.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import factory
from weft.release import build, sdist
from weft.stores.directory import DirectoryStore

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Real:
    """callable, test: as its user would configure them; more: further lines of weft.toml.  entry: how its changelog's entry begins."""

    name: str
    version: str
    callable: str
    test: tuple[str, ...]
    entry: str
    more: str = ""

    @property
    def weft(self) -> str:
        return f'name = "{self.name}"\ncallable = "{self.callable}"\ntest = {list(self.test)!r}\nartifacts = "../artifacts"\n{self.more}'


PYTEST = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
COMPILE = ("python", "-m", "compileall", "-q", "src")
REAL = {
    "flit-core": Real("werkzeug", "3.1.3", "werkzeug.testapp:test_app", COMPILE, "Released 2024-11-08\n\n-   Initial data passed to"),
    "hatchling": Real("python-multipart", "0.0.20", "python_multipart:parse_form", ("python", "-m", "compileall", "-q", "python_multipart"),
                      "* Handle messages containing only end boundary"),
    "poetry-core": Real("tomlkit", "0.13.2", "tomlkit:parse", (*PYTEST, "--noconftest", "tests/test_write.py"),
                        "### Fixed\n\n- Fix deleting keys"),
    "pdm-backend": Real("a2wsgi", "1.10.10", "a2wsgi:ASGIMiddleware", ("python", "-m", "compileall", "-q", "a2wsgi"),
                        "- as on the index", 'changelog = "RELEASES.md"\n'),
    "setuptools with setup.py alone": Real("webob", "1.8.9", "webob.static:DirectoryApp", (*PYTEST, "tests/test_exc.py"),
                                           "Bugfix\n~~~~~~\n\n- Add `legacy-cgi`", "strict_metadata = false\n"),
    "setuptools-scm and towncrier": Real("pluggy", "1.6.0", "pluggy:PluginManager", COMPILE, "Deprecations and Removals\n"),
}


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A function: the index's own sdist of a project."""
    place = tmp_path_factory.mktemp("sdists")

    def of(real):
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-binary", real.name, "--no-deps", "--dest", place,
                               f"{real.name}=={real.version}"], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{real.name} {real.version} cannot be had from a package index; see that one can be reached")
        return next(place.glob(f"{sdist.normal(real.name)}-*.tar.gz"))
    return of


def repository(base, real, source, vcs="git"):
    """What a maintainer has: the sdist's files without those that the build added."""
    unpacked = sdist.unpack(source, base / "unpacked")
    root = unpacked.rename(base / "project")
    for path in [root / "PKG-INFO", *root.rglob("*.egg-info"), *root.glob("src/pluggy/_version.py")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    made = factory.Made(root, real.name, sdist.normal(real.name), base / "artifacts", base / f"project.{vcs}", vcs)
    theirs = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}
    made.write("weft.toml", real.weft)
    if "RELEASES.md" in real.more:
        made.write("RELEASES.md", f"# Releases\n\n## {real.version} - 2024-05-06\n\n- as on the index\n")
    if vcs == "git":
        factory._repository(made, str(made.remote))
    else:
        for place in (root, made.remote):
            made.hg("init", str(place), at=base)
        made.write(".hg/hgrc", f"[paths]\ndefault = {made.remote}\n")
        made.introduce("Test Person", "test@example.org")
        made.commit("first")
    return made, theirs


@pytest.mark.parametrize("backend, vcs", [*((backend, "git") for backend in REAL), ("hatchling", "hg"), ("setuptools-scm and towncrier", "hg")])
def test_released_untouched(sources, tmp_path, backend, vcs):
    real = REAL[backend]
    if vcs == "hg" and not shutil.which("hg"):
        pytest.skip("hg is not installed: apt-get install mercurial")
    source = sources(real)
    made, theirs = repository(tmp_path, real, source, vcs)
    report = factory.Quiet()
    proposal = factory.run_release(made, real.version, report=report)
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in theirs} == theirs
    assert made.dirty() == "" and report.warnings == []
    assert [step.kind for step in proposal.plan.steps][:2] == ["scratch", "tag"], "nothing had to be edited"
    assert proposal.changelog.startswith(real.entry)
    store = DirectoryStore(made.store)
    release = store.manifest(real.name, real.version)
    assert store.verify(real.name, real.version) == [] and release.commit == made.tags(made.remote)[real.version]
    names = [artifact.name for artifact in release.of_kind("sdist", "wheel")]
    assert len(names) == 2 and names[0].endswith("py3-none-any.whl") and names[1] == f"{made.package}-{real.version}.tar.gz"
    assert sorted(packages(source)) == sorted(packages(store.path(real.name, real.version) / names[1])), "the same modules as the index's"
    assert build.metadata(store.path(real.name, real.version) / names[0])["Version"] == real.version


def packages(path):
    """The Python files of an sdist, without tests and documentation."""
    with tarfile.open(path) as archive:
        inside = [Path(*Path(name).parts[1:]) for name in archive.getnames() if name.endswith(".py")]
    return [str(each) for each in inside if not {"tests", "testing", "docs", "setup.py"} & set(each.parts)]
