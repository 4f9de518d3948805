import base64

import pytest
from paramiko.hostkeys import HostKeys

from tests.host_keys import line, pair
from weft.rollout import hostkeys


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("keys"))


def test_remember_replaces_the_host_and_leaves_the_other_lines(tmp_path, keys):
    path = tmp_path / "deploy" / "known_hosts"
    hostkeys.remember(path, "web1", keys[0])
    assert path.read_text() == line("web1", keys[0])
    hashed = HostKeys.hash_host("web1", "|1|" + base64.b64encode(b"s" * 20).decode() + "|x")
    path.write_text("# comment\n\n" + line("web1,10.0.0.1", keys[0]) + line("web2", keys[0]) + line(hashed, keys[0])
                    + "web1 ssh-rsa AAAA\n@cert-authority web1 ssh-rsa AAAA\n|1|broken ssh-rsa AAAA\n")
    hostkeys.remember(path, "web1", keys[1])
    assert path.read_text() == ("# comment\n\n" + line("10.0.0.1", keys[0]) + line("web2", keys[0])
                                + "@cert-authority web1 ssh-rsa AAAA\n|1|broken ssh-rsa AAAA\n" + line("web1", keys[1]))


def test_remember_replaces_the_host_however_its_line_is_written(tmp_path, keys):
    """Else the old key went on counting, and fab trust asked for ever."""
    path = tmp_path / "known_hosts"
    path.write_text(line("Web1", keys[0]).replace(" ", "\t") + line("*", keys[0]) + "@revoked web1 ssh-rsa AAAA\n")
    hostkeys.remember(path, "web1", keys[1])
    assert path.read_text() == line("*", keys[0]) + "@revoked web1 ssh-rsa AAAA\n" + line("web1", keys[1])
    assert hostkeys.Known([path]).find("web1")[0] == (path, keys[1])
