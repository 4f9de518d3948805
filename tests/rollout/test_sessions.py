"""The sessions of a connection: none that is of no use any more. A real sshd has them in test_ssh.py."""

import pytest
from paramiko.ssh_exception import ChannelException

from weft.rollout import sessions
from weft.rollout.sessions import Sessions


class Channel:
    closed = eof_received = False

    def __init__(self):
        self.commands = []

    def exec_command(self, command):
        self.commands.append(command)

    def exit_status_ready(self):
        return False

    def close(self):
        self.closed = True


class Connection:
    """refused: how often an opening is refused first."""

    def __init__(self, refused=0):
        self.transport, self.refused, self.opened = self, refused, []

    def open_session(self, window_size, timeout):
        if self.refused:
            self.refused -= 1
            raise ChannelException(2, "Connect failed")
        self.opened.append(Channel())
        return self.opened[-1]


def test_one_whose_engine_waits_is_taken_first_and_only_once_unless_it_waits_for_long(monkeypatch):
    connection = Connection()
    ahead = Sessions(connection, 5)
    first, second = Channel(), Channel()
    ahead.keep(first)
    ahead.keep(second)
    assert second.closed and ahead.take("engine") == (first, True) and ahead.take("engine") == (connection.opened[0], False)
    ahead.keep(first)
    first.eof_received = True
    assert ahead.take("engine") == (connection.opened[1], False) and first.closed
    monkeypatch.setattr(sessions, "FRESH", 0.0)
    ahead.keep(old := Channel())
    assert ahead.take("engine") == (connection.opened[2], False) and old.closed
    last, late = Channel(), Channel()
    ahead.keep(last)
    ahead.close()
    ahead.keep(late)
    assert last.closed and late.closed


def test_a_host_with_one_session_a_connection_is_asked_again(monkeypatch):
    monkeypatch.setattr(sessions, "AGAIN", 0.0)
    connection = Connection(refused=2)
    assert Sessions(connection, 5).take("engine")[0] is connection.opened[0]
    monkeypatch.setattr(sessions, "REFUSED", -1.0)
    with pytest.raises(ChannelException):
        Sessions(Connection(refused=1), 5).take("engine")
