"""What every server must do, on the real one: a switch under load, a broken release, the way back, a neighbour whose name begins alike,
and no trace at the end. The tests of a server come in this order, on one host, as one application's life."""

import contextlib
import http.client
import json
import os
import time
from pathlib import Path

import pytest

from tests.host.bench_host import PYTHON, HostUnderPrefix
from weft import durable
from weft.servers import find, parse_site
from weft.testing.load import Load

pytestmark = pytest.mark.slow
SLOW = 'if environ["PATH_INFO"] == "/slow": __import__("time").sleep(3)'
BROKEN = "import os\nif not os.environ.get('WEFT_CHECK_GENERATION'): raise KeyError('only where it is served')"


class Life(HostUnderPrefix):
    """An application's host, with a page that takes 3 s. Its limits are for a machine that is starved."""

    def __init__(self, *words):
        super().__init__(*words)
        self.site.update(confirm=180, health={**self.site["health"], "timeout": 120})

    def good(self, version):
        code, last = self.deploy(*self.release(version, inside=SLOW))
        assert code == 0, last

    def load(self):
        """With bodies that the application does not read."""
        return Load(f"http://127.0.0.1:{self.port}/", clients=4, seconds=300, rate=60, host_header="shop.test", slow=[("/slow", 2)],
                    post=("/", 100_000), version_json="version").start()

    def processes(self):
        """Marked pids by slot that are alive."""
        return {slot: {int(p.name) for p in (self.root / "run" / slot).iterdir() if p.name.isdigit() and Path("/proc", p.name).exists()} for slot in "ab"}

    def left(self):
        """What is named like the application below the prefix, but what the test itself made and what remembers the newest index."""
        found = [p for p in self.prefix.rglob("*") if self.files not in (p, *p.parents) and (p.name == self.app or p.name.startswith((f"{self.app}.", f"{self.app}-")))]
        return sorted(str(p) for p in found if p.parent != self.prefix / "var/lib/weft")


def named(word):
    """Pids of the processes that have it in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [place.parent.name] if word.encode() in place.read_bytes() else []
    return found


def until(condition, seconds=180):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.fixture(scope="module", params=["express", "uwsgi"])
def host(request):
    here = Life(request.param)
    lacks = find(request.param).missing(parse_site("shop", here.site, str(here.prefix)))
    if lacks:
        here.close()
        pytest.skip(f"{lacks[0][0]}: {lacks[0][1]}")
    try:
        here.ok("setup")
        here.good("1.0")
        yield here
    finally:
        here.close()


def test_a_switch_under_load_loses_and_mixes_nothing(host):
    """Slow requests are in flight all the time."""
    load = host.load()
    try:
        until(lambda: load.snapshot()["versions"].get("1.0", 0) > 20)
        host.good("2.0")
        seen = load.snapshot()["versions"].get("2.0", 0)
        until(lambda: load.snapshot()["versions"].get("2.0", 0) > seen + 20)
    finally:
        report = load.stop()
    assert (report.failed, report.mixed) == (0, 0) and set(report.versions) == {"1.0", "2.0"}, report.to_text()


def test_a_connection_that_is_kept_follows_the_one_rename_at_once(host):
    kept = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)

    def ask():
        kept.request("GET", "/", headers={"Host": "shop.test"})
        return json.loads(kept.getresponse().read())["version"]

    live, seen = os.readlink(host.root / "live"), [ask()]
    socket = kept.sock
    for target in ("slots/a" if live == "slots/b" else "slots/b", live):
        durable.link(host.root / "live", target)
        seen.append(ask())
    assert seen == ["2.0", "1.0", "2.0"] and kept.sock is socket
    kept.close()


def test_nobody_sees_a_broken_release(host):
    load = host.load()
    try:
        until(lambda: load.snapshot()["ok"] > 10)
        code, last = host.deploy(*host.release("2.1", top=BROKEN))
    finally:
        report = load.stop()
    assert code == 4 and last["error"]["details"][-1] == "KeyError: 'only where it is served'" and "2.0" in last["error"]["effect"], last
    assert (report.failed, report.mixed) == (0, 0) and set(report.versions) == {"2.0"}, report.to_text()


def test_a_rollback_to_what_is_older(host):
    """Its files are older than those of the broken one that the slot holds, and the server must not go by that."""
    code, last, _ = host.call("rollback", to="1.0", base=host.ok("observe")["state"]["live"])
    assert code == 0, last
    host.ok("confirm", generation=last["result"]["generation"])
    assert host.version() == "1.0"


def test_the_links_take_the_site_out_and_bring_it_back(host):
    site = parse_site("shop", host.site, str(host.prefix))
    if not find(site.server).links(site):
        code, last, _ = host.call("disable")
        assert code == 3 and "no link that enables" in last["error"]["message"] and host.version() == "1.0"
        return
    assert [each for each in host.ok("disable")["did"] if "vassals/shop-front.ini" in each] and host.ok("disable")["did"] == []
    with pytest.raises(OSError):
        host.get()
    assert [(each["message"].partition(":")[0], each["next"]) for each in host.ok("observe")["faults"]] == [("the site is disabled on this host", "fab enable")]
    assert host.ok("enable")["did"] and host.version() == "1.0" and host.ok("observe")["faults"] == []


def test_a_neighbour_whose_name_begins_alike_is_not_touched(host):
    other = Life(host.site["server"], "shop-admin", host)
    other.ok("setup")
    until(lambda: all(len(pids) == 2 for pids in host.processes().values()))
    before = host.processes()
    other.good("7.0")
    assert other.version() == "7.0" and host.version() == "1.0" and host.processes() == before
    mine = other.processes()
    host.good("3.0")
    assert other.version() == "7.0" and host.version() == "3.0" and other.processes() == mine
    other.ok("undeploy", purge=True)
    until(lambda: host.version() == "3.0")
    assert other.left() == []
    assert not [pid for pids in mine.values() for pid in pids if Path("/proc", str(pid)).exists()]
    until(lambda: not named("shop-admin-"))  # also nobody who would start them again


def test_no_trace_is_left(host):
    pids = {pid for found in host.processes().values() for pid in found}
    parent = int(next((host.prefix / "var/run").glob("*.pid")).read_text())
    host.ok("undeploy", purge=True)
    assert host.left() == []
    assert not [pid for pid in {parent, *pids} if os.path.exists(f"/proc/{pid}/exe")]
