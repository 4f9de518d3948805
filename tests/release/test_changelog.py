"""Sections of the changelogs that people write."""

import pytest

from weft.release import changelog

MARKDOWN = """\
# Changelog

## [Unreleased]

### Added
- carries

## [1.1.3] - 2024-01-02
- fixes

[1.1.3]: https://example.org/1.1.3
"""

UNDERLINED = """\
Changes


1.1.4 (unreleased)
------------------

- carries

1.1.3 (2024-01-02)
------------------

- fixes
"""


def test_sections_of_keep_a_changelog():
    assert [(s.label, s.body) for s in changelog.sections(MARKDOWN)] == [
        ("Unreleased", "### Added\n- carries"), ("1.1.3", "- fixes")]


def test_sections_of_underlined_text():
    assert [(s.label, s.rest, s.body) for s in changelog.sections(UNDERLINED)] == [
        ("1.1.4", " (unreleased)", "- carries"), ("1.1.3", " (2024-01-02)", "- fixes")]


def test_overlined_headings_do_not_end_in_the_section_before():
    text = "=====\n1.1.4\n=====\n\n- new\n\n=====\n1.1.3\n=====\n\n- old\n"
    assert [(s.label, s.body) for s in changelog.sections(text)] == [("1.1.4", "- new"), ("1.1.3", "- old")]


@pytest.mark.parametrize("heading", ["## 1.1.4", "## [1.1.4] - 2024-05-06", "## v1.1.4", "# weaveserver 1.1.4", "## Version 1.1.4",
                                     "## [1.1.4](https://example.org/1.1.4) (2024-05-06)", "### 1.1.4: the shuttle ###"])
def test_headings_that_name_a_version(heading):
    section = changelog.section_for(f"# Changes\n\n{heading}\n\n- new\n", "1.1.4")
    assert section.label == "1.1.4" and section.body == "- new"


@pytest.mark.parametrize("heading", ["## 1.1.40", "## 1.1.4rc1", "## Upgrading to 1.1.4 from 1.1.3 takes care", "## Notes", "1.1.4"])
def test_other_headings_are_not_it(heading):
    section = changelog.section_for(f"# Changes\n\n{heading}\n\n- new\n", "1.1.4")
    assert section is None


def test_the_versions_own_section_goes_before_the_unreleased_one():
    text = "## Unreleased\n\n- later\n\n## 1.1.4\n\n- now\n"
    assert changelog.section_for(text, "1.1.4").body == "- now"
    assert changelog.section_for(text, "1.1.5").body == "- later"


@pytest.mark.parametrize("body", ["", "\n", "### Added\n", "<!-- nothing\nyet -->\n", "-\n*\n", "Added\n-----\n", ".. comment\n"])
def test_empty_sections(body):
    assert changelog.empty(changelog.section_for(f"## 1.1.4\n\n{body}\n## 1.1.3\n- old\n", "1.1.4"))


def test_a_section_with_a_sentence_is_not_empty():
    assert not changelog.empty(changelog.section_for("## 1.1.4\n\n### Added\n\nIt weaves.\n", "1.1.4"))


def test_unreleased_gets_the_version_and_a_date_as_the_section_before_has_it():
    assert changelog.dated(MARKDOWN, "1.1.4", "2024-05-06") == MARKDOWN.replace("[Unreleased]", "[1.1.4] - 2024-05-06")


def test_the_word_unreleased_gives_way_to_the_date_and_the_underline_keeps_its_length():
    expected = UNDERLINED.replace("1.1.4 (unreleased)\n------------------", "1.1.4 (2024-05-06)\n------------------")
    assert changelog.dated(UNDERLINED, "1.1.4", "2024-05-06") == expected


def test_an_underline_follows_its_heading():
    text = "Unreleased\n==========\n\n- new\n\n1.1.3 (2024-01-02)\n==================\n\n- old\n"
    assert changelog.dated(text, "1.1.4", "2024-05-06").startswith("1.1.4 (2024-05-06)\n==================\n\n- new\n")


def test_a_changelog_without_dates_gets_none():
    assert changelog.dated("## Unreleased\n- a\n\n## 1.1.3\n- b\n", "1.1.4", "2024-05-06") == "## 1.1.4\n- a\n\n## 1.1.3\n- b\n"


def test_a_dated_section_stays_and_line_ends_too():
    text = MARKDOWN.replace("\n", "\r\n")
    assert changelog.dated(text, "1.1.3", "2024-05-06") == text
    assert changelog.dated(text, "1.1.4", "2024-05-06") == text.replace("[Unreleased]", "[1.1.4] - 2024-05-06")


def test_find(tmp_path):
    assert changelog.find(tmp_path) == ""
    (tmp_path / "CHANGES.rst").write_text("")
    assert changelog.find(tmp_path) == "CHANGES.rst"
    (tmp_path / "CHANGELOG").write_text("")
    assert changelog.find(tmp_path) == "CHANGELOG"
    assert changelog.find(tmp_path, "docs/news.md") == ""


def test_a_pre_release_publishes_what_its_version_will_bring_and_leaves_the_section_waiting():
    for version in ("1.1.4rc1", "1.1.4a1", "1.1.4.dev3"):
        assert changelog.section_for(UNDERLINED, version).body == "- carries"
        assert changelog.dated(UNDERLINED, version, "2024-05-06") == UNDERLINED
    assert changelog.section_for(UNDERLINED, "1.1.3rc1") is None, "1.1.3 is released"


def test_a_pre_release_has_a_section_of_its_own_if_it_is_written():
    text = "## 1.1.4rc1\n\n- nearly\n\n## 1.1.4\n\n- done\n"
    assert changelog.section_for(text, "1.1.4rc1").body == "- nearly"
    assert changelog.dated(MARKDOWN, "1.1.4rc1", "2024-05-06").count("## [1.1.4rc1] - 2024-05-06") == 1



@pytest.mark.parametrize("text, body", [
    ("\ufeff## Unreleased\n\n- x\n", "- x"),
    ("1.1.4 (unreleased)\n::::::::::::::::::\n\n- x\n", "- x"),
    ("1.1.4 (unreleased)\n``````````````````\n\n- x\n\n1.1.3\n`````\n\n- y\n", "- x"),
    ("Changes\n```````\n\n1.1.4\n`````\n\n- x\n", "- x"),
    ("# C\n\n```\n## 1.1.4\n```\n\n## 1.1.4\n\n- x\n", "- x"),
    ("## 1.1.4\n\n### 1.0\n\n- x\n\n## 1.1.3\n\n- y\n", "### 1.0\n\n- x"),
    ("# 1.1\n\n## 1.1.4\n\n- x\n\n## 1.1.3\n\n- y\n", "- x"),
    ("# C\n\n## 1.x\n\n### 1.1.4\n\n- x\n\n### 1.1.3\n\n- y\n\n## 0.x\n\n### 0.9\n\n- z\n", "- x"),
    ("## 2024-05-01 - 1.1.4\n\n- x\n", "- x"),
    ("## Release 1.1.4 / 2024-05-05\n\n- x\n", "- x"),
    ("## 1.1.4 [2024-05-05]\n\n- x\n", "- x"),
])
def test_more_shapes_that_people_write(text, body):
    assert changelog.section_for(text, "1.1.4").body == body


@pytest.mark.parametrize("said", ["- Nothing changed yet.", "No changes yet", "* nothing yet"])
def test_a_placeholder_says_nothing(said):
    assert changelog.empty(changelog.section_for(f"1.1.4 (unreleased)\n------------------\n\n{said}\n", "1.1.4"))


def test_the_line_above_a_heading_grows_with_the_one_below():
    text = "----------\nUnreleased\n----------\n\n* x\n"
    assert changelog.dated(text, "1.1.4", "2024-05-06") == "------------------\n1.1.4 (2024-05-06)\n------------------\n\n* x\n"

ADORNMENTS = "=-~^*#+`:.'\"_!$%&,/;<>?@|"


@pytest.mark.parametrize("bar", ADORNMENTS)
def test_every_adornment_underlines(bar):
    text = f"Changes\n{'#' * 7}\n\n1.1.4 (unreleased)\n{bar * 18}\n\nAdded\n{'~' * 5}\n\n- new\n\n1.1.3 (2024-01-02)\n{bar * 18}\n\n- old\n"
    section = changelog.section_for(text, "1.1.4")
    assert section.body.endswith("- new") and "old" not in section.body and not changelog.empty(section)
    assert changelog.dated(text, "1.1.4", "2024-05-06") == text.replace("1.1.4 (unreleased)", "1.1.4 (2024-05-06)")


HEADINGS = ["2024-05-06 - 1.1.4", "2024-05-06, Version 1.1.4", "**1.1.4** (2024-05-06)", "`1.1.4`", "🚀 1.1.4", "1.1.4 / 2024-05-06",
            "[v1.1.4] - 2024-05-06", "[1.1.4] - 2024-05-06 [YANKED]", "1.1.4 (6 May 2024)", "Version 1.1.4, 2024-05-06", "What's new in 1.1.4",
            "What's New in weaveserver 1.1.4"]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("form", ["## {}\n- {}\n", "   ## {} ##\n- {}\n", "##{}\n- {}\n", "##\t{}\n- {}\n", "{}\n==================================\n\n- {}\n",
                                  "{}\r\n----------------------------------\r\n\r\n- {}\r\n"])
def test_headings_as_people_write_them(heading, form):
    if form.startswith("##{}") and not heading[:1].isalnum():
        heading = "1.1.4"
    text = form.format(heading, "new") + "\n" + form.format(heading.replace("1.1.4", "1.1.3"), "old")
    for whole in (text, "\ufeff" + text, text.rstrip()):
        section = changelog.section_for(whole, "1.1.4")
        assert section is not None and section.body == "- new", whole
        assert changelog.dated(whole, "1.1.4", "2024-05-07") == whole


@pytest.mark.parametrize("heading, became", [
    ("Unreleased", "1.1.4 - 2024-05-06"), ("[Unreleased]", "[1.1.4] - 2024-05-06"), ("UNRELEASED", "1.1.4 - 2024-05-06"),
    ("Unreleased (1.1.4)", "1.1.4 - 2024-05-06"), ("Unreleased - 1.1.4", "1.1.4 - 2024-05-06"), ("Unreleased changes", "1.1.4 - 2024-05-06"),
    ("Next", "1.1.4 - 2024-05-06"), ("Next release", "1.1.4 - 2024-05-06"), ("In development", "1.1.4 - 2024-05-06"),
    ("1.1.4 (in development)", "1.1.4 (2024-05-06)"), ("1.1.4 - Unreleased", "1.1.4 - 2024-05-06"), ("1.1.4 (YYYY-MM-DD)", "1.1.4 (2024-05-06)"),
    ("1.1.4 (2024-xx-xx)", "1.1.4 (2024-05-06)"), ("v1.1.4 (TBD)", "v1.1.4 (2024-05-06)"), ("1.1.4 (not yet released)", "1.1.4 (2024-05-06)"),
    ("[Unreleased](https://example.org/compare/1.1.3...HEAD)", "[1.1.4](https://example.org/compare/1.1.3...HEAD) - 2024-05-06")])
@pytest.mark.parametrize("ends, mark", [("\n", ""), ("\r\n", "\ufeff")])
def test_what_waits_gets_version_and_date(heading, became, ends, mark):
    text = f"{mark}## {heading}\n\n- new\n\n## 1.1.3 - 2024-01-02\n- old".replace("\n", ends)
    assert changelog.dated(text, "1.1.4", "2024-05-06") == text.replace(heading, became)


@pytest.mark.parametrize("heading", ["Next steps", "Upcoming events", "Nextcloud", "In development we trust", "Unreleased code is fun", "Upgrading to 1.1.4"])
def test_headings_that_only_begin_like_it(heading):
    assert changelog.sections(f"## {heading}\n- new\n") == []


def test_bars_above_and_below_follow_the_heading():
    text = "==========\nUnreleased\n==========\n\n- new\n\n==================\n1.1.3 (2024-01-02)\n==================\n\n- old\n"
    assert changelog.dated(text, "1.1.4", "2024-05-06").startswith("==================\n1.1.4 (2024-05-06)\n==================\n\n- new\n")
    text = "\ufeffUnreleased\n----------\n\n- new\n\n1.1.3\n-----\n"
    assert changelog.dated(text, "1.1.4", "2024-05-06") == "\ufeff1.1.4\n-----\n\n- new\n\n1.1.3\n-----\n"


def test_what_a_code_block_shows_is_no_heading():
    text = "## 1.1.4\n\n- new\n\n```text\n## 1.1.3\n\n1.1.2\n-----\n```\n\n- more\n\n## 1.1.3\n- old\n"
    assert changelog.section_for(text, "1.1.4").body.endswith("- more") and [each.label for each in changelog.sections(text)] == ["1.1.4", "1.1.3"]
    text = "1.1.4\n-----\n\nnew::\n\n    1.1.3\n    -----\n\n1.1.3\n-----\n\nold\n"
    assert changelog.section_for(text, "1.1.4").body == "new::\n\n    1.1.3\n    -----"
    assert changelog.section_for("## 1.1.4\n\n- an open ``` block\n\n```\n\n## 1.1.3\n- old\n", "1.1.3").body == "- old", "never closed"


def test_a_file_without_any_markup():
    text = "v1.1.4, 2024-05-06 -- It weaves.\n  * new\n\nv1.1.3, 2024-01-02 -- Initial release.\n  * old\n"
    assert [(each.label, each.body) for each in changelog.sections(text)] == [("1.1.4", "  * new"), ("1.1.3", "  * old")]


@pytest.mark.parametrize("label", ["1.1.4-rc.1", "1.1.4.rc1", "v1.1.4rc1", "1.1.4-rc1"])
def test_another_spelling_of_the_same_version(label):
    text = f"## {label}\n- nearly\n\n## 1.1.3\n- old\n"
    assert changelog.section_for(text, "1.1.4rc1").body == "- nearly" and changelog.section_for(text, "1.1.4") is None


@pytest.mark.parametrize("line", ["Nothing yet", "* nothing new yet.", "- TBD", "n/a", "- None."])
def test_other_placeholders_too(line):
    assert changelog.empty(changelog.section_for(f"## 1.1.4 (unreleased)\n\n{line}\n\n## 1.1.3\n- old\n", "1.1.4"))
    assert not changelog.empty(changelog.section_for(f"## 1.1.4\n\n{line}\n- but this\n", "1.1.4"))

