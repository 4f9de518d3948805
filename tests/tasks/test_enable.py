"""`fab enable` and `fab disable` as an operator types them."""

import json

import pytest

from tests.tasks.test_deploy import fab, fleet, started  # noqa: F401

pytestmark = pytest.mark.slow


def test_a_site_is_taken_out_of_its_server_and_brought_back(fab, fleet):  # noqa: F811
    done = fab("disable", "--limit", "web1")
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, ["web1: disabled", "  disabled /etc/shop.link"]), done.stderr
    done = fab("enable", "--json")
    said = json.loads(done.stdout)
    assert (said["code"], said["hosts"]) == (0, {"web1": {"did": ["enabled /etc/shop.link"]}, "web2": {"did": []}}), done.stderr
    fleet.order("web2", {"verb": "disable", "error": {"error": "refused", "message": "the server express has no link that enables a site"}})
    done = fab("disable")
    assert done.returncode == 5 and "on some hosts it was done: web1" in done.stderr
