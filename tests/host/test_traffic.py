"""The watch after a switch: what counts as worse than before, and real releases that answer the health path well and users badly."""

import os
import pwd
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest

from weft.host import traffic
from weft.host.traffic import Seen

# Healthy wherever it is asked by weft; what users ask for is another matter.
BROKEN = 'if environ["PATH_INFO"] == "/page": raise RuntimeError("no such table: users")'
DYING = 'if environ["PATH_INFO"] == "/page": os.kill(os.getpid(), 11)'
WEAK = '''if environ["PATH_INFO"] == "/page":
        import itertools
        global counter
        counter = globals().get("counter") or itertools.count(1)
        if next(counter) % 5 == 0: raise RuntimeError("every fifth")'''


@pytest.mark.parametrize("before, after, blamed", [
    (Seen(1000, 0), Seen(100, 2), False),      # too few to blame anybody
    (Seen(1000, 0), Seen(100, 5), True),
    (Seen(1000, 0), Seen(5000, 40), False),    # below one percent
    (Seen(1000, 50), Seen(100, 6), False),     # it always had five percent
    (Seen(1000, 50), Seen(100, 40), True),
    (Seen(0, 0), Seen(3, 3), True),            # nobody came before
    (Seen(0, 0), Seen(0, 0), False),           # nobody comes at all
])
def test_a_release_is_blamed_for_what_is_worse_than_before(before, after, blamed):
    assert bool(traffic.fault(before, after, 1.0)) == blamed


def test_the_blame_has_the_figures():
    assert traffic.fault(Seen(1203, 2), Seen(240, 12), 1.0) == \
        "12 of 240 requests (5.0 %) failed after the switch; before it: 2 of 1203 requests (0.2 %)"


def test_more_may_be_borne():
    assert traffic.fault(Seen(), Seen(100, 40), 100) == "" != traffic.fault(Seen(), Seen(100, 40), 30.0)


def test_only_whole_lines_of_the_slot_since_the_switch_are_counted():
    lines = [b"1000 500 shop-b", b"2000 200 shop-b", b"2001 502 shop-b", b"2002 500 shop-a", b"20", b"2003 5", b"x 500 shop-b", b""]
    assert traffic.count(lines, "shop-b", 2.0) == Seen(2, 1)


def test_processes_that_were_started_later_than_their_fellows_are_replacements(monkeypatch):
    monkeypatch.setattr(traffic, "started", {1: 1000, 2: 1010, 3: 90000, 4: 0}.get)
    assert (traffic.replaced([1, 2]), traffic.replaced([1, 2, 3, 4]), traffic.replaced([3]), traffic.replaced([])) == (0, 1, 0, 0)


class Users:
    """Ask for /page until told to stop; errors are theirs to bear."""

    def __init__(self, host):
        self.host, self.over, self.statuses = host, threading.Event(), []
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        while not self.over.wait(0.02):
            request = urllib.request.Request(f"http://127.0.0.1:{self.host.port}/page", headers={"Host": "shop.test"})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    self.statuses.append(answer.status)
            except urllib.error.HTTPError as error:
                self.statuses.append(error.code)
            except OSError:
                self.statuses.append(0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def deploy_under_traffic(host, before, after):
    assert host.deploy(*host.release("1.0", inside=before))[0] == 0
    host.site["watch"] = 15
    with Users(host):
        while len(traffic.tails(_layout(host))) < 30:
            threading.Event().wait(0.05)
        return host.deploy(*host.release("1.1", inside=after))


def _layout(host):
    from weft.host.layout import Layout
    return Layout("shop", str(host.prefix))


@pytest.mark.slow
def test_a_release_that_fails_its_users_goes_back(host):
    code, last = deploy_under_traffic(host, "", BROKEN)
    assert code == 4
    assert "requests (100.0 %) failed after the switch; before it: 0 of" in last["error"]["message"]
    assert "1.0 (generation 1) is served" in last["error"]["effect"]
    assert any("no such table: users" in line for line in last["error"]["details"])
    assert host.version() == "1.0"


@pytest.mark.slow
def test_a_release_whose_processes_die_goes_back(host):
    code, last = deploy_under_traffic(host, "", DYING)
    assert code == 4 and "after the switch" in last["error"]["message"], last  # health itself may have met a dying one
    assert host.version() == "1.0"


@pytest.mark.slow
def test_deaths_are_counted_from_the_process_table_but_not_those_of_a_reload(host):
    for version in ("1.0", "1.1"):
        assert host.deploy(*host.release(version))[0] == 0
    layout, pidfile = _layout(host), host.prefix / "var/run/httpd.pid"
    watcher = traffic.Watcher(layout, ("b", "a") if layout.live.readlink().name == "b" else ("a", "b"), str(pidfile), _uid(host), 0.0)
    new, old = watcher.running[watcher.new], watcher.running[watcher.old]
    assert watcher.fault(1.0) == "" and (len(new), len(old)) == (2, 2)
    os.kill(min(new), signal.SIGKILL)
    _until(lambda: watcher.deaths() == 1)
    assert watcher.fault(1.0) == "1 of 2 processes died after the switch"
    for pid in old | new - {min(new)}:
        os.kill(pid, signal.SIGKILL)
    _until(lambda: watcher.deaths() == 0)


def _uid(host):
    return pwd.getpwnam(host.site["account"]).pw_uid if os.geteuid() == 0 else os.geteuid()


def _until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()


@pytest.mark.slow
def test_an_application_that_was_as_bad_before_is_not_to_blame(host):
    host.site["watch"] = 4
    assert host.deploy(*host.release("1.0", inside=WEAK))[0] == 0
    with Users(host) as users:
        while users.statuses.count(500) < 10:
            threading.Event().wait(0.05)
        code, last = host.deploy(*host.release("1.1", inside=WEAK))
    assert code == 0, last
    assert host.version() == "1.1"
