import subprocess
import sys
import tempfile

import pytest

from weft.develop import rundir


@pytest.fixture
def above(tmp_path, monkeypatch):
    short = tempfile.mkdtemp()
    monkeypatch.setattr(tempfile, "tempdir", short)
    yield rundir.Path(short)
    rundir.shutil.rmtree(short)


def test_it_is_there_while_it_is_used_and_nobody_elses(above):
    with rundir.opened() as place:
        assert place.parent == above and place.stat().st_mode & 0o066 == 0
        with rundir.opened() as other:
            assert place.is_dir() and other != place  # a run that goes on is not swept
    assert list(above.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_one(above):
    code = "import os, signal\nfrom weft.develop import rundir\nwith rundir.opened() as place:\n (place / 'settings.ini').touch()\n os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], env={**rundir.os.environ, "TMPDIR": str(above)}, check=False)
    (above / "weft-develop-mine").mkdir()  # no run's: there is no lock
    (above / "weft-develop-link").symlink_to("/")
    left = {each.name for each in above.iterdir()}
    with rundir.opened() as place:
        assert len(left) == 3 and {each.name for each in above.iterdir()} == {"weft-develop-mine", "weft-develop-link", place.name}


def test_sockets_need_a_short_path(monkeypatch, tmp_path):
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with rundir.opened() as place:
        assert len(str(place)) < 40
