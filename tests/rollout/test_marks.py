"""A version that a host served and went back from is marked bad where every environment sees it."""

import dataclasses
import shutil

import pytest

from tests.rollout.test_soak import soaking  # noqa: F401
from weft.errors import FailedUndone, NeedsHands, OutcomeUnknown, Refused
from weft.index import Sealed
from weft.release import indexing, sign
from weft.rollout.hostrun import HostRun
from weft.rollout.inventory import Host
from weft.rollout.marks import blame

ILL = [{"verb": "observe"}, {"verb": "observe", "window": {"traffic": "9 of 90 requests failed after the switch"}}]


def run(status="staged", error=None, own="staged"):
    made = HostRun(Host("web1"), None, status=status, generation=2, error=error)
    made.state = {"live": 1, "generations": [{"number": 2, "status": own}, {"number": 1, "status": "good"}]}
    return made


BAD = run("failed", FailedUndone("web1: went bad\nwith more"), "bad")


@pytest.mark.parametrize("runs, why", [
    ([BAD, run(), run("reverted")], "web1: went bad"),
    ([BAD, run("switched")], ""),                                                   # one serves it
    ([BAD, run("unknown")], ""),
    ([run("failed", FailedUndone("web1: the door is shut")), run()], ""),           # it was never served there
    ([run("failed", OutcomeUnknown("web1: the connection was lost"), "bad")], ""),  # it was not the release
    ([run("failed", Refused("web1: hook"), "bad")], ""),
])
def test_a_version_is_blamed_that_a_host_itself_found_bad(runs, why):
    assert blame(runs) == why


@pytest.fixture
def indexed(yard, tmp_path, monkeypatch):
    """The fleet's store with an index, as `inv release` leaves it; put back afterwards."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    from weft.index import remembered
    from weft.stores import open_store
    place = yard.root / "store"
    shutil.copytree(place, tmp_path / "store", symlinks=True)
    store = open_store("store", yard.root)
    indexing.renew(indexing.Shelf(store, "shop", sign.Signing("", None), remembered(str(store), "shop"), 90))
    yield store
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "store", place, symlinks=True)


@pytest.mark.slow
def test_it_is_refused_from_then_on(soaking, yard, indexed):  # noqa: F811
    yard.order("web1", *ILL)
    with pytest.raises(FailedUndone) as caught:
        soaking().rollout("deploy", "1.1").run()
    assert caught.value.effect == "1.0 is served everywhere; 1.1 is marked bad in the store, --force-bad deploys it all the same"
    said = Sealed.from_bytes(indexed.index("shop")).index.versions["1.1"]
    assert said["bad"].startswith("web1: 9 of 90 requests failed") and indexed.marks("shop", "1.1")
    with pytest.raises(Refused, match="shop 1.1 is marked bad: web1: 9 of 90") as caught:
        soaking().rollout("deploy", "1.1")
    assert caught.value.hint == "--force-bad deploys it all the same"
    soaking().rollout("deploy", "2.0").run()


@pytest.mark.slow
def test_what_some_hosts_still_serve_is_not_marked(soaking, yard, indexed):  # noqa: F811
    yard.order("web3", *ILL)
    with pytest.raises(NeedsHands):
        soaking("max_fail = 1\n").rollout("deploy", "1.1").run()
    assert not indexed.marks("shop", "1.1")


@pytest.mark.slow
def test_a_store_that_takes_no_mark_is_a_warning(soaking, yard):  # noqa: F811
    def readonly(version, why):
        raise Refused("https://store.example is read-only")
    yard.order("web1", *ILL)
    rollout = soaking().rollout("deploy", "1.1")
    rollout.job = dataclasses.replace(rollout.job, mark=readonly)
    with pytest.raises(FailedUndone) as caught:
        rollout.run()
    assert 'besides: 1.1 could not be marked bad in the store: https://store.example is read-only; somebody who may can: inv yank --version 1.1 --why "..."' \
        in caught.value.message.splitlines() and caught.value.details["warnings"]
