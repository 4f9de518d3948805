"""A confirmation follows a login that was begun after the switch: what it goes over, and what where that login or the connection before does not bear it."""

import pytest

from weft.errors import OutcomeUnknown, Refused
from weft.rollout import hostrun
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job

FLIP = {"event": "step", "kind": "flip", "text": "switch", "state": "done"}


class Network:
    """Its connections in the order of their logins, and what was asked over which. `refuse`: logins, by number, that do not succeed."""

    def __init__(self, *refuse):
        self.refuse, self.opened, self.asked, self.dead = refuse, 0, [], set()

    def open(self, _host):
        self.opened += 1
        if self.opened in self.refuse:
            raise Refused("web1 cannot be reached")
        return Connection(self, self.opened)


class Connection:
    def __init__(self, network, number):
        self.network, self.number = network, number

    def exec(self, request, files=(), on_event=None, limit=0.0):
        if self.number in self.network.dead:
            raise OutcomeUnknown("no sign of life")
        self.network.asked.append((request["verb"], self.number, self.network.opened))
        state = {"live": 2, "generations": [{"number": 2, "version": "1.1", "status": "pending"}]}
        if request["verb"] == "activate":
            on_event(FLIP)
        return {"generation": 2, "state": state, "deadline": 60}

    def again(self):
        return self.network.open(None)

    def close(self):
        self.network.asked.append(("close", self.number, self.network.opened))


@pytest.fixture
def switched(monkeypatch):
    """switched(network, dead): a host that was staged over the first connection, after its switch; dead: connections that die after it."""
    monkeypatch.setattr(hostrun, "PAUSE", 0.0)

    def switched(network, *dead):
        job = Job("deploy", {"app": "shop", "site": {"confirm": 60, "watch": 0, "longest_request": 5, "health": {"timeout": 5}}}, network.open)
        run = HostRun(Host("web1"), job, before={"live": 1}, state={"live": 1}, generation=2, status="staged")
        proven = run._confirm
        monkeypatch.setattr(HostRun, "_confirm", lambda *words: (network.dead.update(dead), proven(*words[1:])))
        run.switch()
        return run
    return switched


def test_the_word_goes_over_the_connection_before_once_another_login_has_succeeded(switched):
    network = Network()
    run = switched(network)
    assert run.status == "switched" and network.asked == [("activate", 1, 1), ("confirm", 1, 2), ("close", 2, 2)]


def test_no_login_no_confirmation(switched):
    network = Network(2, 3, 4, 5, 6, 7, 8, 9)
    run = switched(network)
    assert run.status == "lost" and "confirm" not in [verb for verb, *_ in network.asked] and "cannot be reached" in run.error.message


def test_a_login_that_succeeds_at_a_second_try_is_what_it_goes_over(switched):
    network = Network(2)
    run = switched(network)
    assert run.status == "switched" and network.asked == [("activate", 1, 1), ("close", 1, 2), ("confirm", 3, 3)]


def test_a_connection_that_has_died_meanwhile_is_replaced(switched):
    network = Network()
    run = switched(network, 1)
    assert run.status == "switched" and network.asked == [("activate", 1, 1), ("close", 2, 2), ("close", 1, 2), ("confirm", 3, 3)]
