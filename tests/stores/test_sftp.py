"""SFTP: whose key is believed, what is said when the server is not as it should be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores import servers
from weft.errors import Refused, UsageError
from weft.stores import open_store
from weft.testing.fleet import keygen, short_spoken
from weft.testing.store_goods import Goods


@pytest.fixture
def server(tmp_path, monkeypatch):
    with servers.sftp(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def url(tmp_path):
    return f"sftp://artifacts{tmp_path}/store"


def refusal(act):
    with pytest.raises(Refused) as error:
        act()
    return error.value


def shown(path):
    said = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True).stdout.split()
    return said[1]


def test_an_unknown_host_key_is_refused_with_its_fingerprint(server, url, tmp_path):
    (tmp_path / "home/.ssh/known_hosts").write_text("")
    error = refusal(open_store(url, tmp_path).apps)
    assert error.lines() == [
        f"artifacts: the host key of [127.0.0.1]:{server.port} is not known yet: ssh-ed25519 {shown(tmp_path / 'sshd/host_key.pub')}",
        "now:  nothing changed",
        "next: compare with the host's own (ssh-keygen -lf on it), then: add it to deploy/known_hosts or ~/.ssh/known_hosts"]


def test_the_project_s_own_known_hosts(server, url, tmp_path):
    (tmp_path / "deploy").mkdir()
    os.rename(tmp_path / "home/.ssh/known_hosts", tmp_path / "deploy/known_hosts")
    assert open_store(url, tmp_path).apps() == []


def test_a_changed_host_key_is_refused(server, url, tmp_path):
    before = shown(tmp_path / "sshd/host_key.pub")
    server.new_host_key()
    error = refusal(open_store(url, tmp_path).apps)
    assert error.message == (f"artifacts: THE HOST KEY HAS CHANGED: it shows ssh-ed25519 {shown(tmp_path / 'sshd/host_key.pub')}, "
                             f"known is {before}")


def test_a_revoked_host_key_is_refused_whatever_else_is_known(server, url, tmp_path):
    """And a certificate authority's line, which paramiko's own reader ends at, hurts nobody."""
    known = tmp_path / "home/.ssh/known_hosts"
    known.write_text("@cert-authority *.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n" + known.read_text())
    assert open_store(url, tmp_path).apps() == []
    kind, key, *_ = (tmp_path / "sshd/host_key.pub").read_text().split()
    known.write_text(known.read_text() + f"@revoked * {kind} {key}\n")
    assert refusal(open_store(url, tmp_path).apps).message == (
        f"artifacts: THE KEY THAT [127.0.0.1]:{server.port} SHOWS IS REVOKED by {known}: ssh-ed25519 {shown(tmp_path / 'sshd/host_key.pub')}")


def test_the_project_s_keys_count_before_the_user_s(server, url, tmp_path):
    keygen(tmp_path / "other")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/known_hosts").write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    assert refusal(open_store(url, tmp_path).apps).message.endswith(f", known is {shown(tmp_path / 'other.pub')}")


def test_a_key_that_the_server_does_not_know(server, url, tmp_path):
    (tmp_path / "sshd/authorized_keys").write_text("")
    assert refusal(open_store(url, tmp_path).apps).message == f"{url}: Authentication failed."


def test_nobody_there(server, url, tmp_path):
    server.stop()
    error = refusal(open_store(url, tmp_path).apps)
    assert error.message.startswith(f"{url}: ") and "Unable to connect to port" in error.message


def test_a_server_that_goes_away_without_a_word(server, url, tmp_path):
    server.stop()
    with short_spoken("127.0.0.1", server.port):
        assert refusal(open_store(url, tmp_path).apps).message == f"{url}: the other side closed the connection"


def test_a_way_that_is_not_followed_is_refused(server, url, tmp_path):
    with open(tmp_path / "home/.ssh/config", "a") as config:
        config.write("Host artifacts\n  ProxyJump door\n")
    assert refusal(open_store(url, tmp_path).apps).lines() == [
        "artifacts: ~/.ssh/config names a ProxyJump, which a store does not follow", "now:  nothing changed",
        "next: write ProxyCommand ssh -W %h:%p door there"]


def test_a_program_that_is_not_there_is_told(server, url, tmp_path):
    with open(tmp_path / "home/.ssh/config", "a") as config:
        config.write("Host artifacts\n  ProxyCommand /nowhere/nc %h %p\n")
    store = open_store(url, tmp_path)
    assert refusal(store.apps).message == f"{url}: [Errno 2] No such file or directory: '/nowhere/nc'"
    assert refusal(lambda: store.versions("shop")).message.startswith(f"{url}: [Errno 2] ")


def test_keys_that_the_config_names_and_that_are_not_there_are_passed_over(server, url, tmp_path):
    path = tmp_path / "home/.ssh/config"
    os.rename(path, path.with_name("more"))
    path.write_text(f"IdentityFile {tmp_path}/none\nInclude more\n")
    assert open_store(url, tmp_path).apps() == []


def test_a_proxy_command_is_followed(server, url, tmp_path):
    proxy = tmp_path / "proxy.py"
    proxy.write_text("import os, select, socket, sys\n"
                     "line = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
                     "while True:\n"
                     "    ready, _, _ = select.select([0, line], [], [])\n"
                     "    if 0 in ready:\n        line.sendall(os.read(0, 65536) or sys.exit())\n"
                     "    if line in ready:\n        os.write(1, line.recv(65536) or sys.exit())\n")
    with open(tmp_path / "home/.ssh/config", "a") as config:
        config.write(f"Host artifacts\n  ProxyCommand {sys.executable} {proxy} %h %p\n")
    (tmp_path / "home/.ssh/known_hosts").write_text(server.known("127.0.0.1"))
    store = open_store(url, tmp_path)
    Goods(tmp_path / "goods").publish(store)
    assert store.versions("shop") == ["1.1.4"]


def test_a_lost_connection_is_made_anew(server, url, tmp_path):
    store = open_store(url, tmp_path)
    goods = Goods(tmp_path / "goods")
    goods.publish(store)
    store.space._client.close()
    assert store.versions("shop") == ["1.1.4"]


def test_a_directory_that_is_not_writable(server, tmp_path):
    (tmp_path / "file").write_text("")
    url = f"sftp://artifacts{tmp_path}/file"
    assert refusal(lambda: Goods(tmp_path / "goods").stage(open_store(url, tmp_path))).message.startswith(f"{url}: ")


def test_the_files_are_where_an_operator_finds_them(server, url, tmp_path):
    goods = Goods(tmp_path / "goods")
    assert goods.publish(open_store(url, tmp_path)) == f"{url}/shop/1.1.4"
    found = sorted(path.relative_to(tmp_path / "store").as_posix() for path in (tmp_path / "store").rglob("*") if path.is_file())
    folder = next(Path(tmp_path / "store/shop").glob("1.1.4~*-*")).name
    assert found == sorted([".listing.json.d/0000000001", "listing.json", "shop/1.1.4~release.json", f"shop/{folder}/manifest.json",
                            *(f"shop/{folder}/{name}" for name in goods.files)])


def test_nothing_is_contacted_by_opening(tmp_path):
    assert str(open_store("sftp://me@nowhere.invalid:2222/srv/store/", tmp_path)) == "sftp://me@nowhere.invalid:2222/srv/store"


@pytest.mark.parametrize("url, says", [
    ("sftp://host", "artifact store 'sftp://host' needs a host and a path"), ("sftp:///srv", "artifact store 'sftp:///srv' needs a host and a path"),
    ("sftp://host:x/srv", "artifact store 'sftp://host:x/srv': the port is no number"),
    ("sftp://me:s3cr3t@host/srv", "artifact store 'sftp://me@host/srv': its address holds a password")])
def test_addresses_that_are_none(tmp_path, url, says):
    with pytest.raises(UsageError) as error:
        open_store(url, tmp_path)
    assert error.value.message == says and "s3cr3t" not in "\n".join(error.value.lines())


if not shutil.which("ssh-keygen"):
    pytestmark = pytest.mark.skip(reason="ssh-keygen (apt: openssh-client)")
