"""The machine's clock is set by days and years in the middle of everything: a trial counts by the boot's clock, which nobody can set."""

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from tests.host.light_host import LightHost, make_release
from tests.signers import Publisher, make_key
from weft.values import when

pytestmark = pytest.mark.slow
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
TEN_YEARS = 3653
YEAR = time.gmtime().tm_year


class Clock:
    """What the host's engine takes for the time of day; only that: the boot's clock is the kernel's."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.set(0)
        self.environment = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    def set(self, days):
        self.path.write_text(f"{days:+d}d")


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    if LIBRARY is None:
        pytest.skip("there is no clock to set: apt-get install libfaketime")
    clock = Clock(tmp_path_factory.mktemp("clock"))
    host = LightHost(clock.environment)
    host.clock = clock
    try:
        host.ok("setup")
        for number in ("0.9", "1.0"):
            host.deploy(*make_release(number))
        host.keep("serves 1.0")
        yield host
    finally:
        host.close()


@pytest.fixture
def host(light):
    """It serves 1.0, with 0.9 before it."""
    light.clock.set(0)
    light.restore("serves 1.0")
    return light


def version(host):
    return host.get()[1]["version"]


def try_out(host, number="1.1"):
    """A release on trial; its generation."""
    staged = host.stage(*make_release(number))["last"]["result"]
    host.ok("activate", generation=staged["generation"], base=staged["state"]["live"])
    assert version(host) == number
    return staged["generation"]


def lines(host, name):
    return [json.loads(line) for line in (host.state / name).read_text().splitlines()]


@pytest.mark.parametrize("days", [-1, TEN_YEARS, -TEN_YEARS])
def test_a_trial_lasts_as_long_as_it_was_given_whatever_the_clock_says(host, days):
    number = try_out(host)
    host.clock.set(days)
    assert host.recover()["last"] == {"code": 0, "recovered": ["shop"], "busy": {}, "failed": {}}
    assert version(host) == "1.1", "it was ended by the clock"
    done = host.ask("rollback", to="", base=number)
    assert done["code"] == 3 and done["last"]["error"]["message"].startswith(f"generation {number} is on trial"), done
    left = int(done["last"]["error"]["next"].split()[1])
    assert 500 < left <= 600, "what is left of ten minutes"
    assert host.recover(ahead=700)["code"] == 0
    assert version(host) == "1.0", "it was kept alive by the clock"
    done = host.ask("confirm", generation=number)
    assert (done["code"], done["last"]["error"]["effect"]) == (4, "1.0 (generation 2) is served")
    assert host.records()[number]["note"] == "was not confirmed in time"
    host.deploy(*make_release("1.2"))
    assert version(host) == "1.2" and host.faults() == []


@pytest.mark.parametrize("days", [TEN_YEARS, -TEN_YEARS])
def test_a_trial_is_confirmed_on_another_day(host, days):
    number = try_out(host)
    host.clock.set(days)
    host.ok("confirm", generation=number)
    host.clock.set(0)
    assert host.recover(ahead=700)["code"] == 0
    assert version(host) == "1.1" and host.records()[number]["status"] == "good" and host.faults() == []


def test_who_holds_the_lock_is_told_with_the_time_that_the_host_had(host):
    host.clock.set(TEN_YEARS)
    host.ok("observe", release=None)
    said = json.loads((host.state / "lock").read_text())
    assert int(said["since"][:4]) in (YEAR + 10, YEAR + 11)
    host.clock.set(0)
    (host.state / "lock").write_text(json.dumps({**said, "pid": os.getpid()}))  # as if it ran still: the note of a holder that has ended is not told
    with open(host.state / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = host.ask("revert", generation=2)
    assert done["code"] == 3, done
    assert done["last"]["error"]["message"] == f"locked by sweep@here (observe) since {when(said['since'])}", "a note is no lease: it waits, whatever the date"
    assert version(host) == "1.0"


def test_history_and_records_go_in_the_order_in_which_things_were_done(host):
    host.clock.set(-TEN_YEARS)
    host.deploy(*make_release("1.1"))
    host.clock.set(TEN_YEARS)
    host.deploy(*make_release("1.2"))
    host.clock.set(0)
    assert [each["version"] for each in lines(host, "history.jsonl") if each["event"] == "confirm"] == ["0.9", "1.0", "1.1", "1.2"]
    years = [int(host.records()[number]["at"][:4]) for number in (2, 3, 4)]
    assert years[1] < years[0] < years[2]
    host.ok("rollback", to="", base=4)
    assert version(host) == "1.1", "the one before is what was served before, not what is dated before"


def test_what_is_kept_is_decided_by_order_and_not_by_date(host):
    """Twelve releases, the later half dated ten years before the first: the newest five stay, the five before them in the cache."""
    for number in range(1, 13):
        host.clock.set(-TEN_YEARS if number > 5 else 0)
        host.deploy(*make_release(f"1.{number}"))
    installed = {p.name.split("-")[0] for p in (host.root / "releases").iterdir()} - {"placeholder"}
    assert installed == {f"1.{number}" for number in range(8, 13)}
    kept = {p.name.split("-")[0] for p in (host.state / "manifests").iterdir()}
    assert kept == {f"1.{number}" for number in range(3, 13)}
    seen = host.ok("observe", rollback={"to": "1.7"})
    assert (seen["from"], seen["faults"]) == ("cache", [])


@pytest.mark.parametrize("days", [TEN_YEARS, -TEN_YEARS])
def test_an_index_is_too_old_only_while_the_clock_is_wrong(host, tmp_path, days):
    anna = make_key(tmp_path)
    publisher = Publisher(anna)
    release, content = make_release("1.1")
    publisher.publish(release)
    words = publisher.words(release)
    host.ok("setup", allowed_signers=anna.allowed(), revoked_signers="")
    host.clock.set(days)
    seen = host.ok("observe", **words)
    said = [each["message"] for each in seen["faults"]]
    if days < 0:
        assert said == [], "a clock that is late makes nothing older"
    else:
        assert len(said) == 1 and "index" in said[0] and "expired" in said[0], said
        done = host.ask("stage", [], **words, base=2, files=[])
        assert done["code"] == 3 and done["last"]["error"]["effect"] == "nothing changed; 1.0 (generation 2) is served", done
    host.clock.set(0)
    seen = host.ok("observe", **words)
    assert seen["faults"] == []
    done = host.ask("stage", [content[d] for d in seen["missing"]], **words, base=2, files=[{"sha256": d, "size": len(content[d])} for d in seen["missing"]])
    assert done["code"] == 0, done
    host.ok("activate", generation=done["last"]["result"]["generation"], base=2)
    assert version(host) == "1.1"
