"""Every adapter of weft's own runs the suite; and what is checked of a site before it comes to any of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from weft.errors import Refused, UsageError
from weft.adapters import known
from weft.servers import Health, Site, doors, find, parse_site
from weft.servers.tls import Tls
from weft.testing.server_suite import ServerSuite

GOLDEN = Path(__file__).parent / "golden"
SITE = Site("shop", "mod_wsgi", "shop-run", "/usr/bin/python3", "shop.example.org", ("www.example.org",), 8080, (18001, 18002),
            3, 7, 45, Health("/health"))
SAID = {"server": "mod_wsgi", "account": "shop", "python": "/usr/bin/python3", "hostname": "shop.example.org", "aliases": [], "port": 80,
        "doors": [], "processes": 2, "threads": 8, "longest_request": 60, "variant": "", "settings": {}, "watch": 2.0, "max_errors": 1.0, "confirm": 60,
        "health": {"path": "/", "contains": "", "good": 3, "timeout": 30}}


def site_of(name):
    own = {"express": {"prefix": "/srv/place", "account": "nobody"}, "uwsgi": {"python": "/usr/bin/python3.11"},
           "passenger": {"python": "/usr/bin/python3.11"}}
    return replace(SITE, server=name, **own.get(name, {}))


class TestEveryServer(ServerSuite):
    golden = GOLDEN

    @pytest.fixture(params=known())
    def server(self, request):
        return find(request.param)

    @pytest.fixture
    def site(self, server):
        return site_of(server.name)


def test_doors_follow_from_the_name():
    assert doors("shop") == doors("shop") != doors("shop2")
    assert all(18000 <= port < 20000 for port in doors("shop"))


def test_an_unknown_server_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match="server 'nginx' is unknown"):
        find("nginx")


@pytest.mark.parametrize("change, says", [
    ({"account": "root"}, "account 'root'"), ({"account": "a b"}, "account 'a b'"), ({"python": "python3"}, "python 'python3'"),
    ({"hostname": "x\nLoadModule evil"}, "hostname"), ({"aliases": ["a b"]}, "aliases"), ({"port": 0}, "port 0"), ({"port": "80"}, "port '80'"),
    ({"doors": [80, 81]}, "doors"), ({"doors": [5, 5]}, "doors"), ({"processes": 0}, "processes 0"), ({"threads": True}, "threads True"),
    ({"settings": {"a": {"b": 1}}}, "settings"), ({"settings": []}, "settings"),
    ({"health": {"path": "/x y", "contains": "", "good": 3, "timeout": 3}}, "health.path"),
    ({"health": {"path": "/", "contains": "", "good": 0, "timeout": 3}}, "health.good"), ({"health": {"what": 1}}, "malformed"),
    *(({"tls": {"certificate": "/c.pem", "key": "/k.pem", **more}}, says) for more, says in (
        ({"key": "/k.pem\"\nEvil"}, "tls"), ({"key": "k.pem"}, "tls"), ({"key": "/a/../k"}, "tls"), ({"port": 80}, "tls"), ({"port": 0}, "tls"), ({"http2": 1}, "tls"),
        ({"cipher": "x"}, "malformed"))), ({"tls": {"certificate": "/c.pem"}}, "malformed"), ({"tls": [1]}, "tls"),
    ({"max_errors": 101}, "max_errors 101"), ({"more": 1}, "unknown or lacks keys: more"), ({"python": "/usr/bin/x\" evil"}, "python"),
])
def test_what_would_stand_in_a_configuration_file_is_checked(change, says):
    with pytest.raises(Refused, match=says.replace("[", r"\[").replace("'", "'")):
        parse_site("shop", {**SAID, **change}, "")


def test_a_server_that_serves_no_tls_is_not_given_any():
    with pytest.raises(Refused) as refused:
        parse_site("shop", {**SAID, "server": "uwsgi", "tls": {"certificate": "/c.pem", "key": "/k.pem"}}, "")
    assert refused.value.message == "the server uwsgi serves no TLS"
    assert refused.value.hint == "take [tls] out of deploy/NAME.toml, and put a proxy that does before the site"


def test_a_good_site_passes():
    assert parse_site("shop", SAID, "").doors == doors("shop")
    assert parse_site("shop", {**SAID, "tls": {}}, "").tls is None
    assert parse_site("shop", {**SAID, "tls": {"certificate": "/c.pem", "key": "/k.pem"}}, "").tls == Tls("/c.pem", "/k.pem", 443, True, True)
