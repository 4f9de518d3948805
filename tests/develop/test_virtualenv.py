import json
import os
import subprocess
import sys

import pytest

from tests.develop import made
from weft.develop import checkout, virtualenv
from weft.errors import Refused, UsageError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made.make(tmp_path_factory.mktemp("project") / "a shop", setup_DOT_cfg="[metadata]\n")


def importable(interpreter):
    return subprocess.run([str(interpreter), "-c", "import shop.app; print(shop.app.__file__)"], capture_output=True, text=True, cwd="/").stdout.strip()


def filled(root, named=""):
    tree, said = checkout.read(root), []
    there = virtualenv.find(tree, str(named))
    virtualenv.fill(tree, there, said.append, lambda _text: None)
    return there, said


def test_one_is_made_with_the_project_editable_and_kept_until_something_else_is_needed(root):
    there, said = filled(root)
    assert there.path == root / ".weft/develop/venv" and said == [f"  making {there.path} with Python {there.minor}: the project, editable"]
    assert importable(there.interpreter) == str(root / "src/shop/app.py") and there.packages.is_dir()
    assert (root / ".weft/develop/.gitignore").read_text() == "*\n"
    assert filled(root)[1] == []
    (root / "setup.cfg").write_text("[metadata]\nname = shop\n")
    keep = there.path / "mine.txt"
    keep.touch()
    assert filled(root)[1] == [f"  renewing {there.path} with Python {there.minor}: the project, editable"] and keep.exists()
    (there.path / "weft-develop.json").write_text(json.dumps({"python": "/usr/bin/python2 2.7"}))
    assert filled(root)[1] and not keep.exists()  # made anew for another Python


def test_somebodys_own_is_looked_at_and_not_changed(root):
    there, _said = filled(root)
    assert filled(root, there.path)[0].named
    own = root / "own"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(own)], check=True)
    with pytest.raises(Refused, match="does not have shop as editable") as error:
        filled(root, own)
    assert error.value.hint == f"{own}/bin/python -m pip install --editable {root}"
    packages = virtualenv.find(checkout.read(root), str(own)).packages
    (packages / "shop-1.0.dist-info").mkdir()
    for url, good in ((f"file://{root.parent}", False), (root.as_uri(), True)):
        (packages / "shop-1.0.dist-info/direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}))
        (packages / "shop-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
        if good:
            filled(root, own)
        else:
            with pytest.raises(Refused):
                filled(root, own)
    assert not (own / "weft-develop.json").exists()


def test_what_is_no_virtualenv_and_no_python_is_said_before_anything_is_made(tmp_path):
    root = made.make(tmp_path / "shop")
    with pytest.raises(UsageError, match="--venv: .*/nowhere is no virtualenv"):
        virtualenv.find(checkout.read(root), str(tmp_path / "nowhere"))
    path = root / "deploy/development.toml"
    path.write_text('python = "3.99"\n' + path.read_text())
    with pytest.raises(Refused, match="/usr/bin/python3.99 does not start: .*No such file") as error:
        virtualenv.find(checkout.read(root))
    assert "deploy/development.toml" in error.value.hint and "--venv" in error.value.hint and not (root / ".weft").exists()


def test_what_cannot_be_installed_is_told_with_its_last_lines_and_tried_again(tmp_path):
    root = made.make(tmp_path / "shop", _build__backend_DOT_py="raise RuntimeError('no build today')\n")
    with pytest.raises(Refused, match="no build today") as error:
        filled(root)
    assert "nothing is served" in error.value.effect
    (root / "_build/backend.py").write_text(made.BACKEND)
    there, said = filled(root)
    assert said and importable(there.interpreter)


def test_the_versions_of_the_lock_bind_and_its_hashes_do_not(tmp_path):
    lock = "first==1.0 \\\n    --hash=sha256:" + "a" * 64 + "\nsecond==2.0 ; python_version == \"3.11\" \\\n    --hash=sha256:" + "b" * 64 + "\n"
    root = made.make(tmp_path / "shop", requirements_DOT_lock=lock)
    there, said = filled(root)
    assert (there.path / "constraints.txt").read_text() == 'first==1.0\nsecond==2.0 ; python_version == "3.11"\n' and "requirements.lock" in said[0]


def test_two_at_once_make_one(tmp_path):
    """The second waits for the first, and finds it done."""
    root = made.make(tmp_path / "shop")
    code = ("import sys\nfrom pathlib import Path\nfrom weft.develop import checkout, virtualenv\ntree = checkout.read(Path(sys.argv[1]))\n"
            "virtualenv.fill(tree, virtualenv.find(tree), print, lambda text: None)")
    both = [subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(2)]
    said = [each.communicate(timeout=300)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0] and sorted(bool(each) for each in said) == [False, True]
