"""What a server promises, on the real one, as tests that anybody's adapter can run: subclass `ServerBehaviour`, give it the adapter.

    class TestMyServer(ServerBehaviour):
        server = weft_myserver.server

        @classmethod
        def prepare(cls, prefix):
            ...                              # what the adapter looks for below the prefix, such as a virtualenv with the server

The tests come in this order, on one host under a prefix, as one application's life. Each is a promise; what was seen is added to the file that
WEFT_SERVERS_RECORD names, and docs/reference/servers.md is made of that.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Iterator

import pytest

from weft import adapters, durable
from weft.host import health
from weft.servers import Server, Site, parse_site
from weft.testing.load import Load
from weft.testing.load_report import Report
from weft.testing.server_life import BROKEN, Life, named, record, until

PROMISES = {
    "neighbour": "an application whose name begins alike comes, and no process of the others is touched",
    "log": "`fab logs` tells the application's own lines and no others'",
    "switch": "a switch under load, slow requests in flight",
    "kept": "a connection that is kept follows the one rename with its next request",
    "broken": "a release that does not start is seen by nobody",
    "rollback": "the way back, under load, to files that are older than those in the slot",
    "version": "who asks on the host itself is told the release, nobody else",
    "disable": "`fab disable` and `fab enable`",
    "trace": "removed: no file, no process, and nobody who would start one",
}


class ServerBehaviour:
    """What every server promises users, operators and its other applications."""

    cannot: ClassVar[dict[str, str]] = {}
    """Promises that this server does not make: why not."""

    server: ClassVar[Server]
    life: ClassVar[type[Life]] = Life

    @classmethod
    def prepare(cls, prefix: Path) -> None:
        """Put below the prefix what the adapter looks for there."""

    @pytest.fixture(scope="class")
    @classmethod
    def host(cls, tmp_path_factory: Any) -> Iterator[Life]:
        here = cls.life(tmp_path_factory.getbasetemp() / "kept-tools", cls.server.name)
        try:
            cls.prepare(here.prefix)
            lacks = cls.server.missing(site_of(here))
            if lacks:
                pytest.skip(f"{lacks[0][0]}: {lacks[0][1]}")
            here.ok("setup")
            here.first("1.0")
            yield here
        finally:
            here.close()

    @pytest.fixture(scope="class")
    @classmethod
    def neighbour(cls, host: Life) -> Life:
        """On the same server, with a name that begins like the host's application's."""
        return cls.life(host.tools, host.site["server"], "shop-admin", host)

    @pytest.fixture
    def note(self, request: Any, host: Life) -> Any:
        """Called with what was seen of a promise."""
        return lambda promise, **said: record(host.site["server"], promise, {**said, **({"cannot": self.cannot[promise]} if promise in self.cannot else {})})

    def test_a_neighbour_that_comes_does_not_touch_anybody(self, host, neighbour, note):
        neighbour.ok("setup")
        until(lambda: all(len(pids) == 2 for pids in host.processes().values()))
        before = host.processes()
        neighbour.first("7.0")
        assert neighbour.version() == "7.0" and host.version() == "1.0"
        assert host.processes() == before, (host.processes(), before)
        note("neighbour", processes=sum(map(len, before.values())), ended=0)

    def test_the_log_tells_the_applications_own_lines_and_no_others(self, host, neighbour, note):
        if "log" not in self.cannot:
            for each, own in (host, "said by 1.0"), (neighbour, "said by 7.0"):
                each.get("/say")
                until(each.said)
                assert [line.endswith(own) for line in each.said()] == [True], each.said()
        note("log")

    def test_a_switch_under_load_loses_and_mixes_nothing(self, host, neighbour, note):
        """Slow requests are in flight all the time, and the neighbour's processes stay."""
        load, theirs = host.load(), neighbour.processes()
        try:
            answered(load, "1.0")
            took = host.good("2.0")
            answered(load, "2.0")
        finally:
            report = load.stop()
        clean(report, {"1.0", "2.0"})
        assert neighbour.version() == "7.0" and neighbour.processes() == theirs
        note("switch", switch_ms=took, **figures(report))

    def test_a_connection_that_is_kept_follows_the_one_rename_at_once(self, host, note):
        kept = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)

        def ask() -> Any:
            kept.request("GET", "/", headers={"Host": "shop.test"})
            return json.loads(kept.getresponse().read())["version"]

        live, seen = os.readlink(host.root / "live"), [ask()]
        socket = kept.sock
        for target in ("slots/a" if live == "slots/b" else "slots/b", live):
            durable.link(host.root / "live", target)
            seen.append(ask())
        assert seen == ["2.0", "1.0", "2.0"], seen
        assert kept.sock is socket, "the server has closed the connection"
        kept.close()
        note("kept", flips=2, connections=1)

    def test_nobody_sees_a_broken_release(self, host, note):
        load = host.load()
        try:
            until(lambda: load.snapshot()["ok"] > 10)
            code, last = host.deploy(*host.release("2.1", top=BROKEN))
        finally:
            report = load.stop()
        assert code == 4, last
        assert last["error"]["details"][-1] == "KeyError: 'only where it is served'" and "2.0" in last["error"]["effect"], last
        clean(report, {"2.0"})
        note("broken", code=code, **figures(report))

    def test_a_rollback_to_what_is_older(self, host, note):
        """Its files are older than those of the broken one that the slot holds, and the server must not go by that."""
        load = host.load()
        try:
            answered(load, "2.0")
            code, last, _ = host.call("rollback", to="1.0", base=host.ok("observe")["state"]["live"])
            assert code == 0, last
            host.ok("confirm", generation=last["result"]["generation"])
            answered(load, "1.0")
        finally:
            report = load.stop()
        clean(report, {"2.0", "1.0"})
        assert host.version() == "1.0"
        note("rollback", switch_ms=last["result"]["switch_ms"], **figures(report))

    def test_the_release_is_told_on_the_host_itself_only(self, host, note):
        site, outside = site_of(host), own_address()
        doors = [health.ask(port, site, 10).release for port in (host.port, *site.doors)]
        assert doors[0].startswith("1.0-") and set(map(bool, doors)) == {True}, doors
        if outside:  # a machine has an address of its own, but for one without a network
            asked = http.client.HTTPConnection(outside, host.port, timeout=30)
            asked.request("GET", "/", headers={"Host": "shop.test", "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"})
            answer = asked.getresponse()
            assert answer.status == 200 and answer.getheader(health.HEADER) is None, "the release is told to others, too"
            asked.close()
        note("version", doors=2)

    def test_the_links_take_the_site_out_and_bring_it_back(self, host, note):
        links = self.server.links(site_of(host))
        if not links:
            code, last, _ = host.call("disable")
            assert code == 3 and "no link that enables" in last["error"]["message"] and host.version() == "1.0", last
            return note("disable", links=0)
        assert host.ok("disable")["did"] and host.ok("disable")["did"] == []
        with pytest.raises(OSError):
            host.get()
        assert [(each["message"].partition(":")[0], each["next"]) for each in host.ok("observe")["faults"]] == [("the site is disabled on this host", "fab enable")]
        self.while_disabled(host)
        began = time.monotonic()
        assert host.ok("enable")["did"] and host.version() == "1.0" and host.ok("observe")["faults"] == []
        return note("disable", links=len(links), enabled_s=round(time.monotonic() - began, 1))

    def while_disabled(self, host: Life) -> None:
        """What else this server lets one do then."""

    def test_a_neighbour_that_goes_leaves_no_trace_and_touches_nobody(self, host, neighbour):
        theirs = {pid for found in neighbour.processes().values() for pid in found}
        neighbour.ok("undeploy", purge=True)
        until(lambda: host.version() == "1.0")
        assert neighbour.left() == [], neighbour.left()
        until(lambda: not [pid for pid in theirs if os.path.exists(f"/proc/{pid}/exe")])
        until(lambda: not named("shop-admin-"))  # also nobody who would start them again

    def test_no_trace_is_left(self, host, note):
        pids = {pid for found in host.processes().values() for pid in found}
        if site_of(host).prefix:  # the system's own serves others, too, and runs on
            pids.add(int(Path(self.server.pidfile(site_of(host))).read_text()))
        host.ok("undeploy", purge=True)
        assert host.left() == [], host.left()
        until(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")])
        note("trace", files=0, processes=0)


def site_of(host: Life) -> Site:
    """Of any server: that of another package is known to the engine, not to this process."""
    return replace(parse_site(host.app, {**host.site, "server": adapters.known()[0]}, str(host.prefix).rstrip("/")), server=host.site["server"])


def answered(load: Load, version: str) -> None:
    """Until twenty more requests were answered by that version."""
    seen = load.snapshot()["versions"].get(version, 0)
    until(lambda: load.snapshot()["versions"].get(version, 0) > seen + 20)


def clean(report: Report, versions: set[str]) -> None:
    assert (report.failed, report.mixed) == (0, 0) and set(report.versions) == versions, report.to_text()


def figures(report: Report) -> dict[str, Any]:
    """What the table shows of a load: times as their names say. The slow requests count, but not in the other times."""
    return {"requests": report.sent, "failed": report.failed, "mixed": report.mixed, "p99_ms": round(report.p99_ms, 1), "worst_ms": round(report.worst_ms, 1),
            "slow": report.slow, "slow_worst_s": round(report.slow_worst_ms / 1000, 2)}


def own_address() -> str:
    """An address of this machine that is not loopback's; "" without a network."""
    said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    return next((each for each in said if ":" not in each and not each.startswith("127.")), "")
