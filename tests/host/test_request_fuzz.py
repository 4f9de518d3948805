"""Whatever comes on standard input, the one program that runs as root refuses it by exit code 2 or 3, or has understood every part of it."""

import copy
import io
import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.host.bench_host import SOURCE
from tests.servers.test_contract import SAID
from tests.test_values import release
from weft.config import ini
from weft.errors import WeftError
from weft.host.request import VERBS, read

MANIFEST = json.loads(json.dumps(release().to_json()))
SITE = {**SAID, "settings": {"shop": {"colour": "red"}}, "aliases": ["b.example.org"], "doors": [18001, 18002]}
REQUESTS = [{"protocol": 1, "verb": verb, "app": "shop", "by": "a@b", "site": SITE, **words} for verb, words in {
    "observe": {"release": MANIFEST, "rollback": {"to": "1.0"}}, "stage": {"release": MANIFEST, "base": 1, "files": [{"sha256": "a" * 64, "size": 10}]},
    "activate": {"generation": 1, "base": 0}, "confirm": {"generation": 1}, "revert": {"generation": 1}, "rollback": {"to": "1.0", "base": 1},
    "verify": {}}.items()]
ODD = [None, True, False, 0, -1, 2 ** 70, 1.5, float("nan"), float("inf"), "", "x", "../x", "\ud800", "a\nb", "a\rb", "\0", "'\"<>%{ENV:X}`$(id)",
       [], {}, [[]], [{}], {"a": {}}, {"a": []}, ["a"], {"": {"": ""}}, {"a": {"b": "c\n[x]\ny=z"}}, {"a": {"b\n[c]": "d"}}, {"DEFAULT": {"a": "b"}},
       {"a]b": {"c": "d"}}, {"a": {"#": "d"}}, {"to": []}, [{"sha256": [], "size": {}}]]
JSON = some.recursive(some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
                      lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4), max_leaves=12)


def understood(line):
    """Nothing but a refusal with code 2 or 3, or a request of which every part is of its kind."""
    try:
        request = read(io.BytesIO(line + b"\n"), "/nowhere/at/all", False)
    except WeftError as error:
        assert error.code in (2, 3) and error.message, error
        return
    site = request.site
    assert request.verb in VERBS and isinstance(request.by, str) and request.by.isascii()
    for text in (site.account, site.python, site.hostname, site.variant, site.health.path, site.health.contains, *site.aliases):
        assert isinstance(text, str)
        text.encode()
    for number in (request.generation, request.base):
        assert number is None or type(number) is int
    rendered, _origins = ini.render("", site.settings, [], site.variant)
    rendered.encode()
    again = ini.parse(rendered, "rendered")
    for section, values in site.settings.items():
        for key in values:
            assert key in ini.own(again, section), "a setting is what it was said to be, and no other"
    assert len(again.sections()) <= len(site.settings)


def places(said, at=()):
    yield at
    for key in (said if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else ()):
        yield from places(said[key], (*at, key))


def put(said, at, value):
    if not at:
        return value
    out = copy.deepcopy(said)
    inner = out
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return out


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each["verb"])
def test_every_place_of_every_request_with_every_oddity(request_):
    understood(json.dumps(request_).encode())
    for at in places(request_):
        for odd in ODD:
            understood(json.dumps(put(request_, at, odd)).encode())
        if at:
            understood(json.dumps(put(request_, (*at[:-1], "more") if isinstance(at[-1], str) else at, 1)).encode())


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(some.data())
def test_what_nobody_thought_of(data):
    said = data.draw(some.sampled_from(REQUESTS))
    for _ in range(data.draw(some.integers(1, 3))):
        said = put(said, data.draw(some.sampled_from(sorted(places(said), key=str))), data.draw(JSON))
        if not isinstance(said, dict):
            break
    understood(json.dumps(said).encode())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(some.binary(max_size=200))
def test_bytes_that_are_no_request(raw):
    understood(raw.replace(b"\n", b""))


@pytest.mark.parametrize("raw", [b"[" * 100000, b'{"a":' * 50000, b"1" * 6000, b"\xff\xfe", b"", b"null", b"{}" * 3], ids=range(7))
def test_the_program_itself_ends_with_a_refusal_and_writes_nothing(raw, tmp_path):
    done = subprocess.run([sys.executable, "-m", "weft.host", "--prefix", str(tmp_path)], input=raw + b"\n", capture_output=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(SOURCE)})
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == last["error"]["code"] in (2, 3) and not done.stderr and "bug" not in last["error"]["message"], done
    assert list(tmp_path.iterdir()) == []
