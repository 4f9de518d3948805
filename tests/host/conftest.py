import pytest

from tests.host.bench_host import HostUnderPrefix, missing


@pytest.fixture
def host():
    """A host under a prefix, set up, with nothing deployed."""
    if missing():
        pytest.skip(missing())
    made = HostUnderPrefix()
    try:
        made.ok("setup")
        yield made
    finally:
        made.close()
