"""`fab setup` over a real SSH connection: the zipapp travels, BOOT starts it, the request follows."""

import dataclasses
import getpass
import os
import zipfile

import pytest

from weft.errors import NeedsHands, Refused, UsageError
from weft.rollout import setup
from weft.rollout.show import Silent

ECHO = """
import json, os, sys
size = os.path.getsize(sys.argv[0])
request = json.loads(sys.stdin.buffer.readline())
said = [request["verb"], request["deploy_user"], request["authorized_key"], str(size), sys.argv[1], str(os.geteuid())]
print(json.dumps({"result": {"did": said, "state": {}}}))
"""


@pytest.fixture
def echo(tmp_path):
    """A zipapp that answers with what it was asked, large enough to come in more than one piece."""
    path = tmp_path / "echo.pyz"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("__main__.py", ECHO)
        packed.writestr("padding", os.urandom(3 << 20))
    return path


@pytest.fixture
def env(load, echo):
    def env(**access):
        return load("web1,web2", engine=lambda: echo, python="/usr/bin/python3", **access)
    return env


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another account needs a sudo rule to set up")
def test_the_engine_travels_and_is_asked(env, echo):
    did = setup.run(env(), "", "ssh-ed25519 AAAA ann", Silent())
    said = ["setup", getpass.getuser(), "ssh-ed25519 AAAA ann", str(echo.stat().st_size), "--setup", "0"]
    assert did == {"web1": said, "web2": said}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whom sudo lets do everything")
def test_any_other_account_than_root_goes_through_sudo(env):
    from weft.rollout import transport
    environment = env()
    channel = transport.open(environment.hosts.hosts[0], environment.access)
    channel.user = "deploy"
    request = {"verb": "setup", **environment.request, "deploy_user": "x", "authorized_key": ""}
    assert channel.exec(request)["did"][:2] == ["setup", "x"]
    channel.close()


def test_the_rule_is_for_the_account_that_deploys(env):
    environment = env(user="deploy")
    host = environment.hosts.hosts[0]
    assert setup.deploy_user(environment, host, "root", "root") == "deploy"
    assert setup.deploy_user(environment, dataclasses.replace(host, user="ops"), "root", "root") == "ops"
    nobody = env(user="")
    assert setup.deploy_user(nobody, host, "ann", "") == "ann"
    assert setup.deploy_user(nobody, host, "root", "root") == getpass.getuser()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another account needs a sudo rule to set up")
def test_a_host_that_fails_does_not_stop_the_others(env, fleet):
    path = fleet.root / "deploy" / "known_hosts"
    path.write_text(fleet.sshd.known("127.0.0.2"))
    with pytest.raises(Refused) as caught:
        setup.run(env(), "", "", Silent())
    assert "web2: the host key of" in caught.value.message and caught.value.effect == "set up: web1"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another account needs a sudo rule to set up")
def test_a_python_that_is_not_there(env):
    with pytest.raises(Refused) as caught:
        setup.run(dataclasses.replace(env(), access=dataclasses.replace(env().access, python="/nowhere/python3")), "", "",
                  Silent())
    assert caught.value.message.splitlines()[0].startswith("web1 cannot be set up: ")
    assert caught.value.hint.startswith("install sudo and python3 on it")


def test_a_failure_halfway_needs_hands():
    error = setup._failed([NeedsHands("web1: apache did not start", "look at it")], {})
    assert type(error) is NeedsHands and error.effect == ""


@pytest.mark.parametrize("text, message", [
    ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "is a private key"), ("hello\n", "is not one public key"),
    ("ssh-ed25519 A a\nssh-ed25519 B b\n", "is not one public key"), ("", "is not one public key")])
def test_a_file_that_is_no_public_key_is_refused(env, tmp_path, text, message):
    (tmp_path / "key").write_text(text)
    with pytest.raises(UsageError, match=message):
        setup.public_key(env(), str(tmp_path / "key"))
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        setup.public_key(env(), str(tmp_path / "none"))


def test_the_key_beside_the_identity_is_the_default(env, fleet):
    assert setup.public_key(env(), "") == (fleet.place / "ssh" / "client_key.pub").read_text().strip()
    assert setup.public_key(env(identity=""), "") == ""
