"""One request to many hosts at once whose answer comes bit by bit: `fab logs`, `fab run`. Ctrl-C ends it on the hosts too."""

from __future__ import annotations

import threading
from typing import Any, Callable, Sequence

from weft.errors import OutcomeUnknown, WeftError
from weft.rollout import transport
from weft.rollout.environment import Environment
from weft.rollout.inventory import Host
from weft.rollout.pool import Stop, each

FOREVER = 1e8
"""Seconds, about three years."""
Heard = Callable[[str, dict[str, Any]], None]


class Talk:
    """results, errors: by the hosts' names, in their order. heard: called with a host's name and an event, by any thread."""

    def __init__(self, environment: Environment, hosts: Sequence[Host], heard: Heard):
        self.environment, self.hosts, self.heard = environment, hosts, heard
        self.results: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, WeftError] = {}
        self._open: dict[str, Any] = {}
        self._mutex = threading.Lock()
        self._stop = Stop(self._hang_up)

    def run(self, verb: str, words: dict[str, Any], limit: float, parallel: int = 0) -> None:
        """Returns when all have answered. limit: seconds for each. Raises KeyboardInterrupt, once the hosts have been told."""
        def one(host: Host) -> None:
            try:
                self.results[host.name] = self._ask(host, {"verb": verb, **self.environment.request_of(host), **words}, limit)
            except WeftError as error:
                self.errors[host.name] = error

        with self._stop.listening():
            each(self.hosts, one, parallel or self.environment.policy.parallel, self._stop)
        if self._stop:
            raise self._stop.cause  # type: ignore[misc]
        order = [host.name for host in self.hosts]
        self.results = {name: self.results[name] for name in order if name in self.results}
        self.errors = {name: self.errors[name] for name in order if name in self.errors}

    def _ask(self, host: Host, request: dict[str, Any], limit: float) -> dict[str, Any]:
        channel = transport.open(host, self.environment.access)
        with self._mutex:
            self._open[host.name] = channel
        try:
            if self._stop:
                raise OutcomeUnknown(f"{host.name}: interrupted")
            return channel.exec(request, (), lambda event: self.heard(host.name, event), limit)
        finally:
            with self._mutex:
                del self._open[host.name]
            channel.close()

    def _hang_up(self) -> None:
        with self._mutex:
            for channel in self._open.values():
                channel.hang_up()
