"""Numbers that somebody types."""

import pytest

from weft.errors import UsageError
from weft.tasks.scope import number


def test_a_number():
    assert [number("", "--lines", 50, high=10_000), number("0", "--lines", 50, high=10_000), number("10000", "--lines", high=10_000), number("99999", "--lock-wait")] \
        == [50, 0, 10_000, 99_999]


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "10001", "٣", "1e3", " 5", "9" * 40])
def test_what_is_none_is_refused_in_a_line(text):
    with pytest.raises(UsageError) as caught:
        number(text, "--lines", 50, 0, 10_000)
    assert (caught.value.message, caught.value.hint) == (f"--lines: {text!r} is no whole number from 0 to 10000", "such as --lines 50")


def test_without_a_default_the_hint_names_what_would_do():
    for words, named in (({}, 600), ({"such": 8080}, 8080)):
        with pytest.raises(UsageError) as caught:
            number("x", "--port", **words)
        assert caught.value.hint == f"such as --port {named}"
