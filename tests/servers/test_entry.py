"""What every server loads, run as the import check runs it: in a process of its own, without a server."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.servers.test_contract import SITE
from weft.servers import entry_file


def run(tmp_path, **environment):
    """(exit code, what it wrote to standard error) of the entry."""
    generation = tmp_path / "var/app/shop/slots/a/generation"
    generation.mkdir(parents=True, exist_ok=True)
    number = tmp_path / "var/app/shop/generations/7"
    (number / "release/entry").mkdir(parents=True, exist_ok=True)
    (number / "record.json").write_text(json.dumps({"release": "1.0-abc", "version": "1.0"}))
    (number / "release/entry.json").write_text(json.dumps({"entry": "entry/shop.wsgi"}))
    (number / "release/entry/shop.wsgi").write_text("def application(environ, start_response):\n    return []\n")
    generation.rmdir()
    generation.symlink_to(number)
    path, text = next(iter(entry_file(replace(SITE, prefix=str(tmp_path))).items()))
    (tmp_path / "entry.wsgi").write_text(text)
    assert path == f"{tmp_path}/var/app/shop/entry.wsgi"
    done = subprocess.run([sys.executable, tmp_path / "entry.wsgi"], env={"PATH": os.environ["PATH"], "WEFT_CHECK_GENERATION": str(number), **environment},
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("slot", ["", "a"])
def test_a_package_mod_wsgi_among_the_dependencies_is_not_taken_for_apaches_module(tmp_path, slot):
    """PyPI's package is an `__init__` with no process_group; people have it in their requirements, also where uWSGI serves."""
    packages = tmp_path / "packages"
    (packages / "mod_wsgi").mkdir(parents=True)
    (packages / "mod_wsgi/__init__.py").write_text("import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n")
    (tmp_path / "var/app/shop/run/a").mkdir(parents=True)
    assert run(tmp_path, PYTHONPATH=str(packages), WEFT_SLOT=slot) == (0, "")
    marks = [json.loads(each.read_text()) for each in (tmp_path / "var/app/shop/run/a").iterdir()]
    assert [(mark["state"], mark["generation"]) for mark in marks] == ([("ready", 7)] if slot else [])


def test_apaches_module_tells_the_slot_by_its_group_of_processes(tmp_path):
    """Before what the environment says."""
    (tmp_path / "mod_wsgi.py").write_text('process_group = "shop-a"\n')
    (tmp_path / "var/app/shop/run/a").mkdir(parents=True)
    assert run(tmp_path, PYTHONPATH=str(tmp_path), WEFT_SLOT="b") == (0, "")
    assert len(list((tmp_path / "var/app/shop/run/a").iterdir())) == 1
