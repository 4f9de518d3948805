"""`fab setup`: send the engine and have it prepare the hosts, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weft.errors import NeedsHands, UsageError, WeftError
from weft.record import replace
from weft.rollout import transport, verdict
from weft.rollout.belief import for_setup
from weft.rollout.environment import Environment
from weft.rollout.inventory import Host
from weft.rollout.pool import Stop, each
from weft.rollout.run import Progress


def public_key(environment: Environment, path: str) -> str:
    """The line of a public key file; "" if none is named and the environment's identity has none beside it.

    Raises UsageError for a file that is not a public key, a private one above all.
    """
    given = Path(path).expanduser() if path else Path(environment.access.identity + ".pub")
    if not path and not (environment.access.identity and given.is_file()):
        return ""
    try:
        text = given.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--key: {given} cannot be read: {getattr(error, 'strerror', '') or error}") from None
    if "PRIVATE KEY" in text:
        raise UsageError(f"--key: {given} is a private key", f"give the public one: --key {given}.pub")
    if len(text.splitlines()) != 1 or not text.startswith(("ssh-", "ecdsa-", "sk-")) or len(text.split()) < 2:
        raise UsageError(f"--key: {given} is not one public key", "give a file such as ~/.ssh/id_ed25519.pub")
    return text


def run(environment: Environment, as_user: str, key: str, progress: Progress) -> dict[str, list[str]]:
    """What was done on each host, in sentences. Raises one error for the hosts that could not be set up."""
    did: dict[str, list[str]] = {}
    errors: dict[str, WeftError] = {}

    def one(host: Host) -> None:
        try:
            did[host.name] = _one(environment, host, as_user, key, progress)
        except WeftError as error:
            progress.host(host.name, {"event": "error", "text": error.message})
            errors[host.name] = error
        finally:
            progress.host(host.name, {"event": "end", "verb": "setup", "failed": host.name not in did})

    stop = Stop()
    with stop.listening():
        each(environment.hosts, one, environment.policy.parallel, stop)
    if stop:
        raise stop.cause
    if errors:
        raise _failed([errors[host.name] for host in environment.hosts if host.name in errors], did)
    return {host.name: did[host.name] for host in environment.hosts}


def _one(environment: Environment, host: Host, as_user: str, key: str, progress: Progress) -> list[str]:
    progress.host(host.name, {"event": "phase", "verb": "setup"})
    channel = transport.open(replace(host, user=as_user or host.user), environment.access)
    try:
        request = {"verb": "setup", **environment.request_of(host), "authorized_key": key,
                   "deploy_user": deploy_user(environment, host, channel.user, as_user), **for_setup(environment.root)}
        return channel.exec(request, (), lambda event: progress.host(host.name, event), 600.0)["did"]
    finally:
        channel.close()


def deploy_user(environment: Environment, host: Host, connected_as: str, as_user: str) -> str:
    """The account that gets the sudo rule: the one that `fab deploy` will come as, not the one that sets up."""
    named = host.user or environment.access.user
    if named or not as_user or environment.access.kind == "local":
        return named or connected_as
    from weft.rollout.ssh import connection
    return connection(host, environment.access).user


def _failed(errors: list[WeftError], did: dict[str, Any]) -> WeftError:
    said = verdict.refused(errors, [])
    kind = type(said) if all(error.code in (1, 2, 3) for error in errors) else NeedsHands
    effect = f"set up: {', '.join(sorted(did))}" if did else ("" if kind is NeedsHands else "nothing changed")
    return kind(said.message, said.hint, effect, {"hosts": {name: {"did": did[name]} for name in did}})
