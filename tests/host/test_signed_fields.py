"""Every field of a signed manifest and of a signed index, changed one at a time by whoever has the store, the mirror or the wire.

The fields are found by walking what was signed, so that one which is added to the formats is attacked from its first day on.
"""

import dataclasses
import hashlib
import json

import pytest

from tests.host.light_host import LightHost, make_release
from tests.signers import Publisher, make_key, stamp
from weft.errors import Refused
from weft.host import trust
from weft.host.machine import Machine
from weft.host.request import parse
from weft.values import Artifact

pytestmark = pytest.mark.slow
MANIFEST = "the manifest of shop 1.1 is not trusted: "
INDEX = "the index of shop is not trusted: "
OTHER_BYTES = "these are not the bytes that anna@example.org signed"
OTHER = {"app": "shap", "version": "1.2", "created": "2026-01-02T00:00:00Z", "expires": "2099-01-01T00:00:00Z", "kind": "lock",
         "callable": "os:system", "name": "other-1.0-py3-none-any.whl", "python": "3.12"}
#: What a field that was changed is called where the engine refuses it before it looks at the signature.
CALLED = {"app": ("is of shap, the request is for shop", "is of shap, not of shop"), "version": ("asked for was 1.1",), "format": ("format", "unknown keys: python"),
          "python": ("for Python", "names python"), "pythons": ("Python",), "kind": ("needs one wheel", "itself it is for", "what is no dependency"),
          "callable": ("needs one wheel, and one entry or callable",), "artifacts": ("needs one wheel", "more than its format"),
          "unvendored": ("more than its format",), "name": ("names a file twice",)}


def extra(name, kind, pythons=()):
    raw = name.encode()
    return Artifact(name, kind, len(raw), hashlib.sha256(raw).hexdigest(), pythons)


def manifest(number):
    """A release with something in each field that its format has."""
    release, _content = make_release("1.1", dependency="2.0")
    named = [extra("shop-1.1.tar.gz", "sdist"), extra("requirements.lock", "lock"), extra("sbom.json", "sbom")]
    common = {"changelog": "- something new", "built": {"weft": "1.0", "python": "3.11.2"}, "sdist_tar": "d" * 64}
    if number == 1:
        named.append(extra("shop.wsgi", "entry"))
        return dataclasses.replace(release, artifacts=(*release.artifacts, *named), format=1, callable="", **common)
    named.append(extra("wheelhouse/only-1.0-cp312-none-any.whl", "dependency", ("3.12",)))
    return dataclasses.replace(release, artifacts=(*release.artifacts, *named), pythons=("3.11", "3.12"), **common,
                               unvendored=(extra("outside-1.0-py3-none-any.whl", "dependency"),))


def leaves(said, path=()):
    """The path of everything that can be changed alone: values, and the tables and lists that hold them."""
    inside = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    if path:
        yield path
    for key, value in inside:
        yield from leaves(value, (*path, key))


def changed(said, path):
    """The same with another value there: a digest, size, name, time or text of the same form, a table or list that lacks one."""
    if not path:
        return other(said, "")
    copy = dict(said) if isinstance(said, dict) else list(said)
    if len(path) == 1 and isinstance(copy, list) and isinstance(copy[path[0]], dict):
        return copy[:path[0]] + copy[path[0] + 1:]
    copy[path[0]] = changed(copy[path[0]], path[1:]) if path[1:] else other(copy[path[0]], path[0])
    return copy


def other(value, key):
    if isinstance(value, dict):
        return {name: value[name] for name in list(value)[:-1]} if value else {"more": "x"}
    if isinstance(value, list):
        return value[:-1]
    if isinstance(value, int):
        return value + 1
    if value in ("3.11", "3.12"):
        return {"3.11": "3.12", "3.12": "3.11"}[value]
    if isinstance(value, str) and len(value) == 64:
        return hashlib.sha256(value.encode()).hexdigest()
    return "sdist" if value == OTHER.get(key) else OTHER.get(key, f"{value}x")


class Believing(LightHost):
    """A host that was set up to trust anna, and what she published: 1.1 in both formats, and the index that names it."""

    def __init__(self, keys):
        super().__init__()
        self.anna, self.mallory = make_key(keys), make_key(keys, "mallory@example.org")
        self.ok("setup", allowed_signers=self.anna.allowed())
        self.releases = {number: manifest(number) for number in (1, 2)}
        self.words = {}
        for number, release in self.releases.items():
            publisher = Publisher(self.anna)
            publisher.publish(release)
            publisher.versions["1.0"] = {"manifest": "e" * 64, "yanked": "loses orders", "bad": "does not start"}
            self.words[number] = publisher.words(release, version="1.1")

    def refused(self, number, **words):
        """The message of a refusal, exit 3, by what the engine does with a request before it takes any file; here, without a process for each."""
        said = {"protocol": 1, "verb": "stage", "app": "shop", "by": "t@h", "site": {**self.site, "server": "express"}, "base": 0, "files": [], **self.words[number], **words}
        with pytest.raises(Refused) as error:
            request = parse(said, str(self.prefix), may_set_up=True)
            Machine(request, None, None).refuse(trust.check(request.layout, request.release, request.proof))
        assert error.value.code == 3
        return error.value.message

    def whole(self, number, **words):
        """The same by the engine itself: nothing received, nothing remembered."""
        done = self.ask("stage", base=0, files=[], **{**self.words[number], **words})
        assert done["code"] == 3, (words, done)
        assert not (self.state / "index-serial").exists() and not list((self.root / "cache").glob("*"))
        return done["last"]["error"]["message"]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    made = Believing(tmp_path_factory.mktemp("keys"))
    yield made
    made.close()


FORMATS = pytest.mark.parametrize("number", [1, 2])


@FORMATS
def test_what_was_signed_is_believed(host, number):
    """Else every refusal below would prove nothing."""
    assert host.ok("observe", **host.words[number])["faults"] == []


@FORMATS
def test_each_field_of_the_manifest(host, number):
    """With the signature that came with it; signed anew by somebody else, and named by an index of theirs, in the next test."""
    said = json.loads(host.releases[number].text())
    paths = list(leaves(said))
    assert {path[0] for path in paths} == set(said) and len(paths) > 40
    strange = {}
    for path in paths:
        text = json.dumps(changed(said, path), sort_keys=True, ensure_ascii=False) + "\n"
        assert text != host.releases[number].text(), path
        message = host.refused(number, manifest=text)
        if message != MANIFEST + OTHER_BYTES and not any(each in message for each in CALLED.get(path[-1], ()) + CALLED.get(path[0], ())):
            strange[path] = message
    assert strange == {}


#: name -> what an attacker would change, as the kind of file whose digest it is, or as a field.
WORTH = {"code": "wheel", "dependency": "dependency", "installer": "installer", "settings": "settings", "entry": "entry", "SBOM": "sbom", "lock": "lock",
         "callable": ("callable",), "changelog": ("changelog",), "not vendored": ("unvendored", 0, "sha256"), "size": ("artifacts", 0, "size")}
ABSENT = {(1, "callable"), (1, "not vendored"), (2, "entry")}


@pytest.mark.parametrize("number, what", [(number, what) for number in (1, 2) for what in WORTH if (number, what) not in ABSENT])
def test_signed_by_somebody_else_and_named_by_their_index(host, number, what):
    release, where = host.releases[number], WORTH[what]
    said = json.loads(release.text())
    path = where if isinstance(where, tuple) else ("artifacts", next((at for at, each in enumerate(release.artifacts) if each.kind == where)), "sha256")
    text = json.dumps(changed(said, path), sort_keys=True, ensure_ascii=False) + "\n"
    theirs = Publisher(host.mallory, serial=9, versions={"1.1": {"manifest": hashlib.sha256(text.encode()).hexdigest()}}).index()
    why = f"{host.prefix}/etc/weft/shop/allowed_signers does not allow the key that signed it"
    named = {"index": theirs.text, "index_signature": theirs.signature}
    signed = {"manifest": text, "signature": host.mallory.sign(text), **named}
    assert host.refused(number, **signed) == MANIFEST + why
    assert host.refused(number, **named) == INDEX + why
    if what == "code":
        assert host.whole(number, **signed) == MANIFEST + why and host.whole(number, **named) == INDEX + why


@FORMATS
def test_each_field_of_the_index(host, number):
    text = host.words[number]["index"]
    said = json.loads(text)
    paths = list(leaves(said))
    assert {path[0] for path in paths} == {"app", "serial", "created", "expires", "versions", "format"} and ("versions", "1.0", "yanked") in paths
    for path in paths:
        message = host.refused(number, index=json.dumps(changed(said, path), sort_keys=True) + "\n")
        called = next((each for each in CALLED.get(path[-1], ()) if each in message), "")
        assert message == INDEX + OTHER_BYTES or called, (path, message)


@FORMATS
def test_the_same_words_in_other_bytes(host, number):
    """Spaces, the keys' order, a key that is said twice: what is parsed would be the same or not, what is signed is the text."""
    text, index = host.releases[number].text(), host.words[number]["index"]
    for other_text in (text + " ", text.rstrip("\n"), json.dumps(json.loads(text), indent=1), text.replace("{", '{"commit": "' + "e" * 40 + '", ', 1)):
        assert host.refused(number, manifest=other_text) == MANIFEST + OTHER_BYTES
    for other_index in (index + " ", json.dumps(json.loads(index), indent=1), index.replace("{", '{"serial": 99, ', 1)):
        assert host.refused(number, index=other_index) == INDEX + OTHER_BYTES


def test_a_manifest_of_the_other_format_is_another(host):
    """A manifest and a signature of the same version, of which only one is in the index."""
    one, two = host.words[1], host.words[2]
    assert host.refused(2, manifest=one["manifest"], signature=one["signature"]) == "the manifest of shop 1.1 is not the one that the index names"
    assert host.refused(1, signature=two["signature"]) == MANIFEST + OTHER_BYTES


@pytest.mark.parametrize("number", [2])
def test_a_key_whose_time_is_over_and_a_manifest_that_is_dated_back(host, number, tmp_path):
    """Its thief writes a time into the manifest at which it was valid. The signature counts then, and the index does not name it."""
    carl = make_key(tmp_path, "carl@example.org")
    host.ok("setup", allowed_signers=host.anna.allowed() + carl.allowed('valid-before="20260201"'))
    try:
        evil = dataclasses.replace(host.releases[number], callable="os:system", created="2026-01-15T00:00:00Z")
        assert host.refused(number, manifest=evil.text(), signature=carl.sign(evil.text())) == "the manifest of shop 1.1 is not the one that the index names"
        theirs = Publisher(carl, serial=9, versions={"1.1": {"manifest": hashlib.sha256(evil.text().encode()).hexdigest()}}, created=stamp(-300)).index()
        over = "its key was valid until 2026-02-01T00:00:00 only"
        assert host.refused(number, manifest=evil.text(), signature=carl.sign(evil.text()), index=theirs.text,
                            index_signature=theirs.signature) == INDEX + over
        late = dataclasses.replace(evil, created="2026-03-01T00:00:00Z")
        assert host.refused(number, manifest=late.text(), signature=carl.sign(late.text())) == MANIFEST + over
    finally:
        host.ok("setup", allowed_signers=host.anna.allowed())
