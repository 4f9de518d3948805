"""News fragments, with the real towncrier."""

from datetime import date

import pytest

from tests import factory
from weft.errors import FailedUndone, Refused
from weft.release import news, pipeline
from weft.stores.directory import DirectoryStore

pytestmark = pytest.mark.usefixtures("warm")
DAY = date(2024, 5, 6)


@pytest.fixture
def made(tmp_path):
    """A project whose changelog is CHANGES.rst, made of fragments in changes/."""
    pytest.importorskip("towncrier", reason="towncrier is not installed: pip install towncrier")
    made = factory.make_project(tmp_path / "project", next_version="")
    made.git("rm", "-q", "CHANGELOG.md")
    made.write("CHANGES.rst", "Changes\n=======\n\n.. towncrier release notes start\n\nweaveserver 1.1.3 (2024-01-02)\n"
               "==============================\n\n- old\n")
    made.configure('[tool.towncrier]\nname = "weaveserver"\ndirectory = "changes"\nfilename = "CHANGES.rst"\n')
    made.write("changes/README.rst", "How to write one.\n")
    made.write("changes/12.feature.rst", "It carries.\n")
    made.write("changes/+loose.bugfix", "It no longer drops.\n")
    made.commit("fragments")
    return made


ENTRY = "Features\n--------\n\n- It carries. (#12)\n\n\nBugfixes\n--------\n\n- It no longer drops."


def test_the_entry_is_in_the_plan_and_nothing_is_written(made, world):
    before = world(made)
    proposal = pipeline.propose(pipeline.open_project(made.root), pipeline.Wish("1.1.4"), DAY)
    assert proposal.changelog == ENTRY and world(made) == before
    assert "towncrier build: 2 fragments of changes into CHANGES.rst, dated 2024-05-06" in [step.text for step in proposal.plan.steps]


@pytest.mark.slow
def test_a_release(made):
    factory.run_release(made, "1.1.4", today=DAY)
    text = (made.root / "CHANGES.rst").read_text()
    assert "weaveserver 1.1.4 (2024-05-06)\n==============================\n\n" + ENTRY in text and text.endswith("- old\n")
    assert made.git("show", "--name-status", "--format=", "HEAD").splitlines() == [
        "M\tCHANGES.rst", "D\tchanges/+loose.bugfix", "D\tchanges/12.feature.rst", "M\tsrc/weaveserver/__init__.py"]
    assert made.git("status", "--porcelain") == ""
    assert DirectoryStore(made.store).manifest("weaveserver", "1.1.4").changelog == ENTRY
    assert made.git("tag", "-l", "--format=%(contents:body)", "1.1.4") == ENTRY
    made.write("changes/13.misc", "")
    made.commit("the next one")
    factory.run_release(made, "1.1.5", today=DAY)
    assert DirectoryStore(made.store).manifest("weaveserver", "1.1.5").changelog == "Misc\n----\n\n- #13"


def test_no_fragment(made):
    made.git("rm", "-q", "changes/12.feature.rst", "changes/+loose.bugfix")
    made.commit("none left")
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.details == [{"message": "changes has no news fragment, and CHANGES.rst no section for 1.1.4",
                                    "next": "write what changed, such as changes/+change.feature.rst"}]


def test_the_section_was_made_by_hand(made):
    made.git("rm", "-q", "changes/12.feature.rst", "changes/+loose.bugfix")
    made.write("CHANGES.rst", "Changes\n=======\n\n.. towncrier release notes start\n\nweaveserver 1.1.4 (2024-05-06)\n"
               "==============================\n\n- by hand\n")
    made.commit("built")
    assert factory.run_release(made, "1.1.4").changelog == "- by hand"


def test_towncrier_is_not_there(made, monkeypatch):
    monkeypatch.setattr(news, "_towncrier", list)
    with pytest.raises(Refused) as error:
        factory.run_release(made, "1.1.4")
    assert error.value.details == [{"message": "changes has news fragments, but towncrier is not installed", "next": "pip install towncrier"}]


def test_towncrier_fails(made, world):
    made.write("pyproject.toml", (made.root / "pyproject.toml").read_text() + 'template = "gone.rst"\n')
    made.commit("a wrong template")
    before = world(made)
    with pytest.raises((Refused, FailedUndone)) as error:
        factory.run_release(made, "1.1.4")
    assert "towncrier build --draft" in error.value.message and world(made) == before


@pytest.mark.parametrize("text, expected", [
    ("", news.News("newsfragments", "NEWS.rst", ("newsfragments/1.feature",), ("towncrier",), "feature")),
    ('package = "shop.core"\npackage_dir = "src"\nfilename = "CHANGES.md"\n',
     news.News("src/shop/core/newsfragments", "CHANGES.md", ("src/shop/core/newsfragments/2.doc.md",), ("towncrier",), "feature")),
    ('[[tool.towncrier.type]]\ndirectory = "Added"\nname = "x"\nshowcontent = true\n',
     news.News("newsfragments", "NEWS.rst", ("newsfragments/3.added.1.md",), ("towncrier",), "added")),
    ('[tool.towncrier.fragment.fix]\nname = "Fixed"\n', news.News("newsfragments", "NEWS.rst", ("newsfragments/4.fix",), ("towncrier",), "fix"))])
def test_where_fragments_are(tmp_path, monkeypatch, text, expected):
    monkeypatch.setattr(news, "_towncrier", lambda: ["towncrier"])
    (tmp_path / "pyproject.toml").write_text("[tool.towncrier]\n" + text)
    for path in ("newsfragments/1.feature", "src/shop/core/newsfragments/2.doc.md", "newsfragments/3.added.1.md", "newsfragments/4.fix",
                 "newsfragments/README.md", "newsfragments/.gitignore"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert news.find(tmp_path) == expected


def test_a_project_without(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert news.find(tmp_path) is None
