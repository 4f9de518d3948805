"""One release at a time, and nobody has to clean up."""

import subprocess
import sys

import pytest

from weft.errors import Refused
from weft.release import lockfile


def test_held_once(tmp_path):
    with lockfile.held(tmp_path / "weft"):
        with pytest.raises(Refused, match=r"^another release of this repository is running: \S+@\S+, process \d+, since 2.* UTC$"):
            with lockfile.held(tmp_path / "weft"):
                pass
    with lockfile.held(tmp_path / "weft"):
        pass


def test_the_kernel_frees_it(tmp_path):
    text = "import sys, os, pathlib; from weft.release import lockfile\nwith lockfile.held(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    import os
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", text, str(tmp_path)], env=env).returncode == -9
    with lockfile.held(tmp_path):
        pass


def test_a_lock_file_without_words(tmp_path, monkeypatch):
    """Whoever holds it will say so in a moment, or is dead: it is waited for."""
    import fcntl
    monkeypatch.setattr(lockfile, "_PATIENCE", 0.2)
    with open(tmp_path / "lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="it has just begun$"):
            with lockfile.held(tmp_path):
                pass
