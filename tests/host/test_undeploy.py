"""`undeploy`: what is taken off a host, what stays, and what a crash in it comes to."""

import json
import os
from pathlib import Path

import pytest

from tests.host.light_host import make_release, serving
from weft.host import fleetlock

pytestmark = pytest.mark.slow
GONE = ("live", "current", "entry.wsgi", "site.json", "slots", "generations", "releases", "layers", "tools", "cache", "run")


@pytest.fixture(scope="module")
def made():
    with serving(make_release("1.0", dependency="1"), keep="served") as host:
        yield host


@pytest.fixture
def host(made):
    made.restore("served")
    made.note_server()
    return made


def there(host):
    return [name for name in GONE if os.path.lexists(host.root / name)]


def undeployed(host):
    """Whether the history has it as done."""
    path = host.state / "history.jsonl"
    return path.exists() and json.loads(path.read_text().splitlines()[-1])["event"] == "undeploy"


def whole_again(host):
    """Set up and deployed anew."""
    host.note_server()
    host.ok("setup")
    host.get("/-/restart")  # "started the server": this one has no other way
    host.deploy(*make_release("2.0"))
    assert host.get()[1]["version"] == "2.0"


def test_what_weft_made_goes_and_what_a_user_has_stays(host):
    (host.drop_ins / "mine.ini").write_text("[shop]\ncolour = blue\n")
    (host.root / "shared/photo").write_text("kept")
    (host.state / "traffic").write_text("1 200 shop-a\n")
    said = host.ok("undeploy")
    assert there(host) == [] and not os.path.lexists(host.ini) and not (host.prefix / "etc/light.link").is_symlink()
    assert not (host.prefix / "etc/light.conf").exists() and not (host.state / "site.json").exists()
    assert (host.drop_ins / "mine.ini").exists() and (host.root / "shared/photo").read_text() == "kept" and (host.state / "traffic").exists()
    assert any(each.startswith(f"{host.drop_ins}, ") for each in said["kept"]) and any("shared, the application's data" in each for each in said["kept"])
    assert "stopped the server" in said["did"]
    assert json.loads((host.state / "history.jsonl").read_text().splitlines()[-1])["version"] == "1.0 (generation 1) is served"
    assert host.ok("undeploy")["did"] == [], "nothing is left to do"
    whole_again(host)
    assert "colour = blue" in host.get()[1]["settings"], "the drop-in counts again"


def test_purge_takes_that_too_but_not_whom_the_host_believes(host):
    (host.drop_ins / "mine.ini").write_text("[shop]\ncolour = blue\n")
    (host.root / "shared/photo").write_text("mine")
    signers = host.prefix / "etc/weft/shop/allowed_signers"
    signers.parent.mkdir(parents=True)
    signers.write_text("")
    (host.state / "index-serial").write_text("7")
    said = host.ok("undeploy", purge=True)
    assert not host.root.exists() and not host.drop_ins.exists() and not (host.state / "history.jsonl").exists()
    assert signers.exists() and (host.state / "index-serial").read_text() == "7"
    assert said["kept"] == [f"{signers.parent}, whom this host believes"]
    signers.unlink()
    whole_again(host)


def test_settings_and_a_site_that_were_edited_by_hand_are_kept(host):
    settings = host.root / "generations/1/settings.ini"
    settings.write_text("[shop]\ncolour = mine\n")
    (host.prefix / "etc/light.conf").write_text("mine")
    said = host.ok("undeploy")
    assert Path(f"{host.ini}.kept").read_text() == "[shop]\ncolour = mine\n" and (host.prefix / "etc/light.conf.kept").read_text() == "mine"
    assert any("somebody has edited" in each for each in said["kept"]) and any("not as weft wrote it" in each for each in said["kept"])


def test_an_ini_that_is_a_file_is_somebodys(host):
    host.ini.unlink()
    host.ini.write_text("[shop]\ncolour = mine\n")
    assert f"{host.ini}, somebody's settings" in host.ok("undeploy")["kept"] and host.ini.read_text() == "[shop]\ncolour = mine\n"


def test_what_was_left_to_somebody_before_is_left_to_him_by_a_later_purge(host):
    host.ok("undeploy")
    host.ini.write_text("another application's")
    host.ok("undeploy", purge=True)
    assert host.ini.read_text() == "another application's" and not (host.state / "history.jsonl").exists()
    host.ini.unlink()


def test_a_neighbour_keeps_the_server_and_what_is_shared(host):
    neighbour = host.prefix / "var/lib/weft/other"
    neighbour.mkdir()
    (neighbour / "site.json").write_text("{}")
    said = host.ok("undeploy")
    assert (host.prefix / "etc/light.conf").exists() and "stopped the server" not in said["did"]
    assert any(each.startswith("reloaded the server") for each in said["did"]) and there(host) == []


def test_what_a_neighbour_on_another_server_has_no_use_for_goes(host):
    neighbour = host.prefix / "var/lib/weft/other"
    neighbour.mkdir()
    (neighbour / "site.json").write_text(json.dumps({**host.site, "server": "express"}))
    said = host.ok("undeploy")
    assert not (host.prefix / "etc/light.conf").exists() and "stopped the server" not in said["did"] and there(host) == []


def test_a_trial_and_anothers_rollout_refuse_it(host):
    release, content = make_release("2.0")
    staged = host.stage(release, content)["last"]["result"]
    host.ok("activate", generation=staged["generation"], base=1)
    assert "is on trial" in host.ask("undeploy")["last"]["error"]["message"] and there(host) == list(GONE)
    host.ok("revert", generation=staged["generation"])
    host.ok("lock", lock={"number": 1, "token": "a" * 16, "why": "deploy 9", "act": "freeze"})
    said = host.ask("undeploy")["last"]["error"]
    assert (said["code"], "frozen" in said["message"]) == (3, True) and there(host) == list(GONE)
    assert "undeploy" in fleetlock.ORDERS


@pytest.mark.parametrize("mode, step, first, purge, least", [("kill", 5, 1, False, 8), ("after", 9, 2, False, 4), ("kill", 9, 4, True, 4)])
def test_killed_anywhere_it_is_not_begun_or_recovery_ends_it(host, mode, step, first, purge, least):
    at, points = first, 0
    while True:
        host.restore("served")
        host.note_server()
        done = host.ask("undeploy", fault={"at": at, "mode": mode}, purge=purge)
        if done["code"] == 0:
            break
        points, begun = points + 1, (host.state / "undeploy.json").exists() or there(host) != list(GONE)
        where = f"{mode} at {at} {done.get('names', ['?'])[-1:]}"
        assert not (there(host) and undeployed(host)), f"{where}: the history says done before it is"
        again = host.recover()
        assert (again["code"], again["last"]["failed"]) == (0, {}), where
        assert not (host.state / "undeploy.json").exists() and not list(host.prefix.rglob(".weft-tmp-*")), where
        assert there(host) == ([] if begun else list(GONE)), where
        assert undeployed(host) == (begun and not purge), where
        if not begun:
            assert host.get()[1]["version"] == "1.0", where
        elif points % 4 == 0:
            whole_again(host)
        at += step
    assert points >= least
