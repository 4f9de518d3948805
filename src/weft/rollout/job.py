"""What is the same for all hosts of one rollout."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from weft.record import field, record
from weft.rollout.access import Channel
from weft.rollout.fleetlock import FleetLock
from weft.rollout.hooks import Hooks
from weft.rollout.inventory import Host
from weft.rollout.payload import Payload


@record(frozen=True)
class Job:
    """What is the same for all hosts of one rollout.

    verb: "deploy", "rollback" or "status".  request: app, by and site, in every request.  open: gives a channel.
    to: a rollback's version, "" for the one before.  force: marks to overlook.  store: gives a version's payload, where a host that
    goes back has it no more.  again: what a command in a hint repeats, such as " --env staging".  lock: the fleet's.
    others: hosts of the environment that are out of scope.  hooks: the environment's own commands.  skip: go on without hosts that are out of reach.
    holds: whether the confirmations of several hosts are held, which their engines must know.
    watched: whether hosts are looked at after their waves, which their engines must know.  on: goes on with what was begun.
    mark: marks a version bad in the store, for a reason; whether it could be.
    sites: of the hosts that say something for themselves.
    unsafe: whether to go back also from a release that nobody can go back from.
    exactly: digests of the plans that may be carried out; empty for any.
    """

    verb: str
    request: dict[str, Any]
    open: Callable[[Host], Channel]
    payload: Payload | None = None
    to: str = ""
    again: str = ""
    force: tuple[str, ...] = ()
    store: Callable[[str], Payload] | None = None
    lock: FleetLock = field(default_factory=FleetLock)
    others: tuple[Host, ...] = ()
    hooks: Hooks = Hooks()
    skip: bool = False
    watched: bool = False
    on: bool = False
    mark: Callable[[str, str], bool] | None = None
    sites: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    unsafe: bool = False
    exactly: frozenset[str] = frozenset()
    holds: bool = False

    @property
    def site(self) -> dict[str, Any]:
        return self.request["site"]

    @property
    def typed(self) -> str:
        """What somebody types for it, without the environment."""
        if self.verb == "deploy" and self.payload:
            return f"fab deploy --version {self.payload.release.version}"
        return "fab rollback" + (f" --to {self.to}" if self.to else "")

    def request_of(self, host: str) -> dict[str, Any]:
        """What every request to that host begins with."""
        return {**self.request, "site": self.sites.get(host, self.request.get("site"))} if self.sites else self.request

    @property
    def slow(self) -> float:
        """Seconds that switching may take at the most; the host itself enforces the shorter ones it is made of."""
        longest = max(each["longest_request"] for each in (self.site, *self.sites.values()))
        return 60 + 2 * self.site["health"]["timeout"] + longest + 2 * self.site["watch"]
