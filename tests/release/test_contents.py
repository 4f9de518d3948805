"""An sdist holds what its commit holds: what a build may write besides, and what undoes a release."""

import io
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests import factory
from tests.release.vcs_world import finished, world
from weft.errors import FailedUndone, Refused
from weft.release import contents, vcs

BOTH = pytest.mark.parametrize("vcs_", ["git", "hg"])


def packed(path, files):
    """files: name -> bytes, or the target of a link."""
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(f"hello-1.0/{name}")
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                out.addfile(info)
            else:
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    return path


def checked(tmp_path, committed, files, pyproject={}, generated=(), ignored=()):
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    for name, content in committed.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(content) if isinstance(content, str) else (root / name).write_bytes(content)
    contents.check(packed(tmp_path / "hello-1.0.tar.gz", files), contents.of_tree(root), pyproject, generated, lambda paths: set(ignored))


def refused(tmp_path, committed, files, **words):
    with pytest.raises(Refused) as error:
        checked(tmp_path, committed, files, **words)
    return error.value


TREE = {"a.py": b"a\n", "doc/b.txt": b"b\r\n", "link": "a.py", "docs": "doc", "setup.cfg": b"# how\n[metadata]\nname: x = y\nName = hello\n"}


@pytest.mark.parametrize("files", [
    {"a.py": b"a\n", "doc/b.txt": b"b\r\n"},
    {},
    {"link": "a.py"},
    {"link": b"a\n"},
    {"docs/b.txt": b"b\r\n"},
    {"PKG-INFO": b"x", "hello.egg-info/PKG-INFO": b"x", "src/hello.egg-info/SOURCES.txt": b"x"},
    {"setup.cfg": b"[metadata]\nname: x = y\nName = hello\n\n[egg_info]\ntag_build = \ntag_date = 0\n\n"},
], ids=["the same", "left out", "a link", "a link's file", "below a link", "metadata", "setup.cfg"])
def test_what_may_be_there(tmp_path, files):
    checked(tmp_path, TREE, files)


@pytest.mark.parametrize("files, said", [
    ({"a.py": b"a"}, "a.py differs from the commit's"),
    ({"doc/b.txt": b"b\n"}, "doc/b.txt differs from the commit's"),
    ({"link": "doc/b.txt"}, "link differs from the commit's"),
    ({"a.py": "doc/b.txt"}, "a.py differs from the commit's"),
    ({"c.py": b"a\n"}, "c.py is not in version control"),
    ({"docs/c.txt": b"c"}, "docs/c.txt is not in version control"),
    ({"A.py": b"a\n"}, "A.py is not in version control"),
    ({"sub/PKG-INFO": b"x"}, "sub/PKG-INFO is not in version control"),
    ({"hello.egg-info": b"x"}, "hello.egg-info is not in version control"),
    ({"setup.cfg": b"[metadata]\nname: x = y\nName = hallo\n"}, "setup.cfg differs from the commit's"),
    ({"setup.cfg": b"[metadata]\nname: x = y\nName = hello\n[egg_info]\negg_base = x\n"}, "setup.cfg differs from the commit's"),
    ({"setup.cfg": b"["}, "setup.cfg differs from the commit's"),
    ({"b.py": b"", "a.py": b""}, "a.py differs from the commit's; b.py is not in version control"),
])
def test_what_may_not(tmp_path, files, said):
    assert refused(tmp_path, TREE, files).message == f"hello-1.0.tar.gz is not what was committed: {said}"


def test_many_are_counted(tmp_path):
    error = refused(tmp_path, TREE, {f"{number:02}.py": b"" for number in range(14)})
    assert error.message.endswith("; 09.py is not in version control; and 4 more")
    assert error.hint == ("mend what the build packs; a file that it writes on purpose belongs into the ignore file, "
                          'or into generated = ["00.py"] in [tool.weft]')


def test_links_in_a_circle(tmp_path):
    refused(tmp_path, {"x": "y", "y": "x"}, {"x": b"1"})


def test_setup_cfg_without_one(tmp_path):
    checked(tmp_path, {}, {"setup.cfg": b"[egg_info]\ntag_build = \ntag_date = 0\n"})
    refused(tmp_path, {}, {"setup.cfg": b"[options]\ninstall_requires = x\n"})


def test_generated_files_that_are_named(tmp_path):
    checked(tmp_path, TREE, {"a.py": b"other", "x/_v.py": b""}, generated=["a.*", "*/_v.py"])
    refused(tmp_path, TREE, {"x/_w.py": b""}, generated=["a.*", "*/_v.py"])


@pytest.mark.parametrize("tool", [{"setuptools_scm": {"version_file": "src/x/_v.py"}}, {"setuptools_scm": {"write_to": "src/x/_v.py"}},
                                  {"hatch": {"build": {"hooks": {"vcs": {"version-file": "src/x/_v.py"}}}}},
                                  {"pdm": {"version": {"write_to": "x/_v.py"}}}])
def test_version_files_that_the_project_names(tmp_path, tool):
    checked(tmp_path, TREE, {"src/x/_v.py": b"1"}, pyproject={"tool": tool})
    refused(tmp_path, TREE, {"src/x/_w.py": b"1"}, pyproject={"tool": tool})


def test_what_is_ignored_is_generated_but_a_tracked_file_is_the_commits(tmp_path):
    checked(tmp_path, TREE, {"gen.c": b"c"}, ignored=["gen.c"])
    refused(tmp_path, TREE, {"a.py": b"c"}, ignored=["a.py"])


@pytest.fixture
def made(tmp_path, vcs_):
    if vcs_ == "hg" and not shutil.which("hg"):
        pytest.skip("needs Mercurial: Debian package mercurial")
    return factory.make_project(tmp_path / "project", vcs=vcs_)


@BOTH
def test_ignored(made):
    repo = vcs.open_repository(made.root)
    names = ["_version.py", "src/weaveserver/_version.py", "build/x.c", "new.py", "mit Leerzeichen.py", "ünïcode.py", "README.md"]
    (made.root / (".gitignore" if made.vcs == "git" else ".hgignore")).open("a").write("*Leer*\nünï*\n")
    assert repo.ignored(made.root, names) == {"_version.py", "src/weaveserver/_version.py", "build/x.c", "mit Leerzeichen.py", "ünïcode.py"}
    assert repo.ignored(made.root, ["new.py"]) == set()


SPOILS = {
    "changes a file": ('    with tarfile.open(os.path.join(sdist_directory',
                       '    with open("src/weaveserver/app.py", "a") as out:\n        out.write("x = 1\\n")\n', "src/weaveserver/app.py differs from the commit's"),
    "adds a file": ('    with tarfile.open(os.path.join(sdist_directory',
                    '    Path("src/weaveserver/extra.py").write_text("x = 1\\n")\n', "src/weaveserver/extra.py is not in version control")}


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("how", SPOILS)
def test_a_build_that_packs_something_else_is_undone(made, how):
    at, line, said = SPOILS[how]
    path = made.root / "_build/backend.py"
    good = path.read_text()
    made.write("_build/backend.py", good.replace(at, line + at, 1))
    made.commit()
    before = world(made)
    with pytest.raises(FailedUndone) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.message == f"build: weaveserver-1.1.4.tar.gz is not what was committed: {said}"
    assert error.value.code == 4 and world(made) == before
    made.configure(f'generated = ["{said.split()[0]}"]')
    factory.run_release(made, "1.1.4")
    finished(made)


@pytest.mark.slow
@BOTH
def test_what_tests_and_hooks_do_to_their_tree_does_not_matter(made):
    """The commit is read before the first of them runs."""
    made.configure('[tool.weft.hooks]\nbefore_test = ["sh", "-c", "echo >> src/weaveserver/app.py; rm README.md"]')
    factory.run_release(made, "1.1.4")
    finished(made)


@pytest.mark.slow
@BOTH
def test_a_hook_that_changes_what_is_built(made):
    made.configure('[tool.weft.hooks]\nbefore_build = ["sh", "-c", "echo x=1 >> src/weaveserver/app.py"]')
    with pytest.raises(FailedUndone, match="src/weaveserver/app.py differs from the commit's"):
        factory.run_release(made, "1.1.4")
