"""`fab report` as an operator types it."""

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


def test_the_last_rollout_is_a_page(fab, fleet):  # noqa: F811
    fab.env["XDG_STATE_HOME"] = str(fleet.root / "state")
    done = fab("report")
    assert done.returncode == 3 and "no rollout of shop to production was recorded here" in done.stderr
    assert fab("plan", "--version", "1.1").returncode == 0 and fab("report").returncode == 3, "a plan is no rollout"
    fleet.order("web2", {"verb": "activate", "error": {"error": "failed-undone", "message": "status 500", "details": ["Traceback", "KeyError: 'sku'"]}})
    assert fab("deploy", "--version", "1.1").returncode == 4
    done = fab("report", "--to", "page.html")
    assert (done.returncode, done.stdout) == (0, "page.html: deploy 1.1\n"), done.stderr
    text = (fleet.root / "page.html").read_text()
    assert "KeyError: &#x27;sku&#x27;" in text and "ended with 4" in text and "wave 2 of 2" in text
    (fleet.root / "page.html").write_text("mine")
    assert fab("report", "--to", "page.html").returncode == 3
