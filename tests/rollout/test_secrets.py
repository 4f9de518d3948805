import json
import sys

import pytest

from weft.config import load as config
from weft.errors import Refused, UsageError
from weft.rollout import secrets, site, wire
from weft.rollout.secrets import Secrets

CANARY = "canary-of-the-operator-77ab"


@pytest.fixture
def environment(tmp_path):
    def environment(text):
        (tmp_path / "deploy").mkdir(exist_ok=True)
        (tmp_path / "deploy" / "production.toml").write_text(f'hosts = ["web1"]\n{text}')
        return config.environment(tmp_path)
    return environment


def fetched(environment, text, root, **environ):
    found = Secrets(secrets.sources(environment(text)), root, environ)
    found.fetch()
    return found


def test_they_come_from_a_variable_a_command_and_a_file_on_the_host(environment, tmp_path):
    text = f"""[secrets.database]
password = {{env = "SHOP_DB"}}
token = {{command = ["{sys.executable}", "-c", "print('of-a-command')"]}}
[secrets."app:main"]
key = {{file = "/etc/shop.secret"}}
"""
    found = fetched(environment, text, tmp_path, SHOP_DB=CANARY)
    assert found.shown()[0] == "database.password = *** (from $SHOP_DB)" and found.shown()[2] == "app:main.key = *** (from /etc/shop.secret on the host)"
    assert found.shown()[1].startswith("database.token = *** (from `")
    wish = found.wish()
    assert CANARY not in repr(wish) + json.dumps(wish)
    assert json.loads(wire.line({"verb": "stage", **wish}))["secrets"] == {"database": {"password": CANARY, "token": "of-a-command"}}
    assert site.site(environment(text), "shop")["secret_files"] == {"app:main": {"key": "/etc/shop.secret"}}


def test_without_any_a_request_is_what_it_was(environment, tmp_path):
    assert fetched(environment, "", tmp_path).wish() == {} and "secret_files" not in site.site(environment(""), "shop")


def test_a_command_is_run_once_a_rollout(environment, tmp_path):
    found = fetched(environment, '[secrets.a]\nb = {command = ["sh", "-c", "echo x >> ran; echo once"]}\n', tmp_path)
    found.fetch()
    assert found.wish() and (tmp_path / "ran").read_text() == "x\n"


@pytest.mark.parametrize("source, environ, message, hint", [
    ('{env = "SHOP_DB"}', {}, "the secret db.password: the variable SHOP_DB is not set", "export SHOP_DB before the command"),
    ('{env = "SHOP_DB"}', {"SHOP_DB": ""}, "the secret db.password: the variable SHOP_DB is empty", "export SHOP_DB before the command"),
    ('{env = "SHOP_DB"}', {"SHOP_DB": f" {CANARY}"}, "the secret db.password (from $SHOP_DB) is nothing that an ini can hold", "it may have no empty space around it"),
    ('{env = "SHOP_DB"}', {"SHOP_DB": f"{CANARY}\n# x"}, "the secret db.password (from $SHOP_DB) is nothing that an ini can hold", "no line that begins with #"),
    ('{command = ["sh", "-c", "echo %s; echo locked >&2; exit 3"]}' % CANARY[:9], {}, "ended with 3\n    locked", "see that it gives the secret: sh -c"),
    ('{command = ["no-such-vault", "read"]}', {}, "the secret db.password: no-such-vault: No such file or directory", "see that it gives the secret: no-such-vault read"),
    ('{command = ["true"]}', {}, "the secret db.password: `true` writes nothing", "see that it gives the secret: true"),
])
def test_what_is_not_to_be_had_is_refused_before_any_host(environment, tmp_path, source, environ, message, hint):
    with pytest.raises(Refused) as caught:
        fetched(environment, f"[secrets.db]\npassword = {source}\n", tmp_path, **environ)
    assert message in caught.value.message and hint in caught.value.hint and caught.value.effect == "nothing was contacted, nothing changed"
    assert CANARY not in "\n".join(caught.value.lines())


def test_what_a_failing_command_writes_to_its_standard_output_is_not_shown(environment, tmp_path):
    (tmp_path / "vault").write_text(f"#!/bin/sh\necho {CANARY}\necho one >&2; echo two >&2; echo three >&2; echo four >&2\nexit 1\n")
    (tmp_path / "vault").chmod(0o755)
    with pytest.raises(Refused) as caught:
        fetched(environment, '[secrets.db]\npassword = {command = ["./vault"]}\n', tmp_path)
    assert CANARY not in "\n".join(caught.value.lines()) and "one" not in caught.value.message and caught.value.message.endswith("    two\n    three\n    four")


def test_all_that_are_not_to_be_had_are_told_at_once(environment, tmp_path):
    with pytest.raises(Refused) as caught:
        fetched(environment, '[secrets.db]\na = {env = "NONE_A"}\nb = {env = "NONE_B"}\n', tmp_path)
    assert "NONE_A" in caught.value.message and "NONE_B" in caught.value.message


@pytest.mark.parametrize("text, said", [
    (f'[secrets.db]\npassword = "{CANARY}"\n', "production.toml:2: secrets: db.password does not say where the secret comes from"),
    ('[secrets.db]\npassword = {vault = "x"}\n', "db.password does not say where the secret comes from"),
    ('[secrets.db]\npassword = {env = "A", file = "/x"}\n', "db.password does not say where the secret comes from"),
    ('[secrets.db]\npassword = {command = "pass show"}\n', "db.password does not say where the secret comes from"),
    ('[secrets.db]\npassword = {file = "shop.secret"}\n', "db.password does not say where the secret comes from"),
    ('[secrets.db]\npassword = {file = "/etc/../x"}\n', "db.password does not say where the secret comes from"),
    ('[secrets]\npassword = {env = "A"}\n', "'password' stands outside of a section"),
    ('[secrets.db]\n"a=b" = {env = "A"}\n', "[secrets.db] has a name that an ini cannot hold"),
])
def test_words_without_sense(environment, text, said):
    with pytest.raises(UsageError) as caught:
        secrets.sources(environment(text))
    assert said in caught.value.message and CANARY not in "\n".join(caught.value.lines())
