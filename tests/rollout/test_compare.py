"""The canary beside the others: who is worse, by which figures, and when nobody can say."""

import io

import pytest

from weft.errors import FailedUndone
from weft.rollout import soak
from weft.rollout.compare import Figures, Tolerance, figures, told, worse
from weft.rollout.show import Plain

MANY = Tolerance(100, 1.0, 50.0)


def side(requests, errors=0, step=20):
    return Figures(requests, errors, {step: requests})


@pytest.mark.parametrize("new, old, why", [
    (side(300, 12), side(2000, 2), "12 of 300 requests (4.0 %) failed, of the others in the same time 2 of 2000 requests (0.1 %)"),
    (side(300, 3), side(2000, 0), ""),
    (side(300, 12), side(2000, 80), ""),                                  # the others fail as often
    (side(99, 99), side(2000, 0), ""),                                    # too few to say
    (side(300, 300), side(99, 0), ""),
    (side(300, step=24), side(2000, step=20), "95 of 100 requests took up to 64 ms, of the others in the same time up to 32 ms"),
    (side(300, step=22), side(2000, step=20), ""),                        # 41 % slower is borne
    (Figures(300, 0, {}), side(2000), ""),                                # a site that does not log it yet
    (Figures(300, 0, {0: 290, 40: 10}), side(300, step=0), ""),           # a twentieth may be slow
])
def test_who_is_worse(new, old, why):
    assert worse(new, old, MANY) == why


def test_several_hosts_count_together_and_a_percentile_is_of_all():
    both = figures([{"requests": 90, "errors": 1, "took": {"0": 90}}, {"requests": 10, "errors": 2, "took": {"0": 4, "40": 6}}])
    assert (both.seen.requests, both.seen.errors, both.slow) == (100, 3, 1024.0)
    assert figures([]).slow == 0.0


def test_what_is_told_where_it_is_not_worse():
    assert told(side(12), side(2000), MANY) == "too few requests to compare: 12 of the canary, 2000 of the others, 100 each are needed"
    assert told(Figures(300, 0, {}), side(300), MANY).endswith("how long they took is not logged (fab setup)")


@pytest.mark.slow
@pytest.mark.parametrize("requests, kind, served", [(300, FailedUndone, ["1.0"] * 4), (30, None, ["1.1"] * 4)])
def test_a_canary_that_is_worse_than_the_others_goes_back(quick, yard, monkeypatch, requests, kind, served):
    monkeypatch.setattr(soak, "EVERY", 5.0)
    yard.fresh("1.0")
    env, seen = quick(more='soak = 0.1\nwaves = [1, "100%"]\n[rollout.compare]\nrequests = 100\n'), io.StringIO()
    yard.order("web1", {"verb": "observe"}, {"verb": "observe"}, {"verb": "observe", "window": {"requests": requests, "errors": 20}})
    for name in ("web2", "web3", "web4"):
        yard.order(name, {"verb": "observe"}, {"verb": "observe", "window": {"requests": 700, "errors": 1}})
    rollout = env.rollout("deploy", "1.1", progress=Plain(seen))
    if kind:
        with pytest.raises(kind) as caught:
            rollout.run()
        assert caught.value.message == "web1: worse than 1.0: 20 of 300 requests (6.7 %) failed, of the others in the same time 3 of 2100 requests (0.1 %)"
    else:
        rollout.run()
        assert "too few requests to compare: 30 of the canary, 2100 of the others, 100 each are needed" in seen.getvalue()
    assert [yard.serves(name) for name in yard.hosts] == served
