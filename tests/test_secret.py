import copy
import json
import pickle

import pytest

from weft.errors import FailedUndone
from weft.secret import Hidden, Secret, revealed

VALUE = "hunter2 & co's \"own\""


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r:>3}".format, "%s".__mod__, lambda secret: f"{secret}", lambda secret: json.dumps({"password": secret}),
                                   lambda secret: repr({"password": [secret]}), lambda secret: "".join([secret]), lambda secret: json.dumps(copy.deepcopy([secret]))])
def test_nothing_shows_it(shown):
    said = shown(Secret(VALUE))
    assert "hunter2" not in said and "***" in said


def test_who_asks_gets_it():
    assert Secret(VALUE).reveal() == VALUE
    assert revealed({"secrets": {"db": {"password": Secret(VALUE)}}, "files": [1, "x"]}) == {"secrets": {"db": {"password": VALUE}}, "files": [1, "x"]}


def test_it_equals_other_secrets_only_and_is_neither_pickled_nor_hashed():
    assert Secret("a") == Secret("a") and Secret("a") != Secret("b") and Secret("a") != "***" and not Secret("a") == "a"
    with pytest.raises(TypeError):
        pickle.dumps(Secret("a"))
    with pytest.raises(TypeError):
        hash(Secret("a"))


@pytest.mark.parametrize("text", ["cannot log in with hunter2/é'", "KeyError: \"hunter2/é'\"", "postgresql://me:hunter2%2F%C3%A9%27@db/shop", '{"password": "hunter2/\\u00e9\'"}'])
def test_a_known_value_is_taken_out_however_it_is_written(text):
    assert "hunter2" not in Hidden(["hunter2/é'"]).text(text)


def test_each_line_of_a_longer_text_is_taken_out():
    assert Hidden(["-----BEGIN KEY-----\n  c2VjcmV0\n-----END KEY-----"]).walk({"text": ["  File x: c2VjcmV0"]}) == {"text": ["  File x: ***"]}


def test_a_short_value_is_taken_out_where_it_stands_alone():
    assert Hidden(["a1"]).text("a1 is not alpha1: 'a1'") == "*** is not alpha1: '***'"
    assert Hidden().text("nothing is known") == "nothing is known"


def test_an_error_is_told_without_it():
    error = FailedUndone("cannot log in with hunter2", "look", "1.0 is served", ["Traceback", "hunter2"])
    Hidden(["hunter2"]).clean(error)
    assert "hunter2" not in str(error) + repr(error) + json.dumps(error.to_json()) and error.hint == "look"
    other = ValueError("hunter2", 3)
    Hidden(["hunter2"]).clean(other)
    assert str(other) == "('***', 3)"
