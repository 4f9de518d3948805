import pytest

from weft.web.markup import Html, changelog, fill


def test_values_are_escaped_and_markup_is_not():
    assert fill("<p title=\"$a\">$b</p>", a='"<x>', b=Html("<b>")) == '<p title="&quot;&lt;x&gt;"><b></p>'


@pytest.mark.parametrize("text, expected", [
    ("### Added\n\n- one\n- two\n  goes on\n", "<h4>Added</h4>\n<ul><li>one</li><li>two goes on</li></ul>"),
    ("Added\n-----\n\n* ``inv``\n", "<h4>Added</h4>\n<ul><li><code>inv</code></li></ul>"),
    ("A line\nand its second.\n\nAnother **one**.", "<p>A line and its second.</p>\n<p>Another <strong>one</strong>.</p>"),
    ("- <script>alert(1)</script> `<b>`", "<ul><li>&lt;script&gt;alert(1)&lt;/script&gt; <code>&lt;b&gt;</code></li></ul>"),
    ("----", ""), ("", ""),
])
def test_a_changelog_entry(text, expected):
    assert changelog(text) == expected
