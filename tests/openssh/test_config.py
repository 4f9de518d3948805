"""What an ssh config says with its Include lines: `ssh -G`, which is OpenSSH's own reading, says the same."""

import os
import random
import subprocess
import sys

import pytest

from weft.errors import Refused
from weft.openssh import config


@pytest.fixture
def written(tmp_path, monkeypatch):
    """written(name=text, …): files in ~/.ssh; `config` is the first one. Gives what two readers say of a host, of the words that are asked for."""
    home = tmp_path / "home"
    (home / ".ssh" / "more").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # which the program of a Match exec gets

    def written(texts, ask=("hostname", "port")):
        for name, text in texts.items():
            (home / ".ssh" / name).write_text(text.replace("~", str(home)))  # ssh takes the home of the account, not $HOME

        def said(host):
            ours = config.read([config.USER]).lookup(host)
            out = subprocess.run(["ssh", "-F", home / ".ssh" / "config", "-G", host], capture_output=True, text=True, check=True).stdout
            theirs = dict(line.split(" ", 1) for line in out.splitlines() if " " in line)
            default = {"port": "22"}
            return [(word, ours.get(word, default.get(word)), theirs.get(word)) for word in ask]
        return said
    return written


CASES = {
    "at the top": ({"config": "Include ~/.ssh/more/*.conf\nHost *\n  Port 2200\n", "more/a.conf": "Host web1\n  HostName 10.0.0.1\n", "more/b.conf": "Host web2\n  HostName 10.0.0.2\n  Port 2222\n",
                    "more/c.txt": "Host web3\n  HostName 10.0.0.3\n"}, ["web1", "web2", "web3"]),
    "what comes after it is for all": ({"config": "Include ~/.ssh/more/a\nPort 2200\n", "more/a": "Host web1\n  HostName 10.0.0.1\n"}, ["web1", "web2"]),
    "within a block": ({"config": "Host web1 web3\n  Include ~/.ssh/more/a\n  Port 2200\nHost web2\n  HostName b\n", "more/a": "HostName a\n"}, ["web1", "web2", "web3", "web4"]),
    "blocks within a block": ({"config": "Host web*\n  Include ~/.ssh/more/a\n  Port 2200\n", "more/a": "Host web1 db1\n  HostName a\nHost * !web2\n  Port 2201\n"}, ["web1", "web2", "web3", "db1"]),
    "all but some, within a block": ({"config": "Host * !db*\n  Include ~/.ssh/more/a\nPort 2200\n", "more/a": "Match all\n  HostName a\n"}, ["web1", "db1"]),
    "a match within a block": ({"config": "Host web*\n  Include ~/.ssh/more/a\n", "more/a": "HostName a\nMatch host a\n  Port 2201\nMatch host b\n  Port 2202\nMatch originalhost web1 host a\n  Port 2203\n"},
                               ["web1", "web2", "db1"]),
    "within a match": ({"config": "Match exec \"test %n = web1\"\n  Include ~/.ssh/more/a\n  Port 2200\n", "more/a": "Host web*\n  HostName a\n"}, ["web1", "web2"]),
    "one in another": ({"config": "Include ~/.ssh/more/a\n", "more/a": "Host web1\n  Include ~/.ssh/more/b ~/.ssh/more/c\n  Port 2200\n", "more/b": "HostName b\n", "more/c": "HostName c\nHost *\n  Port 2203\n"},
                       ["web1", "web2"]),
    "quoted, with an equals sign": ({"config": 'include="~/.ssh/more/a b"\n', "more/a b": "Host web1\n HostName=a\n"}, ["web1"]),
    "what is not there": ({"config": "Include ~/.ssh/none ~/.ssh/more/*.none\nHost web1\n  HostName a\n"}, ["web1"]),
    "the first that is said counts": ({"config": "Host web1\n  HostName a\nInclude ~/.ssh/more/a\n", "more/a": "Host web*\n  HostName b\n  Port 2200\n"}, ["web1", "web2"]),
}


@pytest.mark.parametrize("case", CASES)
def test_openssh_says_the_same(written, case):
    texts, hosts = CASES[case]
    said = written(texts)
    for host in hosts:
        assert [(host, *each[:2]) for each in said(host)] == [(host, each[0], each[2]) for each in said(host)]


HOSTS = ("web1", "web2", "db1", "x.example.org")


def drawn(chance, files, depth=0):
    """The text of a config, which adds the files that it includes to `files`."""
    out = []
    for _ in range(chance.randint(1, 6)):
        kind = chance.choice(("Host", "Host", "Match", "Include", "Include", "HostName", "Port", "User"))
        if kind == "Include" and depth < 3:
            name = f"more/{len(files)}"
            files[name] = ""
            files[name] = drawn(chance, files, depth + 1)
            out.append(f"Include ~/.ssh/{name}")
        elif kind == "Host":
            out.append("Host " + " ".join(chance.sample(["web1", "web*", "!web2", "*", "db?", "*.example.org", "!db1"], chance.randint(1, 3))))
        elif kind == "Match":
            out.append("Match " + chance.choice(["all", "originalhost web1", "originalhost web1,db?", "!originalhost web1", "user ana"]))
        elif kind != "Include":
            out.append(f"  {kind} " + chance.choice({"HostName": ("a", "10.0.0.1"), "Port": ("2201", "2202"), "User": ("ana", "bea")}[kind]))
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("seed", range(20))
def test_openssh_says_the_same_of_what_chance_has_written(written, seed):
    chance, files = random.Random(seed), {"config": ""}
    files["config"] = drawn(chance, files)
    said = written(files)
    assert [(host, ours) for host in HOSTS for _word, ours, _theirs in said(host)] == [(host, theirs) for host in HOSTS for _word, _ours, theirs in said(host)], files


def test_the_cases_say_something(written):
    """Else two readers that read nothing agree."""
    texts, _hosts = CASES["blocks within a block"]
    said = written(texts)
    assert [[value for _word, value, _theirs in said(host)] for host in ("web1", "web2", "web3", "db1")] == [["a", "2201"], ["web2", "2200"], ["web3", "2201"], ["db1", "22"]]


def test_a_name_without_a_path_is_beside_the_config(written, tmp_path):
    """Of the user's: OpenSSH takes it from ~/.ssh."""
    written({"config": "Include more/a\n", "more/a": "Host web1\n  HostName a\n"})
    assert config.read([config.USER]).lookup("web1")["hostname"] == "a"


def test_files_that_include_one_another(written):
    written({"config": "Include more/a\n", "more/a": "Include more/a\n"})
    with pytest.raises(Refused, match="more than 16 files include one another"):
        config.read([config.USER])


@pytest.mark.parametrize("line", ['Include "more/a', 'Host "web1', "nothing", "Match host"])
def test_what_cannot_be_read_is_refused_with_its_file(written, tmp_path, line):
    written({"config": f"{line}\n"})
    with pytest.raises(Refused) as caught:
        config.read([config.USER])
    assert caught.value.message.startswith(f"{tmp_path}/home/.ssh/config: ")


def test_what_a_fabric_config_s_files_include(written, tmp_path):
    from fabric import Config
    written({"config": "Host web1\n  Include more/a\n  Include more/b\n  Port 2200\n", "more/a": "HostName a\n", "more/b": "User ana\n"})
    made = config.Configs(Config(runtime_ssh_path=f"{tmp_path}/home/.ssh/config"))
    assert {**made.lookup("web1")} == {"hostname": "a", "user": "ana", "port": "2200"} == {**made.own("web1").base_ssh_config.lookup("web1")}
    usual = config.Configs(Config(user_ssh_path=f"{tmp_path}/home/.ssh/config", system_ssh_path=f"{tmp_path}/none"))
    assert usual.lookup("web1")["user"] == "ana"


def test_each_host_has_a_config_of_its_own(written, tmp_path):
    """With what Fabric's files say beside SSH's."""
    from fabric import Config
    written({"config": "Host web1\n  HostName a\nHost web2\n  HostName b\n"})
    whole = Config(runtime_ssh_path=f"{tmp_path}/home/.ssh/config", overrides={"connect_kwargs": {"compress": True}})
    made = config.Configs(whole)
    one, two = made.own("web1"), made.own("web2")
    one.connect_kwargs["key_filename"] = "mine"
    assert (one.base_ssh_config.lookup("web1")["hostname"], two.base_ssh_config.lookup("web2")["hostname"]) == ("a", "b")
    assert dict(two.connect_kwargs) == {"compress": True} == dict(whole.connect_kwargs) and whole.base_ssh_config.lookup("web2")["hostname"] == "b"
