"""Every adapter: deterministic texts, every declared setting used, golden files, paths of its own application only."""

from dataclasses import replace
from pathlib import Path

import pytest

from weft.errors import Refused, UsageError
from weft.servers import KNOWN, Health, Site, doors, find, parse_site

GOLDEN = Path(__file__).parent / "golden"
SITE = Site("shop", "mod_wsgi", "shop-run", "/usr/bin/python3", "shop.example.org", ("www.example.org",), 8080, (18001, 18002),
            3, 7, 45, Health("/health"))
SAID = {"server": "mod_wsgi", "account": "shop", "python": "/usr/bin/python3", "hostname": "shop.example.org", "aliases": [], "port": 80,
        "doors": [], "processes": 2, "threads": 8, "longest_request": 60, "variant": "", "settings": {}, "watch": 2.0, "max_errors": 1.0, "confirm": 60,
        "health": {"path": "/", "contains": "", "good": 3, "timeout": 30}}


def site_of(name):
    own = {"express": {"prefix": "/srv/place", "account": "nobody"}, "uwsgi": {"python": "/usr/bin/python3.11"}}
    return replace(SITE, server=name, **own.get(name, {}))


def texts(site):
    return "\n".join(f"### {path}\n{text}" for path, text in sorted(find(site.server).files(site).items()))


@pytest.mark.parametrize("name", KNOWN)
def test_equal_sites_give_equal_texts(name):
    assert texts(site_of(name)) == texts(site_of(name))


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("setting", ["hostname", "port", "processes", "threads", "longest_request", "aliases", "doors", "app"])
def test_every_setting_has_an_effect(name, setting):
    other = {"hostname": "b.example.org", "port": 9090, "processes": 9, "threads": 9, "longest_request": 99,
             "aliases": ("c.example.org",), "doors": (1234, 1235), "app": "shop2"}[setting]
    assert texts(site_of(name)) != texts(replace(site_of(name), **{setting: other}))


@pytest.mark.parametrize("name", KNOWN)
def test_everything_written_carries_the_application_or_is_shared_by_name(name):
    site = site_of(name)
    for path in [*find(name).files(site), *find(name).links(site)]:
        assert path.startswith("/") and ("shop" in path or path.endswith(("weft.conf", "httpd.conf")))


@pytest.mark.parametrize("name", KNOWN)
def test_commands_are_argument_vectors(name):
    adapter, site = find(name), site_of(name)
    for argv in (adapter.check(site), adapter.start(site), adapter.reload(site), adapter.stop(site)):
        assert len(argv) >= 2 and all(isinstance(word, str) and word for word in argv)


def test_the_system_apache_site_is_as_it_was_read_and_approved():
    path = GOLDEN / "mod_wsgi-shop.conf"
    text = find("mod_wsgi").files(site_of("mod_wsgi"))["/etc/apache2/sites-available/shop.conf"]
    assert text == path.read_text(), f"read the difference; if it is meant, write it to {path}"


@pytest.mark.parametrize("kind", ["a", "front"])
def test_the_vassals_are_as_they_were_read_and_approved(kind):
    path = GOLDEN / f"uwsgi-shop-{kind}.ini"
    text = find("uwsgi").files(site_of("uwsgi"))[f"/etc/uwsgi-emperor/weft/shop-{kind}.ini"]
    assert text == path.read_text(), f"read the difference; if it is meant, write it to {path}"


@pytest.mark.parametrize("name", KNOWN)
def test_what_starts_a_slot_anew_is_one_of_the_files_and_of_that_slot_alone(name):
    """Written with the same text: only its time is new, so what set-up approved stays as it is."""
    adapter, site = find(name), site_of(name)
    a, b = (adapter.renew(site, slot) for slot in "ab")
    assert not set(a) & set(b) and {**a, **b}.items() <= adapter.files(site).items() and len(a) == len(b)


@pytest.mark.parametrize("name", KNOWN)
def test_where_the_application_may_write_is_below_its_own_directory(name):
    assert all(path.startswith("/var/app/shop/run/") for path in find(name).folders(site_of(name)))


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
    ({"max_errors": 101}, "max_errors 101"), ({"more": 1}, "unknown or lacks keys: more"), ({"python": "/usr/bin/x\" evil"}, "python"),
])
def test_what_would_stand_in_a_configuration_file_is_checked(change, says):
    with pytest.raises(Refused, match=says.replace("[", r"\[").replace("'", "'")):
        parse_site("shop", {**SAID, **change}, "")


def test_a_good_site_passes():
    assert parse_site("shop", SAID, "").doors == doors("shop")
