"""What every server must do, on the real one: a switch under load, a broken release, the way back, a neighbour whose name begins alike,
and no trace at the end. The tests of a server come in this order, on one host, as one application's life."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.host.bench_host import PYTHON, HostUnderPrefix
from weft import durable
from weft.host import health
from weft.servers import find, parse_site
from weft.testing.load import Load

pytestmark = pytest.mark.slow
PAGES = ('if environ["PATH_INFO"] == "/slow": __import__("time").sleep(3)\n'
         '    if environ["PATH_INFO"] == "/say": print(f"said by {VERSION}", file=__import__("sys").stderr, flush=True)')
BROKEN = "import os\nif not os.environ.get('WEFT_CHECK_GENERATION'): raise KeyError('only where it is served')"


class Life(HostUnderPrefix):
    """An application's host, with a page that takes 3 s and one that writes to the log. Its limits are for a machine that is starved."""

    def __init__(self, tools, *words):
        """tools: where pip is kept with its byte code, which each application would pay for anew."""
        super().__init__(*words)
        self.tools = tools
        self.site.update(confirm=180, health={**self.site["health"], "timeout": 120})

    def first(self, version):
        if self.tools.exists():
            shutil.copytree(self.tools, self.root / "tools", symlinks=True, dirs_exist_ok=True)
        self.good(version)
        if not self.tools.exists():
            shutil.copytree(self.root / "tools", self.tools, symlinks=True)

    def good(self, version):
        code, last = self.deploy(*self.release(version, inside=PAGES))
        assert code == 0, last

    def said(self):
        return [event["text"] for event in self.call("logs", lines=1000, errors=True)[2] if event["event"] == "line" and "said by" in event["text"]]

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


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "tools"


@pytest.fixture(scope="module", params=["express", "uwsgi"])
def host(request, tools):
    here = Life(tools, request.param)
    lacks = find(request.param).missing(parse_site("shop", here.site, str(here.prefix)))
    if lacks:
        here.close()
        pytest.skip(f"{lacks[0][0]}: {lacks[0][1]}")
    try:
        here.ok("setup")
        here.first("1.0")
        yield here
    finally:
        here.close()


@pytest.fixture(scope="module")
def neighbour(host):
    """On the same server, with a name that begins like the host's application's."""
    return Life(host.tools, host.site["server"], "shop-admin", host)


def test_a_neighbour_that_comes_does_not_touch_anybody(host, neighbour):
    neighbour.ok("setup")
    until(lambda: all(len(pids) == 2 for pids in host.processes().values()))
    before = host.processes()
    neighbour.first("7.0")
    assert neighbour.version() == "7.0" and host.version() == "1.0" and host.processes() == before


def test_the_log_tells_the_applications_own_lines_and_no_others(host, neighbour):
    for each, own in (host, "said by 1.0"), (neighbour, "said by 7.0"):
        each.get("/say")
        until(each.said)
        assert [line.endswith(own) for line in each.said()] == [True], each.said()


def test_a_switch_under_load_loses_and_mixes_nothing(host, neighbour):
    """Slow requests are in flight all the time, and the neighbour's processes stay."""
    load, theirs = host.load(), neighbour.processes()
    try:
        until(lambda: load.snapshot()["versions"].get("1.0", 0) > 20)
        host.good("2.0")
        seen = load.snapshot()["versions"].get("2.0", 0)
        until(lambda: load.snapshot()["versions"].get("2.0", 0) > seen + 20)
    finally:
        report = load.stop()
    assert (report.failed, report.mixed) == (0, 0) and set(report.versions) == {"1.0", "2.0"}, report.to_text()
    assert neighbour.version() == "7.0" and neighbour.processes() == theirs


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
    by_hand(find(site.server), site)
    assert host.ok("enable")["did"] and host.version() == "1.0" and host.ok("observe")["faults"] == []


def by_hand(adapter, site):
    """What the server starts a slot by also runs alone, as the how-to says."""
    if adapter.name != "uwsgi":
        return
    slot = os.path.basename(os.readlink(f"{site.root}/live"))
    alone = subprocess.Popen(["uwsgi_python3", "--ini", adapter.vassal(site, slot)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: alone.poll() is not None or health.ask(site.doors["ab".index(slot)], site, 5).release)
        assert alone.poll() is None and health.ask(site.doors["ab".index(slot)], site, 5).release.startswith("1.0-")
    finally:
        alone.terminate()
        alone.wait()


def test_a_neighbour_that_goes_leaves_no_trace_and_touches_nobody(host, neighbour):
    theirs = {pid for found in neighbour.processes().values() for pid in found}
    neighbour.ok("undeploy", purge=True)
    until(lambda: host.version() == "1.0")
    assert neighbour.left() == []
    assert not [pid for pid in theirs if Path("/proc", str(pid)).exists()]
    until(lambda: not named("shop-admin-"))  # also nobody who would start them again


def test_no_trace_is_left(host):
    pids = {pid for found in host.processes().values() for pid in found}
    parent = int(next((host.prefix / "var/run").glob("*.pid")).read_text())
    host.ok("undeploy", purge=True)
    assert host.left() == []
    assert not [pid for pid in {parent, *pids} if os.path.exists(f"/proc/{pid}/exe")]
