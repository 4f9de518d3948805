"""An operator on the host itself, by the words of weft-host."""

import dataclasses
import hashlib

import pytest

from tests.host import light
from tests.host.light_host import make_release, put, serving
from tests.signers import make_key
from weft.errors import FailedUndone, Interrupted
from weft.host import local
from weft.index import Index, Sealed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made():
    with serving(keep="set up") as host:
        yield host


@pytest.fixture
def host(made):
    made.restore("set up")
    return made


def typed(host, *words, code=0):
    """The object that --json ends with."""
    done = host.command(*words, "--json")
    assert done["code"] == code and not done["events"], done
    assert done["last"]["code"] == code
    return done["last"]


def lines(host, *words):
    done = host.command(*words)
    return [each.get("text") for each in [*done["events"], done["last"]]]


def test_pins_keep_a_version_and_are_shown(host):
    for number in range(3):
        host.deploy(*make_release(f"1.{number}"))
    assert typed(host, "pin", "shop", "9.9", code=3)["next"] == "it has: 1.2, 1.1, 1.0"
    assert list(typed(host, "pin", "shop", "1.0")["pins"]) == ["1.0"]
    for number in range(3, 9):
        host.deploy(*make_release(f"1.{number}"))
    there = {p.name.split("-")[0] for p in (host.root / "releases").iterdir()}
    assert there == {"placeholder", "1.0", "1.4", "1.5", "1.6", "1.7", "1.8"}
    said = "\n".join(lines(host, "status", "shop"))
    assert "  pinned          1.0 (by " in said and "can go back to  1.7, 1.6, 1.5, 1.4, 1.0" in said
    assert typed(host, "unpin", "shop", "1.1", code=3)["next"] == "pinned: 1.0"
    assert typed(host, "unpin", "shop", "1.0")["pins"] == {}
    host.deploy(*make_release("1.9"))
    assert {p.name.split("-")[0] for p in (host.root / "releases").iterdir()} == {"placeholder", "1.5", "1.6", "1.7", "1.8", "1.9"}
    assert [each["event"] for each in typed(host, "history", "shop")["history"]][:4] == ["confirm", "activate", "unpin", "confirm"]


def test_status_history_and_recover_say_what_is_served(host):
    host.deploy(*make_release("1.0"))
    state = typed(host, "status", "shop")["state"]
    assert (state["live"], state["answers"]["version"]) == (1, "1.0")
    said = lines(host, "status", "shop")
    assert said[0].startswith("shop on ") and "  serves          1.0 (generation 1, good)" in said and "  answers         1.0" in said
    assert typed(host, "recover", "shop")["state"]["live"] == 1
    assert typed(host, "recover", "--all") == {"code": 0, "recovered": ["shop"], "busy": {}, "failed": {}}
    heading, last, first = lines(host, "history", "shop")
    assert heading.split()[:2] == ["when", "what"] and "confirm   1.0      1           good     sweep@here" in last and "activate" in first
    assert typed(host, "status", "shopp", code=3)["message"].startswith("shopp has not been set up here")


def test_one_application_that_cannot_be_recovered_is_told_and_keeps_none_from_it(host):
    host.deploy(*make_release("1.0"))
    (host.prefix / "var/lib/weft/Wrong Name").mkdir()
    try:
        said = typed(host, "recover", "--all", code=6)
    finally:
        (host.prefix / "var/lib/weft/Wrong Name").rmdir()
    assert "not recovered: Wrong Name: " in said["message"] and "every minute" in said["effect"]
    assert said["details"]["recovered"] == ["shop"] and list(said["details"]["failed"]) == ["Wrong Name"]


def test_one_that_is_worked_on_is_no_fault(host, monkeypatch):
    from weft.host import lock, recover
    from weft.host.layout import Layout
    monkeypatch.setattr(recover, "PATIENCE", 0.2)
    with lock.held(Layout("shop", str(host.prefix)), "ann@desk", "activate", 1.0):
        said = recover.everything(str(host.prefix))
    assert (said["recovered"], said["failed"]) == ([], {}) and "locked by ann@desk (activate)" in said["busy"]["shop"]


def test_a_switch_of_one_host_warns_of_a_migration_that_is_not_known_there(host, tmp_path):
    host.site["migrate"] = {"command": ["true"], "timeout": 60}
    try:
        host.ok("setup")
        typed(host, "install", "shop", str(put(tmp_path, *make_release("1.0"))))
        assert lines(host, "activate", "shop")[0].startswith("warning: no migration of the database for 1.0 is known on this host, and this command runs none")
        host.ok("revert", generation=1)
        assert host.stage(*make_release("1.1"))["code"] == 0
        assert len(typed(host, "activate", "shop", "1.1", "--yes")["warnings"]) == 1
        number = host.stage(*make_release("1.2"))["last"]["result"]["generation"]
        host.ok("migrate", generation=number)
        assert typed(host, "activate", "shop", "1.2", "--yes")["warnings"] == []
    finally:
        del host.site["migrate"]


def test_a_switch_across_a_release_that_nobody_can_go_back_from_warns(host):
    host.deploy(*make_release("1.0"))
    release, content = make_release("1.1")
    host.deploy(dataclasses.replace(release, format=3, rollback_safe=False), content)
    assert host.stage(*make_release("1.0", colour="blue"))["code"] == 0
    assert lines(host, "activate", "shop", "1.0", "--yes")[0].startswith("warning: 1.1 is not rollback_safe: ")
    assert host.stage(*make_release("1.2"))["code"] == 0
    assert typed(host, "activate", "shop", "1.2", "--yes")["warnings"] == []


def test_what_is_installed_without_an_operator_keeps_the_secrets_that_are_served(host, tmp_path):
    release, content = make_release("1.0")
    files = [{"sha256": each, "size": len(payload)} for each, payload in content.items()]
    number = host.ok("stage", list(content.values()), release=release.to_json(), base=0, files=files, secrets={"db": {"password": "canary-77ab"}})["generation"]
    host.ok("activate", generation=number, base=0)
    host.ok("confirm", generation=number)
    place = str(put(tmp_path, *make_release("1.1")))
    typed(host, "install", "shop", place)
    said = typed(host, "activate", "shop", "--yes")
    settings = (host.prefix / "etc/shop.ini").read_text()
    assert host.get()[1]["version"] == "1.1" and "[db]\npassword = canary-77ab\n" in settings and "canary" not in str(said)
    assert typed(host, "install", "shop", place)["did"] == [], "the same secrets are no change"


def test_install_activate_and_back_by_words_alone(host, tmp_path):
    places = [put(tmp_path, *make_release(f"1.{number}")) for number in range(3)]
    assert typed(host, "activate", "shop", code=3)["message"] == "nothing is installed to be switched to"
    assert typed(host, "install", "shop", str(places[0]))["generation"] == 1
    assert host.live() == 0 and host.get()[0] == 503, "installing switches nothing"
    assert typed(host, "activate", "shop", "2.0", code=3)["message"] == "2.0 is not installed to be switched to"
    assert typed(host, "activate", "shop", "1.0", "--yes")["status"] == "good"
    typed(host, "install", "shop", str(places[1] / "manifest.json"), "--version", "1.1")
    typed(host, "activate", "shop", "--yes")
    typed(host, "install", "shop", str(tmp_path), "--version", "1.2")
    typed(host, "activate", "shop", "1.2", "--yes")
    assert host.get()[1]["version"] == "1.2"
    assert typed(host, "install", "shop", str(places[2]))["did"] == [], "it is served already"
    assert typed(host, "activate", "shop", "1.2")["did"] == []
    assert (typed(host, "rollback", "shop", "--yes")["from"], host.get()[1]["version"]) == ("slot", "1.1")
    assert (typed(host, "rollback", "shop", "--to", "1.0", "--yes")["from"], host.get()[1]["version"]) == ("installed", "1.0")
    assert "rollback shop --to 1.1" in typed(host, "activate", "shop", "1.1", code=3)["next"]
    assert typed(host, "rollback", "shop", "--to", "7.7", "--yes", code=3)["message"] == "there is no good generation of 7.7 to go back to"
    said = typed(host, "history", "shop")["history"]
    assert [each["event"] for each in said][:4] == ["confirm", "rollback", "confirm", "rollback"] and "@" in said[0]["by"]
    assert host.records()[3]["by"] == said[0]["by"] and not host.faults()


def test_what_nobody_confirms_goes_back_by_itself(host, tmp_path):
    typed(host, "install", "shop", str(put(tmp_path, *make_release("1.0"))))
    said = typed(host, "activate", "shop", code=6)
    assert said["message"] == "nobody has said that 1.0 is to be kept" and "goes back by itself in 600 s" in said["effect"]
    assert "goes back by itself in" in "\n".join(lines(host, "status", "shop"))
    typed(host, "confirm", "shop")
    assert host.get()[1]["version"] == "1.0" and not host.faults()
    assert typed(host, "confirm", "shop", code=3)["message"].startswith("nothing is on trial")
    host.deploy(*make_release("1.1"))
    typed(host, "rollback", "shop", code=6)
    assert host.recover(ahead=601)["code"] == 0 and host.get()[1]["version"] == "1.1"
    assert not host.faults()


class Answering:
    """A person at the terminal."""

    json = True

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def say(self, lines):
        pass

    def event(self, said):
        pass

    def ask(self, question, seconds):
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_person_who_is_asked_says_yes_or_no(host):
    light.register()
    for answer, served in (("yes", "1.0"), ("no", "1.0")):
        version = "1.0" if answer == "yes" else "1.1"
        host.stage(*make_release(version))
        person = Answering(answer)
        here = local.Here("shop", str(host.prefix), person, lambda _request, _number: None)
        if answer == "no":
            with pytest.raises(FailedUndone) as error:
                local.activate(here, version, False)
            assert error.value.effect == "1.0 (generation 1) is served"
        else:
            local.activate(here, version, False)
        assert person.asked[0].startswith(f"{version} is served, on trial; without an answer it goes back in 600 s")
        assert host.get()[1]["version"] == served
    host.stage(*make_release("1.2"))
    with pytest.raises(Interrupted) as error:
        local.activate(local.Here("shop", str(host.prefix), Answering(Interrupted("interrupted (SIGINT)")), lambda _request, _number: None), "1.2", False)
    assert error.value.effect == "1.2 is served; it goes back by itself in 600 s"
    assert host.recover(ahead=601)["code"] == 0 and host.get()[1]["version"] == "1.0" and not host.faults()


def test_a_release_that_is_not_what_was_signed_is_refused(host, tmp_path):
    key, mallory = make_key(tmp_path), make_key(tmp_path, "mallory@example.org")
    release, content = make_release("1.0")
    host.ok("setup", allowed_signers=key.allowed())
    store = tmp_path / "store"
    place = put(store, release, content)
    assert "it is not signed" in typed(host, "install", "shop", str(place), code=3)["message"]
    (place / "manifest.json.sig").write_text(mallory.sign(release.text()))
    assert "does not allow the key that signed it" in typed(host, "install", "shop", str(place), code=3)["message"]
    (place / "manifest.json.sig").write_text(key.sign(release.text()))
    assert "came without the index" in typed(host, "install", "shop", str(place), code=3)["message"]

    def index(serial, **marks):
        text = Index("shop", serial, "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z",
                     {"1.0": {"manifest": hashlib.sha256(release.text().encode()).hexdigest(), **marks}}).text()
        (store / "shop/index.json").write_bytes(Sealed(text, key.sign(text, "weft-index@v1")).to_bytes())
    index(2, yanked="loses orders")
    assert "was yanked: loses orders" in typed(host, "install", "shop", str(place), code=3)["message"]
    wheel = place / release.of_kind("wheel")[0].name
    wheel.write_bytes(wheel.read_bytes()[::-1])
    assert "its sha256 differs" in typed(host, "install", "shop", str(place), "--force-yanked", code=4)["message"]
    wheel.write_bytes(content[release.of_kind("wheel")[0].sha256])
    typed(host, "install", "shop", str(place), "--force-yanked")
    index(1)
    assert "is older than one seen before" in typed(host, "install", "shop", str(place), code=3)["message"]
    assert host.live() == 0 and not host.faults()


def test_the_way_back_is_what_was_served_and_not_what_was_when_it_was_installed(host, tmp_path):
    host.deploy(*make_release("1.0"))
    places = [put(tmp_path, *make_release(version)) for version in ("1.1", "1.2")]
    for place in places:
        typed(host, "install", "shop", str(place))
    typed(host, "activate", "shop", "1.1", "--yes")
    assert typed(host, "activate", "shop", "1.2", code=3)["next"] == "weft-host install shop PLACE; ready: nothing"
    typed(host, "install", "shop", str(places[1]))
    typed(host, "activate", "shop", "1.2", "--yes")
    typed(host, "rollback", "shop", "--yes")
    assert host.get()[1]["version"] == "1.1" and not host.faults()
