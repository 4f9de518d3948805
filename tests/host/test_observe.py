"""What is wrong with a host itself, and the next move for each: here what the server has of the site."""

import pytest

from tests.host.light_host import make_release, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host():
    with serving("1.0") as host:
        yield host


def test_an_entry_that_an_earlier_weft_wrote_is_told_before_a_deploy_and_set_up_renews_it(host):
    entry = host.root / "entry.wsgi"
    now = entry.read_text()
    entry.write_text(now.replace('os.environ.get("WEFT_SLOT", "")', '""'))
    assert entry.read_text() != now
    fault, = host.ok("observe")["faults"]
    assert fault["message"] == f"the site on the host is not what this weft writes for the environment: {entry}" and "setup" in fault["next"]
    release, content = make_release("1.1")
    done = host.ask("stage", release=release.to_json(), base=host.ok("observe")["state"]["live"], files=[])
    assert done["code"] == 3 and str(entry) in done["last"]["error"]["message"], done
    assert f"wrote {entry}" in host.ok("setup")["did"] and entry.read_text() == now
    assert host.ok("observe")["faults"] == []
