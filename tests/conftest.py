"""What every test has: no configuration of the person who runs it."""

import shutil
import signal
import sys
from dataclasses import replace

import pytest

from tests import factory

pytest_plugins = ["tests.skips"]

# What runs real builds, clones, servers and clients at length: `make test` runs it after the quick answer.
SLOW = ("release/test_pipeline", "release/test_hg", "release/test_git", "release/test_killed", "release/test_unfinished", "release/test_branches",
        "release/test_lock", "release/test_classics", "release/test_chain", "release/test_repair", "release/test_hooks", "release/test_news", "release/test_failure",
        "rollout/test_ssh", "rollout/test_run", "rollout/test_local", "rollout/test_setup", "tasks/test_deploy", "tasks/test_release",
        "tasks/test_trust", "new/test_project", "web/test_clients", "simple/test_clients", "web/test_yanked", "stores/", "docs/")

# What takes longest, the longest first; the rest follows by its number of tests.
LONGEST = ("tests/system", "tests/release/test_kill_sweep.py", "tests/host/test_light_sweep.py", "tests/host/test_zoo.py", "tests/host/test_engine.py",
           "tests/host/test_crash_sweep.py", "tests/host/test_power_cut.py", "tests/stores/test_contract.py", "tests/release/test_failure_table.py",
           "tests/release/test_upload.py", "tests/rollout/test_run.py", "tests/host/test_rollback.py", "tests/host/test_two_operators.py",
           "tests/host/test_model.py", "tests/new/test_project.py", "tests/release/test_lock.py", "tests/host/test_traffic.py")


def pytest_configure():
    # A runner in the background may have been started with SIGINT ignored, and every child would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection():
    """Where Python writes no byte code every worker would make the tests' own again, which takes it longer than to read them all."""
    usual, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    yield
    sys.dont_write_bytecode = usual


def pytest_collection_modifyitems(items):
    for item in items:
        if any(part in item.nodeid for part in SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With --dist loadfile: one worker for each file, whose set-up is paid once, and one for all system tests, whose hosts share one network.

    (xdist 3.8 has groups for that; it hands them on in a private field that pytest 9 no longer reads.)"""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "tests/system" if nodeid.startswith("tests/system/") else nodeid.split("::")[0]

        def _assign_work_unit(self, node):
            """What is begun last has to be short."""
            first = next((each for each in LONGEST if each in self.workqueue), next(iter(self.workqueue)))
            self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)
    return Grouped(config, log)


@pytest.fixture(scope="session", autouse=True)
def _own_git_configuration(tmp_path_factory):
    """git and Mercurial as on a fresh machine: neither the user's nor the system's configuration reaches a test's repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("HGRCPATH", "")
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("NO_COLOR", raising=False)
        yield


@pytest.fixture
def project(tmp_path):
    """A project at 1.1.3 with a changelog section for 1.1.4, a bare remote and an empty store."""
    return factory.make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def released_once(tmp_path_factory):
    """One real release of 1.1.4, looked at by many tests: project, proposal, report. Change nothing of it."""
    made = factory.make_project(tmp_path_factory.mktemp("released") / "project", relative=True)
    made.write("notes.txt", "not committed, in no package\n")
    report = factory.Quiet()
    return made, factory.run_release(made, "1.1.4", report=report), report


@pytest.fixture
def released(released_once, tmp_path):
    """A project of its own that has released 1.1.4."""
    made = released_once[0]
    shutil.copytree(made.root.parent, tmp_path / "copy", symlinks=True)
    base = tmp_path / "copy"
    return replace(made, root=base / "project", store=base / "artifacts", remote=base / "project.git")
