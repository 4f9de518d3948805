import pytest

from weft.config import load
from weft.errors import UsageError


@pytest.fixture
def project(tmp_path):
    (tmp_path / "deploy").mkdir()

    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path
    return write


def test_values_defaults_and_origins(project):
    root = project("deploy/production.toml", 'hosts = ["web1"]\n[health]\npath = "/health"\n[settings.shop]\ncolour = "blue"\n')
    layer = load.environment(root)
    assert (layer["hosts"], layer["health.path"], layer["health.good"]) == (["web1"], "/health", 3)
    assert layer["settings"] == {"shop": {"colour": "blue"}} and layer["name"] == "production"
    assert layer.origin("health.path") == f"{root}/deploy/production.toml:3" and layer.origin("health.good") == "default"


@pytest.mark.parametrize("text, says", [
    ('hots = ["a"]\n', "deploy/production.toml:1: unknown key 'hots'; did you mean 'hosts'?"),
    ('[health]\npath = "/"\npth = 1\n', "deploy/production.toml:3: unknown key 'health.pth'; did you mean 'health.path'?"),
    ('hosts = "a"\n', "deploy/production.toml:1: hosts: expected a list of strings, got 'a'"),
    ('server = "nginx"\n', "deploy/production.toml:1: server: expected one of express, mod_wsgi, passenger, uwsgi, got 'nginx'"),
    ("[workers]\nprocesses = true\n", "deploy/production.toml:2: workers.processes: expected a whole number, got True"),
    ("[rollout]\nwaves = [0]\n", "deploy/production.toml:2: rollout.waves: expected a list of hosts or percents"),
    ("[[host]]\nnam = 'x'\n", "deploy/production.toml:2: unknown key 'nam'; did you mean 'name'?"),
    ("hosts = [\n", "deploy/production.toml:"), ("hosts = \n", "deploy/production.toml:1: not valid TOML"),
])
def test_faults_name_file_line_and_what_was_meant(project, text, says):
    with pytest.raises(UsageError) as caught:
        load.environment(project("deploy/production.toml", text))
    assert says in caught.value.message and caught.value.code == 2


@pytest.mark.parametrize("text, hint", [("", "correct it there; docs/reference/configuration.md has every key and what it takes"), ('hots = ["a"]\n', "known keys: ")])
def test_a_value_is_guessed_and_the_keys_are_listed_where_one_is_not_known(project, text, hint):
    with pytest.raises(UsageError) as caught:
        load.environment(project("deploy/production.toml", 'server = "uwsg"\n' + text))
    assert "got 'uwsg'; did you mean 'uwsgi'?" in caught.value.message and caught.value.hint.startswith(hint) and ("hosts, " in caught.value.hint) == bool(text)


def test_all_faults_at_once(project):
    with pytest.raises(UsageError) as caught:
        load.environment(project("deploy/production.toml", "hots = []\nusr = 1\n"))
    assert len(caught.value.message.splitlines()) == 2


def test_which_environment(project):
    project("deploy/production.toml", "")
    root = project("deploy/staging.toml", "")
    with pytest.raises(UsageError, match="which environment"):
        load.environment(root)
    with pytest.raises(UsageError, match="no environment 'stagin'; did you mean 'staging'"):
        load.environment(root, "stagin")
    assert load.environment(root, "staging")["name"] == "staging"


def test_project_name_comes_from_the_package(project):
    root = project("pyproject.toml", '[project]\nname = "shop"\n[tool.weft]\ncallable = "shop:app"\n')
    assert load.project(root)["name"] == "shop"
    with pytest.raises(UsageError, match=r"has no \[tool.weft\] table"):
        load.project(project("pyproject.toml", "[project]\n"))


def test_a_file_of_its_own(tmp_path):
    (tmp_path / "weft.toml").write_text('callable = "shop:app"\n\n[tool]\n')
    with pytest.raises(UsageError) as error:
        load.project(tmp_path)
    assert error.value.message == f"{tmp_path}/weft.toml:3: unknown key 'tool'"
    (tmp_path / "weft.toml").write_text('callable = "shop:app"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.poetry]\nname = "Shop.Front"\n')
    layer = load.project(tmp_path)
    assert (layer["name"], layer["callable"], layer.origin("callable")) == ("shop-front", "shop:app", f"{tmp_path}/weft.toml:1")
    assert load.is_project(tmp_path) and not load.is_project(tmp_path.parent)


def test_the_name_of_setup_cfg(tmp_path):
    (tmp_path / "weft.toml").write_text('callable = "shop:app"\n')
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = shop\n")
    assert load.project(tmp_path)["name"] == "shop"


def test_configured_twice(tmp_path):
    (tmp_path / "weft.toml").write_text('callable = "shop:app"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.weft]\ncallable = "shop:app"\n')
    with pytest.raises(UsageError) as error:
        load.project(tmp_path)
    assert error.value.lines() == [f"{tmp_path}/weft.toml is there, and [tool.weft] in {tmp_path}/pyproject.toml too",
                                   "now:  nothing was contacted, nothing changed", "next: keep one of them"]
