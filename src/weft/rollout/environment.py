"""An environment, ready to be worked on: everything its words mean, checked before any host is contacted."""

from __future__ import annotations

import getpass
import socket
from functools import partial
from pathlib import Path
from typing import Any, Mapping

from weft.config import load as config
from weft.errors import UsageError
from weft.record import field, record, replace
from weft.rollout import marks, transport
from weft.rollout.belief import belief
from weft.rollout.fleetlock import FleetLock
from weft.rollout.hooks import Hooks, hooks
from weft.rollout.inventory import Host, Inventory, inventory
from weft.rollout.job import Job
from weft.rollout.payload import Payload
from weft.rollout.budget import HALT, Policy
from weft.rollout.compare import Tolerance
from weft.rollout.pause import wave
from weft.rollout.record import Record, place
from weft.rollout.run import Progress, Rollout
from weft.rollout.secrets import Secrets, sources
from weft.rollout.site import site, sites
from weft.rollout.access import Access
from weft.values import Version, app_name


@record(frozen=True)
class Environment:
    """hosts: what `--limit` and `--exclude` left, others: what they did not.  site: the table of the engine's protocol; sites: of the hosts that say something for themselves.  artifacts: the store's address."""

    root: Path
    app: str
    name: str
    hosts: Inventory
    access: Access
    site: dict[str, Any]
    policy: Policy
    artifacts: str
    others: tuple[Host, ...] = ()
    secrets: Secrets = Secrets()
    hooks: Hooks = Hooks()
    sites: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def store(self) -> Any:
        from weft.stores import open_store
        return open_store(self.artifacts, self.root)

    @property
    def request(self) -> dict[str, Any]:
        """What every request to the engine begins with."""
        return {"app": self.app, "by": f"{getpass.getuser()}@{socket.gethostname()}", "site": self.site}

    def request_of(self, host: Host) -> dict[str, Any]:
        """The same for one host."""
        return {**self.request, "site": self.sites.get(host.name, self.site)}

    def job(self, verb: str, version: str = "", to: str = "", force: tuple[str, ...] = (), accept_expired: bool = False, wait: float = 0.0,
            skip: bool = False, on: bool = False, unsafe: bool = False, exactly: frozenset[str] = frozenset()) -> Job:
        """wait: seconds, for the fleet's lock. skip: hosts that are out of reach. on: goes on with what was begun. unsafe: goes back from a
        release that nobody can go back from. exactly: the plans that may be carried out. Raises UsageError for a version that is none, Refused for one that is not in the store or not to be believed."""
        def fetched(wanted: str) -> Payload:
            store = self.store
            return Payload(store, self.app, Version(wanted), belief(self.root, store, self.app, force, accept_expired), self.secrets)

        payload = fetched(version) if verb == "deploy" else None
        lock = FleetLock(" ".join(filter(None, [verb, version or to and f"to {to}"])), self.name, wait)
        return Job(verb, self.request, partial(transport.open, access=self.access), payload, to, self.access.again, force,
                   fetched if verb == "rollback" else None, lock, self.others, self.hooks, skip, verb == "deploy" and self.policy.watches, on,
                   (lambda bad, why: marks.mark(self.root, payload.store, self.app, bad, why)) if payload else None, self.sites, unsafe, exactly,
                   bool(payload) and payload.release.rollback_safe and len(self.hosts) > 1)

    def at_once(self) -> Environment:
        """The same with all hosts in one wave, where a host that fails takes none of the others along: for a way back that is wanted now."""
        return replace(self, policy=replace(self.policy, sizes=("100%",), on_failure=HALT))

    def paused(self, after: str) -> Environment:
        """The same with a pause after that wave, "canary" or a number, 0 for none. Raises UsageError."""
        return replace(self, policy=replace(self.policy, pause=wave(after)))

    def record(self, job: Job, progress: Progress) -> Record:
        """The progress, written down as well, for `fab report`."""
        version = str(job.payload.release.version) if job.payload else job.to
        return Record(progress, place(self.app, self.name), {"app": self.app, "env": self.name, "verb": job.verb, "version": version, "by": self.request["by"],
                                                            "hosts": self.hosts.names}, lambda said: self.secrets.hidden().walk(said))

    def rollout(self, job: Job, progress: Progress) -> Rollout:
        return Rollout(self.hosts, job, self.policy, progress)


def project_root(start: Path) -> Path:
    """The nearest directory upwards with a pyproject.toml or weft.toml, where fab finds the fabfile too; else `start`."""
    marks = ("pyproject.toml", config.OWN)
    return next((place for place in [start, *start.parents] if any((place / mark).is_file() for mark in marks)), start)


def load(root: Path, env: str = "", limit: str = "", fabric_config: Any = None, exclude: str = "") -> Environment:
    """Raises UsageError, with file, line and the known words, for everything that is wrong with the configuration."""
    project = config.project(root)
    try:
        app = app_name(project["name"])
    except UsageError as error:
        raise project.wrong("name", error.message, error.hint) from None
    layer = config.environment(root, env)
    again = f" --env {layer['name']}" if len(config.environments(root)) > 1 else ""
    fleet = inventory(layer)
    own = sites(layer, app)
    hosts = fleet.limit(limit).exclude(exclude)
    return Environment(
        root, app, layer["name"], hosts,
        replace(transport.access(layer, root, fabric_config, again), pythons={name: each["python"] for name, each in own.items()}), site(layer, app),
        _policy(layer), project["artifacts"],
        tuple(host for host in fleet if host not in set(hosts)), Secrets(sources(layer), root), hooks(layer, root, app), own)


def _policy(layer: Any) -> Policy:
    try:
        pause = wave(layer["rollout.pause"])
    except UsageError as error:
        raise layer.wrong("rollout.pause", error.message, error.hint) from None
    values = [layer[f"rollout.{name}"] for name in ("waves", "parallel", "max_fail", "min_healthy", "on_failure", "soak")]
    return Policy(*values, Tolerance(*(layer[f"rollout.compare.{name}"] for name in ("requests", "errors", "latency"))), pause)
