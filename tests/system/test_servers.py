"""The behaviour suite on a whole host: the system's Apache with mod_wsgi, as root, with an account for each application."""

import json
import re
import sysconfig
from pathlib import Path

import pytest

from tests.system.hosts import Fleet, missing
from weft.testing.private_host import PYTHON, pip_wheel
from weft.testing.server_behaviour import PROMISES
from weft.testing.server_life import record

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]


def test_the_systems_apache_keeps_every_promise(tmp_path):
    pip_wheel(tmp_path)
    shown = {"/mnt/pip": tmp_path, "/mnt/repository": ROOT, "/mnt/packages": sysconfig.get_path("purelib")}
    with Fleet(1, shared=shown) as fleet:
        host = fleet.hosts[0]
        done = host.run(["env", "-C", "/mnt/repository", "WEFT_WHOLE_HOST=/mnt/pip", "WEFT_SERVERS_RECORD=/srv/seen.json", "PYTHONDONTWRITEBYTECODE=1",
                         "PYTHONPATH=/mnt/repository/src:/mnt/repository:/mnt/packages", PYTHON, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                         "tests/system/whole_host.py"], check=False, timeout=900)
        assert done.returncode == 0 and re.search(r"\b10 passed", done.stdout), done.stdout + done.stderr
        seen = json.loads(host.read("/srv/seen.json"))["mod_wsgi"]
    assert set(seen) == set(PROMISES)
    for promise, said in seen.items():
        record("mod_wsgi", promise, said)
