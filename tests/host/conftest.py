import subprocess

import pytest

from tests.host.bench_host import HostUnderPrefix, missing
from weft.host import sealing


def copied(tools, place):
    subprocess.run(["cp", "-a", *map(str, tools), str(place)], check=True)


@pytest.fixture
def host(tmp_path_factory):
    """A host under a prefix, set up, with nothing deployed; but with pip, as the first such host of this process has unpacked, compiled and sealed
    it, which costs more than the rest of a small deploy."""
    if missing():
        pytest.skip(missing())
    made, toolbox = HostUnderPrefix(), tmp_path_factory.getbasetemp() / "toolbox"
    toolbox.mkdir(exist_ok=True)
    try:
        made.ok("setup")
        if ready := [*toolbox.iterdir()]:
            copied(ready, made.root / "tools")
        yield made
        if not ready and (whole := [each for each in (made.root / "tools").glob("pip-*") if sealing.drift(each) == []]):
            copied(whole, toolbox)
    finally:
        made.close()
