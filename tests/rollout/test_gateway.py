"""Hosts behind one gateway share one connection to it."""

import getpass
import os
import re
import threading
import time

import pytest

from weft.errors import Refused
from weft.rollout import ssh, transport
from weft.rollout.gateway import Gateways
from weft.rollout.inventory import Host


class Link:
    """As much of a Connection as is asked for."""

    def __init__(self, host, gateway=None):
        self.user, self.host, self.port, self.gateway = "me", host, 22, gateway
        self.client, self.active, self.closed = self, True, 0

    def get_transport(self):
        return self

    def is_active(self):
        return self.active

    def close(self):
        self.closed += 1


def test_the_last_one_closes_it_and_its_own_gateway():
    gateways, opened = Gateways(), []
    first, second = (gateways.lease(Link("inner", Link("outer")), opened.append) for _ in range(2))
    assert first is second and [link.host for link in opened] == ["outer", "inner"] and opened[1].gateway is opened[0]
    gateways.release(first)
    assert [link.closed for link in opened] == [0, 0]
    gateways.release(second)
    assert [link.closed for link in opened] == [1, 1]
    gateways.lease(Link("inner", Link("outer")), opened.append)
    assert len(opened) == 4, "the next one opens it anew"


def test_other_ways_and_other_keys_are_other_connections():
    gateways, opened = Gateways(), []
    for link, salt in ((Link("a"), 1), (Link("a"), 2), (Link("a", Link("b")), 1), (Link("a"), 1)):
        gateways.lease(link, opened.append, salt)
    assert [link.host for link in opened] == ["a", "a", "b", "a"]


def test_one_that_is_broken_is_opened_anew_and_the_old_one_left_to_who_has_it():
    gateways, opened = Gateways(), []
    old = gateways.lease(Link("a"), opened.append)
    old.link.active = False
    new = gateways.lease(Link("a"), opened.append)
    assert new is not old and len(opened) == 2
    gateways.release(old)
    assert (old.link.closed, new.link.closed) == (1, 0)
    assert gateways.lease(Link("a"), opened.append) is new


def test_who_comes_meanwhile_shares_what_comes_of_it():
    gateways, tries, errors, go = Gateways(), [], [], threading.Event()

    def fails(link):
        tries.append(link)
        go.wait(10)
        raise OSError("no answer")

    def lease():
        try:
            gateways.lease(Link("a"), fails)
        except OSError as error:
            errors.append(str(error))
    threads = [threading.Thread(target=lease) for _ in range(5)]
    for each in threads:
        each.start()
    while sum(each.users for each in gateways._known.values()) < 5:
        time.sleep(0.01)
    go.set()
    for each in threads:
        each.join(10)
    assert (len(tries), errors) == (1, ["no answer"] * 5)
    assert gateways.lease(Link("a"), lambda link: None), "a later one tries again"


@pytest.fixture
def behind(fleet, load, tmp_path):
    """(hosts, access): the fleet's hosts behind the gateway 127.0.0.9, all of one sshd."""
    from fabric import Config
    own = f"  User {getpass.getuser()}\n  IdentityFile {fleet.place}/ssh/client_key\n  Port {fleet.sshd.port}\n"
    text = f"Host jump\n  HostName 127.0.0.9\n{own}" + "".join(f"Host {name}\n  HostName {address}\n  ProxyJump jump\n{own}" for name, address in fleet.hosts.items())
    (tmp_path / "config").write_text(text)
    known = fleet.root / "deploy" / "known_hosts"
    known.write_text(known.read_text() + fleet.sshd.known("127.0.0.9"))
    env = load(config=Config(runtime_ssh_path=str(tmp_path / "config")))
    return [Host(name) for name in fleet.hosts], env.access


def mine(port, address="127.0.0.9"):
    """How many TCP connections of this process there are to an address."""
    wanted = "".join(f"{int(part):02X}" for part in reversed(address.split("."))) + f":{port:04X}"
    inodes = {line.split()[9] for line in open("/proc/net/tcp") if re.match(rf"\s*\d+: \S+ {wanted} 01 ", line)}
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
    return sum(f"socket:[{inode}]" in links for inode in inodes)


@pytest.mark.slow
def test_eight_hosts_behind_a_gateway_open_one_connection_to_it(fleet, behind):
    hosts, access = behind
    channels, errors = {}, []

    def one(host):
        try:
            channels[host.name] = transport.open(host, access)
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=one, args=(host,)) for host in hosts]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert errors == [] and len(channels) == 8
    assert mine(fleet.sshd.port) == 1 and mine(fleet.sshd.port, "127.0.0.2") == 0
    answers = {name: channel.exec({"verb": "observe", "app": "shop", "by": "me@here", "site": {}}, (), None, 30)["state"]["host"] for name, channel in channels.items()}
    assert answers == fleet.hosts
    for name in list(channels)[:7]:
        channels.pop(name).close()
    assert mine(fleet.sshd.port) == 1
    last = channels.popitem()[1]
    second = last.again()
    assert isinstance(second, ssh.SSHChannel) and mine(fleet.sshd.port) == 1, "another login goes through the gateway, too, over the connection that there is"
    second.close()
    last.close(), last.close()
    assert mine(fleet.sshd.port) == 0 and ssh._gateways._known == {}


@pytest.mark.slow
def test_a_gateway_that_is_not_trusted_refuses_each_host_in_its_own_name(fleet, behind):
    hosts, access = behind
    (fleet.root / "deploy" / "known_hosts").write_text("")
    with pytest.raises(Refused, match="web1: the host key of .127.0.0.9"):
        transport.open(hosts[0], access)
    with pytest.raises(Refused, match="web2: the host key of .127.0.0.9"):
        transport.open(hosts[1], access)
    assert mine(fleet.sshd.port) == 0
