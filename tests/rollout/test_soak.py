"""A wave must stay good while it soaks: what turns a host bad, and what becomes of it then."""

import dataclasses
import io
import os
import signal
import threading

import pytest

from tests.host.conftest import host  # noqa: F401
from weft.errors import FailedUndone, Interrupted, NeedsHands, OutcomeUnknown, Refused, UsageError, from_json
from weft.rollout import hostrun, soak
from weft.rollout.budget import Policy
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.job import Job
from weft.rollout.run import Rollout
from weft.rollout.show import Plain, Silent
from weft.rollout.soak import Watched

GOOD = {"health": "", "traffic": "", "requests": 0, "errors": 0, "took": {}}
SLOW = pytest.mark.slow


def said(live=7, **more):
    return {"state": {"live": live, "set_up": True, "generations": [{"number": live, "version": "1.0", "release": "1.0-aa"}]}, "window": {**GOOD, **more}}


@pytest.mark.parametrize("looks, bad", [
    ([said()] * 3, ""),
    ([said(health="status 502: ")], ""),
    ([said(health="status 502: ")] * 2, "status 502: "),
    ([said(health="status 502: "), said(), said(health="status 502: ")], ""),
    ([OutcomeUnknown("no sign of life")] * 2, "could not be looked at: no sign of life"),
    ([OutcomeUnknown("no sign of life"), said()], ""),
    ([said(traffic="9 of 90 requests failed")], "9 of 90 requests failed"),
    ([said(live=6)], "1.0 (generation 6) is served, which this rollout did not bring"),
])
def test_what_turns_a_host_bad(looks, bad):
    watched = Watched()
    assert [watched.heard(7, each) for each in looks][-1] == bad


@pytest.fixture
def soaking(quick, yard, monkeypatch):
    """soaking(more): an environment whose waves soak for a moment; all hosts serve 1.0."""
    monkeypatch.setattr(soak, "EVERY", 0.05)
    monkeypatch.setattr(hostrun, "PAUSE", 0.05)
    monkeypatch.setattr(hostrun, "GRACE", 0.5)
    yard.fresh("1.0")
    return lambda more="", limit="": quick(limit, f'soak = 0.1\nwaves = [1, "100%"]\n{more}')


def serving(yard):
    return [yard.serves(name) for name in yard.hosts]


@SLOW
def test_a_wave_is_looked_at_before_the_next_and_after_the_last(soaking, yard):
    class Locked(Plain):
        def phase(self, text):
            super().phase(text)
            released.append((text, rollout.job.lock.released))
    seen, released = io.StringIO(), []
    rollout = soaking(limit="web1,web2").rollout("deploy", "1.1", progress=Locked(seen))
    rollout.run()
    assert serving(yard) == ["1.1", "1.1", "1.0", "1.0"] and [each for each in released if each[0].startswith("watching")] == [
        ("watching web1 for 0.1 s", False), ("watching web2 for 0.1 s", False)]
    verbs = {name: [verb for verb, *_ in yard.log(name)] for name in ("web1", "web2")}
    assert all(said[said.index("confirm") + 1] == "observe" for said in verbs.values())
    look = [end for verb, _, end in yard.log("web1") if verb == "observe"][1]
    assert look <= min(begin for verb, begin, _ in yard.log("web2") if verb == "activate")
    assert all(said[-2:] == ["observe", "confirm"] and "lock" not in said for said in verbs.values()), "confirmed for good, and released, after the last"


@SLOW
def test_a_canary_that_turns_bad_is_taken_back(soaking, yard):
    yard.order("web1", {"verb": "observe"}, {"verb": "observe", "window": {"traffic": "9 of 90 requests (10.0 %) failed after the switch"}})
    rollout = soaking('on_failure = "halt"').rollout("deploy", "1.1")
    with pytest.raises(FailedUndone) as caught:
        rollout.run()
    assert caught.value.message.startswith("web1: 9 of 90 requests (10.0 %) failed after the switch (") and caught.value.effect == "1.0 is served everywhere"
    assert [run.status for run in rollout.runs] == ["failed", "staged", "staged", "staged"] and serving(yard) == ["1.0"] * 4


@SLOW
@pytest.mark.parametrize("budget, kind, served", [("0", FailedUndone, ["1.0"] * 4), ("1", NeedsHands, ["1.1", "1.1", "1.0", "1.1"])])
def test_one_of_the_last_wave_that_turns_bad_counts_on_the_budget(soaking, yard, budget, kind, served):
    yard.order("web3", {"verb": "observe"}, *[{"verb": "observe", "window": {"health": "status 502: gone"}}] * 2)
    with pytest.raises(kind, match=r"web3: status 502: gone \("):
        soaking(f"max_fail = {budget}").rollout("deploy", "1.1").run()
    assert serving(yard) == served


@SLOW
def test_a_rollback_does_not_soak(soaking, yard):
    soaking().rollout("deploy", "1.1").run()
    seen = io.StringIO()
    soaking().rollout("rollback", progress=Plain(seen)).run()
    assert serving(yard) == ["1.0"] * 4 and "watching" not in seen.getvalue()


@SLOW
def test_ctrl_c_ends_the_soak_and_says_how_to_go_on(soaking, yard):
    class Press(Plain):
        def phase(self, text):
            super().phase(text)
            if text.startswith("watching"):
                threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT), daemon=True).start()
    env = soaking()
    env.env = dataclasses.replace(env.env, policy=dataclasses.replace(env.env.policy, soak=60.0))
    with pytest.raises(Interrupted) as caught:
        env.rollout("deploy", "1.1", progress=Press(io.StringIO())).run()
    assert caught.value.hint == "to go on: fab deploy --version 1.1; to go back: fab rollback --limit web1" and serving(yard) == ["1.1", "1.0", "1.0", "1.0"]


@pytest.mark.parametrize("watched", [True, False])
def test_an_engine_that_knows_no_window_says_so_before_anything_changes(watched):
    class Old:
        def exec(self, request, *_):
            raise Refused("observe does not know: window" if "window" in request else "another thing", "fab setup")
    run = HostRun(Host("web1"), Job("deploy", {}, lambda host: Old(), watched=watched))
    run.observe()
    assert ("window" in run.error.message) == watched


def test_a_comparison_without_a_soak_has_no_sense(quick):
    with pytest.raises(UsageError, match="rollout.soak is 0"):
        quick(more="[rollout.compare]\nrequests = 10\n")


class Goods:
    """A release for one host, as a Payload would bring it."""

    def __init__(self, release, content):
        self.release, self.content = release, content

    def wish(self):
        return {"release": self.release.to_json()}

    def announce(self, missing):
        return [{"sha256": digest, "size": len(self.content[digest])} for digest in missing]

    def streams(self, missing):
        return [io.BytesIO(self.content[digest]) for digest in missing]

    def verify(self):
        pass

    def lacking(self, missing):
        return []


@SLOW
def test_a_real_host_that_turns_bad_after_its_confirmation_goes_back(host, monkeypatch):  # noqa: F811
    class Sicken(Silent):
        def phase(self, text):
            if text.startswith("watching"):
                (host.prefix / "sick").touch()

    class Reached:
        def exec(self, request, files=(), on_event=None, limit=0.0):
            code, last, _events = host.call(request.pop("verb"), [file.read() for file in files], **request)
            if code:
                raise from_json(last["error"])
            return last["result"]

        def close(self):
            pass
    monkeypatch.setattr(soak, "EVERY", 0.2)
    assert host.deploy(*host.release("1.0"))[0] == 0
    goods = Goods(*host.release("1.1", inside=f'if os.path.exists("{host.prefix}/sick"): raise RuntimeError("sick")'))
    job = Job("deploy", {"app": "shop", "by": "tester@here", "site": host.site}, lambda _: Reached(), goods, watched=True)
    with pytest.raises(FailedUndone, match=r"web1: (status 500|GET /|\d+ of \d+ requests).* \(\d+ s after the wave\)") as caught:
        Rollout([Host("web1")], job, Policy(("1",), soak=30.0), Sicken()).run()
    assert caught.value.effect == "1.0 is served on web1" and host.version() == "1.0"
