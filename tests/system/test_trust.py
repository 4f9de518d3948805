"""Signed releases on a real host over real SSH: what root trusts is root's, and the account that deploys cannot get around it."""

import json

import pytest

from tests.signers import make_key
from tests.system.hosts import Fleet, missing
from tests.system.voyage import Voyage

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(missing()), reason="this machine lacks " + "; ".join(missing()))]


@pytest.fixture(scope="module")
def voyage(tmp_path_factory):
    with Fleet(1) as fleet:
        keys = tmp_path_factory.mktemp("keys")
        made = Voyage(tmp_path_factory.mktemp("voyage") / "operator", fleet)
        made.new("hello")
        made.key, made.mallory = make_key(keys), make_key(keys, "mallory@example.org")
        (made.project / "deploy/allowed_signers").write_text(made.key.allowed())
        config = made.project / "pyproject.toml"
        config.write_text(config.read_text().replace("[tool.weft]\n", f'[tool.weft]\nsigning_key = "{made.key.path}"\n'))
        made.commit("Releases are signed")
        made.release("0.1.0")
        made.prepare()
        yield made


def sent(voyage, verb, **words):
    """The engine's last line, as the account that deploys gets it through its one sudo rule."""
    site = json.loads(voyage.fleet.hosts[0].run(["cat", "/var/lib/weft/hello/site.json"]).stdout)
    request = {"protocol": 1, "verb": verb, "app": "hello", "by": "mallory@desk", "site": site, **words}
    done = voyage.fleet.hosts[0].run(["su", "deploy", "-c", "sudo -n /usr/local/sbin/weft-host"], input=json.dumps(request) + "\n", check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_signed_release_is_served_and_an_unsigned_one_is_not(voyage):
    host = voyage.fleet.hosts[0]
    assert host.run(["stat", "-c", "%U:%G %a", "/etc/weft/hello/allowed_signers"]).stdout == "root:root 644\n"
    voyage.fab("deploy", "--version", "0.1.0")
    assert voyage.versions() == ["0.1.0"]
    manifest = next(voyage.project.glob("artifacts/hello/0.1.0/manifest.json"), None) or next(voyage.home.glob("**/hello/0.1.0/manifest.json"))
    said = json.loads(manifest.read_text())
    evil = json.dumps({**said, "changelog": "evil"})
    code, last = sent(voyage, "stage", release=json.loads(evil), base=1, files=[])
    assert (code, last["error"]["message"]) == (3, "the manifest of hello 0.1.0 is not trusted: it is not signed")
    code, last = sent(voyage, "stage", manifest=evil, signature=voyage.mallory.sign(evil), base=1, files=[])
    assert (code, last["error"]["message"]) == (
        3, "the manifest of hello 0.1.0 is not trusted: /etc/weft/hello/allowed_signers does not allow the key that signed it")
    code, last = sent(voyage, "setup", allowed_signers=voyage.mallory.allowed())
    assert (code, last["error"]["message"]) == (3, "setup is not done through the installed engine")
    assert host.run(["cat", "/etc/weft/hello/allowed_signers"]).stdout == voyage.key.allowed()
    assert voyage.versions() == ["0.1.0"]


def test_a_version_that_was_taken_back_needs_the_word(voyage):
    voyage.inv("yank", "--version", "0.1.0", "--why", "loses orders")
    said = voyage.fab("deploy", "--version", "0.1.0", code=3)
    assert "hello 0.1.0 was yanked: loses orders" in said and "--force-yanked" in said
    voyage.fab("deploy", "--version", "0.1.0", "--force-yanked")
    assert voyage.versions() == ["0.1.0"]
    assert "(1 allowed signers)" not in voyage.fab("setup", "--as", "root"), "it is there already"
