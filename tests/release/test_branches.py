"""Which branch may release what: maintenance releases, pre-releases, the branch rule."""

from datetime import date

import pytest

from tests import factory
from weft.errors import Refused
from weft.release import faults, pipeline
from weft.stores.directory import DirectoryStore

pytestmark = pytest.mark.usefixtures("warm")


def propose(made, version=None, bump=None):
    return pipeline.propose(pipeline.open_project(made.root), pipeline.Wish(version, bump), date(2024, 5, 6))


@pytest.fixture
def two_lines(tmp_path):
    """1.0.4 and then 1.1.0 are tagged on main, the store has 1.1.0; the branch 1.0.x, checked out, begins at 1.0.4."""
    made = factory.make_project(tmp_path / "project", version="1.0.4", next_version="1.1.0")
    made.git("tag", "1.0.4")
    made.git("push", "-q", "origin", "1.0.4")
    factory.run_release(made, "1.1.0")
    made.git("switch", "-q", "-c", "1.0.x", "1.0.4")
    made.git("push", "-q", "-u", "origin", "1.0.x")
    made.changelog("1.0.5", "- mended")
    return made


def test_a_maintenance_release_after_the_next_line(two_lines):
    proposal = factory.run_release(two_lines, bump="patch")
    assert proposal.frame.version == "1.0.5"
    store = DirectoryStore(two_lines.store)
    assert store.versions("weaveserver") == ["1.0.5", "1.1.0"] and store.manifest("weaveserver", "1.0.5").changelog == "- mended"
    assert two_lines.git("rev-parse", "refs/heads/1.0.x", at=two_lines.remote) == two_lines.git("rev-parse", "1.0.5^{commit}")
    two_lines.git("switch", "-q", "main")
    with pytest.raises(Refused) as error:
        propose(two_lines, "1.0.6")
    assert error.value.details[0] == {"message": "1.0.6 is not above 1.1.0, the last tag of this branch", "next": "--version 1.1.1 or above"}


def test_a_maintenance_release_is_above_its_own_branch_and_takes_no_number_twice(two_lines):
    with pytest.raises(Refused) as error:
        propose(two_lines, "1.0.3")
    assert error.value.details[0] == {"message": "1.0.3 is not above 1.0.4, the last tag of this branch", "next": "--version 1.0.5 or above"}
    assert propose(two_lines, "1.1.0").done, "it is released already, from main"


def test_a_tag_that_only_the_remote_has_counts_where_its_commit_is_known(two_lines):
    two_lines.git("switch", "-q", "main")
    two_lines.git("tag", "-d", "1.1.0", "1.0.4")
    with pytest.raises(Refused) as error:
        propose(two_lines, "1.0.9")
    assert "1.0.9 is not above 1.1.0, the last tag of this branch" in [each["message"] for each in error.value.details]


def test_without_any_tag_in_the_history_all_tags_and_the_store_count(project):
    project.git("switch", "-q", "--orphan", "other")
    project.git("commit", "-q", "--allow-empty", "-m", "elsewhere")
    project.git("tag", "2.0")
    project.git("switch", "-q", "main")
    with pytest.raises(Refused) as error:
        propose(project, "1.1.4")
    assert error.value.details[0]["message"] == "1.1.4 is not above 2.0, the last tag"


def test_pre_releases_lead_to_the_release(project):
    for version, section in (("1.1.4rc1", "## 1.1.4 - unreleased"), ("1.1.4rc2", "## 1.1.4 - unreleased"), ("1.1.4", "## 1.1.4 - 2024-05-06")):
        proposal = factory.run_release(project, version)
        assert proposal.changelog == "- something new" and section in (project.root / "CHANGELOG.md").read_text()
    assert DirectoryStore(project.store).versions("weaveserver") == ["1.1.4rc1", "1.1.4rc2", "1.1.4"]
    with pytest.raises(Refused, match="1.1.4rc3 is not above 1.1.4, the last tag of this branch"):
        propose(project, "1.1.4rc3")


@pytest.mark.parametrize("rule, branch, allowed", [
    ("", "anything", True), ("main", "main", True), ("main", "main2", False), ("main, release/*", "release/1.0", True),
    ("main,*.x", "1.0.x", True), ("main,*.x", "feature", False), ("Main", "main", False)])
def test_the_branch_rule(rule, branch, allowed):
    assert faults._allowed(branch, rule) is allowed
