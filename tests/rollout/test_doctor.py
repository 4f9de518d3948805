"""What a host's answer comes to, and the commands that are shown for it."""

import pytest

from weft import __version__
from weft.errors import Refused
from weft.rollout import doctor
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host

GOOD = {"set_up": True, "engine": __version__, "python": "3.11", "disk_free": 5 << 30, "live": 1, "answers": {"status": 200, "release": "1.0-a", "version": "1.0"},
        "generations": [{"number": 1, "version": "1.0", "release": "1.0-a", "status": "good"}]}


def checks(error=None, faults=(), **state):
    run = HostRun(Host("web1", "10.0.0.1"), None)
    run.state, run.faults, run.error = {**GOOD, **state}, list(faults), error
    return [(each.result, each.what, each.next) for each in doctor.host(run, " --env live")]


def test_a_host_that_is_well():
    assert checks() == [("ok", "set up, Python 3.11", ""), ("ok", "serves 1.0", "")]
    assert checks(server="uWSGI 2.0.21-debian, plugins python311 in /usr/lib/uwsgi/plugins")[0] == (
        "ok", "set up, Python 3.11, uWSGI 2.0.21-debian, plugins python311 in /usr/lib/uwsgi/plugins", "")


@pytest.mark.parametrize("words, expected", [
    ({"error": Refused("web1: sudo does not let deploy run the engine", "fab setup --as root")},
     ("fail", "sudo does not let deploy run the engine", "fab setup --as root --limit web1 --env live")),
    ({"set_up": False, "faults": [{"message": "shop has not been set up here", "next": "run `fab setup --as root` for this host"}]},
     ("fail", "shop has not been set up here", "fab setup --as root --limit web1 --env live")),
    ({"set_up": False}, ("fail", "it has not been set up", "fab setup --as root --limit web1 --env live")),
    ({"faults": [{"message": "the server does not run", "next": "start it: apache2ctl start"}]}, ("fail", "the server does not run", "start it: apache2ctl start")),
    ({"engine": "0.0.1"}, ("warn", f"its engine is weft 0.0.1, here is {__version__}", "fab setup --as root --limit web1 --env live")),
    ({"disk_free": 5 << 20}, ("warn", "5 MiB are free on its disk", "ssh 10.0.0.1 df -h /var/app")),
    ({"answers": {"status": 502, "version": ""}}, ("fail", "1.0 is live, but what answers is 502", "fab logs --errors --limit web1 --env live")),
    ({"generations": [{**GOOD["generations"][0], "status": "pending"}]},
     ("warn", "1.0 is on trial: it goes back by itself unless it is confirmed", "fab status --env live")),
])
def test_what_is_wrong_has_the_command_that_mends_it(words, expected):
    assert expected in checks(**words)


def test_only_what_fails_refuses():
    doctor.judge([doctor.Check("here", "warn", "x", "y"), doctor.Check("web1", "ok", "z")], {})
    with pytest.raises(Refused) as error:
        doctor.judge([doctor.Check("web1", "fail", "x", "do this"), doctor.Check("web2", "fail", "x", "do this"), doctor.Check("web2", "ok", "z")], {"a": 1})
    assert (error.value.message, error.value.hint, error.value.details) == ("2 of 3 checks fail", "do this", {"a": 1})
