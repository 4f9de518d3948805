"""The sessions of a connection: one ahead, and none that is of no use any more. A real sshd has them in test_ssh.py."""

import threading

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
        self.transport, self.refused, self.opened, self.threads = self, refused, [], set()

    def open_session(self, window_size, timeout):
        if self.refused:
            self.refused -= 1
            raise ChannelException(2, "Connect failed")
        self.threads.add(threading.current_thread().name)
        self.opened.append(Channel())
        return self.opened[-1]


def test_the_next_one_is_open_before_it_is_asked_for():
    connection = Connection()
    ahead = Sessions(connection, 5)
    ahead.prepare()
    ahead.prepare()
    assert ahead.take() == (connection.opened[0], False) and len(connection.opened) == 1
    assert connection.threads == {"weft-spare"}
    assert ahead.take() == (connection.opened[1], False)


def test_a_command_waits_in_it_for_its_request():
    connection = Connection()
    ahead = Sessions(connection, 5)
    ahead.prepare("engine")
    channel, started = ahead.take()
    assert started and channel.commands == ["engine"]


def test_one_that_has_ended_is_not_taken():
    connection = Connection()
    ahead = Sessions(connection, 5)
    ahead.prepare("engine")
    ahead._spare._thread.join(60)
    connection.opened[0].closed = True
    channel, started = ahead.take()
    assert channel is connection.opened[1] and not started


def test_one_whose_engine_waits_is_taken_first_and_only_once_unless_it_waits_for_long(monkeypatch):
    connection = Connection()
    ahead = Sessions(connection, 5)
    ahead.prepare()
    first, second = Channel(), Channel()
    ahead.keep(first)
    ahead.keep(second)
    assert second.closed and ahead.take() == (first, True) and ahead.take() == (connection.opened[0], False)
    ahead.keep(first)
    first.eof_received = True
    assert ahead.take() == (connection.opened[1], False) and first.closed
    monkeypatch.setattr(sessions, "FRESH", 0.0)
    ahead.keep(old := Channel())
    assert ahead.take() == (connection.opened[2], False) and old.closed
    last, late = Channel(), Channel()
    ahead.keep(last)
    ahead.close()
    ahead.keep(late)
    assert last.closed and late.closed


def test_a_host_with_one_session_a_connection_is_asked_again(monkeypatch):
    monkeypatch.setattr(sessions, "AGAIN", 0.0)
    connection = Connection(refused=2)
    assert Sessions(connection, 5).take()[0] is connection.opened[0]
    monkeypatch.setattr(sessions, "REFUSED", -1.0)
    with pytest.raises(ChannelException):
        Sessions(Connection(refused=1), 5).take()


def test_nothing_is_left_open():
    connection = Connection()
    ahead = Sessions(connection, 5)
    ahead.prepare()
    ahead._spare._thread.join(60)
    ahead.close()
    ahead.prepare()
    assert connection.opened[0].closed and ahead._spare is None
