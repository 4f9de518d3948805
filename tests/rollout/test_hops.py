"""The way to a host by ~/.ssh/config. Connections over such a way are in test_gateway.py and test_ssh.py."""

import re
import subprocess

import pytest
from fabric import Config

from weft.errors import Refused
from weft.openssh.config import Configs
from weft.rollout import hops


@pytest.fixture
def way(tmp_path):
    """way(config, name): the hosts that it leads through, the nearest to it first; ProxyCommand's text is a way of its own."""
    def way(text, name="web1"):
        (tmp_path / "config").write_text(text)
        link, seen = hops.gateway(Configs(Config(runtime_ssh_path=str(tmp_path / "config"))), name), []
        while link and not isinstance(link, str):
            seen.append(f"{link.user}@{link.host}:{link.port}")
            link = link.gateway
        return seen + ([link] if link else [])
    return way


@pytest.mark.parametrize("text, through", [
    ("", []),
    ("Host web1\n  ProxyJump none\n", []),
    ("Host web1\n  ProxyJump ana@jump:2222\n", ["ana@jump:2222"]),
    ("Host web1\n  ProxyJump ssh://ana@jump:2222\n", ["ana@jump:2222"]),
    ("Host web1\n  ProxyJump ana@[fd00::1]:2222\n", ["ana@fd00::1:2222"]),
    ("Host web1\n  ProxyJump jump\nHost jump\n  HostName 10.0.0.1\n  User bea\n  Port 22022\n", ["bea@10.0.0.1:22022"]),
    ("Host web1\n  ProxyJump ana@a,ana@b\nHost b\n  ProxyJump ana@c\n", ["ana@b:22", "ana@a:22"]),
    ("Host web1\n  ProxyJump ana@a,ana@b\nHost a\n  ProxyJump ana@c\n", ["ana@b:22", "ana@a:22", "ana@c:22"]),
    ("Host web1\n  ProxyJump ana@a\nHost a\n  ProxyCommand nc %h %p\n", ["ana@a:22", "nc a 22"]),
    ("Host web1\n  ProxyCommand nc %h %p\n", ["nc web1 22"]),
    ("Host jump\n  HostName 10.0.0.1\n  ProxyJump none\nHost *\n  ProxyJump jump\n  User ana\n", ["ana@10.0.0.1:22"]),
    ("Host jump\n  HostName 10.0.0.1\nHost *\n  ProxyJump jump\n  User ana\n", ["ana@10.0.0.1:22"]),
    ("Host jump\n  HostName 10.0.0.1\nHost *\n  ProxyJump ana@jump\n  User ana\n", ["ana@10.0.0.1:22"])])
def test_the_way_to_a_host(way, text, through):
    assert way(text) == through


def test_a_host_that_a_pattern_makes_a_hop_for_itself(way):
    assert way("Host *\n  ProxyJump jump\n", "jump") == []


def test_several_hops_are_in_openssh_s_order(way, tmp_path):
    assert way("Host web1\n  User ana\n  ProxyJump ana@a.invalid,ana@b.invalid\n")[0] == "ana@b.invalid:22"
    said = subprocess.run(["ssh", "-v", "-F", tmp_path / "config", "web1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stderr
    assert re.search(r"Setting implicit ProxyCommand from ProxyJump: .* -J ana@a.invalid .*-W '\[%h\]:%p' b.invalid", said), "which connects to b.invalid, through a.invalid, and to web1 from there"


def test_hosts_that_lead_to_one_another(way):
    with pytest.raises(Refused) as caught:
        way("Host web1\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    assert caught.value.lines() == ["web1: ~/.ssh/config: ProxyJump leads in a circle: web1 through a through b through a", "now:  nothing changed",
                                    "next: end it: give one of them ProxyJump none"]


@pytest.mark.parametrize("hop", ["", "a:b", "a b", "[a", "ssh://", "a,", ":22"])
def test_what_is_no_hop_is_named(way, hop):
    with pytest.raises(Refused) as caught:
        way(f"Host web1\n  ProxyJump {hop or ','}\n")
    assert "is no hop of a ProxyJump" in caught.value.message and caught.value.message.startswith("web1: ")


def test_a_gateway_of_fabric_s_own_configuration_counts_where_ssh_s_says_nothing(tmp_path):
    (tmp_path / "config").write_text("Host web2\n  ProxyJump none\n")
    configs = Configs(Config(runtime_ssh_path=str(tmp_path / "config"), overrides={"gateway": "nc %h %p"}))
    assert (hops.gateway(configs, "web1"), hops.gateway(configs, "web2")) == ("nc %h %p", False)
