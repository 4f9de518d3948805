import base64

import pytest
from paramiko import Ed25519Key, SSHClient
from paramiko.hostkeys import HostKeys

from weft.rollout import hostkeys
from weft.testing.fleet import keygen


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    place = tmp_path_factory.mktemp("keys")
    for name in "ab":
        keygen(place / name)
    return [Ed25519Key(filename=str(place / name)) for name in "ab"]


def line(name, key):
    return f"{name} {key.get_name()} {key.get_base64()}\n"


def test_a_port_is_named_unless_it_is_22():
    assert hostkeys.key_name("web1", 22) == "web1"
    assert hostkeys.key_name("web1", 2222) == "[web1]:2222"


def test_the_first_file_counts_where_two_disagree(tmp_path, keys):
    (tmp_path / "project").write_text("# ours\n" + line("web1", keys[0]))
    (tmp_path / "user").write_text(line("web1", keys[1]) + line("web2", keys[1]))
    known = hostkeys.Known([tmp_path / "project", tmp_path / "user", tmp_path / "none"])
    for name, key in (("web1", keys[0]), ("web2", keys[1])):
        client = SSHClient()
        known.prime(client, name)
        assert client.get_host_keys()[name]["ssh-ed25519"] == key
        assert len(client.get_host_keys()) == 1


def test_remember_replaces_the_host_and_leaves_the_other_lines(tmp_path, keys):
    path = tmp_path / "deploy" / "known_hosts"
    hostkeys.remember(path, "web1", keys[0])
    assert path.read_text() == line("web1", keys[0])
    hashed = HostKeys.hash_host("web1", "|1|" + base64.b64encode(b"s" * 20).decode() + "|x")
    path.write_text("# comment\n\n" + line("web1,10.0.0.1", keys[0]) + line("web2", keys[0]) + line(hashed, keys[0])
                    + "web1 ssh-rsa AAAA\n@cert-authority web1 ssh-rsa AAAA\n")
    hostkeys.remember(path, "web1", keys[1])
    assert path.read_text() == ("# comment\n\n" + line("10.0.0.1", keys[0]) + line("web2", keys[0])
                                + "@cert-authority web1 ssh-rsa AAAA\n" + line("web1", keys[1]))
