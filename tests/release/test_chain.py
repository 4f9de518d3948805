"""The chain of trust from a signed release to what an operator believes, over real releases, real keys and real ssh-keygen."""

import dataclasses
import hashlib
import json
import os
import subprocess

import pytest

from tests import factory
from tests.signers import make_key, stamp
from weft import signing
from weft.errors import NeedsHands, Refused, UsageError
from weft.index import Index, Memory, Sealed
from weft.release import chain, indexing, pipeline, repair, sign
from weft.rollout.belief import belief, for_setup
from weft.rollout.payload import Payload
from weft.values import Release

APP = "weaveserver"


@pytest.fixture(autouse=True)
def _own_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def signed_once(tmp_path_factory):
    """A project that signs, with 1.1.4 released. Change nothing of it."""
    made = factory.make_project(tmp_path_factory.mktemp("signed") / "project", relative=True)
    key = make_key(made.root.parent)
    allow(made, key.allowed(), commit=False)
    config = made.root / "pyproject.toml"
    config.write_text(config.read_text().replace("[tool.weft]\n", f'[tool.weft]\nsigning_key = "../{key.path.name}"\n'))
    commit(made, "sign")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(made.root.parent / "state"))
        factory.run_release(made, "1.1.4", report=factory.Quiet())
    return made, key


@pytest.fixture
def signed(signed_once, tmp_path):
    """(project, key), a copy of its own."""
    import shutil
    made, key = signed_once
    shutil.copytree(made.root.parent, tmp_path / "copy", symlinks=True)
    base = tmp_path / "copy"
    return dataclasses.replace(made, root=base / "project", store=base / "artifacts", remote=base / "project.git"), \
        dataclasses.replace(key, path=base / key.path.name)


def allow(made, text, commit=True):
    (made.root / "deploy").mkdir(exist_ok=True)
    (made.root / sign.ALLOWED).write_text(text)


def commit(made, message):
    made.git("add", "-A")
    made.git("commit", "-q", "-m", message)
    made.git("push", "-q", "origin", "HEAD")


def opened(made):
    return pipeline.open_project(made.root)


def payload(made, **words):
    project = opened(made)
    return Payload(project.store, APP, "1.1.4", belief(made.root, project.store, APP, **words))


def test_a_release_is_signed_and_named(signed):
    made, key = signed
    place = made.store / APP / "1.1.4"
    manifest = (place / "manifest.json").read_bytes()
    index = Sealed.from_bytes((made.store / APP / "index.json").read_bytes())
    signers = sign.known_signers(made.root)
    assert signing.verify(manifest, (place / "manifest.json.sig").read_text(), "weft-release@v1", signers, "it").by == key.who
    assert index.verified(APP, signers).versions == {"1.1.4": {"manifest": hashlib.sha256(manifest).hexdigest()}}
    wish = payload(made).wish()
    assert set(wish) == {"manifest", "signature", "index", "index_signature", "version"}
    assert wish["manifest"].encode() == manifest


def test_the_manifest_says_what_made_it_and_what_the_sdist_holds(signed):
    import gzip
    made, _ = signed
    said = json.loads((made.store / APP / "1.1.4/manifest.json").read_text())
    sdist = made.store / APP / "1.1.4/weaveserver-1.1.4.tar.gz"
    assert said["sdist_tar"] == hashlib.sha256(gzip.decompress(sdist.read_bytes())).hexdigest()
    assert set(said["built"]) == {"weft", "python", "build", "backend"} and said["built"]["backend"] == "tree" \
        or said["built"]["backend"].startswith(("test", "setuptools"))
    assert said["changelog"] == "- something new"
    assert {each["kind"] for each in said["artifacts"]} >= {"sdist", "wheel", "lock", "installer", "settings", "sbom"}


def test_a_manifest_of_before_is_still_read_and_one_of_later_refused_clearly(signed):
    said = json.loads((signed[0].store / APP / "1.1.4/manifest.json").read_text())
    older = {key: value for key, value in said.items() if key not in ("built", "sdist_tar")}
    assert (Release.from_json(older).built, Release.from_json(older).sdist_tar) == ({}, "")
    with pytest.raises(Refused, match="^manifest format 4 is unknown to this weft, which reads formats 1 to 3$"):
        Release.from_json({**said, "format": 4, "surprise": True})


@pytest.mark.parametrize("lines, message", [
    ("", "deploy/allowed_signers does not allow the key that signed it"),
    ('anna@example.org namespaces="weft-index@v1" {key}', "anna@example.org did not sign it as weft-release@v1, or may not"),
    ('anna@example.org valid-before="20200101" {key}', "its key was valid until 2020-01-01T00:00:00 only"),
    ('anna@example.org valid-after="20990101" {key}', "its key is valid from 2099-01-01T00:00:00 on only"),
])
def test_preflight_finds_a_key_that_hosts_would_not_believe(signed, lines, message):
    made, key = signed
    allow(made, lines.replace("{key}", key.public) + "\n")
    said, _fix = sign.fault(sign.signing(made.root, opened(made).config))
    assert said == f"what {made.root}/../anna signs is not trusted: {message.replace('deploy/', f'{made.root}/deploy/')}"


@pytest.mark.parametrize("key, message, fix", [
    ("../nobody", "No such file or directory", "set signing_key in [tool.weft] to an SSH key"),
    ("../carl", "it has a passphrase, and no agent holds it", "ssh-add "),
    ("../carl.pub", "it has a passphrase, and no agent holds it", "ssh-add "),
])
def test_preflight_finds_a_key_that_does_not_sign(signed, key, message, fix, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made, _ = signed
    make_key(made.root.parent, "carl@example.org", passphrase="secret")
    config = made.root / "pyproject.toml"
    config.write_text(config.read_text().replace('"../anna"', f'"{key}"'))
    said, hint = sign.fault(sign.signing(made.root, opened(made).config))
    assert said.startswith(f"the signing key {made.root}/{key} does not sign: ") and message in said
    assert hint.startswith(fix)


def test_preflight_finds_a_project_whose_hosts_want_signatures_but_that_has_no_key(project):
    allow(project, make_key(project.root.parent).allowed())
    said, fix = sign.fault(sign.signing(project.root, opened(project).config))
    assert said == "deploy/allowed_signers names who signs, but no key signs this release: hosts would refuse it"
    commit(project, "allow")
    before = factory.seen(project) if hasattr(factory, "seen") else None
    with pytest.raises(Refused) as refused:
        factory.run_release(project, "1.1.4")
    assert {"message": said, "next": fix} in refused.value.details
    assert not project.store.exists() and before == (factory.seen(project) if before else None)


def test_a_real_agent_signs_for_a_public_key(tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path, "dora@example.org", passphrase="secret")
    public = tmp_path / "elsewhere.pub"
    public.write_text(key.path.with_suffix(".pub").read_text())
    with pytest.raises(Refused, match="No private key found"):
        signing.sign(b"x", str(public), signing.RELEASE)
    agent = subprocess.run(["ssh-agent", "-s", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True).stdout
    try:
        ask = tmp_path / "ask"
        ask.write_text("#!/bin/sh\necho secret\n")
        ask.chmod(0o755)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        subprocess.run(["ssh-add", "-q", str(key.path)], check=True, stdin=subprocess.DEVNULL, start_new_session=True,
                       env={**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"})
        signature = signing.sign(b"x", str(public), signing.RELEASE)
    finally:
        os.kill(int(agent.split("SSH_AGENT_PID=")[1].split(";")[0]), 15)
    allowed = tmp_path / "allowed"
    allowed.write_text(key.allowed())
    assert signing.verify(b"x", signature, signing.RELEASE, signing.Signers(allowed), "x").by == "dora@example.org"


# -- what the operator refuses before any host is asked ---------------------------------------------------------------------


def refused(made, **words):
    with pytest.raises(Refused) as error:
        payload(made, **words)
    return error.value


def change(path, content):
    path.chmod(0o644)
    path.write_bytes(content) if content is not None else path.unlink()


def reindex(made, key, **other):
    """Another index, rightly signed by `key`, in the store."""
    path = made.store / APP / "index.json"
    index = dataclasses.replace(Sealed.from_bytes(path.read_bytes()).index, **other)
    store = opened(made).store
    assert store.put_index(APP, store.index(APP), Sealed(index.text(), key.sign(index.text(), signing.INDEX)).to_bytes())


def test_operator_refuses_an_unsigned_and_a_changed_manifest(signed):
    made, _ = signed
    place = made.store / APP / "1.1.4"
    text = (place / "manifest.json").read_bytes()
    change(place / "manifest.json", text.replace(b"something new", b"something else"))
    assert refused(made).message == "the manifest of weaveserver 1.1.4 is not trusted: these are not the bytes that anna@example.org signed"
    change(place / "manifest.json", text)
    change(place / "manifest.json.sig", None)
    assert refused(made).message == "the manifest of weaveserver 1.1.4 is not trusted: it is not signed"


def elsewhere(monkeypatch, tmp_path, name):
    """From here on another person, on a machine of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))


def test_operator_refuses_an_older_and_an_expired_index(signed, tmp_path, monkeypatch):
    made, key = signed
    store = opened(made).store
    first = store.index(APP)
    repair.repair(opened(made)).renewed
    elsewhere(monkeypatch, tmp_path, "operator")
    payload(made)
    store.put_index(APP, store.index(APP), first)
    assert refused(made).message == "the index of weaveserver is older than one seen before: serial 1, seen 2 (rollback)"
    assert refused(made, accept_expired=True, force=("yanked", "bad")).message.endswith("(rollback)"), "nothing overrides that"
    reindex(made, key, serial=3, expires="2026-01-01T00:00:00Z")
    error = refused(made)
    assert error.message == "the index of weaveserver expired at 2026-01-01T00:00:00Z: what it says may have been overtaken since (freeze)"
    assert error.hint.endswith("or --accept-expired, if you know from elsewhere that it is the newest")
    payload(made, accept_expired=True)


def test_operator_refuses_a_store_without_its_index(signed):
    made, _ = signed
    (made.store / APP / "index.json").unlink()
    for each in made.store.glob(f"{APP}/.index.json.d/*"):
        each.unlink()
    assert refused(made).message == "there is no index of weaveserver in the store"


def test_yank(signed):
    made, _ = signed
    renewed = chain.take_back(opened(made), "1.1.4", "loses orders")
    assert (renewed.index.serial, renewed.index.versions["1.1.4"]["yanked"]) == (2, "loses orders")
    error = refused(made)
    assert (error.message, error.hint) == ("weaveserver 1.1.4 was yanked: loses orders", "--force-yanked deploys it all the same")
    assert payload(made, force=("yanked",)).wish()["force"] == ["yanked"]
    assert opened(made).store.versions(APP) == ["1.1.4"], "never deleted"
    assert chain.take_back(opened(made), "1.1.4", "again").index.versions["1.1.4"]["yanked"], "twice is as good"
    assert repair.repair(opened(made)).renewed.index.versions["1.1.4"]["yanked"], "a rebuild keeps it"
    with pytest.raises(UsageError, match="^why"):
        chain.take_back(opened(made), "1.1.4", " ")
    with pytest.raises(Refused, match="9.9 is not in"):
        chain.take_back(opened(made), "9.9", "x")


def test_a_number_is_never_used_twice(signed):
    """Not even when somebody has deleted the tag and the files: the index remembers."""
    made, _ = signed
    made.git("push", "-q", "origin", ":refs/tags/1.1.4")
    made.git("tag", "-d", "1.1.4")
    made.git("commit", "-q", "--allow-empty", "-m", "more")
    made.git("push", "-q", "origin", "HEAD")
    os.rename(made.store / APP / "1.1.4", made.root.parent / "gone")
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert {"message": "1.1.4 was released before: the index names it", "next": "release another version; a number is never used twice"} \
        in error.value.details
    assert "1.1.4" not in os.listdir(made.store / APP) and "1.1.4" not in made.git("ls-remote", "--tags", "origin")


def test_a_mark_that_somebody_deletes_from_the_store_stays_in_the_index(signed):
    made, _ = signed
    chain.take_back(opened(made), "1.1.4", "loses orders")
    for each in (made.store / APP).glob("1.1.4~*"):
        each.unlink()
    assert repair.repair(opened(made)).renewed.index.versions["1.1.4"]["yanked"] == "loses orders"


def test_yank_counts_without_signatures_too(released):
    chain.take_back(opened(released), "1.1.4", "loses orders")
    assert refused(released).message == "weaveserver 1.1.4 was yanked: loses orders"
    assert payload(released, force=("yanked",)).wish() == {"release": payload(released, force=("yanked",)).release.to_json()}


# -- the publisher's index ---------------------------------------------------------------------------------------------------


def test_a_changed_manifest_is_never_blessed_by_a_new_index(signed):
    made, key = signed
    place = made.store / APP / "1.1.4"
    said = json.loads((place / "manifest.json").read_text())
    other = Release.from_json({**said, "changelog": "rewritten"})
    change(place / "manifest.json", other.text().encode())
    change(place / "manifest.json.sig", key.sign(other.text()).encode())
    with pytest.raises(NeedsHands, match="^the manifest of weaveserver 1.1.4 in .* is not the one that the index names$"):
        repair.repair(opened(made)).renewed


def test_a_release_that_nobody_signed_is_left_out(signed, tmp_path):
    made, _ = signed
    place = made.store / APP / "1.1.4"
    evil = made.store / APP / "6.6"
    subprocess.run(["cp", "-r", str(place), str(evil)], check=True)
    said = json.loads((place / "manifest.json").read_text())
    change(evil / "manifest.json", Release.from_json({**said, "version": "6.6"}).text().encode())
    renewed = repair.repair(opened(made)).renewed
    assert set(renewed.index.versions) == {"1.1.4"}
    assert renewed.left == {"6.6": "the manifest of weaveserver 6.6 is not trusted: these are not the bytes that anna@example.org signed"}


def test_an_index_that_somebody_wrote_is_not_built_upon(signed, tmp_path):
    made, _ = signed
    store = opened(made).store
    payload(made)
    forged = dataclasses.replace(Sealed.from_bytes(store.index(APP)).index, serial=1 << 60)
    mallory = make_key(tmp_path, "mallory@example.org")
    store.put_index(APP, store.index(APP), Sealed(forged.text(), mallory.sign(forged.text(), signing.INDEX)).to_bytes())
    assert repair.repair(opened(made)).renewed.index.serial == 2, "the next after the last that was believed here"
    altered = Sealed(forged.text(), Sealed.from_bytes(store.index(APP)).signature)
    store.put_index(APP, store.index(APP), altered.to_bytes())
    with pytest.raises(Refused, match="^the index of weaveserver is not trusted: these are not the bytes that anna@example.org signed$"):
        repair.repair(opened(made)).renewed


def test_two_publishers_at_once_lose_no_mark(signed, tmp_path, monkeypatch):
    """The second one's index was read before the first one's was written: it begins again."""
    made, _ = signed
    shelf = chain.shelf(opened(made))
    raw = shelf.store.index(APP)

    class Late:
        """The store as a publisher sees it who reads, then sleeps while another writes."""
        def __init__(self):
            self.first = True

        def __getattr__(self, name):
            return getattr(shelf.store, name)

        def index(self, app):
            if self.first:
                self.first = False
                elsewhere(monkeypatch, tmp_path, "other")
                chain.take_back(opened(made), "1.1.4", "loses orders")
                for each in (made.store / APP).glob("1.1.4~*"):
                    each.unlink()
                return raw
            return shelf.store.index(app)

    renewed = indexing.renew(dataclasses.replace(shelf, store=Late()), {"1.1.4": {"bad": "slow"}})
    assert (renewed.index.serial, renewed.index.versions["1.1.4"] | {"manifest": ""}) == \
        (3, {"manifest": "", "yanked": "loses orders", "bad": "slow"})


def test_a_project_that_begins_to_sign(released):
    """What was released before is not signed after the fact: hosts that check would not take it."""
    key = make_key(released.root.parent)
    allow(released, key.allowed())
    config = released.root / "pyproject.toml"
    config.write_text(config.read_text().replace("[tool.weft]\n", f'[tool.weft]\nsigning_key = "{key.path}"\n'))
    renewed = repair.repair(opened(released)).renewed
    assert (dict(renewed.index.versions), renewed.left) == (
        {}, {"1.1.4": "the manifest of weaveserver 1.1.4 is not trusted: it is not signed"})
    config.write_text(config.read_text().replace("[tool.weft]\n", "[tool.weft]\nindex_days = 0\n"))
    with pytest.raises(UsageError, match="index_days: must be 1 or more"):
        repair.repair(opened(released)).renewed


def test_killed_before_the_index_the_same_command_names_it(signed):
    made, _ = signed
    store = opened(made).store
    for each in [made.store / APP / "index.json", *made.store.glob(f"{APP}/.index.json.d/*")]:
        each.unlink()
    report = factory.Quiet()
    proposal = factory.run_release(made, "1.1.4", report=report)
    assert [step.kind for step in proposal.plan.steps] == ["index"]
    assert indexing.names(store, APP, "1.1.4")
    assert factory.run_release(made, "1.1.4").plan.steps == ()


# -- inv verify ----------------------------------------------------------------------------------------------------------------


def test_verify_an_old_release(signed):
    made, key = signed
    said = chain.check(opened(made), "1.1.4")
    assert (said["tag"], said["commit"], said["marks"]) == ("1.1.4", made.git("rev-parse", "1.1.4^{}"), {})
    assert said["signed"].startswith("anna@example.org (SHA256:")


@pytest.mark.parametrize("damage, says", [
    (lambda made: change(made.store / APP / "1.1.4/weaveserver.ini", b"x" * 10), "weaveserver.ini has 10 bytes, the manifest says"),
    (lambda made: change(made.store / APP / "1.1.4/manifest.json.sig", None), "the manifest of weaveserver 1.1.4 is not trusted: it is not signed"),
    (lambda made: made.git("push", "-q", "origin", ":refs/tags/1.1.4"), "the tag 1.1.4 is not there, the manifest says"),
    (lambda made: opened(made).store.put_index(APP, opened(made).store.index(APP), b"{}"), "index.json is malformed"),
])
def test_verify_lists_what_differs(signed, damage, says):
    made, _ = signed
    damage(made)
    with pytest.raises(Refused) as error:
        chain.check(opened(made), "1.1.4")
    assert error.value.message.startswith("weaveserver 1.1.4 is not what was released:") and says in error.value.message


def test_verify_compares_what_the_sdist_holds(signed):
    import gzip
    made, key = signed
    place = made.store / APP / "1.1.4"
    said = json.loads((place / "manifest.json").read_text())
    assert chain._tar(opened(made), Release.from_json(said)) == []
    assert chain._tar(opened(made), Release.from_json({**said, "sdist_tar": "0" * 64})) == \
        ["weaveserver-1.1.4.tar.gz holds other files than the manifest says"]


# -- set-up -----------------------------------------------------------------------------------------------------------------------


def test_setup_tells_the_hosts_whom_to_trust(signed, tmp_path):
    import base64
    made, key = signed
    krl = made.root / sign.REVOKED
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(krl), str(make_key(tmp_path, "eve@example.org").path) + ".pub"], check=True)
    said = for_setup(made.root)
    assert said["allowed_signers"] == key.allowed() and base64.b64decode(said["revoked_signers"]) == krl.read_bytes()
    (made.root / sign.ALLOWED).unlink()
    assert for_setup(made.root) == {}


# -- the nouns ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, says", [
    ("[]", "the index is malformed"), ("{", "the index is malformed"), ('{"format": 2}', "index format 2 is unknown to this weft, which reads format 1"),
    ('{"app": "../x", "serial": 1, "created": "", "expires": ""}', "the index is not valid: '../x' is not an application name"),
    ('{"app": "x", "serial": true, "created": "", "expires": ""}', "the index's serial is not a number above 0"),
    ('{"app": "x", "serial": 1, "created": "", "expires": "never"}', "the index does not say when it was created and expires"),
    ('{"app": "x", "serial": 1, "created": "2026-01-01T00:00:00Z", "expires": "2026-01-01T00:00:00Z", "versions": {"1": {"manifest": 1}}}',
     "the index's versions are malformed"),
])
def test_what_is_no_index(text, says):
    with pytest.raises(Refused) as error:
        Index.from_text(text)
    assert error.value.message == says


def test_memory_of_a_key_that_is_no_longer_believed_is_forgotten(tmp_path):
    anna, berta = make_key(tmp_path), make_key(tmp_path, "berta@example.org")
    allowed = tmp_path / "allowed"
    allowed.write_text(anna.allowed())
    text = Index("shop", 9, stamp(), stamp(1)).text()
    memory = Memory(tmp_path / "deep/serial")
    memory.keep(Sealed(text, anna.sign(text, signing.INDEX)))
    assert memory.last("shop", signing.Signers(allowed)).index.serial == 9
    allowed.write_text(berta.allowed())
    assert memory.last("shop", signing.Signers(allowed)) is None
