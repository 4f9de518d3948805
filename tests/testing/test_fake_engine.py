"""The fake speaks the protocol that the real engine speaks: what the two share is compared, and what it promises is held."""

import dataclasses
import io
import json
import subprocess
import sys

import pytest

from weft.errors import FailedUndone, Refused
from weft.host import request as real
from weft.host.state import HostState
from weft.rollout import zipapp
from weft.testing import fake_engine
from weft.testing.fake_engine import FakeEngine
from weft.testing.fleet import Fleet

ENGINES = {"fake": [sys.executable, "-m", "weft.testing.fake_engine"], "real": None}


@pytest.fixture(params=ENGINES)
def refusal(request, tmp_path, monkeypatch):
    """refusal(bytes): the error that an engine answers, and its exit code."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    argv = ENGINES[request.param] or [sys.executable, "-I", str(zipapp.build())]

    def refusal(text):
        done = subprocess.run([*argv, "--prefix", str(tmp_path / "host")], input=text, capture_output=True, check=False)
        assert done.stderr == b""
        return json.loads(done.stdout.splitlines()[-1])["error"], done.returncode
    return refusal


@pytest.mark.parametrize("said, message", [
    (b"hello\n", "the request is not a line of JSON"),
    (b'{"protocol": 2, "verb": "observe"}\n', "this host's engine speaks protocol 1, not 2"),
    (b'{"protocol": 1, "verb": "dance"}\n', "verb 'dance' is unknown; known: setup, observe, stage, activate, confirm, revert, "
                                            "rollback, verify, lock, logs, run, undeploy, migrate, enable, disable"),
    (b'{"protocol": 1, "verb": "observe", "app": "shop", "by": "me", "site": {}, "spoon": 1, "fork": 2}\n',
     "observe does not know: fork, spoon"),
])
def test_what_both_refuse_in_the_same_words(refusal, said, message):
    error, code = refusal(said)
    assert (error["error"], error["message"], code) == ("refused", message, 3)


def test_verbs_and_keys_are_the_real_ones():
    assert fake_engine.VERBS == real.VERBS and fake_engine.COMMON == real._COMMON


def test_the_state_has_the_keys_of_the_real_one(tmp_path):
    blank = {**{field.name: None for field in dataclasses.fields(HostState)}, "kept": (), "migrated": ()}
    state = HostState(**{**blank, "generations": (), "drift": ()})
    assert set(engine(tmp_path, "setup", deploy_user="", authorized_key="")["state"]) == set(state.to_json())


def engine(prefix, verb, **words):
    said = {"protocol": 1, "verb": verb, "app": "shop", "by": "a@b", "site": {"confirm": words.pop("confirm", 60)}, **words}
    return FakeEngine(prefix, io.BytesIO(json.dumps(said).encode() + b"\n" + b"".join(words.pop("sent", []))),
                      lambda event: None).run()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Fleet(tmp_path_factory.mktemp("fleet"), 1, ssh=False)


@pytest.fixture
def host(made):
    made.fresh("1.0")
    return made.prefix("web1")


def test_a_pending_generation_goes_back_when_its_time_is_over(host):
    state = engine(host, "observe")["state"]
    staged = json.loads((host / "shop.json").read_text())
    staged["generations"].insert(0, fake_engine.record(2, "1.1-x", "1.1", "staged", "a@b", 1))
    (host / "shop.json").write_text(json.dumps(staged))
    assert engine(host, "activate", generation=2, base=state["live"], confirm=0)["status"] == "pending"
    after = engine(host, "observe")["state"]
    assert (after["live"], after["generations"][0]["status"]) == (1, "bad")
    with pytest.raises(FailedUndone):
        engine(host, "confirm", generation=2)


def test_a_stale_base_is_refused(host):
    with pytest.raises(Refused, match="generation 1 serves, the plan was made for 7"):
        engine(host, "activate", generation=1, base=7)


def test_reverting_what_does_not_serve_changes_nothing(host):
    before = engine(host, "observe")["state"]
    assert engine(host, "revert", generation=-1)["state"] == before


def test_a_file_that_is_not_what_was_announced_is_refused(made, host):
    release = made.root / "store" / "shop" / "1.1" / "manifest.json"
    said = {"protocol": 1, "verb": "stage", "app": "shop", "by": "a@b", "site": {}, "base": 1,
            "release": json.loads(release.read_text()), "files": [{"sha256": "0" * 64, "size": 3}]}
    with pytest.raises(Refused, match="a file did not arrive as announced"):
        FakeEngine(host, io.BytesIO(json.dumps(said).encode() + b"\nabc"), lambda event: None).run()
