"""The agent that ~/.ssh/config names by IdentityAgent, as password managers have it written; paramiko asks the one of SSH_AUTH_SOCK only.

Imports paramiko, so it is imported late.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from paramiko.agent import Agent


def give(client: Any, said: Any) -> None:
    """Have a paramiko client ask the agent that a config names for its host (a lookup in what `read` gives); where it names none, the client's own way counts."""
    named = said.get("identityagent", "SSH_AUTH_SOCK")
    if named != "SSH_AUTH_SOCK":
        client._agent = _Named(_path(named))


class _Named(Agent):
    """Connected to when its keys are asked for; one that is not there has none, as for OpenSSH. path: of its socket, "" for no agent."""

    def __init__(self, path: str):
        super(Agent, self).__init__()
        self.path = path

    def get_keys(self) -> Any:
        """As paramiko's."""
        if self.path and self._conn is None:
            conn = socket.socket(socket.AF_UNIX)
            try:
                conn.connect(self.path)
            except OSError:
                conn.close()
                return ()
            self._connect(conn)
        return super().get_keys()


def _path(named: str) -> str:
    if named == "none":
        return ""
    if named.startswith("$"):
        return os.environ.get(named[1:].strip("{}"), "")
    return os.path.expanduser(named.replace("%d", "~"))
