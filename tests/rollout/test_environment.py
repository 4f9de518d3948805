import pytest

from weft.errors import UsageError
from weft.rollout import environment


@pytest.fixture
def project(tmp_path):
    def project(name="shop", **environments):
        (tmp_path / "deploy").mkdir(exist_ok=True)
        (tmp_path / "pyproject.toml").write_text(f'[tool.weft]\nname = "{name}"\ncallable = "a:b"\nartifacts = "store"\n')
        for each, text in environments.items():
            (tmp_path / "deploy" / f"{each}.toml").write_text(text)
        return tmp_path
    return project


def test_everything_its_words_mean(project):
    root = project(production='hosts = ["web1", "web2"]\nuser = "deploy"\nidentity = "pyproject.toml"\n[rollout]\nparallel = 3\n')
    env = environment.load(root, limit="web2")
    assert (env.app, env.name, env.hosts.names, env.policy.parallel) == ("shop", "production", ["web2"], 3)
    assert env.access.user == "deploy" and env.access.identity == str(root / "pyproject.toml")
    assert env.access.project_keys == root / "deploy" / "known_hosts"
    assert env.access.command == "sudo -n /usr/local/sbin/weft-host"
    assert env.request["app"] == "shop" and "@" in env.request["by"]
    assert str(env.store) == str(root / "store")


def test_hints_repeat_the_environment_only_where_it_must_be_said(project):
    root = project(production='hosts = ["web1"]\n')
    assert environment.load(root).access.again == ""
    root = project(staging='hosts = ["web1"]\n')
    assert environment.load(root, "staging").access.again == " --env staging"


@pytest.mark.parametrize("text, said", [
    ('hosts = ["web1"]\nidentity = "keys/none"\n', "production.toml:2: identity: there is no file keys/none"),
    ('transport = "local"\n', 'production.toml: transport = "local" needs a prefix'),
    ('hosts = ["web1"]\nprefix = "x"\n', 'production.toml:2: prefix: only transport = "local" has a prefix'),
])
def test_words_without_sense(project, text, said):
    with pytest.raises(UsageError) as caught:
        environment.load(project(production=text))
    assert caught.value.message.endswith(said)


def test_a_name_that_is_none_is_told_with_its_line(project):
    with pytest.raises(UsageError) as caught:
        environment.load(project("../x", production='hosts = ["web1"]\n'))
    assert caught.value.message.endswith("pyproject.toml:2: name: '../x' is not an application name")


def test_the_project_is_found_from_below(project):
    root = project(production='hosts = ["web1"]\n')
    assert environment.project_root(root / "deploy") == root
