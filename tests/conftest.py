"""What every test has: no configuration of the person who runs it."""

import pytest

from tests import factory

pytest_plugins = ["tests.skips"]


@pytest.fixture(scope="session", autouse=True)
def _own_git_configuration():
    """git as on a fresh machine: neither the user's nor the system's configuration reaches a test's repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.delenv("NO_COLOR", raising=False)
        yield


@pytest.fixture
def project(tmp_path):
    """A project at 1.1.3 with a changelog section for 1.1.4, a bare remote and an empty store."""
    return factory.make_project(tmp_path / "project")
