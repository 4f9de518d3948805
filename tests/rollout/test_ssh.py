"""The SSH transport against a real sshd: host keys, refusals, lost connections, big files."""

import dataclasses
import hashlib
import io
import os
import signal
import socket
import subprocess
import threading
import time

import paramiko
import pytest

from weft.errors import OutcomeUnknown, Refused
from weft.rollout import transport, trust
from weft.rollout.access import Unreachable
from weft.rollout.inventory import Host
from weft.testing.fleet import free_port, keygen, short_spoken

ROOT = os.geteuid() == 0


@pytest.fixture
def reach(load):
    """reach(name, **access): (host, access) of a host of the fleet."""
    def reach(name="web1", **access):
        env = load(name, **access)
        return env.hosts.hosts[0], env.access
    return reach


def refused(host, access):
    with pytest.raises(Refused) as caught:
        transport.open(host, access).close()
    return caught.value


def observe(channel, **more):
    return channel.exec({"verb": "observe", "app": "shop", "by": "me@here", "site": {}, **more}, (), None, 30)


def test_one_connection_many_requests(reach):
    channel = transport.open(*reach())
    assert [observe(channel)["state"]["host"] for _ in range(3)] == ["127.0.0.2"] * 3
    channel.close()


def fingerprint(path):
    return subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True).stdout.split()[1]


def test_an_unknown_key_is_refused_with_its_fingerprint(fleet, reach):
    (fleet.root / "deploy" / "known_hosts").write_text(fleet.sshd.known("127.0.0.3"))
    host, access = reach()
    name = f"[127.0.0.2]:{fleet.sshd.port}"
    error = refused(host, access)
    assert error.message == (f"web1: the host key of {name} is not known yet: ssh-ed25519 "
                             f"{fingerprint(fleet.place / 'ssh' / 'host_key.pub')}")
    assert error.hint == "compare with the host's own (ssh-keygen -lf on it), then: fab trust --host web1"


def test_a_changed_key_is_refused_in_other_words(fleet, reach, tmp_path):
    keygen(tmp_path / "other")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    path = fleet.root / "deploy" / "known_hosts"
    path.write_text(f"[127.0.0.2]:{fleet.sshd.port} {kind} {key}\n")
    error = refused(*reach())
    assert error.message == (
        f"web1: THE HOST KEY OF [127.0.0.2]:{fleet.sshd.port} HAS CHANGED: it shows ssh-ed25519 "
        f"{fingerprint(fleet.place / 'ssh' / 'host_key.pub')}, but {path} has ssh-ed25519 "
        f"{fingerprint(tmp_path / 'other.pub')}")
    assert error.hint.startswith("somebody may stand between you and the host")


def test_a_users_own_file_does_not_override_the_projects(fleet, reach, tmp_path):
    keygen(tmp_path / "other")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    project = fleet.root / "deploy" / "known_hosts"
    (tmp_path / "user").write_text(project.read_text())
    project.write_text(f"[127.0.0.2]:{fleet.sshd.port} {kind} {key}\n")
    host, access = reach()
    import dataclasses
    both = dataclasses.replace(access, known_hosts=(project, tmp_path / "user"))
    assert "HAS CHANGED" in refused(host, both).message
    swapped = dataclasses.replace(access, known_hosts=(tmp_path / "user", project))
    transport.open(host, swapped).close()


@pytest.mark.parametrize("beside", [True, False], ids=["beside another key", "alone"])
def test_a_revoked_key_is_refused_and_cannot_be_trusted(fleet, reach, tmp_path, beside):
    project, system = fleet.root / "deploy" / "known_hosts", tmp_path / "system"
    kind, key, *_ = (fleet.place / "ssh" / "host_key.pub").read_text().split()
    system.write_text(f"@revoked * {kind} {key}\n")
    if beside:
        keygen(tmp_path / "other")
        other, another, *_ = (tmp_path / "other.pub").read_text().split()
        project.write_text(project.read_text() + f"[127.0.0.2]:{fleet.sshd.port} {other} {another}\n")
    host, access = reach()
    access = dataclasses.replace(access, known_hosts=(project, system))
    told = (f"web1: THE KEY THAT [127.0.0.2]:{fleet.sshd.port} SHOWS IS REVOKED by {system}: ssh-ed25519 "
            f"{fingerprint(fleet.place / 'ssh' / 'host_key.pub')}")
    assert refused(host, access).message == told
    with pytest.raises(Refused) as caught:
        trust.look(host, access)
    assert caught.value.message == told and "do not log in" in caught.value.hint


def test_lines_that_are_no_keys_of_hosts_keep_nobody_out(fleet, reach):
    """paramiko ends at the first of them with an error that is not its own."""
    path = fleet.root / "deploy" / "known_hosts"
    path.write_text("@cert-authority *.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\nweb9 ssh-rsa AAA\nweb9 ssh-rsa\n" + path.read_text())
    transport.open(*reach()).close()


def test_trust_keeps_the_key_and_then_it_is_known(fleet, reach):
    path = fleet.root / "deploy" / "known_hosts"
    path.write_text("")
    host, access = reach()
    seen = trust.look(host, access)
    assert seen.key.fingerprint == fingerprint(fleet.place / "ssh" / "host_key.pub") and not seen.old
    trust.keep(seen, access)
    assert path.read_text() == fleet.sshd.known("127.0.0.2")
    assert trust.look(host, access) is None
    transport.open(host, access).close()


def test_trust_looks_without_an_account(fleet, reach):
    host, access = reach(identity=str(fleet.place / "ssh" / "host_key"), user="nobody-there")
    assert trust.look(host, access) is None
    (fleet.root / "deploy" / "known_hosts").write_text("")
    assert trust.look(host, access).host == "web1"


def test_the_gateways_key_is_checked_too(fleet, reach, tmp_path):
    from fabric import Config
    text = (fleet.place / "ssh_config").read_text()
    config = tmp_path / "config"
    user = f"  User {__import__('getpass').getuser()}\n  IdentityFile {fleet.place}/ssh/client_key\n"
    config.write_text(text + f"Host jump\n  HostName 127.0.0.9\n  Port {fleet.sshd.port}\n{user}"
                      f"Host inner\n  HostName 127.0.0.2\n  Port {fleet.sshd.port}\n  ProxyJump jump\n")
    _, access = reach(config=Config(runtime_ssh_path=str(config)))
    known = fleet.root / "deploy" / "known_hosts"
    known.write_text(fleet.sshd.known("127.0.0.2"))
    host = Host("inner")
    assert refused(host, access).message.startswith(f"inner: the host key of [127.0.0.9]:{fleet.sshd.port} is not known yet")
    seen = trust.look(host, access)
    assert seen.name == f"[127.0.0.9]:{fleet.sshd.port}"
    trust.keep(seen, access)
    channel = transport.open(host, access)
    assert observe(channel)["state"]["host"] == "127.0.0.2"
    channel.close()


@pytest.fixture
def configured(fleet, reach, tmp_path):
    """configured(text): (host, access) of a host `inner` that only an ssh config knows; {key}: the key that lets in. Its account and port are said already."""
    from fabric import Config

    def configured(text, **files):
        for name, each in {"config": text, **files}.items():
            (tmp_path / name).write_text(each.replace("KEY", str(fleet.place / "ssh" / "client_key")).replace("HERE", str(tmp_path)))
        with open(tmp_path / "config", "a") as config:
            config.write(f"Host *\n  Port {fleet.sshd.port}\n  User {__import__('getpass').getuser()}\n")
        _, access = reach(config=Config(runtime_ssh_path=str(tmp_path / "config")), identity="", user="")
        return Host("inner"), access
    return configured


def test_an_alias_that_an_included_file_has(configured):
    channel = transport.open(*configured("Include HERE/more\n", more="Host inner\n  HostName 127.0.0.2\n  IdentityFile KEY\n"))
    assert observe(channel)["state"]["host"] == "127.0.0.2"
    channel.close()


def test_a_host_key_that_is_known_by_another_name(fleet, configured):
    path = fleet.root / "deploy" / "known_hosts"
    kind, key, *_ = (fleet.place / "ssh" / "host_key.pub").read_text().split()
    path.write_text("")
    host, access = configured("Host inner\n  HostName 127.0.0.2\n  HostKeyAlias shop-one\n  IdentityFile KEY\n")
    assert "is not known yet" in refused(host, access).message
    seen = trust.look(host, access)
    trust.keep(seen, access)
    assert path.read_text() == f"shop-one {kind} {key}\n" and trust.look(host, access) is None
    transport.open(host, access).close()


def test_keys_that_the_config_names_and_that_are_not_there_are_passed_over(configured, monkeypatch):
    """OpenSSH does so; paramiko ended at the first, as if the host could not be reached. On the way to a gateway as well."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    config = "Host inner\n  HostName 127.0.0.2\n  ProxyJump jump\nHost jump\n  HostName 127.0.0.3\nHost *\n  IdentityFile HERE/none\n  IdentityFile KEY\n"
    channel = transport.open(*configured(config))
    assert observe(channel)["state"]["host"] == "127.0.0.2"
    channel.close()


@pytest.fixture
def agent(fleet, tmp_path):
    """The socket of a real ssh-agent that has the key which lets in."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.01)
    subprocess.run(["ssh-add", "-q", fleet.place / "ssh" / "client_key"], env={**os.environ, "SSH_AUTH_SOCK": str(path)}, check=True)
    yield path
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("named", ["HERE/agent", '"HERE/agent"', "$THE_AGENT", "${THE_AGENT}", "SSH_AUTH_SOCK", "none", "HERE/nothing", "$NO_SUCH_THING"])
def test_the_agent_that_the_config_names_is_asked_and_no_other(configured, agent, monkeypatch, named):
    monkeypatch.setenv("HOME", str(agent.parent))  # whoever runs this may have keys of his own
    monkeypatch.setenv("THE_AGENT", str(agent))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent) if named in ("SSH_AUTH_SOCK", "none", "HERE/nothing", "$NO_SUCH_THING") else "/nowhere")
    way = configured(f"Host inner\n  HostName 127.0.0.2\n  IdentityAgent {named}\n")
    if named in ("none", "HERE/nothing", "$NO_SUCH_THING"):
        assert refused(*way).message == f"inner: 127.0.0.2:{way[1].config.base_ssh_config.lookup('inner')['port']} does not let {__import__('getpass').getuser()} in, and there is no key to show"
    else:
        channel = transport.open(*way)
        assert observe(channel)["state"]["host"] == "127.0.0.2" and channel.connection.transport.proven
        channel.close()


def test_several_hops_and_one_that_has_none_itself(configured):
    """By a pattern over all of them, as many have it; Fabric went through the two in the other order, and looked for a host called none."""
    channel = transport.open(*configured("Host inner\n  HostName 127.0.0.2\nHost near\n  HostName 127.0.0.3\n  ProxyJump none\nHost far\n  HostName 127.0.0.4\n"
                                         "Host *\n  ProxyJump near,far\n  IdentityFile KEY\n"))
    ways = [link.host for link in (channel.connection.gateway, channel.connection.gateway.gateway)]
    assert ways == ["127.0.0.4", "127.0.0.3"] and observe(channel)["state"]["host"] == "127.0.0.2"
    channel.close()


def test_a_program_on_the_way_that_is_not_there(configured):
    error = refused(*configured("Host inner\n  HostName 127.0.0.2\n  IdentityFile KEY\n  ProxyCommand /nowhere/nc %h %p\n"))
    assert error.message == "inner: /nowhere/nc cannot be used: no such file or directory"
    assert error.hint == "`identity`, or ~/.ssh/config, names it as a key or as a ProxyCommand"


def test_a_config_that_cannot_be_read_is_refused_with_its_name(configured, tmp_path):
    error = refused(*configured("Include HERE/more\n", more='Host "inner\n'))
    assert error.message.startswith(f"{tmp_path}/config: ") and error.hint == "ssh -G HOST says what OpenSSH makes of it"


@pytest.mark.parametrize("said, told", [("CanonicalizeHostname yes", "canonicaldomains is needed and not there"), ("Port none", "invalid literal for int"),
                                        ("CanonicalizeHostname yes\nCanonicalDomains example.invalid\nCanonicalizeFallbackLocal no", "inner")])
def test_what_the_config_says_and_nobody_can_make_anything_of(configured, said, told):
    error = refused(*configured(f"{said}\nHost inner\n  HostName 127.0.0.2\n"))
    assert error.message.startswith("inner: ~/.ssh/config: ") and told in error.message


def test_a_port_where_nobody_answers(reach):
    host, access = reach()
    port = free_port()
    error = refused(Host("web1", "127.0.0.1", port), access)
    assert error.message == f"web1 cannot be reached at 127.0.0.1:{port}: connection refused"
    assert error.hint == "check that it is up and its address is right; --limit leaves it out"


def test_a_name_that_is_not_known(reach):
    host, access = reach()
    assert refused(Host("web1", "no-such-host.invalid"), access).message == (
        "web1 cannot be reached at no-such-host.invalid:22: its name is not known")


def test_a_server_that_goes_away_without_a_word(reach):
    _, access = reach()
    port = free_port()
    with short_spoken("127.0.0.1", port):
        error = refused(Host("web1", "127.0.0.1", port), access)
    assert isinstance(error, Unreachable) and error.message == f"web1 cannot be reached at 127.0.0.1:{port}: the other side closed the connection"


def test_something_that_is_no_ssh_server(reach):
    _, access = reach(connect_timeout=1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        error = refused(Host("web1", "127.0.0.1", port), access)
    assert error.message == (f"web1 cannot be reached at 127.0.0.1:{port}: what answers there is no SSH server, or it is "
                             "overloaded")


def test_a_key_that_is_not_let_in(reach, tmp_path):
    keygen(tmp_path / "stranger")
    error = refused(*reach(identity=str(tmp_path / "stranger")))
    assert error.message.startswith("web1: 127.0.0.2:") and " does not let " in error.message


def exec_refused(reach, command, kind=Refused):
    channel = transport.open(*reach(command=command))
    try:
        with pytest.raises(kind) as caught:
            observe(channel)
    finally:
        channel.close()
    return caught.value


def test_a_host_that_has_not_been_set_up(reach):
    error = exec_refused(reach, "/nowhere/weft-host")
    assert error.message.startswith("web1 has not been set up: ") and error.hint == "fab setup"


@pytest.mark.skipif(not ROOT, reason="needs root, to become somebody whom sudo does not know")
def test_real_sudo_that_asks_for_a_password(reach):
    error = exec_refused(reach, "setpriv --reuid=65534 --regid=65534 --clear-groups sudo -n /usr/local/sbin/weft-host")
    assert error.message.startswith(f"web1: sudo does not let {__import__('getpass').getuser()} run the engine: sudo: ")
    assert error.hint == "fab setup writes the rule, which allows exactly: sudo -n /usr/local/sbin/weft-host"


@pytest.mark.skipif(not ROOT, reason="needs root, whom sudo knows everywhere")
def test_real_sudo_with_a_program_that_is_not_there(reach):
    error = exec_refused(reach, "env sudo -n /nowhere/weft-host")
    assert error.message == "web1 has not been set up: sudo: /nowhere/weft-host: command not found"


def test_a_greeting_of_the_login_shell_does_no_harm(fleet, reach):
    channel = transport.open(*reach(command=f"echo Welcome; echo mind the gap >&2; {fleet.command}"))
    assert observe(channel)["state"]["host"] == "127.0.0.2"
    channel.close()


def test_an_engine_that_dies_is_an_unknown_outcome(fleet, reach):
    fleet.order("web1", {"verb": "observe", "die": "before"})
    error = exec_refused(reach, str(fleet.command), OutcomeUnknown)
    assert error.message == "web1: the engine ended without an answer (exit 77)"


def test_a_connection_that_dies_in_the_middle(reach):
    error = exec_refused(reach, "kill -9 $PPID; sleep 5", OutcomeUnknown)
    assert error.message == "web1: the connection was lost before the engine's answer"


def test_a_peer_that_falls_silent_is_noticed(reach):
    """The sshd of the connection is stopped: TCP lives on, but nobody answers, as behind a cut cable."""
    channel = transport.open(*reach(command="echo $PPID > /dev/stderr; kill -STOP $PPID; sleep 60", silence=2.0))
    try:
        with pytest.raises(OutcomeUnknown) as caught:
            observe(channel)
    finally:
        channel.close()
        _kill_stopped()
    assert caught.value.message == "web1: no sign of life for 2 s; the connection counts as lost"


@pytest.mark.parametrize("waits, begins, said", [(True, True, "no sign of life for 4 s; the connection counts as lost"),
                                                 (False, True, "no sign of life for 4 s; the connection counts as lost"),
                                                 (False, False, "the connection was lost: no sign of life for 2 s")])
def test_a_peer_that_fell_silent_between_two_requests_is_noticed(reach, monkeypatch, waits, begins, said):
    """With an engine that waits, and where one is to be started, by ourselves or by paramiko: nothing has asked the peer for a while."""
    from weft.rollout import prompt
    monkeypatch.setattr(prompt, "begin", prompt.begin if begins else lambda channel, command: False)
    host, access = reach(silence=4.0)
    channel = transport.open(host, dataclasses.replace(access, connect_timeout=2))
    try:
        observe(channel)
        if not waits:
            channel._sessions.take("true")[0].close()
        next_one = channel._sessions.take("true")
        channel._sessions.take = lambda _command: next_one
        os.kill(_sshd_of(channel.connection.transport.sock), signal.SIGSTOP)
        with pytest.raises(OutcomeUnknown) as caught:
            observe(channel)
    finally:
        channel.close()
        _kill_stopped()
    assert next_one[1] is waits and caught.value.message == f"web1: {said}"


def test_one_engine_answers_request_after_request(fleet, reach):
    """Until an answer is an error, or the engine has ended meanwhile."""
    channel = transport.open(*reach())
    try:
        observe(channel)
        engine = channel._sessions._kept
        fleet.order("web1", {"verb": "observe", "error": {"error": "refused", "message": "no"}})
        with pytest.raises(Refused):
            observe(channel)
        assert engine.closed and channel._sessions._kept is None
        observe(channel)
        ended = channel._sessions._kept
        ended.shutdown_write()
        ended.recv_exit_status()
        assert observe(channel)["faults"] == [] and ended.closed
    finally:
        channel.close()
    assert channel._sessions._kept is None


def _sshd_of(connection):
    """The process that has the other end, as the kernel says: of both ports, for a connection to somebody else may come from the same one."""
    mine, its = (socket[1] for socket in (connection.getsockname(), connection.getpeername()))
    said = subprocess.run(["ss", "-Htnp", f"sport = :{its} and dport = :{mine}"], capture_output=True, text=True, check=True).stdout
    (pid,) = {int(each.split(",")[0]) for each in said.split("pid=")[1:]}
    return pid


def _kill_stopped():
    said = subprocess.run(["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    for text in said.splitlines():
        pid, ppid, stat, args = text.split(None, 3)
        if stat.startswith("T") and args.startswith("sshd:") and _descends(int(ppid), os.getpid()):
            os.kill(int(pid), signal.SIGKILL)


def _descends(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False


def test_fifty_megabytes_to_the_host_arrive_whole(fleet, reach):
    content = os.urandom(1 << 20) * 50
    files = [{"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}]
    release = {"app": "shop"}
    channel = transport.open(*reach())
    with pytest.raises(Refused, match="manifest"):  # the files are received before the manifest is read
        channel.exec({"verb": "stage", "app": "shop", "by": "x@y", "site": {}, "base": 0, "release": release,
                      "files": files}, [io.BytesIO(content)], None, 60)
    channel.close()
    assert (fleet.prefix("web1") / "files" / files[0]["sha256"]).stat().st_size == len(content)


def test_fifty_megabytes_from_the_host_while_sending_as_much(reach):
    """Both windows full in both directions, and standard error too: nobody waits for the other for ever."""
    program = ("import sys,threading;o=sys.stdout.buffer;e=sys.stderr.buffer;l=b'{\"event\":\"log\",\"text\":\"'+b'x'*1000+b'\"}\\n';"
               "t=threading.Thread(target=lambda:[e.write(b'y'*1000) for _ in range(5000)]);t.start();"
               "[o.write(l) for _ in range(50000)];n=0\n"
               "while n < 50 << 20: n+=len(sys.stdin.buffer.read1(1<<20))\n"
               "t.join();print('{\"result\":{\"got\":%d}}'%n)")
    import shlex
    channel = transport.open(*reach(command=shlex.join(["python3", "-c", program])))
    heard = []
    said = channel.exec({"verb": "stage"}, [io.BytesIO(bytes(50 << 20))], heard.append, 90)
    assert said["got"] >= 50 << 20 and len(heard) == 50000
    channel.close()


def test_an_engine_that_answers_before_it_has_read_all(reach):
    channel = transport.open(*reach(command="echo '{\"error\": {\"error\": \"refused\", \"message\": \"no\"}}'; exit 3"))
    with pytest.raises(Refused, match="web1: no"):
        channel.exec({"verb": "stage"}, [io.BytesIO(bytes(20 << 20))], None, 30)
    channel.close()


def test_a_time_limit_for_an_engine_that_never_answers(reach):
    channel = transport.open(*reach(command="sleep 30"))
    with pytest.raises(OutcomeUnknown, match="web1: no answer in time from the engine"):
        channel.exec({"verb": "observe"}, (), None, 1.0)
    channel.close()


def test_eight_hosts_at_once(fleet, load):
    from weft.rollout.show import Silent
    env = load()
    start = time.monotonic()
    said = env.rollout(env.job("deploy", "1.0"), Silent()).run()
    assert {each["status"] for each in said["hosts"].values()} == {"switched"} and len(said["hosts"]) == 8
    assert [fleet.serves(name) for name in fleet.hosts] == ["1.0"] * 8
    begun = [begin for name in fleet.hosts for verb, begin, _ in fleet.log(name) if verb == "stage"]
    ended = [end for name in fleet.hosts for verb, _, end in fleet.log(name) if verb == "stage"]
    assert max(begun) - min(begun) < time.monotonic() - start and len(ended) == 8


def test_hosts_share_no_configuration_that_one_of_them_changes(reach):
    """Fabric empties a Config for a moment whenever a Connection is made of it; another host's thread would meet that."""
    from weft.rollout import ssh
    host, access = reach()
    before = access.config._config
    ssh.connection(host, access)
    assert access.config._config is before


def test_ssh_config_is_read_once_for_all_hosts_and_connections(reach, tmp_path):
    """Fabric's own copies have the original read it once more each, and 32 hosts would look for themselves in 32 times its rules."""
    from fabric import Config
    from weft.rollout import ssh
    config = tmp_path / "ssh_config"
    config.write_text("Host web1\n  User somebody\n")
    shared = Config(runtime_ssh_path=str(config))
    host, access = reach()
    access = dataclasses.replace(access, config=shared, user="")
    before = len(shared.base_ssh_config._config)
    made = [ssh.connection(dataclasses.replace(host, user=""), access) for _ in range(5)]
    assert len(shared.base_ssh_config._config) == before > 0 and {each.user for each in made} == {"somebody"}


def test_a_connection_that_is_closed_reads_no_more(reach, monkeypatch):
    """Its thread looks up once in IDLE seconds; until then it would read from a number that may be another connection's by then."""
    from weft.rollout import prompt
    channel = transport.open(*reach())
    thread = channel.connection.transport
    observe(channel)
    assert thread.sock.gettimeout() == prompt.IDLE == 1.0
    thread.sock.settimeout(3600.0)
    monkeypatch.setattr(prompt, "IDLE", 30.0)
    channel.close()
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux only")
@pytest.mark.parametrize("closed", [False, True])
def test_what_comes_is_acknowledged_at_once(reach, closed):
    """sshd's second message waits for the acknowledgement of its first, and that for 40 ms. The kernel has to be told after each."""
    from weft.rollout import prompt
    done = []

    class Socket:
        def recv(self, size):
            done.append(size)
            return b"read"

        def setsockopt(self, *words):
            done.append(words)
            if closed:
                raise OSError("closed by another thread")
    sock = prompt._Prompt(Socket())
    assert [sock.recv(1), sock.recv(2)] == [b"read"] * 2 and done == [1, (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1), 2, (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)]
    channel = transport.open(*reach())
    assert isinstance(channel.connection.transport.sock, prompt._Prompt)
    channel.close()


@pytest.mark.parametrize("known", [True, False])
def test_the_answer_to_the_start_of_a_command_is_not_waited_for(reach, monkeypatch, known):
    """Unless paramiko has no way for that, which is looked for by its name."""
    from weft.rollout import prompt
    channel = transport.open(*reach())
    session, waited, wait = channel.connection.transport.open_session(), [], paramiko.Channel._wait_for_event
    monkeypatch.setattr(paramiko.Channel, "_wait_for_event", lambda self: [waited.append(self), wait(self)])
    if not known:
        monkeypatch.setattr(prompt, "_SEND", "_another_name")
    monkeypatch.setattr(channel._sessions, "_opened", lambda _command: (session, False))
    assert observe(channel)["state"]["host"] == "127.0.0.2" and bool(waited) is not known
    channel.close()


def _told(monkeypatch, link):
    """What is asked of and about sessions over a connection, in its order."""
    from paramiko.common import MSG_CHANNEL_OPEN, MSG_CHANNEL_REQUEST
    seen, send, names = [], link._send_message, {MSG_CHANNEL_OPEN: "open", MSG_CHANNEL_REQUEST: "command"}
    monkeypatch.setattr(link, "_send_message", lambda data: [seen.append(names.get(data.asbytes()[0])), send(data)][1])
    opens = link.open_session
    monkeypatch.setattr(link, "open_session", lambda **words: [opens(**words), seen.append("opened")][0])
    return seen


def _sessions_asked(seen):
    return [each for each in seen if each][:3]


def test_the_first_command_goes_out_behind_the_opening_of_its_session(reach, monkeypatch):
    """And only the first: which number a later session gets is not known."""
    channel = transport.open(*reach())
    seen = _told(monkeypatch, channel.connection.transport)
    observe(channel)
    assert _sessions_asked(seen) == ["open", "command", "opened"]
    held, since = channel._sessions.take("true"), len(seen)
    assert held[1] and observe(channel)["state"]["host"] == "127.0.0.2"
    assert _sessions_asked(seen[since:]) == ["open", "opened", "command"]
    channel.close()


@pytest.mark.parametrize("other", ["another server", "another paramiko"])
def test_where_the_first_session_may_have_another_number_its_opening_is_waited_for(reach, monkeypatch, other):
    channel = transport.open(*reach())
    link = channel.connection.transport
    if other == "another server":
        link.remote_version = "SSH-2.0-Other_1.0"
    else:
        monkeypatch.setattr(type(link), "_send_user_message", paramiko.Transport._send_user_message)
    seen = _told(monkeypatch, link)
    assert observe(channel)["state"]["host"] == "127.0.0.2"
    assert _sessions_asked(seen) == ["open", "opened", "command"]
    channel.close()


def test_a_host_that_opens_no_session(fleet, reach):
    """sshd ends the connection at a command for a session that it has refused; nothing is waited for."""
    config = fleet.place / "ssh" / "sshd_config"
    before = config.read_text()
    config.write_text(before + "MaxSessions 0\n")
    fleet.sshd.stop()
    fleet.sshd.start()
    try:
        channel = transport.open(*reach())
        start = time.monotonic()
        with pytest.raises(Refused) as caught:
            observe(channel)
        channel.close()
    finally:
        config.write_text(before)
        fleet.sshd.stop()
        fleet.sshd.start()
    assert caught.value.message.startswith("web1: the connection is gone: ") and time.monotonic() - start < 10


def logins(channel):
    """What another login is (its class's name) and the account that it is for; it is closed."""
    made = channel.again()
    link = getattr(made, "transport", None) or made.connection.transport
    assert link.is_authenticated() and link.sock.getsockname() != channel.connection.transport.sock.getsockname()
    user = link.get_username()
    made.close()
    assert not link.is_alive()
    return type(made).__name__, user


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_another_login_is_asked_for_with_the_clients_own_new_keys(fleet, reach, monkeypatch, tmp_path, kind):
    """It does not wait for the server's new keys, nor for its word on the service."""
    from weft.rollout import again
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "key"], check=True)
    with (fleet.place / "ssh" / "authorized_keys").open("a") as keys:
        keys.write((tmp_path / "key.pub").read_text())
    channel, order = transport.open(*reach(identity=str(tmp_path / "key"))), []
    send = again._Again._send_message
    monkeypatch.setattr(again._Again, "_send_message", lambda self, m: (order.append(m.asbytes()[0]), send(self, m)))
    take = again._Again._activate_inbound
    monkeypatch.setattr(again._Again, "_activate_inbound", lambda self: (order.append("theirs"), take(self)))
    assert logins(channel) == ("Proof", channel.user)
    assert order[:6] == [20, 30, 21, 5, 50, "theirs"], "kexinit, kex, newkeys, service, authentication; and then what the server answers"
    assert observe(channel)["state"]["host"] == "127.0.0.2"
    channel.close()


def test_another_login_is_refused_where_the_key_counts_no_more(fleet, reach):
    channel, keys = transport.open(*reach()), fleet.place / "ssh" / "authorized_keys"
    before = keys.read_text()
    try:
        keys.write_text("")
        with pytest.raises(paramiko.AuthenticationException):
            channel.again()
    finally:
        keys.write_text(before)
    channel.close()


def test_another_login_shows_no_key_to_who_is_not_the_same(fleet, reach, monkeypatch):
    """Whoever answers at the host's address must show the key that was seen before anything is sent that only the host may have."""
    from weft.rollout import again
    channel, sent, send = transport.open(*reach()), [], again._Again._send_message
    monkeypatch.setattr(again._Again, "_send_message", lambda self, m: (sent.append(m.asbytes()[0]), send(self, m)))
    monkeypatch.setattr(channel.connection.transport, "get_remote_server_key", lambda: paramiko.ECDSAKey.generate())
    with pytest.raises(paramiko.SSHException, match="another key than a moment ago"):
        channel.again()
    assert not {5, 50} & set(sent) and 21 in sent
    channel.close()


def test_another_login_is_fabrics_where_the_first_was_not_by_a_key_alone(reach):
    channel = transport.open(*reach())
    channel.connection.transport.proven = None
    assert logins(channel)[0] == "SSHChannel"
    channel.close()


class NoCommands(paramiko.ServerInterface):
    """Lets everybody in, opens sessions, and refuses each command, which is what paramiko's server does by itself."""

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


def test_a_server_that_refuses_the_command_is_told(fleet, reach):
    """It says so after the request has been written."""
    key = fleet.place / "ssh" / "host_key"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        port = listening.getsockname()[1]
        kind, public, *_ = key.with_name("host_key.pub").read_text().split()
        (fleet.root / "deploy" / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {public}\n")
        served = []

        def serve():
            served.append(paramiko.Transport(listening.accept()[0]))
            served[0].add_server_key(paramiko.Ed25519Key.from_private_key_file(str(key)))
            served[0].start_server(server=NoCommands())
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        _, access = reach(silence=4.0)
        channel = transport.open(Host("web1", "127.0.0.1", port), access)
        try:
            with pytest.raises(OutcomeUnknown) as caught:
                observe(channel)
        finally:
            channel.close()
            server.join(10)
            served[0].close()
    assert "before the engine's answer" in caught.value.message and caught.value.hint == "fab status"


@pytest.mark.skipif(not ROOT, reason="needs root, who needs no sudo")
def test_root_needs_no_sudo(fleet, reach, monkeypatch):
    """Its host may have none."""
    channel = transport.open(*reach(command=f"sudo -n {fleet.command}"))
    started, take = [], channel._sessions.take
    monkeypatch.setattr(channel._sessions, "take", lambda command: [started.append(command), take(command)][1])
    assert observe(channel)["state"]["host"] == "127.0.0.2" and started == [str(fleet.command)]
    channel.user = "deploy"
    assert channel._engine() == f"sudo -n {fleet.command}"
    channel.close()


def test_confirmation_comes_over_a_fresh_connection(fleet, load):
    """The sshd takes no new connection after the switch: the host is not confirmed, and goes back."""
    from weft.rollout import hostrun
    from weft.rollout.show import Silent
    fleet.configure(confirm=1)
    env = load("web1")

    class Cut(Silent):
        def host(self, name, event):
            if event.get("text") == "switch" and event["state"] == "done" and fleet.sshd.process:
                fleet.sshd.stop()
    before = hostrun.GRACE, hostrun.PAUSE
    hostrun.GRACE, hostrun.PAUSE = 0.2, 0.1
    try:
        with pytest.raises(OutcomeUnknown) as caught:
            env.rollout(env.job("deploy", "1.0"), Cut()).run()
    finally:
        hostrun.GRACE, hostrun.PAUSE = before
        fleet.sshd.start()
    assert "connection refused" in caught.value.message
    assert fleet.serves("web1") == ""


def test_the_confirming_connection_is_begun_after_the_switch_and_before_the_answer(fleet, load, monkeypatch):
    """Its handshake passes while the host still watches; nothing of it is older than the switch."""
    from weft.rollout import again, ssh
    from weft.rollout.show import Silent
    env, seen = load("web1"), []

    class Told(Silent):
        def host(self, name, event):
            if event.get("kind") == "flip" and event["state"] == "done" or (event["event"], event.get("verb")) == ("end", "activate"):
                seen.append(event["event"])

    class Begun(ssh.SSHChannel):
        def __init__(self, *words):
            seen.append("begun")
            super().__init__(*words)
    login = again.login
    monkeypatch.setattr(again, "login", lambda *words: (seen.append("begun"), login(*words))[1])
    job = env.job("deploy", "1.0")
    job = dataclasses.replace(job, open=lambda host: Begun(host, env.access))
    env.rollout(job, Told()).run()
    assert seen[:2] == ["begun", "step"] and seen.count("begun") == 2 and fleet.serves("web1") == "1.0"
