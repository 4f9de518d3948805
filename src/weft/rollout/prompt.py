"""Connections, and commands over them, without the waits that paramiko and the kernel put into them, none of which is part of SSH."""

from __future__ import annotations

import socket
from typing import Any

IDLE = 1.0
"""Seconds after which a connection's thread looks up from its reading, for keep-alives: paramiko's tenth of one costs a fleet 5 % of a core."""
_SEND = "_send_user_message"
"""How paramiko sends a message once no keys are being exchanged. Not among what it promises."""
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux


def transport(sock: Any, **options: Any) -> Any:
    """Paramiko's, for `transport_factory`; it remembers by what it got in."""
    from weft.rollout.link import Transport
    return Transport(quick(sock), **options)


def quick(sock: Any) -> Any:
    """A socket that sends and acknowledges at once: a handshake's short messages would else wait for the answer to the one before, at our end, and at sshd's for
    the acknowledgement, which the kernel holds back for 40 ms."""
    if not isinstance(sock, socket.socket):
        return sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Prompt(sock) if _QUICKACK else sock


class _Prompt:
    """A socket that acknowledges what it reads; the kernel's word for that holds only until it thinks better of it."""

    def __init__(self, sock: socket.socket):
        self.sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def recv(self, size: int) -> bytes:
        found = self.sock.recv(size)
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)  # type: ignore[arg-type]
        except OSError:  # closed by another thread meanwhile; what was read was read
            pass
        return found


def begin(channel: Any, command: str) -> bool:
    """Start a command in an open session, and go on: what is written to it may follow at once (RFC 4254, 6.5), where paramiko waits a round trip for the
    answer. A refusal closes the session, which whoever reads from it sees. False, and nothing done, with a paramiko that is other inside."""
    send = getattr(channel.transport, _SEND, None)
    if send is None:
        return False
    send(_exec(channel.remote_chanid, command))
    return True


def opened(transport: Any, command: str, window: int, timeout: float) -> tuple[Any, bool]:
    """A session, and whether a command was started in it: with OpenSSH, right behind the opening of the first one, which it numbers 0 (channels.c takes the lowest
    number that is free). sshd's answer to the opening waits for the acknowledgement of what it says after each login; so the command begins two round trips sooner.
    Raises as paramiko's `open_session`."""
    ahead = getattr(transport, "opened", True) is False and transport.remote_version.startswith("SSH-2.0-OpenSSH")
    if ahead:
        transport.behind = _exec(0, command)
    channel = transport.open_session(window_size=window, timeout=timeout)
    return channel, ahead and transport.behind is None and channel.remote_chanid == 0


def _exec(recipient: int, command: str) -> Any:
    """The message that asks for the start of a command."""
    from paramiko.common import cMSG_CHANNEL_REQUEST
    from paramiko.message import Message
    message = Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(recipient)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string(command)
    return message


def relax(link: Any) -> None:
    """Of a connection that is open: its thread sleeps until something comes."""
    link.transport.sock.settimeout(IDLE)


def hang_up(link: Any) -> None:
    """Close a connection once its thread has ended, which is woken for that: one that slept on would read from the number that the next connection gets."""
    end(link.client.get_transport())
    link.close()


def end(transport: Any) -> None:
    """Of a connection: its thread. Raises nothing."""
    if transport is not None:
        try:
            transport.sock.shutdown(socket.SHUT_RDWR)
            transport.join(IDLE)
        except (OSError, AttributeError):  # the other end was quicker; a ProxyCommand is ended by `close`
            pass
