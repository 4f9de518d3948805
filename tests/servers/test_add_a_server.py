"""docs/how-to/add-a-server.md, done as it says: its files, its commands, on a real gunicorn from the package index."""

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/add-a-server.md").read_text()
COMMANDS = [line[2:] for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The page's files where it says, and an environment of its own above that of the tests, in which the first command is run."""
    place = tmp_path_factory.mktemp("page") / "weft-gunicorn"
    place.mkdir()
    for name, content in re.findall(r"^`([a-z_]+\.(?:py|toml))`[.:].*?^```(?:python|toml)\n(.*?)^```", PAGE, re.M | re.S):
        (place / name).write_text(content)
    assert sorted(path.name for path in place.iterdir()) == ["pyproject.toml", "test_weft_gunicorn.py", "weft_gunicorn.py"]
    home = place.parent / "environment"
    venv.create(home)
    (Path(sysconfig.get_path("purelib", vars={"base": str(home)})) / "tests.pth").write_text(f"{ROOT / 'src'}\n{sysconfig.get_path('purelib')}\n")
    assert COMMANDS[0].startswith("python -m pip install")
    done = run(place, COMMANDS[0])
    assert done.returncode == 0, done.stdout
    return place


def run(place, command, where=None):
    """As it stands on the page, without a shell."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS", "VIRTUAL_ENV")}
    env.update(PATH=f"{place.parent}/environment/bin{os.pathsep}{env['PATH']}", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONDONTWRITEBYTECODE="1")
    return subprocess.run(shlex.split(command), cwd=where or place, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=900)


@pytest.mark.slow
def test_the_page_s_server_passes_both_suites(package):
    passed = []
    for command in COMMANDS[1:]:
        done = run(package, command)
        assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout
        passed.append(int(re.search(r"(\d+) passed", done.stdout)[1]))
    assert passed[0] == 1 and passed[1] > 20 and passed[2] == 10, passed
    assert sorted(path.name for path in (package / "golden").iterdir()) == ["gunicorn-shop-loader.py", "gunicorn-shop-nginx.conf", "gunicorn-shop.conf", "gunicorn-supervisord.conf"]


@pytest.mark.slow
@pytest.mark.parametrize("right, wrong, fails", [
    ("--workers {site.processes}", "--workers 2", "test_every_declared_setting_is_used[processes]"),
    ("127.0.0.1:{port}", "0.0.0.0:{port}", "test_each_slot_has_its_door_on_loopback"),
    ('f"../weft/{site.app}.conf"', 'f"{self._etc(site)}/weft/{site.app}.conf"', "links_are_relative"),
    ("{site.root}/live/gunicorn.sock", "{site.root}/current/gunicorn.sock", "test_no_text_names_what_a_deploy_chooses"),
    ("# Written by weft for {site.app}: the front.", "# Written by weft for {site.app}: the front, {set('abcdefgh')}.", "test_equal_sites_give_equal_texts_in_every_process"),
])
def test_a_server_that_breaks_the_contract_does_not_pass(package, tmp_path, right, wrong, fails):
    """The suite can fail: the same server with one thing wrong."""
    code = (package / "weft_gunicorn.py").read_text()
    assert code.count(right) == 1
    (tmp_path / "weft_gunicorn.py").write_text(code.replace(right, wrong))
    shutil.copy(package / "test_weft_gunicorn.py", tmp_path)
    done = run(package, "python -m pytest -q -k 'Contract and not approved'", tmp_path)
    assert done.returncode == 1 and re.search(rf"^FAILED .*{re.escape(fails)}", done.stdout, re.M), done.stdout
