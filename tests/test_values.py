import json

import pytest
from hypothesis import given, strategies as st
from packaging.version import InvalidVersion, Version as Reference

from weft.errors import Refused, UsageError
from weft.values import Artifact, Release, Version, app_name

SHA = "a" * 64
WHEEL = Artifact("shop-1.0-py3-none-any.whl", "wheel", 10, SHA)


def release(**changes):
    return Release(**{"app": "shop", "version": "1.0", "commit": "c", "tag": "1.0", "created": "", "python": "3.11",
                      "artifacts": (WHEEL,), "callable": "shop:app", **changes})


@pytest.mark.parametrize("text", ["1.1.4", "1.10", "2.0rc1", "1!2.0", "1.0.post1", "1.0.dev3", "0", "1.0+local.1"])
def test_canonical_versions_keep_their_text(text):
    assert Version(text) == text


@pytest.mark.parametrize("text", ["", "../x", "-rf", "1.0;id", "--help", "1.0 ", "v1.0", "1.0-1", "01.0", "1..0", "1.0\n", "1" * 65,
                                  "١.٠", "1.0/..", None, 1.1])
def test_everything_else_is_refused_by_name(text):
    with pytest.raises(UsageError, match="is not a version"):
        Version(text)


@given(st.from_regex(r"[0-9a-z.!+-]{1,12}", fullmatch=True))
def test_what_is_accepted_is_what_packaging_calls_canonical(text):
    try:
        canonical = str(Reference(text)) == text
    except InvalidVersion:
        canonical = False
    try:
        Version(text)
        accepted = True
    except UsageError:
        accepted = False
    assert accepted == canonical


@pytest.mark.parametrize("name", ["Shop", "../etc", "a b", "", "-a", "a" * 29, "shop;id", "shop-", "root\n"])
def test_application_names_become_paths_and_accounts(name):
    with pytest.raises(UsageError, match="is not an application name"):
        app_name(name)


def test_manifest_survives_json():
    one = release(changelog="ä\nb")
    assert Release.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b/c", "a b", ".hidden", "a/../b", "a\nb", ""])
def test_artifact_names_stay_inside(name):
    with pytest.raises(Refused, match="artifact name"):
        Artifact(name, "wheel", 1, SHA)


@pytest.mark.parametrize("change, says", [
    ({"format": 2}, "manifest format 2 is unknown"), ({"extra": 1}, "unknown keys: extra"),
    ({"version": "../1"}, "the manifest is not valid"), ({"callable": "os.system('id')"}, "is not package.module:attribute"),
    ({"tag": 1}, "tag in the manifest is not a text"), ({"artifacts": []}, "needs one wheel"), ({"callable": ""}, "one entry or callable"), ({"python": "3.11; id"}, "manifest names python"),
    ({"artifacts": [{"name": "x.whl", "kind": "wheel", "size": -1, "sha256": SHA}]}, "is not a number of bytes"),
    ({"artifacts": [{"name": "x.whl", "kind": "virus", "size": 1, "sha256": SHA}]}, "kind 'virus' is unknown"),
    ({"artifacts": [{"name": "x.whl"}]}, "incomplete or malformed"),
])
def test_a_wrong_manifest_is_refused_by_what_is_wrong(change, says):
    with pytest.raises(Refused, match=says):
        Release.from_json({**json.loads(json.dumps(release().to_json())), **change})


def test_the_id_follows_the_content():
    other = Artifact(WHEEL.name, "wheel", 10, "b" * 64)
    assert release().id == release(created="later", commit="d").id
    assert release().id != release(artifacts=(other,)).id
    assert release().id.startswith("1.0-")


def test_the_layer_follows_the_dependencies_and_the_python_only():
    dependency = Artifact("wheelhouse/x-1-py3-none-any.whl", "dependency", 1, "d" * 64)
    one = release(artifacts=(WHEEL, dependency))
    assert one.layer == release(version="2.0", artifacts=(Artifact("w.whl", "wheel", 1, "e" * 64), dependency)).layer
    assert one.layer != release(artifacts=(WHEEL,)).layer != release(python="3.12").layer
