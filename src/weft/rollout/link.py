"""Paramiko's transport with what weft wants of it besides: by which key it got in, and a command that goes out right behind the opening of its first session.

Imports paramiko, so it is imported late.
"""

from __future__ import annotations

from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN


class Transport(paramiko.Transport):
    """proven: the account and the key that have opened it by themselves; None with a password or in several steps.  opened: whether a session was asked for yet.
    behind: a message to follow the next opening of one."""

    proven: tuple[str, Any] | None = None
    opened = False
    behind: Any = None

    def auth_publickey(self, username: str, key: Any, event: Any = None) -> Any:
        """As paramiko's."""
        left = super().auth_publickey(username, key, event)
        self.proven = (username, key) if event is None and not left else None
        return left

    def _send_user_message(self, data: Any) -> None:
        super()._send_user_message(data)
        if data.asbytes()[:1] == cMSG_CHANNEL_OPEN:
            behind, self.behind, self.opened = self.behind, None, True
            if behind is not None:
                super()._send_user_message(behind)
