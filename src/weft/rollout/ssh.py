"""transport = "ssh": Fabric's Connection, for ~/.ssh/config, ProxyJump and identity files, with host keys checked.

Fabric by itself adds unknown keys and loads no known_hosts; every client, the gateways' too, is given the known keys and
a policy that rejects before it opens. A phase is one exec on a raw channel, its input streamed.
"""

from __future__ import annotations

import logging
import shlex
import socket
import threading
import time
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO, Iterable, Iterator

from weft.errors import OutcomeUnknown, Refused, WeftError
from weft.openssh import config as ssh_config, known_hosts, words
from weft.rollout import hops, hostkeys, prompt
from weft.rollout.inventory import Host
from weft.rollout.access import SUDO, Access, Login, Unreachable
from weft.rollout.gateway import Gateways
from weft.rollout.sessions import Sessions
from weft.rollout.wire import Answer, Event, Feeder, line

_known: dict[tuple[Any, ...], known_hosts.Known] = {}
_configs: dict[int, Any] = {}
_lock = threading.Lock()
_gateways = Gateways()


class SSHChannel:
    """One connection, kept open until `close`, with the engine that has answered the last request and waits for the next."""

    def __init__(self, host: Host, access: Access):
        self.host, self.access = host, access
        self.connection = connection(host, access)
        self.user = self.connection.user
        self._gateway = open_links(self.connection, host, access, known_keys(access))
        self._sessions = Sessions(self.connection, access.connect_timeout)

    def exec(self, request: dict[str, Any], files: Iterable[BinaryIO] = (), on_event: Event | None = None,
             limit: float = 900.0) -> dict[str, Any]:
        setup = request.get("verb") == "setup"
        answer = Answer(self.host.name, on_event)
        command = self._boot() if setup else self._engine()
        channel, started = self._session(command)
        stays = False
        try:
            if not started:
                self._sessions.start(channel, command)
            before = [BytesIO(self._luggage())] if setup else []
            feeder = Feeder(lambda block: _send(channel, block), channel.shutdown_write, b"",
                            chain(before, [BytesIO(line(request))], files), open=not setup)
            self._listen(channel, answer, time.monotonic() + limit)
            stays = answer.more and feeder.written()
            exit = channel.recv_exit_status() if channel.exit_status_ready() else None
        except (socket.error, EOFError, _ssh_error()) as error:
            raise OutcomeUnknown(f"{self.host.name}: the connection was lost: {words(error)}", "fab status") from None
        finally:
            self._sessions.keep(channel) if stays else channel.close()
        feeder.check()
        return answer.result(exit, self.user, setup)

    def again(self) -> Login:
        """As Fabric does it, where the quicker way is not open."""
        from weft.rollout import again
        first = self.connection.transport
        return again.login(first, self.access.connect_timeout) if again.possible(first) else SSHChannel(self.host, self.access)

    def hang_up(self) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._sessions.close()
            prompt.hang_up(self.connection)
        except Exception:  # a connection that is broken already cannot be closed tidily, and need not be
            pass
        with _lock:
            gateway, self._gateway = self._gateway, None
        if gateway:
            _gateways.release(gateway)

    def _session(self, command: str) -> tuple[Any, bool]:
        """An open session, and whether an engine waits in it already, or the command was started."""
        try:
            return self._sessions.take(command)
        except (socket.error, EOFError, AttributeError, _ssh_error()) as error:
            raise Unreachable(f"{self.host.name}: the connection is gone: {words(error)}", "run the command again") from None

    def _engine(self) -> str:
        """Root needs no sudo, which its host may not have."""
        return self.access.command.removeprefix(SUDO) if self.user == "root" else self.access.command

    def _boot(self) -> str:
        from weft.host import BOOT
        words = [self.access.python_of(self.host), "-I", "-c", BOOT]
        return shlex.join(words if self.user == "root" else [*SUDO.split(), *words])

    def _luggage(self) -> bytes:
        packed = self.access.engine().read_bytes()
        return b"%d\n" % len(packed) + packed

    def _listen(self, channel: Any, answer: Answer, deadline: float) -> None:
        """Read both streams until the last line, or the end. Silence is asked about: a peer that is gone never says so itself."""
        channel.settimeout(0.5)
        heard = time.monotonic()
        while True:
            try:
                block = channel.recv(1 << 16)
                answer.feed(block)
                heard = time.monotonic()
            except socket.timeout:
                block = None
            while channel.recv_stderr_ready():
                answer.complain(channel.recv_stderr(1 << 16))
            if answer.said is not None:
                return  # the engine has let go of everything by then: how it ends is not waited for
            if block == b"":
                return self._last_words(channel, answer)
            if block is None and time.monotonic() - heard > self.access.silence / 4:
                self._ask(self.access.silence * 3 / 4)
                heard = time.monotonic()
            if time.monotonic() > deadline:
                raise OutcomeUnknown(f"{self.host.name}: no answer in time from the engine", "fab status")

    def _last_words(self, channel: Any, answer: Answer) -> None:
        channel.settimeout(2.0)
        try:
            while block := channel.recv_stderr(1 << 16):
                answer.complain(block)
            channel.status_event.wait(2.0)
        except socket.timeout:
            pass

    def _ask(self, patience: float) -> None:
        """One keep-alive that wants an answer. Raises OutcomeUnknown if none comes in `patience` seconds."""
        transport = self.connection.transport
        asked = threading.Thread(target=transport.global_request, args=("keepalive@openssh.com", None, True), daemon=True)
        asked.start()
        asked.join(patience)
        if asked.is_alive() or not transport.is_active():
            transport.close()
            raise OutcomeUnknown(f"{self.host.name}: no sign of life for {self.access.silence:g} s; the connection counts "
                                 "as lost", "fab status")


def _send(channel: Any, block: bytes) -> None:
    """All of a block. The channel's timeout is for reading; that the other end takes its time is no failure here."""
    while block:
        try:
            block = block[channel.send(block):]
        except socket.timeout:
            continue


def connection(host: Host, access: Access) -> Any:
    """A Fabric Connection, not yet open. Fabric's own reading of ~/.ssh/config applies."""
    from fabric import Connection
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    configs, wait = _configs_of(access), access.connect_timeout
    try:
        config, gateway = configs.own(host.target), hops.gateway(configs, host.target)
    except (ValueError, LookupError, _ssh_error()) as error:
        raise _misread(host, error) from None
    given = {name: value for name, value in config.connect_kwargs.items() if name not in ("timeout", "key_filename")}
    options = {"transport_factory": prompt.transport, **given, "banner_timeout": wait, "auth_timeout": wait * 2, "channel_timeout": wait}
    if access.identity:
        options["key_filename"] = [access.identity]
    try:
        made = Connection(host.target, user=host.user or access.user or None, port=host.port or None, config=config,
                          gateway=gateway, connect_kwargs=options, connect_timeout=wait)
    except (ValueError, _ssh_error()) as error:
        raise _misread(host, error) from None
    for link in links(made):
        _give_keys(link)
    for link in list(links(made))[:-1]:
        link.connect_timeout = wait
        link.connect_kwargs = {"transport_factory": prompt.transport, **link.connect_kwargs, "channel_timeout": wait}
    return made


def _misread(host: Host, error: Exception) -> Refused:
    said = f"{error.args[0]} is needed and not there" if isinstance(error, KeyError) else error
    return Refused(f"{host.name}: ~/.ssh/config: {said}", "ssh -G HOST says what OpenSSH makes of it")


def _give_keys(link: Any) -> None:
    """As OpenSSH takes them from ~/.ssh/config, where Fabric does otherwise."""
    from weft.openssh import agent
    agent.give(link.client, link.ssh_config)
    named = link.ssh_config.get("identityfile", [])
    absent = set(named) - set(ssh_config.identities(link.ssh_config))
    if absent:
        link.connect_kwargs = {**link.connect_kwargs, "key_filename": [each for each in link.connect_kwargs.get("key_filename", []) if each not in absent]}


def _configs_of(access: Access) -> ssh_config.Configs:
    """Once for all hosts: what is in the files."""
    with _lock:
        if id(access.config) not in _configs:
            _configs[id(access.config)] = access.config, ssh_config.Configs(access.config)  # the first is kept so that none other gets its id
        return _configs[id(access.config)][1]


def known_keys(access: Access) -> known_hosts.Known:
    """The files of known keys, read again only when one of them has changed."""
    files = tuple(path.expanduser() for path in access.known_hosts)
    stamp = (files, *((path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None for path in files))
    with _lock:
        if stamp not in _known:
            _known[stamp] = known_hosts.Known(files)
        return _known[stamp]


def links(connection: Any) -> Iterator[Any]:
    """The connections that lead to a host, the outermost gateway first, the host itself last."""
    gateway = connection.gateway
    if gateway and not isinstance(gateway, str):
        yield from links(gateway)
    yield connection


def secure(link: Any, host: Host, access: Access, known: known_hosts.Known) -> None:
    """Known keys and a rejecting policy, before anything is opened."""
    known.prime(link.client, link.ssh_config, link.host, link.port)
    link.client.set_missing_host_key_policy(known_hosts.Reject(known, host.name, f"fab trust --host {host.name}{access.again}"))


def open_links(connection: Any, host: Host, access: Access, known: known_hosts.Known) -> Any:
    """Open the gateways that no other host has opened, then the host: the lease of its gateway, None without one. Raises Refused with the
    reason, in the words of what went wrong."""
    at, gateway = connection, None

    def open(link: Any) -> None:
        nonlocal at
        at = link
        secure(link, host, access, known)
        link.open()
        link.transport.set_keepalive(15)
        prompt.relax(link)
    try:
        if connection.gateway and not isinstance(connection.gateway, str):
            at = connection.gateway
            gateway = _gateways.lease(connection.gateway, open, (access.identity, access.known_hosts))
            connection.gateway = gateway.link
        open(connection)
        return gateway
    except BaseException as error:
        connection.client.close()
        if gateway:
            _gateways.release(gateway)
        if isinstance(error, WeftError) or not isinstance(error, Exception):
            raise
        raise translate(error, host, at, access, known) from None


def translate(error: Exception, host: Host, link: Any, access: Access, known: known_hosts.Known) -> Exception:
    """The refusal for what paramiko raised while connecting; anything else is a bug and keeps its traceback."""
    import paramiko
    where = f"{link.host}:{link.port}"
    if isinstance(error, paramiko.BadHostKeyException):
        return hostkeys.changed(host.name, known_hosts.known_as(link.ssh_config, link.host, link.port), error.key, known, access.again)
    if isinstance(error, paramiko.AuthenticationException):
        return Refused(f"{host.name}: {where} does not let {link.user} in: {error}",
                       f"a host that is new: fab setup --as root; otherwise try: ssh -p {link.port} {link.user}@{link.host} "
                       "(the key comes from `identity`, ~/.ssh/config or the agent)")
    if isinstance(error, paramiko.SSHException) and "No authentication methods" in str(error):
        return Refused(f"{host.name}: {where} does not let {link.user} in, and there is no key to show",
                       "name one as `identity`, or in ~/.ssh/config, or give one to the agent (ssh-add); ssh-keygen makes one")
    if isinstance(error, OSError) and error.filename:  # no word of the network's
        return Refused(f"{host.name}: {error.filename} cannot be used: {(error.strerror or '').lower()}", "`identity`, or ~/.ssh/config, names it as a key or as a ProxyCommand")
    reason = _reason(error, access)
    if not reason:
        return error
    kind = Refused if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) else Unreachable  # somebody does answer there
    return kind(f"{host.name} cannot be reached at {where}: {reason}",
                "check that it is up and its address is right; --limit leaves it out")


def _reason(error: Exception, access: Access) -> str:
    import paramiko
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return "; ".join(sorted({each.strerror or str(each) for each in error.errors.values()})).lower()
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, (socket.timeout, TimeoutError)):
        return f"no answer in {access.connect_timeout} s"
    if isinstance(error, paramiko.SSHException) and ("banner" in str(error) or "No existing session" in str(error)):
        return "what answers there is no SSH server, or it is overloaded"
    if isinstance(error, (OSError, EOFError, paramiko.SSHException)):
        return str(getattr(error, "strerror", "") or words(error)).lower()
    return ""


def _ssh_error() -> type[Exception]:
    from paramiko import SSHException
    return SSHException
