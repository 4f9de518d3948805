"""What the root-owned program accepts: strict, by name."""

import io
import json

import pytest

from tests.servers.test_contract import SAID
from tests.test_values import release
from weft.errors import Refused
from weft.host.request import MOST, parse, read

GOOD = {"protocol": 1, "verb": "observe", "app": "shop", "by": "a@b", "site": SAID}
MANIFEST = json.loads(json.dumps(release().to_json()))


@pytest.mark.parametrize("change, says", [
    ({"protocol": 2}, "this host's engine speaks protocol 1, not 2"), ({"verb": "explode"}, "verb 'explode' is unknown"),
    ({"verb": None}, "verb None is unknown"), ({"more": 1}, "observe does not know: more"), ({"app": "../x"}, "is not an application name"),
    ({"site": []}, "site is not a JSON object"), ({"rollback": "1.0"}, "rollback is not"), ({"rollback": {"to": "-rf"}}, "is not a version"),
    ({"release": {**MANIFEST, "app": "other"}}, "the manifest is of other, the request is for shop"),
    ({"release": []}, "the manifest is not a JSON object"),
    ({"verb": "activate", "generation": "1"}, "generation is not a number"), ({"verb": "activate", "base": True}, "base is not a number"),
    ({"verb": "rollback", "to": "1;id"}, "is not a version"), ({"verb": "stage", "files": {}}, "files is not a list"),
    ({"verb": "stage", "release": MANIFEST, "files": [{"sha256": "../x", "size": 1}]}, "announces something that the manifest does not name"),
    ({"verb": "stage", "release": MANIFEST, "files": [{"sha256": "a" * 64, "size": 11}]}, "announces something"),
])
def test_refused_by_name(change, says):
    with pytest.raises(Refused, match=says):
        parse({**GOOD, **change}, "")


def test_the_one_who_asks_is_made_harmless():
    assert parse({**GOOD, "by": "a\n\x1b[31m@b" + "x" * 200}, "").by == "a???31m@b" + "x" * 71


def test_a_line_without_end_is_not_read_into_memory():
    with pytest.raises(Refused, match="larger than 4 MiB"):
        read(io.BytesIO(b"x" * (MOST + 10)), "")
    with pytest.raises(Refused, match="not a line of JSON"):
        read(io.BytesIO(b"hello\n"), "")


def test_the_files_bytes_stay_on_the_stream():
    stream = io.BytesIO(json.dumps({**GOOD, "verb": "stage", "release": MANIFEST, "base": 0,
                                    "files": [{"sha256": "a" * 64, "size": 10}]}).encode() + b"\n0123456789")
    request = read(stream, "")
    assert request.files == [("a" * 64, 10)] and request.stream.read() == b"0123456789"


def test_setup_is_not_reached_through_the_sudo_rule():
    with pytest.raises(Refused, match="setup is not done through the installed engine"):
        parse({**GOOD, "verb": "setup"}, "")
    assert parse({**GOOD, "verb": "setup"}, "", may_set_up=True).verb == "setup"


def test_what_decides_what_root_runs_stays_as_it_was_set_up(tmp_path):
    from weft.host.layout import Layout
    from weft.host.request import as_set_up
    layout = Layout("shop", str(tmp_path))
    layout.state.mkdir(parents=True)
    (layout.state / "site.json").write_text(json.dumps(SAID))
    wish = {**SAID, "python": "/home/deploy/evil", "account": "daemon", "port": 81, "watch": 9.0, "settings": {"a": {"b": "c"}}}
    site, differs = as_set_up(layout, wish)
    assert (site["python"], site["account"], site["port"]) == (SAID["python"], SAID["account"], SAID["port"])
    assert (site["watch"], site["settings"]) == (9.0, {"a": {"b": "c"}})
    assert sorted(differs) == ["account", "port", "python"]
