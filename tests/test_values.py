import json

import pytest
from hypothesis import given, strategies as st
from packaging.version import InvalidVersion, Version as Reference

from weft.errors import Refused, UsageError
from weft.values import Artifact, Release, Version, app_name

SHA = "a" * 64
WHEEL = Artifact("shop-1.0-py3-none-any.whl", "wheel", 10, SHA)


def release(**changes):
    return Release(**{"app": "shop", "version": "1.0", "commit": "c", "tag": "1.0", "created": "", "pythons": "3.11",
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
    ({"format": 4}, "manifest format 4 is unknown to this weft, which reads formats 1 to 3"), ({"format": 3}, "has format 3, and rollback_safe True"),
    ({"rollback_safe": False}, "unknown keys: rollback_safe"), ({"format": 3, "rollback_safe": 0}, "rollback_safe 0"), ({"format": 3, "rollback_safe": True}, "rollback_safe True"), ({"format": True}, "manifest format True"), ({"format": 1}, "unknown keys: pythons, unvendored"), ({"extra": 1}, "unknown keys: extra"),
    ({"version": "../1"}, "the manifest is not valid"), ({"callable": "os.system('id')"}, "is not package.module:attribute"),
    ({"tag": 1}, "tag in the manifest is not a text"), ({"artifacts": []}, "needs one wheel"), ({"callable": ""}, "one entry or callable"), ({"pythons": ["3.11; id"]}, "manifest names python"), ({"pythons": []}, "names no python"), ({"python": "3.11"}, "unknown keys: python"),
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
    assert one.layer != release(artifacts=(WHEEL,)).layer != release(pythons="3.12").layer


PURE, NEW, OLD = (Artifact(f"wheelhouse/{name}.whl", "dependency", 1, letter * 64, pythons) for name, letter, pythons in (
    ("a-1-py3-none-any", "b", ()), ("c-1-cp312-cp312-linux_x86_64", "c", ("3.12",)), ("c-1-cp311-cp311-linux_x86_64", "d", ("3.11",))))
TWO = {"pythons": ("3.12", "3.11"), "artifacts": (WHEEL, PURE, NEW, OLD)}


def test_each_python_takes_its_part():
    whole = release(**TWO)
    assert whole.pythons == ("3.11", "3.12")
    part = whole.part("3.12")
    assert [a.name for a in part.dependencies] == [PURE.name, NEW.name] and part.pythons == ("3.12",)
    assert part.part("3.12") == part
    with pytest.raises(Refused, match="^shop 1.0 is for Python 3.11, 3.12, not for 3.10$"):
        whole.part("3.10")


def test_the_id_is_the_pythons_own():
    """A host whose Python changes installs anew; what other Pythons get does not count."""
    whole = release(**TWO)
    assert len({whole.part("3.11").id, whole.part("3.12").id, whole.id}) == 3
    assert len({whole.part("3.11").layer, whole.part("3.12").layer, whole.layer}) == 3
    alone = release(pythons="3.12", artifacts=(WHEEL, PURE, Artifact(NEW.name, NEW.kind, NEW.size, NEW.sha256)))
    assert (alone.id, alone.layer) == (whole.part("3.12").id, whole.part("3.12").layer)


def test_out_of_the_store_changes_nothing_on_a_host():
    inside, outside = release(artifacts=(WHEEL, PURE)), release(unvendored=(PURE,))
    assert (inside.id, inside.layer) == (outside.id, outside.layer)
    assert [a.name for a in inside.for_host()] == [a.name for a in outside.for_host()]
    assert [a.name for a in outside.artifacts] == [WHEEL.name]


FIRST = {"app": "shop", "version": "1.0", "commit": "c", "tag": "1.0", "created": "", "python": "3.11", "callable": "shop:app", "changelog": "",
         "format": 1, "artifacts": [{"name": WHEEL.name, "kind": "wheel", "size": 10, "sha256": SHA},
                                    {"name": PURE.name, "kind": "dependency", "size": 1, "sha256": "b" * 64}], "built": {}, "sdist_tar": ""}


def test_a_manifest_of_format_1_is_read_and_written_as_it_was():
    """id and layer are those that hosts have it under."""
    one = Release.from_json(FIRST)
    assert json.loads(one.text()) == FIRST and one.pythons == ("3.11",)
    assert (one.id, one.layer) == ("1.0-af15d5", "cb150ccee5b8")
    assert one.id == release(artifacts=(WHEEL, PURE)).id
    assert Release.from_json(one.part("3.11").to_json()) == one


def test_a_release_that_nobody_can_go_back_from_says_so():
    one = release(format=3, rollback_safe=False)
    assert Release.from_json(json.loads(one.text())) == one and one.id == release().id and not one.part("3.11").rollback_safe
    assert '"format": 3' in one.text() and '"rollback_safe": false' in one.text() and "rollback_safe" not in release().text()


def test_a_manifest_for_two_survives_json():
    one = release(**TWO, unvendored=(Artifact("wheelhouse/e-1-py3-none-any.whl", "dependency", 1, "e" * 64, ("3.11",)),))
    assert Release.from_json(json.loads(one.text())) == one


@pytest.mark.parametrize("change, says", [
    ({"unvendored": (WHEEL,)}, "names a file twice"), ({"unvendored": (Artifact("x.ini", "settings", 1, SHA),)}, "leaves out of the store what is no dependency"),
    ({"artifacts": (WHEEL, NEW)}, "has wheelhouse/c-1-cp312-cp312-linux_x86_64.whl for Python 3.12, itself it is for 3.11"),
    ({"artifacts": (Artifact(WHEEL.name, "wheel", 10, SHA, ("3.11",)),)}, "for Python 3.11, itself it is for 3.11"),
    ({"format": 1, "unvendored": (PURE,)}, "says more than its format 1 can"), ({"pythons": ()}, "names no python"),
    ({"pythons": ("3.1.1",)}, "manifest names python '3.1.1'"), ({"pythons": (3.11,)}, "manifest names python 3.11"), ({"pythons": None}, "manifest names python None")])
def test_parts_that_make_no_sense(change, says):
    with pytest.raises(Refused, match=says):
        release(**change)


@pytest.mark.parametrize("change, says", [({"python": ["3.11"]}, "manifest names python"), ({"pythons": ["3.11"]}, "unknown keys: pythons"),
                                          ({"unvendored": []}, "unknown keys: unvendored")])
def test_format_1_knew_one_python(change, says):
    with pytest.raises(Refused, match=says):
        Release.from_json({**FIRST, **change})
