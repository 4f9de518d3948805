import configparser

import pytest
from hypothesis import given, strategies as st

from weft.config import ini
from weft.errors import Refused

BASE = "# a comment\n[shop]\nColour = red\nurl = %(here)s/x\n"


def test_one_layer_passes_byte_for_byte():
    assert ini.render(BASE, {}, [], "PROD") == (BASE, {"shop.Colour": "release", "shop.url": "release"})


def test_later_layers_win_and_say_so():
    text, origins = ini.render(BASE, {"shop": {"Colour": "blue"}}, [("/etc/shop.d/1.ini", "[shop]\nColour = green\nnew = 1\n")], "")
    parsed = ini.parse(text, "x")
    assert dict(parsed["shop"]) == {"Colour": "green", "url": "%(here)s/x", "new": "1"}
    assert origins == {"shop.Colour": "/etc/shop.d/1.ini", "shop.url": "release", "shop.new": "/etc/shop.d/1.ini"}


def test_variants_are_resolved_inside_each_file():
    text, _ = ini.render("[s]\nk = 1\nk[PROD] = 2\nk[TEST] = 3\n", {}, [], "PROD")
    assert dict(ini.parse(text, "x")["s"]) == {"k": "2"}
    text, _ = ini.render("[s]\nk = 1\nk[PROD] = 2\n", {"s": {"k": "9"}}, [], "PROD")
    assert ini.parse(text, "x")["s"]["k"] == "9"


def test_a_drop_in_with_a_default_section_only_touches_what_it_names():
    text, _ = ini.render("[DEFAULT]\na = 1\n[s]\nk = 2\n", {}, [("d", "[DEFAULT]\na = 5\n")], "")
    parsed = ini.parse(text, "x")
    assert parsed.defaults() == {"a": "5"} and dict(ini.own(parsed, "s")) == {"k": "2"}


def test_what_is_no_ini_is_refused_with_its_name():
    with pytest.raises(Refused, match="/etc/x.d/1.ini is not a valid ini file"):
        ini.render(BASE, {}, [("/etc/x.d/1.ini", "nonsense\n")], "")


WORD = st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)


@given(st.dictionaries(WORD, st.dictionaries(WORD, WORD, max_size=4), max_size=4),
       st.dictionaries(WORD, st.dictionaries(WORD, WORD, max_size=4), max_size=4))
def test_render_is_the_union_with_the_environment_on_top(base, over):
    source = "".join(f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()) for s, values in base.items())
    text, _ = ini.render(source, over, [], "")
    got = configparser.RawConfigParser()
    got.optionxform = str
    got.read_string(text)
    wanted = {s: dict(v) for s, v in base.items()}
    for section, values in over.items():
        if values:
            wanted.setdefault(section, {}).update(values)
    assert {s: dict(got[s]) for s in got.sections()} == wanted
