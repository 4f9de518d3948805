"""The project's own commands around the steps of a release."""

import os

import pytest

from tests import factory
from tests.release.vcs_world import finished, world
from weft.errors import FailedUndone, NeedsHands, Refused, UsageError
from weft.release import observe, pipeline

pytestmark = pytest.mark.usefixtures("warm")
PHASES = ("test", "build", "verify", "push", "publish")


def hooks(made, **commands):
    made.configure("[tool.weft.hooks]\n" + "\n".join(f"{name} = {value}" for name, value in commands.items()))


def test_each_runs_at_its_place_with_its_environment(project, tmp_path):
    note = f"'echo $WEFT_PHASE $WEFT_VERSION $WEFT_TAG >> {tmp_path}/ran'"
    hooks(project, **{f"{when}_{phase}": f'["sh", "-c", {note}]' for phase in PHASES for when in ("before", "after")})
    report = factory.Quiet()
    proposal = factory.run_release(project, "1.1.4", report=report)
    assert (tmp_path / "ran").read_text().splitlines() == [
        f"{when}_{phase} 1.1.4 1.1.4" for phase in PHASES for when in ("before", "after")]
    kinds = [kind for kind in report.kinds if kind in ("hook", *PHASES)]
    assert kinds == [each for phase in PHASES for each in ("hook", phase, "hook")]
    assert f" 5. before_test: sh -c {note}" in proposal.plan.describe()
    finished(project)


def test_several_commands_and_the_trees_they_run_in(project, tmp_path):
    hooks(project, before_test=f'[["sh", "-c", "pwd > {tmp_path}/test; ls -a > {tmp_path}/files"], ["python", "-c", "open(\'made-by-hook\', \'w\')"]]',
          after_test=f'["sh", "-c", "ls > {tmp_path}/after"]', before_build=f'["sh", "-c", "pwd > {tmp_path}/build"]')
    factory.run_release(project, "1.1.4")
    assert (tmp_path / "test").read_text().endswith("/export\n") and (tmp_path / "build").read_text().endswith("/clone\n")
    assert ".git" not in (tmp_path / "files").read_text().split() and "made-by-hook" in (tmp_path / "after").read_text().split()
    assert not (project.root / "made-by-hook").exists()
    finished(project)


@pytest.mark.parametrize("name", ["before_test", "after_build", "before_push"])
def test_one_that_fails_before_the_push_undoes(project, name):
    hooks(project, **{name: '["sh", "-c", "echo the loom is stuck; exit 3"]'})
    before = world(project)
    with pytest.raises(FailedUndone) as error:
        factory.run_release(project, "1.1.4")
    assert error.value.lines() == [
        f"{name}: sh -c 'echo the loom is stuck; exit 3' failed (exit 3)",
        "now:  undone: your repository and the remote are as they were, nothing is published",
        "next: mend what the hook shows, then run the same command again"]
    assert error.value.details == {"output": ["the loom is stuck"]} and world(project) == before


@pytest.mark.parametrize("name", ["after_push", "after_publish"])
def test_one_that_fails_when_nothing_can_be_undone_is_a_warning(project, name):
    hooks(project, **{name: '["sh", "-c", "echo nobody listens; exit 3"]'})
    report = factory.Quiet()
    factory.run_release(project, "1.1.4", report=report)
    assert report.warnings == [f"{name}: sh -c 'echo nobody listens; exit 3' failed (exit 3); the release went on\nnobody listens"]
    finished(project)


def test_before_publish_stops_and_the_same_command_goes_on(project, tmp_path):
    hooks(project, before_publish=f'["test", "-e", "{tmp_path}/open"]')
    with pytest.raises(NeedsHands) as error:
        factory.run_release(project, "1.1.4")
    assert error.value.lines() == [
        f"before_publish: test -e {tmp_path}/open failed (exit 1)",
        f"now:  the tag 1.1.4 on origin is there; {project.store} has no 1.1.4 yet", "next: inv release --version 1.1.4 finishes it"]
    (tmp_path / "open").write_text("")
    factory.run_release(project, "1.1.4")
    finished(project)


def test_one_that_cannot_be_started_is_a_fault(project):
    hooks(project, before_test='["no-such-loom"]', after_push='["./notify.sh"]')
    project.write("notify.sh", "#!/bin/sh\n")
    project.commit()
    with pytest.raises(Refused) as error:
        factory.run_release(project, "1.1.4")
    assert error.value.details == [
        {"message": "[tool.weft] hooks.before_test runs no-such-loom, which is no program here",
         "next": "install it, or correct hooks.before_test"},
        {"message": "[tool.weft] hooks.after_push runs ./notify.sh, which is no program here",
         "next": "install it, or correct hooks.after_push"}]


@pytest.mark.parametrize("value", ['"make assets"', "[1]", "[[]]", '["a", ["b"]]', '[""]'])
def test_what_is_no_command(project, value):
    hooks(project, before_test=value)
    with pytest.raises(UsageError, match=r"hooks.before_test: expected a command such as \[\"make\", \"assets\"\], or a list of commands"):
        pipeline.open_project(project.root)


def test_an_unknown_phase(project):
    hooks(project, before_tset='["true"]')
    with pytest.raises(UsageError, match="unknown key 'hooks.before_tset'; did you mean 'hooks.before_test'"):
        pipeline.open_project(project.root)


def test_one_command_and_a_list_of_commands_are_the_same(project):
    hooks(project, before_test='["make", "assets"]', after_test='[["make", "assets"]]', before_push="[]")
    assert observe.hooks(pipeline.open_project(project.root)) == {
        "hooks.before_test": [["make", "assets"]], "hooks.after_test": [["make", "assets"]]}


def test_a_hook_has_the_environment_of_the_caller_but_nothing_that_redirects_git(project, tmp_path, monkeypatch):
    hooks(project, before_push=f'["sh", "-c", "echo $LOOM-$GIT_DIR- > {tmp_path}/env"]')
    monkeypatch.setenv("LOOM", "warp")
    monkeypatch.setenv("GIT_DIR", os.devnull)
    factory.run_release(project, "1.1.4")
    monkeypatch.undo()
    assert (tmp_path / "env").read_text() == "warp--\n"
