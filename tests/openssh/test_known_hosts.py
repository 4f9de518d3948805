import base64
import subprocess

import pytest
from paramiko import SSHClient
from paramiko.hostkeys import HostKeys

from tests.host_keys import line, pair
from weft.errors import Refused
from weft.openssh.known_hosts import Known, key_name


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def known(tmp_path):
    """known(text, …): the keys of files with these texts, in their order."""
    def known(*texts):
        paths = [tmp_path / f"known{n}" for n in range(len(texts))]
        for path, text in zip(paths, texts):
            path.write_text(text)
        return Known(paths)
    return known


def found(known, name):
    return [key for _path, key in known.find(name)]


def test_a_port_is_named_unless_it_is_22():
    assert key_name("web1", 22) == "web1"
    assert key_name("web1", 2222) == "[web1]:2222"


def test_the_first_file_counts_where_two_disagree(tmp_path, keys):
    (tmp_path / "project").write_text("# ours\n" + line("web1", keys[0]))
    (tmp_path / "user").write_text(line("web1", keys[1]) + line("web2", keys[1]))
    both = Known([tmp_path / "project", tmp_path / "user", tmp_path / "none", tmp_path])
    for name, key in (("web1", keys[0]), ("web2", keys[1])):
        client = SSHClient()
        both.prime(client, {}, name, 22)
        assert client.get_host_keys()[name]["ssh-ed25519"] == key
        assert len(client.get_host_keys()) == 1


@pytest.mark.parametrize("names, name, is_it", [
    ("web1,10.0.0.1", "10.0.0.1", True), ("web1", "web11", False), ("web1", "web", False),
    ("Web1.Example.org", "web1.example.org", True), ("web1.example.org", "Web1.example.org", True),
    ("*.example.org", "web1.example.org", True), ("*.example.org", "example.org", False), ("*.example.org", "web1.exampleXorg", False),
    ("web?", "web1", True), ("web?", "web12", False), ("*.example.org,!db.example.org", "db.example.org", False),
    ("!db.example.org,*.example.org", "web1.example.org", True), ("!db.example.org", "web1.example.org", False),
    ("[*.example.org]:2222", "[web1.example.org]:2222", True), ("[*.example.org]:2222", "web1.example.org", False),
    ("[web1]:2222", "w", False), ("|1|nothing|at all", "web1", False), ("|1|", "web1", False)])
def test_whom_a_line_is_for(known, keys, names, name, is_it, tmp_path):
    """And ssh-keygen, which knows patterns too, says the same of those that it looks for."""
    assert found(known(line(names, keys[0])), name) == [keys[0]] * is_it
    said = subprocess.run(["ssh-keygen", "-F", name.lower(), "-f", str(tmp_path / "known0")], capture_output=True, text=True).stdout
    assert (keys[0].get_base64() in said) == is_it


def test_a_host_that_is_known_by_another_name(known, keys):
    client = SSHClient()
    known(line("web1", keys[0]) + line("[10.0.0.1]:2222", keys[1])).prime(client, {"hostkeyalias": "web1"}, "10.0.0.1", 2222)
    assert dict(client.get_host_keys()["[10.0.0.1]:2222"]) == {"ssh-ed25519": keys[0]}, "which is how paramiko looks for it"


def test_a_name_counts_before_a_pattern_in_the_same_file(known, keys):
    """As `fab trust` writes it, below what was there."""
    assert found(known(line("*", keys[0]) + line("web1", keys[1])), "web1") == [keys[1], keys[0]]
    assert found(known(line("*", keys[0]), line("web1", keys[1])), "web1") == [keys[0], keys[1]]


def test_a_hashed_name(known, keys, tmp_path):
    hashed = HostKeys.hash_host("web1.example.org", "|1|" + base64.b64encode(b"s" * 20).decode() + "|x")
    both = known(line(hashed, keys[0]) + line("web2", keys[1]))
    assert found(both, "Web1.example.org") == [keys[0]] and found(both, "web2") == [keys[1]] and found(both, "web3") == []


def test_lines_that_are_none(known, keys):
    odd = ("@cert-authority web1 ssh-ed25519 AAAA\n@unheard-of web1 " + line("x", keys[1]) + "web1\nweb1 ssh-ed25519\nweb1 ssh-ed25519 AAA\nweb1 ssh-ed25519 AAAA\n"
           "web1 ssh-dss AAAA\n\n  # web1 said\n")
    assert found(known(odd + "\t" + line("web1", keys[0]).replace(" ", "\t")), "web1") == [keys[0]]


def test_a_revoked_key_is_nobodys_whichever_file_says_so(known, keys):
    both = known(line("web1", keys[0]) + line("web1", keys[1]), f"@revoked elsewhere {line('x', keys[0])[2:]}")
    assert found(both, "web1") == [keys[1]]
    assert both.revoked(keys[0]) == both.files[1][0] and both.revoked(keys[1]) is None
    both.refuse_revoked("web1", "web1", keys[1])
    with pytest.raises(Refused) as caught:
        both.refuse_revoked("web1", "[web1]:2222", keys[0])
    assert caught.value.message == f"web1: THE KEY THAT [web1]:2222 SHOWS IS REVOKED by {both.files[1][0]}: ssh-ed25519 {keys[0].fingerprint}"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Refused) as caught:
        Known([tmp_path / "loop"])
    assert caught.value.message == f"{tmp_path}/loop cannot be read: Too many levels of symbolic links"
