import pytest

from tests.develop import made
from weft.develop import checkout
from weft.errors import Refused, UsageError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter-two")
    return made.make(tmp_path / "shop")


def ini(text):
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def test_the_settings_are_layered_as_in_a_deploy(root):
    tree = checkout.read(root)
    text, hidden = checkout.settings(tree)
    assert ini(text) == {"greeting": "hello developer", "colour": "blue", "password": "hunter-two"} and hidden.text("a hunter-two b") == "a *** b"
    assert tree.said == "settings of etc/shop.ini, deploy/development.toml, variant DEVELOPMENT"
    tree.drop_ins.mkdir(parents=True)
    (tree.drop_ins / "10-mine.ini").write_text("[page]\ncolour = mine\npassword = not this one\n")
    assert ini(checkout.settings(tree)[0]) == {"greeting": "hello developer", "colour": "mine", "password": "hunter-two"}


def test_a_secret_of_a_file_is_read_below_the_projects_own_etc(root):
    path = root / "deploy/development.toml"
    path.write_text(path.read_text().replace('{env = "SHOP_PASSWORD"}', '{file = "/etc/shop.secret"}'))
    tree = checkout.read(root)
    with pytest.raises(Refused, match=r"the secret page.password: .*/\.weft/develop/etc/shop.secret: No such file"):
        checkout.settings(tree)
    (root / ".weft/develop/etc").mkdir(parents=True)
    (root / ".weft/develop/etc/shop.secret").write_text("of a file\n")
    (root / ".weft/develop/etc/shop.secret").chmod(0o600)
    assert ini(checkout.settings(tree)[0])["password"] == "of a file"


def test_secrets_are_asked_for_once_as_long_as_they_come_from_the_same_place(root, monkeypatch):
    first = checkout.read(root)
    checkout.settings(first)
    monkeypatch.setenv("SHOP_PASSWORD", "another")
    again = checkout.read(root, "", first)
    assert ini(checkout.settings(again)[0])["password"] == "hunter-two"
    path = root / "deploy/development.toml"
    path.write_text(path.read_text().replace("SHOP_PASSWORD", "OTHER_PASSWORD"))
    with pytest.raises(Refused, match="the variable OTHER_PASSWORD is not set"):
        checkout.settings(checkout.read(root, "", again))


LOCAL = 'transport = "local"\nserver = "express"\nhosts = ["localhost"]\nprefix = ".weft/local"\n'


@pytest.mark.parametrize("more, env, named", [
    ({}, "", "development"), ({}, "production", "production"), ({"deploy__development_DOT_toml": ""}, "", ""),
    ({"deploy__development_DOT_toml": "", "deploy__local_DOT_toml": LOCAL}, "", "local"),
    ({"deploy__development_DOT_toml": "", "deploy__production_DOT_toml": ""}, "", "")])
def test_the_environment_is_one_for_development_and_never_another_by_itself(tmp_path, more, env, named):
    tree = checkout.read(made.make(tmp_path / "shop", **more), env)
    assert tree.env == named and tree.site.variant == (named or "development").upper()
    assert ("production" in tree.site.settings.get("page", {}).values()) == (named == "production")
    assert named or "no environment" in tree.said


def test_an_environment_for_development_may_hold_settings_alone(tmp_path):
    tree = checkout.read(made.make(tmp_path / "shop", deploy__development_DOT_toml="[settings.page]\ncolour = 'mine'\n"))
    assert ini(checkout.settings(tree)[0])["colour"] == "mine" and tree.site.account == "nobody"


def test_of_two_local_ones_somebody_must_choose(tmp_path):
    root = made.make(tmp_path / "shop", deploy__development_DOT_toml="", deploy__local_DOT_toml=LOCAL, deploy__play_DOT_toml=LOCAL)
    with pytest.raises(UsageError, match="which environment") as error:
        checkout.read(root)
    assert "local, play, production" in error.value.hint


def test_default_settings_that_are_not_there_or_no_ini_are_named_by_their_file(root):
    tree = checkout.read(root)
    (root / "etc/shop.ini").write_text("greeting = 1\n")
    with pytest.raises(Refused, match=r"etc/shop.ini is not a valid ini file: line 1"):
        checkout.settings(tree)
    (root / "etc/shop.ini").unlink()
    with pytest.raises(Refused, match=r"etc/shop.ini: No such file"):
        checkout.settings(tree)


def test_a_project_without_settings_has_none(tmp_path):
    toml = made.FILES["pyproject.toml"].replace('settings = "etc/shop.ini"', "")
    assert checkout.settings(checkout.read(made.make(tmp_path / "shop", pyproject_DOT_toml=toml, deploy__development_DOT_toml="")))[0] is None


def test_the_record_has_the_version_that_the_code_declares(root):
    assert checkout.record(checkout.read(root)) == '{"release": "1.0-development", "version": "1.0"}'
