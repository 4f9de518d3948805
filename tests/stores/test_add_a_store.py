"""docs/how-to/add-a-store.md, done as it says: one file, an entry point, the suite."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOC = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-store.md"


@pytest.fixture
def package(tmp_path):
    """The files of the page, installed as an installer would: the entry point in a dist-info."""
    code, entry, test = re.findall(r"^```(?:python|toml)\n(.*?)^```", DOC.read_text(), re.M | re.S)
    group, line = re.fullmatch(r'\[project\.entry-points\."(.+)"\]\n(.+)\n', entry).groups()
    (tmp_path / "weft_sqlite.py").write_text(code)
    (tmp_path / "test_weft_sqlite.py").write_text(test)
    info = tmp_path / "weft_sqlite-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: weft-sqlite\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    return tmp_path


def run(package, *words):
    source = str(Path(__file__).parents[2] / "src")
    env = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{source}"}
    return subprocess.run([sys.executable, *words], cwd=package, env=env, capture_output=True, text=True, check=False)


def test_what_its_plan_says(package):
    """By default, and with the page's own words."""
    show = "from weft.stores import open_store\nhow = open_store('sqlite:///srv/artifacts.db', None).words\n" \
           "print(how.staged('sqlite:///srv/artifacts.db'), how.published('sqlite:///srv/artifacts.db/shop/1.1.4', '1.1.4'), sep='\\n')"
    page = re.search(r"^```text\n(.*?)^```", DOC.read_text(), re.M | re.S)[1]
    assert run(package, "-c", show).stdout.splitlines() == [line[4:] for line in page.splitlines()]
    told, brought = re.search(r"`(words = Words.*?)`.*?`(from .*?)`", DOC.read_text(), re.S).groups()
    code = package / "weft_sqlite.py"
    code.write_text(f"{brought}\n" + code.read_text().replace('Thread-safe: a connection for each request."""\n', f'"""\n\n    {told}\n'))
    assert run(package, "-c", show).stdout.splitlines() == [
        "insert into sqlite:///srv/artifacts.db, read back", "sqlite:///srv/artifacts.db/shop/1.1.4, by one INSERT of 1.1.4~release.json, which is never replaced"]


@pytest.mark.slow
def test_the_page_s_store_passes_the_suite(package):
    done = run(package, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "test_weft_sqlite.py")
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 50


def test_a_store_that_replaces_does_not_pass(package):
    """The suite can fail: the same store without its one promise."""
    code = package / "weft_sqlite.py"
    code.write_text(code.read_text().replace("INSERT OR IGNORE", "INSERT OR REPLACE"))
    done = run(package, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "test_weft_sqlite.py")
    assert done.returncode == 1 and "replaces a file that is there, although it was told not to" in done.stdout


def test_an_unknown_kind_lists_it(package):
    done = run(package, "-c", "from weft.stores import open_store\nopen_store('gopher://x/y', None)")
    assert "known" not in done.stdout and "unknown kind 'gopher'" in done.stderr
    done = run(package, "-c", "from weft.stores import open_store\ntry:\n    open_store('gopher://x/y', None)\n"
                              "except Exception as error:\n    print(error.hint)")
    assert done.stdout == "known: a directory, file://, http://, https://, memory://, s3://, sftp://, sqlite://\n"


def test_a_package_that_cannot_be_loaded(package):
    (package / "weft_sqlite.py").write_text("import not_there_at_all\n")
    done = run(package, "-c", "from weft.stores import open_store\ntry:\n    open_store('sqlite:///x', None)\n"
                              "except Exception as error:\n    print(*error.lines(), sep='\\n')")
    assert done.stdout == ("the store sqlite:// comes from weft_sqlite:open_url, which cannot be loaded: No module named 'not_there_at_all'\n"
                           "now:  nothing changed\nnext: mend or reinstall that package\n"), done.stderr
