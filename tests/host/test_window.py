"""How a host has been of late: durations in classes that can be added, and what a real server's users got."""

import urllib.request

import pytest

from weft.errors import Refused
from weft.host import window


@pytest.mark.parametrize("milliseconds, step", [(0.2, 0), (1, 0), (1.1, 1), (2, 4), (2.1, 5), (1000, 40)])
def test_a_duration_has_a_class(milliseconds, step):
    assert window.duration(milliseconds) == step


def test_only_the_slots_requests_of_the_window_that_say_how_long_they_took():
    lines = [b"1000 200 shop-b 900", b"2000 200 shop-b 900", b"2001 500 shop-b 2000", b"2002 200 shop-a 900", b"2003 200 shop-b", b"2004 200 shop-b x", b""]
    assert window.took(lines, "shop-b", 2.0) == {"0": 1, "4": 1}


@pytest.mark.parametrize("value", [0, -1, True, "9", 86401, [1]])
def test_a_window_is_a_number_of_seconds(value):
    with pytest.raises(Refused, match="window is not a number of seconds"):
        window.parse(value)
    assert (window.parse(None), window.parse(2)) == (0.0, 2.0)


@pytest.mark.slow
def test_what_users_of_a_real_server_got(host):
    inside = 'if environ["PATH_INFO"] == "/slow": import time; time.sleep(0.3)'
    assert host.deploy(*host.release("1.0", inside=inside))[0] == 0
    for path in ("/", "/slow"):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{host.port}{path}", headers={"Host": "shop.test"}), timeout=10).read()

    def look():
        return host.ok("observe", release=None, window=60)["window"]
    for _ in range(50):
        said = look()
        if said["requests"] == 2:
            break
    assert (said["health"], said["traffic"], said["requests"], said["errors"]) == ("", "", 2, 0)
    assert sum(said["took"].values()) == 2 and max(map(int, said["took"])) >= window.duration(300)
