"""The ten attacks that The Update Framework names, each against what a real host accepts.

The attacker has the store, the mirror or the wire, and signs with keys of their own; the last test gives them a signer's key.
Every refusal has its exit code and message, and leaves what is served and what is remembered as it was.
"""

import base64
import dataclasses
import json
import os
import subprocess
import sys
import time

import pytest

from tests.host.bench_host import SOURCE, HostUnderPrefix, missing
from tests.signers import Publisher, make_key, stamp
from weft import signing
from weft.errors import Refused
from weft.host.request import parse
from weft.values import Artifact, Version

pytestmark = pytest.mark.slow
NOW = ("var/log", "var/run", "var/app/shop/run", "var/lib/weft/shop/lock", "var/lib/weft/shop/journal.jsonl",
       "var/lib/weft/shop/traffic", "made")


class Trusting(HostUnderPrefix):
    """A host that was set up with allowed signers and serves 1.0, and the publisher that it trusts."""

    def __init__(self, keys):
        super().__init__()
        self.anna, self.mallory = make_key(keys), make_key(keys, "mallory@example.org")
        self.publisher, self.attacker = Publisher(self.anna), Publisher(self.mallory)
        self.trust(self.anna.allowed())
        first, content = self.published("1.0")
        self.first = self.publisher.index()
        code, last = self.bring(first, content, index=self.first.text, index_signature=self.first.signature)
        assert code == 0, last
        number = last["result"]["generation"]
        self.ok("activate", generation=number, base=0)
        self.ok("confirm", generation=number)

    def fresh(self):
        """Forget what earlier tests brought."""
        folder = self.prefix / "etc/weft/shop"
        (folder / "allowed_signers").write_text(self.anna.allowed())
        (folder / "revoked_signers").unlink(missing_ok=True)
        self.remembered.write_text(json.dumps(dataclasses.asdict(self.first) | {"serial": 2}))
        self.publisher.serial, self.publisher.versions = 2, {"1.0": self.publisher.versions["1.0"]}

    @property
    def remembered(self):
        return self.prefix / "var/lib/weft/shop/index-serial"

    def trust(self, allowed, revoked=b""):
        self.ok("setup", allowed_signers=allowed, revoked_signers=base64.b64encode(revoked).decode())

    def published(self, version, **app):
        release, content = self.release(version, **app)
        self.publisher.publish(release)
        return release, content

    def bring(self, release, content, files=None, **words):
        """(exit code, last line) of `stage` with what the publisher says, or with other words."""
        words = {**self.publisher.words(release), **words}
        have = os.listdir(self.root / "cache") if (self.root / "cache").exists() else []
        wanted = [a for a in release.for_host() if a.sha256 not in have]
        files = [{"sha256": a.sha256, "size": a.size} for a in wanted] if files is None else files
        blobs = [content[each["sha256"]] for each in files if each["sha256"] in content]
        base = json.loads((self.root / "generations/1/record.json").read_text())["number"] if (self.root / "generations/1").exists() else 0
        return self.call("stage", blobs, base=base, files=files, **words)[:2]

    def seen(self):
        """All that there is, byte for byte, but logs, the lock and what runs."""
        found = {}
        for folder, _dirs, names in os.walk(self.prefix):
            for name in names:
                path = os.path.join(folder, name)
                place = os.path.relpath(path, self.prefix)
                if not place.startswith(NOW):
                    found[place] = os.readlink(path) if os.path.islink(path) else open(path, "rb").read()
        return found, self.version()

    def refuses(self, message, release, content, code=3, **words):
        """This exit code and message, and nothing changed; where only the bytes were wrong (4), the index was a good one to keep."""
        before = self.seen()
        said, last = self.bring(release, content, **words)
        assert (said, last["error"]["message"]) == (code, message), last
        assert last["error"]["effect"] in ("nothing changed; 1.0 (generation 1) is served", "nothing changed", "1.0 (generation 1) is served")
        after = self.seen()
        if code == 4:
            after[0]["var/lib/weft/shop/index-serial"] = before[0]["var/lib/weft/shop/index-serial"]
        assert after == before
        return last["error"]


@pytest.fixture
def host(trusting):
    """The one host of this file, believing again what it believed after 1.0."""
    trusting.fresh()
    return trusting


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    made = Trusting(tmp_path_factory.mktemp("keys"))
    try:
        yield made
    finally:
        made.close()


def test_what_is_signed_and_named_is_accepted(host):
    """Else every refusal below would prove nothing."""
    release, _content = host.published("1.1")
    seen = host.ok("observe", **host.publisher.words(release, version="1.1"))
    assert (seen["faults"], seen["plan"] is not None) == ([], True)


def test_arbitrary_software(host):
    good, content = host.published("1.1")
    evil = dataclasses.replace(good, callable="os:system")
    untrusted = "the manifest of shop 1.1 is not trusted: "
    host.refuses(untrusted + "it is not signed", good, content, signature="")
    host.refuses(untrusted + f"{host.prefix}/etc/weft/shop/allowed_signers does not allow the key that signed it",
                 evil, content, signature=host.mallory.sign(evil.text()))
    host.refuses(untrusted + "these are not the bytes that anna@example.org signed", evil, content, signature=host.anna.sign(good.text()))
    host.refuses(untrusted + "anna@example.org did not sign it as weft-release@v1, or may not", good, content,
                 signature=host.anna.sign(good.text(), signing.INDEX))
    wheel = good.of_kind("wheel")[0]
    host.refuses("a file that came is not the one in the manifest (its sha256 differs)", good,
                 {**content, wheel.sha256: b"x" * wheel.size}, code=4)
    plain = [{"sha256": a.sha256, "size": a.size} for a in (wheel,)]
    code, last, _ = host.call("stage", [content[wheel.sha256]], release=good.to_json(), base=1, files=plain)
    assert (code, last["error"]["message"]) == (3, untrusted + "it is not signed")
    assert [each["message"] for each in host.ok("observe", release=good.to_json())["faults"]] == [untrusted + "it is not signed"]


def test_rollback(host):
    release, content = host.published("1.2")
    older = host.publisher.index(serial=1)
    assert json.loads(host.remembered.read_text())["serial"] == 2
    error = host.refuses("the index of shop is older than one seen before: serial 1, seen 2 (rollback)", release, content,
                         index=older.text, index_signature=older.signature)
    assert error["next"].startswith("somebody serves an old or another copy of the store")


def test_rollback_to_a_release_that_was_taken_back(host):
    release, content = host.published("1.2")
    host.publisher.versions["1.2"]["yanked"] = "loses orders"
    error = host.refuses("shop 1.2 was yanked: loses orders", release, content)
    assert error["next"] == "--force-yanked deploys it all the same"
    assert host.ok("observe", **host.publisher.words(release, force=["yanked"]))["faults"] == []


def test_fast_forward(host):
    release, content = host.published("1.2")
    ahead = host.attacker.index(serial=1 << 60, versions=host.publisher.versions)
    for signature, why in ((ahead.signature, f"{host.prefix}/etc/weft/shop/allowed_signers does not allow the key that signed it"),
                           (host.publisher.index().signature, "these are not the bytes that anna@example.org signed"),
                           ("", "it is not signed")):
        host.refuses(f"the index of shop is not trusted: {why}", release, content, index=ahead.text, index_signature=signature)
    assert host.ok("observe", **host.publisher.words(release))["faults"] == [], "the publisher's next index is still believed"


def test_indefinite_freeze(host):
    release, content = host.published("1.2")
    stale = host.publisher.index(created=stamp(-40), expires="2026-01-01T00:00:00Z")
    error = host.refuses("the index of shop expired at 2026-01-01T00:00:00Z: what it says may have been overtaken since (freeze)",
                         release, content, index=stale.text, index_signature=stale.signature)
    assert error["next"] == "`inv index`, by somebody who may sign, renews it"
    code, last = host.bring(release, content, index=stale.text, index_signature=stale.signature, accept_expired=True)
    assert (code, last["error"]["message"]) == (3, "stage does not know: accept_expired"), "no operator talks a host out of this"


def test_endless_data(host):
    before = host.seen()
    process = subprocess.Popen(host.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    sent = 0
    with pytest.raises(BrokenPipeError):
        while sent < 64 << 20:
            sent += process.stdin.write(b"[" * (1 << 16))
            process.stdin.flush()
    last = json.loads(process.stdout.read().splitlines()[-1])
    process.stdout.close()
    assert (process.wait(20), last["error"]["message"]) == (3, "the request is larger than 4 MiB")
    assert sent < 8 << 20 and host.seen() == before
    release, content = host.published("1.2")
    wheel = release.of_kind("wheel")[0]
    host.refuses("files announces something that the manifest does not name", release, content,
                 files=[{"sha256": wheel.sha256, "size": 1 << 40}])


def test_an_endless_signature_is_not_given_to_ssh_keygen(host, monkeypatch):
    """It is well-formed, and longer than any signature is; ssh-keygen, which would read all of it, is not asked."""
    from weft import signing
    from weft.errors import Refused
    long = "-----BEGIN SSH SIGNATURE-----\n" + "A" * (16 << 10) + "\n-----END SSH SIGNATURE-----\n"
    with monkeypatch.context() as patch, pytest.raises(Refused, match="its signature is not an SSH signature$"):
        patch.setattr(signing, "_run", lambda *_: pytest.fail("ssh-keygen was asked"))
        signing.verify(b"x", long, signing.RELEASE, signing.Signers(host.prefix / "etc/weft/shop/allowed_signers"), "the manifest")
    release, content = host.published("1.3")
    host.refuses("the manifest of shop 1.3 is not trusted: its signature is not an SSH signature", release, content, signature=long)


def test_endless_bytes_behind_a_file_are_not_read(host):
    release, content = host.published("1.2")
    files = [{"sha256": a.sha256, "size": a.size} for a in release.for_host()]
    blobs = [content[each["sha256"]] for each in files] + [b"x" * (16 << 20)]
    code, last, said = host.call("stage", blobs, base=1, files=files, **host.publisher.words(release))
    assert "result" in said[-1], "what was announced is staged"
    assert (code, last["error"]["message"]) == (3, "the request is larger than 4 MiB"), "what follows is taken for the next request"
    assert not [name for name in os.listdir(host.root / "cache") if (host.root / "cache" / name).stat().st_size >= 16 << 20]


def test_extraneous_dependencies(host):
    release, content = host.published("1.3")
    evil = b"print('mined')"
    extra = Artifact("wheelhouse/miner-1.0-py3-none-any.whl", "dependency", len(evil), "e" * 64)
    more = dataclasses.replace(release, artifacts=(*release.artifacts, extra))
    host.refuses("the manifest of shop 1.3 is not trusted: these are not the bytes that anna@example.org signed", more,
                 {**content, extra.sha256: evil}, signature=host.anna.sign(release.text()))
    host.refuses("files announces something that the manifest does not name", release, {**content, extra.sha256: evil},
                 files=[{"sha256": extra.sha256, "size": len(evil)}])


def test_extraneous_dependency_that_a_wheel_asks_for_is_not_fetched(host):
    """The wheel's own words count for nothing: only what is locked is installed, from no index."""
    release, content = host.published("1.4", requires="requests")
    code, last = host.bring(release, content)
    assert code == 0, last
    installed = [p.name for p in (host.root / "releases" / release.id / "venv/lib").glob("python3*/site-packages/*")]
    assert sorted(name for name in installed if not name.startswith("__")) == ["shop", "shop-1.4.dist-info"]


def test_mix_and_match(host):
    one, content = host.published("1.5")
    other, _ = host.release("1.5", settings="[shop]\ncolour = other\n")
    host.refuses("the manifest of shop 1.5 is not the one that the index names", other, content, signature=host.anna.sign(other.text()))
    next_one, next_content = host.published("1.6")
    wheel = next_one.of_kind("wheel")[0]
    host.refuses("files announces something that the manifest does not name", one, next_content,
                 files=[{"sha256": wheel.sha256, "size": wheel.size}])
    twin = host.publisher.index(serial=2, expires=stamp(99))
    host.refuses("there are two different indexes of shop with serial 2 (mix)", one, content,
                 index=twin.text, index_signature=twin.signature)


def test_wrong_software_installation(host):
    release, content = host.published("1.5")
    other = dataclasses.replace(release, app="other")
    host.refuses("the manifest is of other, the request is for shop", other, content)
    host.refuses("the manifest is of shop 1.5, asked for was 1.6", release, content, version="1.6")
    foreign = Publisher(host.anna, "other", 9, dict(host.publisher.versions)).index()
    host.refuses("the index is of other, not of shop", release, content, index=foreign.text, index_signature=foreign.signature)
    unnamed = dataclasses.replace(release, version=Version("6.6"))
    host.refuses(f"shop 6.6 is not in the index (serial {host.publisher.serial})", unnamed, content)


def test_malicious_mirror_preventing_updates(host):
    """A mirror can withhold; it cannot do so unnoticed, nor leave a host locked, half changed or out of service."""
    release, content = host.published("1.7")
    host.refuses("shop 1.7 came without the index of shop", release, content, index="", index_signature="")
    wanted = [a for a in release.for_host() if not (host.root / "cache" / a.sha256).exists()]
    files = [{"sha256": a.sha256, "size": a.size} for a in wanted]
    total = wanted[-1].size
    host.refuses(f"the connection ended {total - 3} bytes before the end of a file", release, {**content, wanted[-1].sha256: b"xxx"},
                 code=4, files=files[-1:])
    before, start = host.seen(), time.monotonic()
    code, last = _silent(host, release, files)
    assert (code, last["error"]["message"]) == (4, "nothing came for 1 s in the middle of a file")
    assert time.monotonic() - start < 20 and host.seen() == before
    code, last = host.bring(release, content)
    assert code == 0, "through another mirror it comes"


def _silent(host, release, files):
    """A stage whose files never come, while the connection stays open; the engine's patience cut to a second."""
    program = "import sys; from weft.host import stage; stage.PATIENCE = 1.0; from weft.host.__main__ import main; main(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", program, "--prefix", str(host.prefix)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    request = {"protocol": 1, "verb": "stage", "app": "shop", "by": "t@h", "site": host.site, "base": 1, "files": files,
               **host.publisher.words(release)}
    process.stdin.write(json.dumps(request).encode() + b"\nxxx")
    process.stdin.flush()
    output = process.stdout.read()
    process.stdin.close()
    process.stdout.close()
    return process.wait(20), json.loads(output.splitlines()[-1])


def test_key_compromise(host, tmp_path):
    """A signer's key is stolen: nothing here can tell, until it is revoked; then all that it signed is void, its serial too."""
    release, content = host.published("1.8")
    stolen = host.publisher.index(serial=1 << 60)
    code, last = host.bring(release, content, index=stolen.text, index_signature=stolen.signature)
    assert code == 0, "the attacker is believed as long as the key is"
    host.refuses(f"the index of shop is older than one seen before: serial {host.publisher.serial}, seen {1 << 60} (rollback)",
                 release, content)
    berta = make_key(tmp_path, "berta@example.org")
    krl = tmp_path / "krl"
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(krl), str(host.anna.path.with_suffix(".pub"))], check=True)
    host.trust(host.anna.allowed() + berta.allowed(), krl.read_bytes())
    fingerprint = subprocess.run(["ssh-keygen", "-lf", str(host.anna.path)], capture_output=True, text=True, check=True).stdout.split()[1]
    host.refuses(f"the manifest of shop 1.8 is not trusted: the key {fingerprint} of anna@example.org is revoked", release, content)
    anew = Publisher(berta, "shop", 4, dict(host.publisher.versions))
    words = anew.words(release)
    assert host.ok("observe", **words)["faults"] == [], "signed again by another signer, with the serial that would have come next"
    old_manifest = {**words, "signature": host.anna.sign(release.text())}
    assert "is revoked" in host.ok("observe", **old_manifest)["faults"][0]["message"], "a fresh index does not heal a revoked signature"
    assert host.version() == "1.0", "what was served before stays served"


def test_key_compromise_does_not_reach_who_is_trusted():
    """The account that deploys cannot change whom the host trusts: set-up is not reached through the sudo rule."""
    said = {"protocol": 1, "verb": "setup", "app": "shop", "by": "x", "site": {}, "allowed_signers": "mallory ssh-ed25519 AAAA"}
    with pytest.raises(Refused, match="^setup is not done through the installed engine$"):
        parse(said, "")
    for verb in ("observe", "stage", "activate"):
        with pytest.raises(Refused, match=f"^{verb} does not know: allowed_signers$"):
            parse({**said, "verb": verb}, "")


def test_key_whose_time_is_over(host, tmp_path):
    """Its releases stay good, while an index signed by a key that is valid now names them; its indexes do not."""
    carl, dora = make_key(tmp_path, "carl@example.org"), make_key(tmp_path, "dora@example.org")
    host.trust(carl.allowed('valid-before="20260201"') + dora.allowed(f'valid-after="20260201",namespaces="{signing.INDEX}"'))
    release, content = host.release("1.9")
    publisher = Publisher(carl)
    publisher.publish(release)
    words = publisher.words(release)
    faults = host.ok("observe", **words)["faults"]
    assert [each["message"] for each in faults] == \
        ["the index of shop is not trusted: its key was valid until 2026-02-01T00:00:00 only"]
    fresh = Publisher(dora, "shop", 3, publisher.versions).index()
    assert host.ok("observe", **{**words, "index": fresh.text, "index_signature": fresh.signature})["faults"] == []
    wrong = {**words, "index": fresh.text, "index_signature": fresh.signature, "signature": dora.sign(release.text())}
    assert host.ok("observe", **wrong)["faults"][0]["message"].startswith("the manifest of shop 1.9 is not trusted: ")


@pytest.mark.parametrize("way", ["file", "folder", "link", "owner"])
def test_signers_that_others_could_have_written_are_not_believed(host, way):
    release, content = host.published("2.0")
    path = host.prefix / "etc/weft/shop/allowed_signers"
    message = "{} could have been written by others than root; it says whom this host trusts"
    if way == "link":
        text = path.read_text()
        path.rename(host.prefix / "kept")
        path.symlink_to(host.prefix / "kept")
        try:
            host.refuses(message.format(path), release, content)
        finally:
            path.unlink()
            (host.prefix / "kept").rename(path)
        assert path.read_text() == text
    elif way == "owner":
        if os.geteuid():
            pytest.skip("only root gives files away")
        os.chown(path, 65534, -1)
        try:
            host.refuses(message.format(path), release, content)
        finally:
            os.chown(path, 0, -1)
    else:
        where, mode = (path, 0o644) if way == "file" else (path.parent, 0o755)
        where.chmod(0o666 if way == "file" else 0o777)
        try:
            host.refuses(message.format(where), release, content)
        finally:
            where.chmod(mode)


def test_memory_that_cannot_be_read_is_no_memory_of_nothing(host):
    release, content = host.published("2.0")
    host.remembered.write_text("{")
    host.refuses(f"{host.remembered}, the last index seen, cannot be read", release, content)
