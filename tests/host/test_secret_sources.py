"""Where a host gets secrets from: a request, root's own files, the generation that is served; and what no text may show."""

import json
import os

import pytest

from weft.errors import Refused
from weft.host import secrets
from weft.host.layout import Layout
from weft.host.request import parse
from weft.secret import Secret
from weft.servers import parse_site

CANARY = "canary-of-the-host-5e1d"


@pytest.fixture
def layout(tmp_path):
    layout = Layout("shop", str(tmp_path))
    for place in (layout.state, layout.drop_ins, layout.generation(3), layout.slot("a"), layout.live.parent):
        place.mkdir(parents=True, exist_ok=True)
    os.symlink("../../generations/3", layout.slot("a") / "generation")
    os.symlink("slots/a", layout.live)
    return layout


def said_site(**more):
    return {"server": "express", "account": "nobody", "python": "/usr/bin/python3", "hostname": "shop.test", "aliases": [], "port": 8080, "doors": [], "processes": 1,
            "threads": 1, "longest_request": 10, "variant": "", "settings": {}, "watch": 0, "confirm": 60, "max_errors": 1.0,
            "health": {"path": "/", "contains": "", "good": 1, "timeout": 5}, **more}


def site(layout, **more):
    return parse_site("shop", said_site(**more), layout.prefix)


def filed(layout, mode=0o600, text=CANARY + "\n"):
    path = layout.drop_ins.parent / "shop.secret"
    path.write_text(text)
    path.chmod(mode)
    return path, site(layout, secret_files={"db": {"password": "/etc/shop.secret"}})


def test_a_file_of_ones_own_is_read_without_its_line_end(layout):
    _path, where = filed(layout)
    assert secrets.gather(layout, where, {})["db"]["password"].reveal() == CANARY and secrets.faults(layout, where) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_file_that_others_can_read_or_write_is_refused_with_the_command(layout, mode):
    path, where = filed(layout, mode)
    fault, = secrets.faults(layout, where)
    assert fault.message == f"the secret db.password: {path} is open to others than its owner (mode {mode:o})" and fault.next == f"on the host: `chmod 600 {path}`"
    with pytest.raises(Refused):
        secrets.gather(layout, where, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another account")
def test_a_file_of_another_account_is_refused(layout):
    path, where = filed(layout)
    os.chown(path, 65534, 65534)
    assert f"{path} belongs to account 65534" in secrets.faults(layout, where)[0].message


def test_a_link_and_a_missing_file_are_refused(layout):
    path, where = filed(layout)
    path.rename(path.with_name("other"))
    assert "No such file" in secrets.faults(layout, where)[0].message
    os.symlink("other", path)
    assert "Too many levels of symbolic links" in secrets.faults(layout, where)[0].message


@pytest.mark.parametrize("text", ["", "\n", " x", "x\n# y\n", "x\0y" * (64 << 10)])
def test_a_file_with_what_an_ini_cannot_hold_is_refused_without_it(layout, text):
    _path, where = filed(layout, text=text)
    assert "holds nothing that an ini can hold" in secrets.faults(layout, where)[0].message


def test_which_files_root_reads_is_for_set_up_to_say():
    """Else who may deploy could have any file of root's rendered into the settings."""
    from weft.host import request
    kept = said_site()
    for before, asked, gets, differs in [(None, {"db": {"password": "/etc/shadow"}}, {}, ("secret_files",)),
                                         ({"db": {"a": "/etc/a"}}, {"db": {"a": "/etc/b"}}, {"db": {"a": "/etc/a"}}, ("secret_files",)),
                                         ({"db": {"a": "/etc/a"}}, {"db": {"a": "/etc/a"}}, {"db": {"a": "/etc/a"}}, ())]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(request.recover, "kept_site", lambda path, was=before: {**kept, **({"secret_files": was} if was else {})})
            found, other = request.as_set_up(Layout("shop"), said_site(secret_files=asked))
        assert found["secret_files"] == gets and other == differs


def test_those_of_the_generation_that_is_served_are_kept_for_who_has_no_others(layout):
    (layout.generation(3) / "record.json").write_text(json.dumps({"number": 3, "secrets": [["db", "password"], ["db", "gone"]]}))
    layout.sealed_settings(3).write_text(f"[db]\npassword = {CANARY}\nuser = me\n")
    assert secrets.gather(layout, site(layout), secrets.KEPT) == {"db": {"password": Secret(CANARY)}}
    assert secrets.gather(layout, site(layout), {}) == {}


def test_what_is_hidden(layout):
    _path, where = filed(layout)
    (layout.drop_ins / "10-mail.ini").write_text("[mail]\npassword = of-a-drop-in\ntls = true\n")
    (layout.drop_ins / "20-torn.ini").write_text("[mail\n")
    (layout.generation(3) / "record.json").write_text(json.dumps({"number": 3, "secrets": [["db", "old"]]}))
    layout.sealed_settings(3).write_text("[db]\nold = of-a-generation\n")
    hidden = secrets.hidden(layout, where, {"db": {"new": Secret("of-a-request")}})
    assert hidden.text(f"{CANARY} of-a-drop-in of-a-generation of-a-request true") == "*** *** *** *** true"


@pytest.mark.parametrize("said", ["all", [], {"db": "x"}, {"db": {"password": 1}}, {"d]b": {"password": "x"}}, {"db": {"a=b": "x"}}, {"db": {"a": "x\0"}}])
def test_a_request_with_malformed_secrets_is_refused(layout, said):
    with pytest.raises(Refused) as caught:
        parse({"protocol": 1, "verb": "observe", "app": "shop", "site": said_site(), "secrets": said}, layout.prefix)
    assert caught.value.message == "secrets are not a table of sections, keys and texts"


def test_a_request_does_not_show_its_secrets(layout):
    request = parse({"protocol": 1, "verb": "observe", "app": "shop", "site": said_site(), "secrets": {"db": {"password": CANARY}}}, layout.prefix)
    assert CANARY not in repr(request) and request.secrets == {"db": {"password": Secret(CANARY)}}
