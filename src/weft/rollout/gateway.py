"""One connection a gateway (a bastion, ProxyJump), shared by all hosts behind it: the first opens it, the last that leaves closes it.

Whoever comes while it is being opened waits for that, and shares what comes of it: a gateway that does not answer is waited for once.
"""

from __future__ import annotations

import threading
from typing import Any, Callable

from weft.rollout import prompt

Open = Callable[[Any], None]


class _Shared:
    """One gateway's connection. ready: it is open, or `error` says why not."""

    def __init__(self) -> None:
        self.ready, self.users = threading.Event(), 0
        self.link: Any = None
        self.error: BaseException | None = None
        self.outer: _Shared | None = None


class Gateways:
    """Thread-safe. A lease is given back exactly once, by its holder."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._known: dict[tuple[Any, ...], _Shared] = {}

    def lease(self, gateway: Any, open: Open, salt: Any = None) -> _Shared:
        """The shared connection for a gateway that is not open yet; `open` opens it, once its own gateways are leased. salt: what else must be
        the same. Raises what `open` raised."""
        key = (salt, *_key(gateway))
        with self._mutex:
            shared = self._known.get(key)
            mine = shared is None or shared.ready.is_set() and (shared.error is not None or not _alive(shared.link))
            if mine:
                shared = self._known[key] = _Shared()
            assert shared is not None
            shared.users += 1
        if mine:
            self._open(shared, gateway, open, salt)
        shared.ready.wait()
        if shared.error is not None:
            with self._mutex:
                if self._known.get(key) is shared:
                    del self._known[key]
            raise shared.error
        return shared

    def _open(self, shared: _Shared, gateway: Any, open: Open, salt: Any) -> None:
        try:
            if _is_link(gateway.gateway):
                shared.outer = self.lease(gateway.gateway, open, salt)
                gateway.gateway = shared.outer.link
            open(gateway)
            shared.link = gateway
        except BaseException as error:
            shared.error = error
            gateway.client.close()
            if shared.outer:
                self.release(shared.outer)
        finally:
            shared.ready.set()

    def release(self, shared: _Shared) -> None:
        """The last one closes it, and leaves its own gateway."""
        with self._mutex:
            shared.users -= 1
            if shared.users:
                return
            for key in [key for key, each in self._known.items() if each is shared]:
                del self._known[key]
        try:
            prompt.hang_up(shared.link)
        except Exception:  # a connection that is broken already cannot be closed tidily, and need not be
            pass
        if shared.outer:
            self.release(shared.outer)


def _is_link(gateway: Any) -> bool:
    """A connection, not a ProxyCommand's text."""
    return bool(gateway) and not isinstance(gateway, str)


def _key(gateway: Any) -> tuple[Any, ...]:
    """The whole way to it: the same name by another way is another connection."""
    outer = _key(gateway.gateway) if _is_link(gateway.gateway) else (gateway.gateway,)
    return (*outer, gateway.user, gateway.host, gateway.port)


def _alive(link: Any) -> bool:
    transport = link.client.get_transport()
    return transport is not None and transport.is_active()
