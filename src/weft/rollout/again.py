"""Another login to a host that has just let us in: over a connection of its own, to the same address, with the same key, to a host that must show the same.

Fabric would look for all of that anew: names, ~/.ssh/config, keys to try. And the request for authentication goes out with the client's own new keys (RFC 4253, 7.3 and
10, lets it), where paramiko waits for the server's word on the service first: what the server takes to look at the key passes in the meantime.

Imports paramiko, so it is imported late.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import MSG_SERVICE_ACCEPT
from paramiko.message import Message

from weft.rollout import prompt
from weft.rollout.link import Transport


class _Sure(AuthHandler):
    """Asks for the service and for authentication in one go."""

    def ask(self, username: str, key: Any, event: threading.Event) -> None:
        self.auth_event, self.auth_method, self.username, self.private_key = event, "publickey", username, key
        self._request_auth()
        accepted = Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        self._parse_service_accept(accepted)

    @property
    def _client_handler_table(self) -> Any:
        return {**super()._client_handler_table, MSG_SERVICE_ACCEPT: lambda _message: None}  # it was asked already


class _Again(paramiko.Transport):
    """Shows the key that `first` was opened with, once the host has shown the one that `first` saw, and before anything else is waited for."""

    def __init__(self, sock: Any, first: Transport):
        super().__init__(sock, disabled_algorithms=first.disabled_algorithms)
        assert first.proven is not None
        self.wanted, self.proven = first.get_remote_server_key(), first.proven
        self.answered = threading.Event()
        self.auth_timeout = first.auth_timeout
        self.banner_timeout = first.banner_timeout
        self.get_security_options().key_types = [first.host_key_type]

    def _activate_outbound(self) -> None:
        super()._activate_outbound()
        if self.auth_handler is None:
            if self.host_key != self.wanted:
                raise paramiko.SSHException("the host shows another key than a moment ago")
            self.auth_handler = _Sure(self)
            self.auth_handler.ask(*self.proven, self.answered)


class Proof:
    """Of a login that has come about."""

    def __init__(self, transport: _Again):
        self.transport = transport

    def close(self) -> None:
        """End the connection."""
        prompt.end(self.transport)
        self.transport.close()


def possible(first: Any) -> bool:
    """Whether a connection goes straight to its host, and was opened with a key alone."""
    return isinstance(first, Transport) and first.proven is not None and isinstance(getattr(first.sock, "sock", first.sock), socket.socket)


def login(first: Transport, timeout: float) -> Proof:
    """Once it is logged in, as `first` is. timeout: seconds for the connection, and for its keys. Raises what sockets and paramiko raise, and AttributeError with a
    paramiko that is other inside: then there is another way."""
    address = first.sock.getpeername()
    sock = socket.socket(getattr(first.sock, "sock", first.sock).family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        made = _Again(prompt.quick(sock), first)
    except BaseException:
        sock.close()
        raise
    try:
        made.start_client(timeout=timeout)
        if made.auth_handler is None or made.auth_handler.wait_for_response(made.answered):
            raise paramiko.AuthenticationException("the host wants more than the key")
    except BaseException:
        made.close()
        raise
    return Proof(made)
